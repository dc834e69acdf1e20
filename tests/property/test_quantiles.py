"""Quantile tags: the engine says what the oracle says, and what is counted depends on neither order nor partitions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.catalogue import Catalogue
from schemas.loading import loads
from schemas.population import CutPoints
from streams.census import Refresh
from streams.engine.plan import build
from streams.output import Output
from streams.processor import Partition
from streams.replay import Record as Incoming
from streams.replay import Replay
from tests.oracle_population import replay
from tests.oracle_rules import Record

START: Final = 1_740_000_000_000
HOUR: Final = 3_600_000
WORLD: Final = """
catalogue: shop
timezone: Asia/Shanghai
currency: CNY
sources:
  buys:
    topic: buys
    key: who
    time: at
    id: id
    allowed_skew: 1m
    accept_late: 2d
    fields: {paid: money, score: {type: number, optional: true}}
features:
  idle: {source: buys, since: last}
  older: {source: buys, since: first}
  times: {source: buys, count: true, window: 2d, tile: 2h}
  money: {source: buys, sum: paid, window: 1d, tile: 1h}
  ever: {source: buys, sum: paid, window: ever}
  mean: {source: buys, mean: paid, window: 2d, tile: 2h}
  best: {source: buys, max: score, window: 1d, tile: 1h}
  share: {compute: money / ever}
"""
FEATURES: Final = ("idle", "older", "times", "money", "ever", "mean", "best", "share")
POPULATIONS: Final = ("times > 0", "older >= 6h", "money > 10 and idle < 1d", "best is known", "not (idle >= 30h)")


class Case(msgspec.Struct):
    """A catalogue and a stream."""

    text: str
    records: list[Record]
    until: int | None

    @property
    def catalogue(self) -> Catalogue:
        return loads(self.text)


@st.composite
def quantiles(draw: st.DrawFn) -> dict[str, Any]:
    """A quantile tag's settings."""
    levels = draw(st.integers(2, 5))
    made: dict[str, Any] = {"of": draw(st.sampled_from(FEATURES)), "levels": levels}
    made["least"] = draw(st.integers(levels, 6))
    made["refresh"] = draw(st.sampled_from(("1d", "1h", "7h", "90m")))
    made["tolerance"] = draw(st.sampled_from((0, 0.02, 0.3)))
    choices = {"order": ("rising", "falling"), "missing": ("exclude", "lowest"), "population": POPULATIONS}
    for key, values in choices.items():
        if draw(st.booleans()):
            made[key] = draw(st.sampled_from(values))
    return made


@st.composite
def records(draw: st.DrawFn, orderly: bool = False) -> list[Record]:
    """A stream of a few customers over some days: equal amounts and times, late ones, long silences."""
    names = [f"c{number}" for number in range(draw(st.integers(2, 9)))]
    at, found = START, []
    for number in range(draw(st.integers(4, 40))):
        at += draw(st.sampled_from((0, 1, 60_000, 20 * 60_000, HOUR, 5 * HOUR, 26 * HOUR)))
        back = 0 if orderly else draw(st.sampled_from((0, 0, 0, 1, HOUR, 30 * HOUR)))
        value: dict[str, Any] = {"who": draw(st.sampled_from(names)), "at": at - back, "id": str(number)}
        value["paid"] = draw(st.sampled_from((-5.0, 0.0, 0.01, 1.0, 1.0, 7.5, 100.0, 101.0, 5000.0)))
        value["score"] = draw(st.sampled_from((None, -1e15, -0.5, 0.0, 1e-6, 2.0)))
        found.append(Record("buys", json.dumps(value).encode()))
    return found


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A catalogue of quantile tags, a code and segments over them, and a stream."""
    tags: dict[str, Any] = {"a": {"quantiles": draw(quantiles())}, "b": {"quantiles": draw(quantiles())}}
    tags["rest"] = {"levels": {"long": "idle < 3h", "short": "otherwise"}}
    tags["both"] = {"code": draw(st.permutations(["a", "b", "rest"]))[: draw(st.integers(2, 3))]}
    parts = {"tags": tags, "segments": {"top": {"when": "a == '2' or both is missing"}}}
    until = draw(st.sampled_from((None, START + 60 * HOUR, START + 2_000 * HOUR)))
    below = "".join(f"{name}: {json.dumps(part)}\n" for name, part in parts.items())
    return Case(WORLD + below, draw(records()), until)


class Run(Replay):
    """A replay that notes the cut-points it makes."""

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__(build(catalogue))
        self.made: list[CutPoints] = []

    def _merge(self, populations: Any) -> list[CutPoints]:
        found = super()._merge(populations)
        self.made += found
        return found


def engine(case: Case, batch: int) -> tuple[dict[str, list[str]], dict[str, str], list[CutPoints]]:
    """Changes of every customer, all that is said at the end, and the cut-points made."""
    run = Run(case.catalogue)
    incoming = [Incoming(one.source, one.value) for one in case.records]
    outputs: list[Output] = []
    for start in range(0, len(incoming), batch):
        outputs += run.feed(incoming[start : start + batch])
    if case.until is not None:
        outputs += run.advance(case.until)
    changes = [change for output in outputs for change in output.changes()]
    return *said(changes, [found for page in run.customers() for found in page]), run.made


def said(changes: Sequence[Any], customers: Sequence[Any]) -> tuple[dict[str, list[str]], dict[str, str]]:
    by_customer: dict[str, list[str]] = {}
    for change in changes:
        by_customer.setdefault(change.customer_id, []).append(msgspec.json.encode(change).decode())
    encode = msgspec.json.Encoder(order="sorted").encode
    return by_customer, {one.customer_id: encode(one).decode() for one in customers}


@given(cases())
@settings(max_examples=2 * settings().max_examples)
def test_levels_changes_and_cut_points_are_the_oracles_in_any_batches(case: Case) -> None:
    *found, made = engine(case, 4096)
    outcome = replay(case.catalogue, case.records, made, case.until)
    assert found == [*said(outcome.changes, list(outcome.customers.values()))]
    for batch in (5, 1):
        assert engine(case, batch) == (*found, made), f"batches of {batch}"


def counted(catalogue: Catalogue, given_: list[Record], partitions: int, until: int) -> dict[str, list[int]]:
    """The population of every quantile tag when time has reached `until`, merged over partitions."""
    run = Replay(build(catalogue), partitions)
    for _ in run.feed([Incoming(one.source, one.value) for one in given_]):
        pass
    for _ in run.advance(until):
        pass
    return merged(run.parts, until)


def merged(parts: Sequence[Partition], until: int) -> dict[str, list[int]]:
    names = list(parts[0].census.definitions)
    return {name: sum(part.census.counts(name, until) for part in parts).tolist() for name in names}


@given(cases(), records(orderly=True))
def test_partitions_count_together_what_one_counts_alone(case: Case, stream: list[Record]) -> None:
    until = START + 50 * 26 * HOUR
    whole = counted(case.catalogue, stream, 1, until)
    for partitions in (2, 8):
        assert counted(case.catalogue, stream, partitions, until) == whole


@given(cases(), st.data())
def test_the_count_does_not_depend_on_the_order_of_arrival(case: Case, data: st.DataObject) -> None:
    near = [one for one in case.records if json.loads(one.value or b"")["at"] < START + 20 * HOUR]
    until = START + 70 * HOUR
    other = data.draw(st.permutations(near))
    assert counted(case.catalogue, list(other), 1, until) == counted(case.catalogue, near, 1, until)


@given(cases(), st.integers(0, 40))
def test_rows_read_back_are_counted_as_they_were_and_go_on_the_same(case: Case, cut: int) -> None:
    plan = build(case.catalogue)
    whole, before = Replay(plan), Replay(plan)
    incoming = [Incoming(one.source, one.value) for one in case.records]
    first = [output for some in (incoming[:cut],) for output in (*whole.feed(some),)]
    assert len(first) <= 1
    for _ in before.feed(incoming[:cut]):
        pass
    after = Replay(plan)
    after.merger, old, new = before.merger, before.parts[0], after.parts[0]
    after.records = before.records
    dirty, clock = old.take_dirty(), old.clock_state()
    new.restore_cuts(json.loads(msgspec.json.encode(clock)))
    new.load(dirty.customers, dirty.rows)
    new.restore(old.positions(), clock)
    now = old.watermark if old.watermark is not None else START
    list(after.advance(now))
    assert merged([new], now) == merged([old], now)
    np.testing.assert_array_equal(new.census.cuts.points[0], old.census.cuts.points[0])
    rest = incoming[cut:]
    going_on = [change for output in after.feed(rest) for change in output.changes()]
    expected = [change for output in whole.feed(rest) for change in output.changes()]
    assert said(going_on, []) == said(expected, [])
    assert merged([new], now + 90 * HOUR) == merged(whole.parts, now + 90 * HOUR)


def test_a_refresh_is_at_local_midnight() -> None:
    catalogue = loads(WORLD + "tags: {a: {quantiles: {of: ever, levels: 2, least: 2}}}")
    part = Partition(build(catalogue), keyed=False)
    value = {"who": "a", "at": START, "id": "1", "paid": 1}
    list(Replay(part.plan).feed([Incoming("buys", json.dumps(value).encode())]))
    midnight = 1_740_067_200_000  # 2025-02-21T00:00+08:00
    assert part.census.due(START) == []
    assert part.census.due(midnight - 1) == []
    assert part.census.due(midnight + 5) == [Refresh(midnight, ["a"])]
    assert part.census.due(midnight + 9) == []
