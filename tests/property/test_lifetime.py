"""Lifetime models: the engine says what the oracle says, in any batches; a row that is read back goes on the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.catalogue import Catalogue
from schemas.lifetime import Fit
from schemas.loading import loads
from schemas.population import CutPoints
from streams.engine.plan import build
from streams.output import Output
from streams.replay import Record as Incoming
from streams.replay import Replay
from tests.oracle_lifetime import replay
from tests.oracle_rules import Record

START: Final = 1_740_000_000_000
DAY: Final = 86_400_000
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
    fields: {paid: money, way: [app, shop]}
  looks: {topic: looks, key: who, time: at, id: id, allowed_skew: 1m, fields: {page: count}}
lifetime:
  buying:
    {frequency: times, last: idle, first: since_first, value: ever, refresh: %s, least: 20, after: %s, tolerance: %s}
  app: {frequency: app_times, last: idle, first: since_first, refresh: 4d, least: 22, after: 1d}
features:
  idle: {source: buys, since: last}
  since_first: {source: buys, since: first}
  times: {source: buys, count: true, window: ever}
  app_times: {source: buys, where: way == 'app', count: true, window: ever}
  ever: {source: buys, sum: paid, window: ever}
  looks_2d: {source: looks, count: true, window: 2d, tile: 2h}
  alive: {lifetime: buying, gives: alive}
  more: {lifetime: buying, gives: transactions, within: %s}
  worth: {lifetime: buying, gives: value, within: 365d, discount: %s}
  app_alive: {lifetime: app, gives: alive}
  lost: {compute: worth * (1 - alive)}
tags:
  p_alive: {levels: {high: alive >= 0.8, middle: alive >= %s, low: alive is known}}
  gone: {when: alive < 0.3 and looks_2d == 0, hold: 3h}
  app_gone: {when: app_alive < 0.5}
  tier: {quantiles: {of: worth, levels: 3, least: 5, refresh: %s}}
  losing: {levels: {much: lost >= 20, some: lost >= 1, none: otherwise}}
segments:
  leaving: {when: "p_alive == 'low' and (tier == '3' or more > 1.5)"}
"""


class Case(msgspec.Struct):
    """A catalogue and a stream."""

    text: str
    records: list[Record]
    until: int | None

    @property
    def catalogue(self) -> Catalogue:
        return loads(self.text)

    @property
    def incoming(self) -> list[Incoming]:
        return [Incoming(one.source, one.value) for one in self.records]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A shop's customers over some weeks: regular ones, some who stop, late records, looks between."""
    drawn = (
        draw(st.sampled_from(("3d", "84h", "5d"))), draw(st.sampled_from(("1d", "4d"))),
        draw(st.sampled_from((0, 0.02, 0.5))),
        draw(st.sampled_from(("30d", "365d"))), draw(st.sampled_from((0, "10%"))),
        draw(st.sampled_from((0.35, 0.5, 0.65))), draw(st.sampled_from(("1d", "2d"))),
    )  # fmt: skip
    events: list[tuple[int, str, dict[str, Any]]] = []
    for number in range(draw(st.integers(20, 23))):
        at = START + draw(st.integers(0, 6 * DAY))
        gap = draw(st.sampled_from((DAY // 3, DAY, 2 * DAY)))
        for _ in range(draw(st.integers(2 if number < 12 else 1, 6))):
            paid = draw(st.sampled_from((-5.0, 0.0, 0.01, 9.99, 20.0, 75.5, 400.0)))
            way = draw(st.sampled_from(("app", "app", "shop")))
            late = draw(st.sampled_from((0, 0, 0, DAY)))
            events.append((at + late, "buys", {"who": f"c{number}", "at": at, "paid": paid, "way": way}))
            if draw(st.integers(0, 3)) == 0:
                events.append((at + gap // 2, "looks", {"who": f"c{number}", "at": at + gap // 2, "page": 1}))
            at += gap + draw(st.integers(0, DAY))
    events.sort(key=lambda event: event[0])
    found = [
        Record(source, json.dumps({**value, "id": str(number)}).encode())
        for number, (_, source, value) in enumerate(events)
    ]
    return Case(WORLD % drawn, found, draw(st.sampled_from((None, START + 18 * DAY))))


class Run(Replay):
    """A replay that notes what its refreshes made."""

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__(build(catalogue))
        self.made: list[CutPoints | Fit] = []

    def _merge(self, populations: Any) -> list[CutPoints | Fit]:
        found = super()._merge(populations)
        self.made += found
        return found


def engine(case: Case, batch: int) -> tuple[dict[str, list[Any]], dict[str, Any], list[CutPoints | Fit]]:
    """Changes of every customer, all that is said at the end, and what refreshes made."""
    run, incoming = Run(case.catalogue), case.incoming
    outputs: list[Output] = []
    for start in range(0, len(incoming), batch):
        outputs += run.feed(incoming[start : start + batch])
    if case.until is not None:
        outputs += run.advance(case.until)
    changes = [change for output in outputs for change in output.changes()]
    return *said(changes, [found for page in run.customers() for found in page]), run.made


def said(changes: Sequence[Any], customers: Sequence[Any]) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    by_customer: dict[str, list[Any]] = {}
    for change in changes:
        by_customer.setdefault(change.customer_id, []).append(msgspec.to_builtins(change))
    return by_customer, {one.customer_id: msgspec.to_builtins(one) for one in customers}


def near(value: Any) -> Any:
    """The same with doubles to eight digits: the oracle integrates where the engine sums a series."""
    if isinstance(value, dict):
        return {key: near(one) for key, one in value.items()}
    if isinstance(value, list):
        return [near(one) for one in value]
    return float(f"{value:.8g}") if isinstance(value, float) and abs(value) > 1e-9 else value


@given(cases())
@settings(max_examples=max(1, settings().max_examples // 8))
def test_what_models_say_and_their_parameters_are_the_oracles_in_any_batches(case: Case) -> None:
    *found, made = engine(case, 4096)
    assert case.until is None or any(isinstance(one, Fit) for one in made)
    outcome = replay(case.catalogue, case.records, made, case.until)
    assert near(found) == near([*said(outcome.changes, list(outcome.customers.values()))])
    assert engine(case, 7) == (*found, made)


@given(cases(), st.integers(20, 120))
@settings(max_examples=max(1, settings().max_examples // 13))
def test_rows_read_back_go_on_the_same(case: Case, cut: int) -> None:
    plan, incoming = build(case.catalogue), case.incoming
    whole, before, after = Replay(plan), Replay(plan), Replay(plan)
    for run in (whole, before):
        for _ in run.feed(incoming[:cut]):
            pass
    after.merger, old, new, after.records = before.merger, before.parts[0], after.parts[0], before.records
    dirty, clock = old.take_dirty(), json.loads(msgspec.json.encode(old.clock_state()))
    new.restore_cuts(clock)
    new.load(dirty.customers, dirty.rows)
    new.restore(old.positions(), clock)
    assert new.census.in_force() == old.census.in_force()
    going_on = [change for output in after.feed(incoming[cut:]) for change in output.changes()]
    expected = [change for output in whole.feed(incoming[cut:]) for change in output.changes()]
    assert said(going_on, []) == said(expected, [])
