"""Hostile records, seeded: good ones of a shop, broken in every way that JSON, Kafka and people know."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

CODES: Final = {"place": {"home": 0, "ä": 1}}

TOKENS: Final = [
    *(b"null true false 0 -0 -0.0 0.0 1 -1 1.0 12.5 0.1 0.01 12.505 1e2 1E-2 1e400 -1e400 1e-400 5e-324 1e308").split(),
    *(b"NaN Infinity -Infinity nan 01 +1 .5 1. 0x10 1_000 --1 tru nul 99999999999.99 100000000000").split(),
    b"100000000000.01",
    *(b"9007199254740992 9007199254740993 9223372036854775807 9223372036854775808 -9223372036854775808").split(),
    *(b"-9223372036854775809 18446744073709551616 10000000000000 10000000000001 -10000000000001").split(),
    *(b"1700000000000 7258118399999 7258118400000 253402300800000 -62135596800001 [] {} [[]] [1] {\"a\":1}").split(),
    *(b'"" "1" "12.5" "in" "IN" "out" "true" "null" "food" "toys" "home" "NaN" "\\ud800" "\\udc80" "\\u0000"').split(),
    *(b'"2023-11-14" "2023-11-14T22:13:20Z" "2023-11-14T22:13:20.123456+08:00" "2023-02-30" "9999-12-31"').split(),
    *(b'"0001-01-01T00:00:00+14:00" "1969-12-31T23:59:59.999Z" "2199-12-31T23:59:59.999Z" "2200-01-01"').split(),
    b'"\xff"', b'"\xc3\xa4"', b'"\xed\xa0\x80"', b'"a\x01b"', b'"' + b"x" * 256 + b'"', b'"' + b"x" * 257 + b'"',
    b"9" * 4_300, b"9" * 4_301, b"0." + b"1" * 400, b'{"place":"home"}', b'{"place":5}', b'{"place":null,"b":[1]}',
    b"[" * 40 + b"]" * 40, b'{"a":' * 30 + b"1" + b"}" * 30, b'"\xf0\x9f\x98\x80"', b'"\\ud83d\\ude00"', b'"\\u00e4"',
]  # fmt: skip
FIELDS: Final = b"id customer at amount cents rate real pieces way shop fresh due where more".split()
SCRAPS: Final = [
    b"",
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b",",
    b":",
    b"\\",
    b"\x00",
    b"\xff",
    b"\xef\xbb\xbf",
    b"null",
    b"\n",
]


def good(chance: random.Random, number: int) -> dict[bytes, bytes]:
    """The fields of a record in which everything is right, as JSON."""
    record = {
        b"id": b'"p%d"' % number,
        b"customer": b'"c%d"' % chance.randrange(500),
        b"at": b"%d" % (1_700_000_000_000 + 1_000 * number),
        b"amount": b"%d.%02d" % (chance.randrange(90_000), chance.randrange(100)),
        b"way": chance.choice((b'"in"', b'"out"')),
    }
    if chance.random() < 0.3:
        record[b"where"] = b'{"place": "home", "street": "x"}'
        record[b"rate"] = b"%d.%02d" % (chance.randrange(9), chance.randrange(100))
        record[b"due"] = b'"2024-01-01T00:00:00Z"'
    return record


def spelt(fields: list[tuple[bytes, bytes]]) -> bytes:
    """The JSON object of those fields, in their order."""
    return b"{" + b",".join(b'"' + name + b'":' + value for name, value in fields) + b"}"


def records(seed: int) -> Iterator[bytes]:
    """Records without end; about one in eight is as it should be."""
    chance, number = random.Random(seed), 0
    while True:
        number += 1
        fields = list(good(chance, number).items())
        kind = chance.randrange(8)
        if kind < 5:
            for _ in range(kind):
                _spoil(chance, fields)
            yield spelt(fields)
        else:
            raw = spelt(fields)
            for _ in range(chance.randrange(1, 4)):
                raw = _mangle(chance, raw)
            yield raw


def _spoil(chance: random.Random, fields: list[tuple[bytes, bytes]]) -> None:
    """Change, drop, double or add a field."""
    place = chance.randrange(len(fields)) if fields else 0
    kind = chance.randrange(4)
    if kind == 0 and fields:
        fields[place] = (fields[place][0], chance.choice(TOKENS))
    elif kind == 1 and fields:
        del fields[place]
    else:
        fields.insert(place, (chance.choice(FIELDS), chance.choice(TOKENS)))


def _mangle(chance: random.Random, raw: bytes) -> bytes:
    """Change some bytes, whatever they mean."""
    at, length = chance.randrange(len(raw) + 1), chance.randrange(1, 9)
    match chance.randrange(5):
        case 0:
            return raw[:at]
        case 1:
            return raw[:at] + raw[at + length :]
        case 2:
            return raw[:at] + chance.choice(SCRAPS) + raw[at:]
        case 3:
            return raw[:at] + chance.randbytes(1) + raw[at + 1 :]
    return raw[:at] + raw[at : at + length] * 2 + raw[at + length :]
