"""10,000 hostile records and 100,000 good ones to mix them into, seeded, with the catalogue that reads them."""

from __future__ import annotations

import random
from itertools import islice
from typing import Final

from tests.hostile import CODES, records
from tests.plain_reading import Wrong, plainly
from tests.shop import CATALOGUE, PAYMENTS

TEXT: Final = (
    "catalogue: mix"
    + PAYMENTS
    + """\
features:
  in_1h: {source: pay, where: way == 'in', sum: amount, window: 1h}
  out_30d: {source: pay, where: way == 'out', sum: amount, window: 30d}
  visits: {source: pay, count: true, window: 1d}
  idle: {source: pay, since: last}
tags:
  busy: {when: visits >= 3, title: {en: Busy}}
  rich: {when: in_1h >= 500, hold: 10m, title: {en: Rich}}
  away: {when: idle >= 2h and out_30d > 0, title: {en: Away}}
segments:
  keen: {when: busy and not away, title: {en: Keen}}
"""
)
GOOD: Final = 100_000
HOSTILE: Final = 10_000
START: Final = 1_735_689_600_000


def good(chance: random.Random) -> list[tuple[bytes, bytes]]:
    """Keys and values of good records in the order of their times, three months long."""
    made, now = [], START
    for number in range(GOOD):
        now += chance.randrange(150_000)
        customer = f"c{int(chance.paretovariate(0.6)) % 3_000}"
        amount = f"{chance.randrange(900)}.{chance.randrange(100):02d}"
        way = chance.choice(("in", "out"))
        value = f'{{"id":"g{number}","customer":"{customer}","at":{now},"amount":{amount},"way":"{way}"}}'
        made.append((customer.encode(), value.encode()))
    return made


def hostile() -> list[tuple[bytes | None, bytes | None]]:
    """Keys and values of records that must not count: wrong by plain Python, or well made and wrongly keyed."""
    chance, found = random.Random(3), list[tuple[bytes | None, bytes | None]]()
    source = CATALOGUE.source("pay")
    keys = (None, b"", b"c1", b"nobody", b"\xff\xfe", b"k" * 2_000)
    for value in islice(
        (v for v in records(11) if isinstance(plainly(CATALOGUE, source, v, CODES), Wrong)), HOSTILE - 600
    ):
        found.append((chance.choice(keys), value))
    found += [(chance.choice(keys[1:]), None) for _ in range(100)]
    fine = b'{"id":"x%d","customer":"c1","at":%d,"amount":5,"way":"in"}'
    found += [(chance.choice((None, b"", b"c2", b"\xff")), fine % (n, START + n)) for n in range(490)]
    found += [(b"c1", fine.replace(b"}", b',"more":"' + bytes([n]) * 900_000)) for n in range(10)]
    chance.shuffle(found)
    return found
