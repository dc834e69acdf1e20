"""Money has no float error in any sum: totals of millions of amounts are Python's integers, and overflow is found."""

from __future__ import annotations

import numpy as np
import pytest

from schemas.loading import loads
from schemas.sources import MISSING, Decoder, Incoming, Reason
from streams.engine import kernel
from streams.engine.apply import Batch
from streams.engine.kernel import Status, Verdict
from streams.engine.plan import build
from streams.processor import Partition
from tests.live import Seen, note

PLAN = build(
    loads("""
catalogue: purse
timezone: UTC
currency: CNY
sources:
  pay:
    topic: pay
    key: customer
    time: at
    fields: {amount: money, cents: {type: money, unit: minor, optional: true}, way: [in, out]}
features:
  ever: {source: pay, sum: amount}
  month: {source: pay, sum: amount, window: 30d}
  went: {source: pay, where: way == 'out', sum: amount, window: 1d}
  mean: {source: pay, mean: amount}
  cents: {source: pay, sum: cents}
tags:
  rich: {when: ever >= 0 and month >= 0 and went >= 0 and cents >= 0 and mean >= 0, title: {en: Rich}}
""")
)
AT = 1_700_000_000_000
CUSTOMERS = 50


def said(minor: int) -> str:
    """Major units with two decimals, out of Python's integers."""
    return f"{'-' if minor < 0 else ''}{abs(minor) // 100}.{abs(minor) % 100:02d}"


def record(customer: str, amount: str, way: str = "in", cents: int | None = None, at: int = AT) -> bytes:
    more = "" if cents is None else f',"cents":{cents}'
    return f'{{"customer":"{customer}","at":{at},"amount":{amount},"way":"{way}"{more}}}'.encode()


def test_totals_of_records_are_pythons_integers() -> None:
    amounts = np.random.default_rng(7).integers(-(10**9), 10**9, 200_000).tolist()
    part, seen, size = Partition(PLAN, keyed=False), Seen(), 20_000
    for first in range(0, len(amounts), size):
        some = amounts[first : first + size]
        raws = [record(f"c{i % CUSTOMERS}", said(x), "out" if x % 3 else "in", x) for i, x in enumerate(some)]
        part.push("pay", [Incoming(raw, None, first + i) for i, raw in enumerate(raws)])
        note(part, size, seen)
    assert seen.applied == len(amounts)
    for number in range(CUSTOMERS):
        mine = amounts[number::CUSTOMERS]
        tags = part.customer_tags(f"c{number}")
        assert tags is not None
        assert (tags.features["ever"], tags.features["month"], tags.features["cents"]) == (said(sum(mine)),) * 3
        assert tags.features["went"] == said(sum(x for x in mine if x % 3))


def test_totals_of_ten_million_amounts_are_pythons_integers() -> None:
    count, size = 10_000_000, 1_000_000
    decoder, part = Decoder(PLAN.catalogue, PLAN.catalogue.source("pay"), {}), Partition(PLAN, keyed=False)
    slots = np.array([part.arena.slot(f"c{number}") for number in range(CUSTOMERS)])
    part.arena.index()
    chance, totals = np.random.default_rng(8), [0] * CUSTOMERS
    fields = PLAN.catalogue.source("pay").fields
    for _ in range(count // size):
        minor = chance.integers(-(10**9), 10**9, size)
        given = (minor / 100).tolist()  # the nearest doubles, as JSON's numbers are read
        values = np.zeros((size, PLAN.columns), dtype=np.int64)
        values[:, 0] = decoder._column(fields[0], given, _refused)
        owners = np.arange(size) % CUSTOMERS
        zeros = np.zeros(size, dtype=np.int64)
        batch = Batch(
            source=zeros,
            slot=slots[owners],
            time=zeros + AT,
            id=zeros,
            removed=np.zeros(size, dtype=np.bool_),
            values=values,
            reals=values.view(np.float64),
        )
        verdict, start = Verdict(np.zeros(size, dtype=np.int8), zeros.copy()), 0
        while start < size:
            start = kernel.apply_batch(
                PLAN.tables, part.arena.state, batch, verdict, start, PLAN.skew_ms, MISSING, part._out
            )
            part.sayer.drain(part._out, lambda records: [""] * len(records))
        assert (verdict.status == Status.APPLIED).all()
        for number in range(CUSTOMERS):
            totals[number] += sum(minor[number::CUSTOMERS].tolist())
    for number, total in enumerate(totals):
        tags = part.customer_tags(f"c{number}")
        assert tags is not None
        assert (tags.features["ever"], tags.features["month"]) == (said(total), said(total))
        assert tags.features["mean"] == pytest.approx(total / (count // CUSTOMERS) / 100, rel=1e-15)


def _refused(*why: object) -> None:
    raise AssertionError(why)


@pytest.mark.parametrize("sign", ["", "-"])
def test_a_sum_that_would_leave_its_bounds_is_found_and_nothing_is_added(sign: str) -> None:
    most, limit = 10**13, 2**55
    raws = [record("ann", f"{sign}{most // 100}") for _ in range(limit // most + 3)]
    part, seen = Partition(PLAN, keyed=False), Seen()
    part.push("pay", [Incoming(raw, None, offset) for offset, raw in enumerate(raws)])
    note(part, len(raws), seen)
    assert seen.applied == limit // most
    assert [(one.reason, one.offset) for one in seen.dead] == [
        (Reason.OVERFLOW, offset) for offset in range(limit // most, len(raws))
    ]
    tags = part.customer_tags("ann")
    assert tags is not None
    assert tags.features["ever"] == said(limit // most * most * (-1 if sign else 1))
