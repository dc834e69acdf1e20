"""A shop's sources, with a field of every kind: for tests of what can be read."""

from __future__ import annotations

from typing import Final

from schemas.loading import loads

PAYMENTS: Final = """
timezone: Asia/Shanghai
currency: CNY
sources:
  pay:
    topic: pay
    key: customer
    time: at
    id: id
    fields:
      amount: money
      cents: {type: money, unit: minor, optional: true}
      rate: {type: number, decimals: 2, optional: true}
      real: {type: number, optional: true}
      pieces: {type: count, optional: true}
      way: [in, out]
      shop: {type: [food, fuel], other: true, optional: true}
      fresh: {type: boolean, optional: true}
      due: {type: time, optional: true}
      place: {type: text, optional: true, path: where.place}
"""
"""Where, in which currency, and the source of payments; sections of a catalogue behind its name."""

_PROFILES: Final = """\
  who: {topic: who, kind: profile, key: customer, time: at, fields: {vip: boolean, born: {type: count, optional: true}}}
"""
CATALOGUE: Final = loads("catalogue: shop" + PAYMENTS + _PROFILES)
