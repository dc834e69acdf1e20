"""ISO 8601 times by the thousand: a batch of one usual form is read as columns of digits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

_FORMS: Final = {
    20: "0000-00-00T00:00:00Z",
    24: "0000-00-00T00:00:00.000Z",
    25: "0000-00-00T00:00:00+00:00",
    29: "0000-00-00T00:00:00.000+00:00",
}
_LENGTHS: Final = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_BEFORE: Final = np.array([0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334])
_TO_1970: Final = 719_162
_LATEST: Final = np.array([24, 60, 60])
Digits = NDArray[np.int64]


def parse_many(texts: Sequence[object]) -> NDArray[np.int64] | None:
    """UTC ms of texts that all have one usual form with a zone; None where they do not, or where one is no time."""
    length = len(texts[0]) if texts and type(texts[0]) is str else 0
    form = _FORMS.get(length)
    if form is None:
        return None
    try:
        raw = "".join(texts).encode("ascii")  # type: ignore[arg-type]
    except (TypeError, UnicodeEncodeError):
        return None
    if len(raw) != length * len(texts):
        return None
    read = np.frombuffer(raw, dtype=np.uint8).reshape(len(texts), length).astype(np.int64)
    expected = np.frombuffer(form.encode(), dtype=np.uint8)
    digit = expected == ord("0")
    fixed = ~digit
    sign = fixed & (expected == ord("+"))
    fixed &= ~sign
    numbers = read - ord("0")
    if (read[:, fixed] != expected[fixed]).any() or ((numbers < 0) | (numbers > 9))[:, digit].any():
        return None
    return _ms(numbers, read, length)


def _ms(numbers: Digits, read: Digits, length: int) -> NDArray[np.int64] | None:
    year = _number(numbers, 0, 4)
    month, day = _number(numbers, 5, 7), _number(numbers, 8, 10)
    clock = [_number(numbers, at, at + 2) for at in (11, 14, 17)]
    if (year < 1).any() or (month < 1).any() or (month > 12).any() or (day < 1).any():
        return None
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    if (day > _LENGTHS[month] + (leap & (month == 2))).any():
        return None
    if any((part >= limit).any() for part, limit in zip(clock, _LATEST.tolist(), strict=True)):
        return None
    past = year - 1
    days = 365 * past + past // 4 - past // 100 + past // 400 + _BEFORE[month] + (leap & (month > 2)) + day - 1
    seconds = (days - _TO_1970) * 86_400 + clock[0] * 3600 + clock[1] * 60 + clock[2]
    ms: NDArray[np.int64] = seconds * 1000
    if length in (24, 29):
        ms += _number(numbers, 20, 23)
    if length in (25, 29):
        shift = _shift(numbers, read, length)
        return None if shift is None else ms - shift
    return ms


def _shift(numbers: Digits, read: Digits, length: int) -> NDArray[np.int64] | None:
    """The zone's offset in ms."""
    sign, hours, minutes = (
        read[:, length - 6],
        _number(numbers, length - 5, length - 3),
        _number(numbers, length - 2, length),
    )
    if ((sign != ord("+")) & (sign != ord("-"))).any() or (hours > 23).any() or (minutes > 59).any():
        return None
    shift: NDArray[np.int64] = np.where(sign == ord("-"), -1, 1) * (hours * 60 + minutes) * 60_000
    return shift


def _number(numbers: Digits, start: int, end: int) -> Digits:
    found = numbers[:, start]
    for place in range(start + 1, end):
        found = found * 10 + numbers[:, place]
    return found
