"""The load of the small job: transactions of 50,000 customers drawn by a Zipf law, the first of whom has 14 %.

Made up from a seed, at even distances over 45 days: the same arguments make the same bytes.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from bench.load import SEED, Event, zipf

CATALOGUE: Final = Path(__file__).with_name("tags_lite.yaml")
EVENTS: Final = 500_000
CUSTOMERS: Final = 50_000
ZIPF: Final = 1.1
SPAN_S: Final = 45 * 86_400
_BEGIN: Final = datetime(2026, 1, 1, tzinfo=UTC)
_MEAN_LOG, _SPREAD_LOG = 5.0, 1.3  # of amounts: half of them below 148


class _Transaction(msgspec.Struct):
    transaction_id: str
    customer_id: str
    occurred_at: int
    amount: float
    direction: str


def lite_events(count: int, customers: int = CUSTOMERS, exponent: float = ZIPF) -> list[Event]:
    """`count` transactions in order of their times."""
    draws = np.random.default_rng(SEED + 1)
    amounts = np.round(np.exp(draws.normal(_MEAN_LOG, _SPREAD_LOG, count)), 2).tolist()
    inward = (draws.random(count) < 0.5).tolist()
    step, made = timedelta(seconds=SPAN_S) / count, []
    encode = msgspec.json.Encoder().encode
    for number, whose in enumerate(zipf(customers, exponent, count).tolist()):
        customer, at = f"c{whose:07d}", int((_BEGIN + number * step).timestamp() * 1000)
        value = _Transaction(f"t{number:09d}", customer, at, amounts[number], "in" if inward[number] else "out")
        made.append(Event("transactions", customer, encode(value)))
    return made
