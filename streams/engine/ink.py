"""Numbers, texts and times as bytes in a buffer: each function writes from `at` on and returns where it stopped.

The caller sees to it that there is room. Compiled, so that saying a change costs less than deciding it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from streams.engine.compiling import compiled

Bytes = NDArray[np.uint8]
DAY_MS: Final = 86_400_000
TIME_BYTES: Final = 24
LONGEST_NUMBER: Final = 40
ESCAPED: Final = 6
"""A character takes at most so many bytes for each of its own in JSON."""
_DIGITS: Final = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
_SHORT: Final = np.zeros(32, dtype=np.uint8)
for _code, _letter in ((8, b"b"), (9, b"t"), (10, b"n"), (12, b"f"), (13, b"r")):
    _SHORT[_code] = _letter[0]
_ZERO, _MINUS, _POINT, _QUOTE, _BACKSLASH = (int(byte) for byte in b'0-."\\')
_DASH, _T, _COLON, _Z, _U = (int(byte) for byte in b"-T:Zu")


@compiled
def put(out: Bytes, at: int, text: Bytes, start: int, end: int) -> int:
    """The bytes of `text` from `start` to `end`."""
    for place in range(start, end):
        out[at] = text[place]
        at += 1
    return at


@compiled
def put_escaped(out: Bytes, at: int, text: Bytes, start: int, end: int) -> int:
    """The same, as the inside of a JSON string."""
    for place in range(start, end):
        byte = text[place]
        if byte >= 32 and byte != _QUOTE and byte != _BACKSLASH:
            out[at] = byte
            at += 1
            continue
        out[at] = _BACKSLASH
        if byte >= 32:
            out[at + 1] = byte
            at += 2
        elif _SHORT[byte] != 0:
            out[at + 1] = _SHORT[byte]
            at += 2
        else:
            out[at + 1], out[at + 2], out[at + 3] = _U, _ZERO, _ZERO
            out[at + 4], out[at + 5] = _DIGITS[byte >> 4], _DIGITS[byte & 15]
            at += 6
    return at


@compiled
def put_padded(out: Bytes, at: int, value: int, digits: int) -> int:
    """A number that is not negative, with leading zeros."""
    for place in range(at + digits - 1, at - 1, -1):
        out[place] = _ZERO + value % 10
        value //= 10
    return at + digits


@compiled
def put_integer(out: Bytes, at: int, value: int) -> int:
    """A number between -2**62 and 2**62."""
    if value < 0:
        out[at] = _MINUS
        at += 1
        value = -value
    digits, rest = 1, value // 10
    while rest > 0:
        digits += 1
        rest //= 10
    return put_padded(out, at, value, digits)


@compiled
def put_money(out: Bytes, at: int, minor: int, exponent: int) -> int:
    """Major units with all their decimals: 6100050 is 61000.50 with two digits."""
    if minor < 0:
        out[at] = _MINUS
        at += 1
        minor = -minor
    unit = 10**exponent
    at = put_integer(out, at, minor // unit)
    if exponent > 0:
        out[at] = _POINT
        at = put_padded(out, at + 1, minor % unit, exponent)
    return at


@compiled
def put_time(out: Bytes, at: int, ms: int) -> int:
    """ISO 8601 in UTC with milliseconds; the day by Howard Hinnant's civil_from_days ("chrono-Compatible Low-Level Date
    Algorithms").
    """
    days, rest = ms // DAY_MS, ms % DAY_MS
    shifted = days + 719_468
    era = shifted // 146_097
    of_era = shifted - era * 146_097
    year_of_era = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_from_march = (5 * of_year + 2) // 153
    day = of_year - (153 * month_from_march + 2) // 5 + 1
    month = month_from_march + 3 if month_from_march < 10 else month_from_march - 9
    year = year_of_era + era * 400 + (1 if month <= 2 else 0)
    at = put_padded(out, at, year, 4)
    out[at] = _DASH
    at = put_padded(out, at + 1, month, 2)
    out[at] = _DASH
    at = put_padded(out, at + 1, day, 2)
    out[at] = _T
    at = put_padded(out, at + 1, rest // 3_600_000, 2)
    out[at] = _COLON
    at = put_padded(out, at + 1, rest // 60_000 % 60, 2)
    out[at] = _COLON
    at = put_padded(out, at + 1, rest // 1000 % 60, 2)
    out[at] = _POINT
    at = put_padded(out, at + 1, rest % 1000, 3)
    out[at] = _Z
    return at + 1


@compiled
def put_hex(out: Bytes, at: int, text: Bytes, count: int) -> int:
    """The first `count` bytes of `text` in hexadecimal."""
    for place in range(count):
        out[at], out[at + 1] = _DIGITS[text[place] >> 4], _DIGITS[text[place] & 15]
        at += 2
    return at


@compiled
def varint_bytes(value: int) -> int:
    """How many bytes Kafka's zigzag varint of a number that is not negative takes."""
    value, count = value << 1, 1
    while value >= 128:
        value >>= 7
        count += 1
    return count


@compiled
def put_varint(out: Bytes, at: int, value: int) -> int:
    """Kafka's zigzag varint of a number that is not negative."""
    value <<= 1
    while value >= 128:
        out[at] = (value & 127) | 128
        value >>= 7
        at += 1
    out[at] = value
    return at + 1
