"""Lifetime models at work: sampled at refreshes, fitted by one worker, followed by all, and told apart from silence."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest

from models.lifetime import alive, expected, spend
from schemas.lifetime import Fit, Sample, definition_of
from schemas.loading import loads
from schemas.records import Cause, Change, CustomerTags
from schemas.sources import Incoming
from streams import rounds as slices
from streams import sampling
from streams.census import Refresh
from streams.engine.plan import Plan, build
from streams.fitting import Fitter, FollowedFits
from streams.gathering import Cut
from streams.measures import Measures
from streams.measuring import Measuring
from streams.output import Output
from streams.processor import Partition
from streams.replay import Record, Replay

DAY = 86_400_000
START = 1_740_009_600_000  # 2025-02-20T00:00Z
CATALOGUE = """
catalogue: shop
timezone: UTC
currency: CNY
sources:
  buys: {topic: buys, key: who, time: at, id: id, allowed_skew: 1s, stall_after: 1h, fields: {paid: money}}
lifetime:
  buying:
    {frequency: times, last: idle, first: older, value: spent, least: 20, after: 10d, title: {en: Buying, zh: 购买}}
features:
  times: {source: buys, count: true, window: ever}
  spent: {source: buys, sum: paid, window: ever, title: {en: Spent, zh: 消费}}
  idle: {source: buys, since: last}
  older: {source: buys, since: first}
  chance: {lifetime: buying, gives: alive, title: {en: Chance, zh: 概率}}
  more: {lifetime: buying, gives: transactions, within: 90d}
  worth: {lifetime: buying, gives: value, within: 365d}
tags:
  p_alive: {levels: {high: chance >= 0.8, middle: chance >= 0.5, low: chance is known}, title: {en: Here, zh: 在}}
  tier: {quantiles: {of: worth, levels: 2, least: 4}}
segments:
  leaving: {when: "p_alive == 'low'"}
"""


@pytest.fixture(scope="module")
def plan() -> Plan:
    return build(loads(CATALOGUE))


def buy(who: str, day: float, paid: float = 10.0) -> tuple[str, Incoming]:
    at = START + int(day * DAY)
    return "buys", Incoming(json.dumps({"who": who, "at": at, "id": f"{who}{at}", "paid": paid}).encode())


def fit(plan: Plan, version: int = 1, **other: float) -> Fit:
    definition = definition_of(plan.catalogue, plan.catalogue.lifetime("buying"))
    known = {"r": 0.8, "alpha": 20.0, "a": 0.7, "b": 2.0, "p": 4.0, "q": 3.0, "v": 900.0} | other
    return Fit("buying", definition, version, START, 99, **known)


def partition(plan: Plan, customers: int = 4, days: int = 6) -> Partition:
    """Customers c0, c1, ... who bought on so many days: every day, every second day, ..."""
    part = Partition(plan, keyed=False)
    events = [(n * day, buy(f"c{n}", n * day + 0.5, 10.0 * n)) for n in range(1, customers + 1) for day in range(days)]
    part.feed(event for _, event in sorted(events, key=lambda event: event[0]))
    return part


def whole_round(part: Partition, points: Fit, offset: int = 7) -> list[Change]:
    """All that the parameters change."""
    rounds, found = Measuring(part), list[Change]()
    rounds.take(Cut(points, offset))
    while rounds.at_work:
        found += [change for output in rounds.step() for change in output.changes()]
    return found


def said(part: Partition, customer: str) -> CustomerTags:
    found = part.customer_tags(customer)
    assert found is not None
    return found


def changes(output: Output) -> list[tuple[str, Any, Any, str, Cause]]:
    return [
        (c.tag, c.old, c.new, c.at, c.cause) if hasattr(c, "tag") else (c.segment, c.old, c.new, c.at, c.cause)
        for c in output.changes()
    ]


def test_until_parameters_come_nothing_is_said_and_the_tag_is_warming(plan: Plan) -> None:
    part = partition(plan)
    before = said(part, "c1")
    assert (before.tags["p_alive"], before.features["chance"]) == (None, None)
    assert before.status == {"p_alive": "warming", "tier": "warming"}
    found = part.explain("c1")
    assert found is not None
    waits = "its lifetime model's first fit waits for 20 customers, known for 10d on average"
    assert {one.name: one.flips for one in found}["p_alive"] == waits
    whole_round(part, fit(plan))
    assert said(part, "c1").status == {"tier": "warming"}


def test_the_kernel_says_what_the_model_says(plan: Plan) -> None:
    part = partition(plan)
    whole_round(part, fit(plan))
    for n in range(1, 5):
        part.advance(START + 40 * DAY)
        found = said(part, f"c{n}")
        now = int(json.loads(msgspec.json.encode(found.features["older"]))) + START + DAY // 2
        last, age = 5.0 * n, float((now - START) // DAY)
        comes = alive(5.0, last, age, 0.8, 20.0, 0.7, 2.0)
        assert found.features["chance"] == pytest.approx(comes, rel=1e-12)
        more, year = (expected(comes, 5.0, age, ahead, 0.0, 0.8, 20.0, 0.7, 2.0) for ahead in (90.0, 365.0))
        assert found.features["more"] == pytest.approx(more, rel=1e-9)
        assert found.features["worth"] == pytest.approx(year * spend(6.0, 6_000.0 * n, 4.0, 3.0, 900.0) / 100, rel=1e-9)


def test_parameters_change_tags_with_cause_score_and_their_offset_in_the_id(plan: Plan) -> None:
    part = partition(plan)
    found = whole_round(part, fit(plan))
    assert {change.cause for change in found} == {Cause.SCORE}
    assert {change.customer_id for change in found} == {"c1", "c2", "c3", "c4"}
    other = partition(plan)
    assert {c.id for c in whole_round(other, fit(plan), 8)}.isdisjoint(c.id for c in found)
    assert whole_round(part, fit(plan)) == [], "they are in force already"
    assert whole_round(part, msgspec.structs.replace(fit(plan, 2), definition="0" * 16)) == []


@pytest.mark.parametrize("wrong", [{"a": 0.0}, {"r": float("nan")}, {"q": 0.9}, {"alpha": float("inf")}])
def test_parameters_that_can_not_be_are_passed_over(plan: Plan, wrong: dict[str, float]) -> None:
    part = partition(plan)
    assert whole_round(part, fit(plan, **wrong)) == []
    assert said(part, "c1").features["chance"] is None


def test_silence_alone_takes_a_customer_down_at_midnights_and_into_the_segment(plan: Plan) -> None:
    part = partition(plan)
    whole_round(part, fit(plan))
    output = part.advance(START + 300 * DAY)
    mine = [change for change in output.changes() if change.customer_id == "c4"]
    assert [(c.tag, c.old, c.new) for c in mine if hasattr(c, "tag") and c.tag == "p_alive"] == [
        ("p_alive", "high", "middle"), ("p_alive", "middle", "low"),
    ]  # fmt: skip
    assert [c.cause for c in mine] == [Cause.TIME] * 3
    assert all(c.at.endswith("T00:00:00.000Z") for c in mine)
    (entered,) = [c for c in mine if not hasattr(c, "tag")]
    assert entered.at == mine[-1].at
    of_tag = [c for c in mine if hasattr(c, "tag") and c.tag == "p_alive"]
    turned = (np.datetime64(of_tag[0].at[:-1], "ms").astype(int) - START) // DAY
    before, after = (alive(5.0, 20.0, float(day), 0.8, 20.0, 0.7, 2.0) for day in (turned - 1, turned))
    assert before >= 0.8 > after


def test_a_purchase_brings_the_customer_back_at_once(plan: Plan) -> None:
    part = partition(plan)
    whole_round(part, fit(plan))
    part.advance(START + 300 * DAY)
    output = part.feed([buy("c1", 301.25)])
    assert [one[:3] + one[4:] for one in changes(output) if one[0] == "p_alive"] == [
        ("p_alive", "low", "high", Cause.EVENT)
    ]


def test_a_row_is_looked_at_by_the_parameters_before_until_its_turn_comes(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slices, "AT_ONCE", 1)
    part = partition(plan)
    whole_round(part, fit(plan))
    old = {name: said(part, name).features["chance"] for name in ("c1", "c4")}
    rounds = Measuring(part)
    rounds.take(Cut(fit(plan, 2, a=3.0), 9))
    rounds.step()
    first, last = part.arena.customers[0], part.arena.customers[3]
    assert said(part, first).features["chance"] != old.get(first, -1.0)
    assert said(part, last).features["chance"] == old[last]
    while rounds.at_work:
        rounds.step()
    assert said(part, last).features["chance"] != old[last]


# -------------------------------------------------------------------------------------------------------------- samples


def sample(part: Partition, at: int = START + 60 * DAY) -> Sample:
    return part.census.lifetimes.sample("buying", at, part.partition, part.partitions)


def test_a_sample_holds_how_often_how_lately_how_long_and_how_much(plan: Plan) -> None:
    part = Partition(plan, keyed=False)
    part.feed([buy("a", 0.9, 12.345 - 0.005), buy("a", 1.1, 20.0), buy("b", 2.0, -3.0), buy("a", 9.0, 1.0)])
    found = sample(part, START + 12 * DAY)
    rows = sorted(zip(found.purchases, found.last_day, found.today, found.mean, strict=True))
    assert rows == [(1, 0, 10, 0.0), (3, 9, 12, 1110.0)]
    assert (found.customers, found.at) == (2, START + 12 * DAY)


def test_who_is_in_a_sample_hangs_on_purchases_alone(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "MOST", 40)
    events = [buy(f"c{n}", day + n / 100, 5.0 + n % 7) for n in range(90) for day in range(n % 4 + 1)]
    one, other = Partition(plan, keyed=False), Partition(plan, keyed=False)
    one.feed(events)
    by_customer = sorted(events, key=lambda event: json.loads(event[1].value or b"")["who"], reverse=True)
    other.feed(by_customer)
    found = sample(one)
    assert found == sample(other)
    assert (found.customers, len(found.purchases)) == (90, 40)


def test_while_a_source_is_frozen_its_customers_are_not_sampled(plan: Plan) -> None:
    part = partition(plan)
    refresh = Refresh(START + 60 * DAY, [], ["buying"])
    assert [len(found) for found in part.census.counted(refresh, 0, 1, {"buys": START})] == [0, 0]
    assert [len(found) for found in part.census.counted(refresh, 0, 1, {})] == [1, 0]


# ----------------------------------------------------------------------------------------------------------- followers


def drawn(plan: Plan, partition: int = 0, partitions: int = 1, at: int = START, customers: int = 60) -> Sample:
    """A sample of customers with one to five purchases."""
    definition = definition_of(plan.catalogue, plan.catalogue.lifetime("buying"))
    draw = np.random.default_rng(partition)
    count = draw.integers(1, 6, customers)
    last = np.where(count > 1, draw.integers(5, 60, customers), 0)
    today = last + draw.integers(0, 90, customers)
    mean = draw.integers(100, 900, customers).astype(float)
    return Sample(
        "buying", definition, partition, partitions, at, customers,
        count.tolist(), last.tolist(), today.tolist(), mean.tolist(),
    )  # fmt: skip


def test_the_fitter_waits_for_every_partition_and_moves_only_beyond_the_tolerance(plan: Plan) -> None:
    fitter = Fitter(plan.catalogue)
    fitter.take(drawn(plan, 0, 2), now_s=1.0)
    assert fitter.make(1.0) == []
    fitter.take(drawn(plan, 1, 2), now_s=2.0)
    (found,) = fitter.make(2.0)
    assert (found.version, found.customers) == (1, 120)
    assert min(found.parameters) > 0.0
    for number in (0, 1):
        fitter.take(drawn(plan, number, 2, at=START + DAY), now_s=3.0)
    assert fitter.make(3.0) == [], "the same purchases"


def test_too_few_customers_or_too_short_a_time_make_no_parameters(plan: Plan) -> None:
    assert Fitter(plan.catalogue).at_once([drawn(plan, customers=19)]) == []
    young = msgspec.structs.replace(drawn(plan), last_day=[0] * 60, today=[9] * 60)
    assert Fitter(plan.catalogue).at_once([young]) == []


def test_a_customer_of_a_sample_stands_for_as_many_as_the_partition_has(plan: Plan) -> None:
    whole, other = drawn(plan, 0, 2), drawn(plan, 1, 2)
    many = msgspec.structs.replace(whole, customers=120)
    (once,) = Fitter(plan.catalogue).at_once([whole, other])
    (twice,) = Fitter(plan.catalogue).at_once([many, other])
    doubled = msgspec.structs.replace(
        whole, customers=120, purchases=whole.purchases * 2, last_day=whole.last_day * 2, today=whole.today * 2,
        mean=whole.mean * 2,
    )  # fmt: skip
    (spelt,) = Fitter(plan.catalogue).at_once([doubled, other])
    assert twice.parameters == pytest.approx(spelt.parameters, rel=1e-3)
    assert once.parameters != pytest.approx(spelt.parameters, rel=1e-3)


class Topic:
    """A control topic in memory: what is put comes back at once."""

    is_caught_up = True

    def __init__(self) -> None:
        self.records: list[tuple[str, bytes | None]] = []
        self.followers: list[Measures] = []

    def put(self, key: str, value: bytes | None) -> None:
        self.records.append((key, value))
        for one in self.followers:
            one.on_record(key, value, len(self.records) - 1)


def test_one_worker_fits_beside_its_loop_and_all_follow(plan: Plan) -> None:
    topic, told = Topic(), list[tuple[int, Cut]]()
    workers = [Measures(plan.catalogue, "g"), Measures(plan.catalogue, "g")]
    for number, worker in enumerate(workers):
        worker.follow(topic, lambda cut, number=number: told.append((number, cut)))
        topic.followers.append(worker)
        worker.publish([drawn(plan, number, 2)])
    for worker in workers:
        asyncio.run(worker.tick(worker is workers[0], 1.0))
    assert [number for number, _ in told] == [0, 1]
    assert [key for key, _ in topic.records] == [
        "lifetime-sample/g/buying/0", "lifetime-sample/g/buying/1", "lifetime/g/buying",
    ]  # fmt: skip
    assert told[0][1].offset == 2


@pytest.mark.parametrize("value", [b"no JSON", b'{"model": "buying"}', None])
def test_what_can_not_be_read_is_left_out(plan: Plan, value: bytes | None) -> None:
    followed, told = FollowedFits(plan.catalogue, "g"), list[Cut]()
    followed.follow(Topic(), told.append)
    odd = [drawn(plan), drawn(plan)]
    odd = [msgspec.structs.replace(odd[0], mean=odd[0].mean[1:]), msgspec.structs.replace(odd[1], today=[-1] * 60)]
    for key in ("lifetime-sample/g/buying/0", "lifetime/g/buying", "lifetime/other/buying", "model/g/t"):
        followed.on_record(key, value, 1)
    for number, one in enumerate(odd):
        followed.on_record("lifetime-sample/g/buying/0", msgspec.json.encode(one), number)
    followed.tick(True, 1.0)
    assert (told, followed.held()) == ([], [])


def stream() -> Iterator[Record]:
    """Thirty customers who buy now and then for forty days."""
    events = sorted((day * (n % 5 + 1) + n / 60, n) for n in range(30) for day in range(n % 6 + 1))
    for at, n in events:
        name, incoming = buy(f"c{n}", at, 5.0 + n)
        yield Record(name, incoming.value)


def test_a_replay_fits_at_a_refresh_of_event_time_and_the_page_says_why(plan: Plan) -> None:
    replay = Replay(plan)
    outputs = [*replay.feed(list(stream())), *replay.advance(START + 60 * DAY)]
    found = [change for output in outputs for change in output.changes()]
    assert {Cause.SCORE, Cause.TIME} <= {change.cause for change in found}
    (part,) = replay.parts
    held = part.census.lifetimes.held["buying"]
    why = {one.name: one for one in part.explain("c5") or []}["p_alive"]
    (model,) = why.lifetimes
    assert (model.model, model.version, model.customers) == ("buying", held.version, 30)
    assert model.knows["times"] == 6
    assert model.knows["spent"] == "60.00"
    assert why.because.keys() == {"chance"}
