"""How fresh sources and tags are: a silent source, one that is behind, one nobody reads, promises kept and missed."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import msgspec
import pytest

from schemas.catalogue import Catalogue
from schemas.freshness import Freshness, Promise, SourceFreshness, SourceState, TagFreshness, WorkerState
from schemas.loading import loads
from schemas.resting import sources_of
from schemas.status import Clock, PlaceStatus, TagStatus, WorkerStatus
from schemas.values import parse_iso
from streams.ages import BOUNDS_MS
from streams.freshness import FORGOTTEN_AFTER_MS, report

NOW = 1_735_700_000_000
MINUTE = 60_000
CATALOGUE = """
catalogue: shop
version: 1
timezone: UTC
currency: EUR
sources:
  pay: {topic: pays, key: customer, time: at, stall_after: 10m, fields: {amount: money}}
  look: {topic: looks, key: customer, time: at, fields: {page: [home, help]}}
features:
  paid: {source: pay, sum: amount, window: 1h}
  seen: {source: look, count: true, window: 1h}
  ratio: {compute: paid / seen}
tags:
  spends: {when: paid > 100, freshness: 5s}
  rich: {when: ratio > 10 and spends}
  looks: {when: seen > 3, freshness: 10m}
  risk: {score: churn, levels: {high: 0.5, low: 0}}
targets:
  churn:
    label: {source: look, where: page == 'help', within: 30d}
    features: [ratio]
    example_every: 7d
"""


@pytest.fixture(scope="module")
def shop() -> Catalogue:
    return loads(CATALOGUE)


def place(partition: int = 0, **given: Any) -> PlaceStatus:
    """A partition read to its end, of which a record came a second ago."""
    usual = PlaceStatus(
        partition, newest_ms=NOW - 2_000, watermark_ms=NOW - 62_000, lag=0, at_end=True, received_ms=NOW - 1_000,
        stamp_ms=NOW - 1_500, clear_ms=NOW - 500, per_s=10.0, position=100,
    )  # fmt: skip
    return msgspec.structs.replace(usual, **given)


def worker(member: str = "one", *partitions: int, pay: dict[str, Any] | None = None, **given: Any) -> WorkerStatus:
    """A worker that just said that all is well, with partition 0 of 1 unless told otherwise."""
    held = partitions or (0,)
    places = {
        "pay": [place(number, **(pay or {})) for number in held],
        "look": [place(number) for number in held],
    }
    usual = WorkerStatus("app", member, Clock.WALL, NOW - 60 * MINUTE, NOW - 500, 5.0, list(held), 1, places=places)
    return msgspec.structs.replace(usual, **given)


def pay(found: Freshness) -> SourceFreshness:
    return found.sources[0]


def tag(found: Freshness, name: str) -> TagFreshness:
    return next(one for one in found.tags if one.name == name)


def test_a_source_that_is_read_to_its_end_and_brings_records_flows(shop: Catalogue) -> None:
    found = report([worker()], shop, NOW)
    assert pay(found) == SourceFreshness(
        name="pay", topic="pays", state=SourceState.FLOWING, newest="2025-01-01T02:53:18.000Z", age_s=2.0, lag=0,
        lag_s=0.0, silence_s=1.0, partitions=1, unread=[], promise_s=5.0, stall_after_s=600.0,
    )  # fmt: skip
    assert found.good


@pytest.mark.parametrize(
    ("given", "state"),
    [
        ({"received_ms": NOW - 10 * MINUTE}, SourceState.SILENT),
        ({"received_ms": NOW - 10 * MINUTE + 1}, SourceState.FLOWING),
        ({"received_ms": NOW - 10 * MINUTE, "at_end": False}, SourceState.FLOWING),
        ({"received_ms": None}, SourceState.SILENT),
        ({"lag": 5, "at_end": False}, SourceState.FLOWING),
        ({"lag": 5, "at_end": False, "clear_ms": NOW - 6_000, "stamp_ms": NOW - 5_001}, SourceState.BEHIND),
        ({"lag": 5, "at_end": False, "clear_ms": NOW - 6_000, "stamp_ms": NOW - 5_000}, SourceState.FLOWING),
        ({"lag": None}, SourceState.UNKNOWN),
    ],
)
def test_a_source_is_silent_behind_or_unknown_by_its_own_measures(
    shop: Catalogue, given: dict[str, Any], state: SourceState
) -> None:
    assert pay(report([worker(pay=given)], shop, NOW)).state is state


def test_a_source_of_which_nothing_ever_came_is_not_known_to_flow_before_it_is_silent(shop: Catalogue) -> None:
    new = worker(pay={"received_ms": None, "newest_ms": None}, started_ms=NOW - MINUTE)
    assert pay(report([new], shop, NOW)).state is SourceState.UNKNOWN


def test_a_record_that_comes_after_a_long_silence_has_not_waited_for_that_long(shop: Catalogue) -> None:
    late = {"lag": 1, "at_end": False, "clear_ms": NOW - 900, "stamp_ms": NOW - 60 * MINUTE}
    assert pay(report([worker(pay=late)], shop, NOW)).lag_s == 0.9


def test_with_the_event_clock_a_lag_takes_as_long_as_its_records_do_at_the_present_rate(shop: Catalogue) -> None:
    lagging = {"lag": 40_000, "at_end": False, "per_s": 20_000.0, "stamp_ms": 0, "clear_ms": 0, "newest_ms": 1_000}
    found = report([worker(pay=lagging, clock=Clock.EVENT)], shop, NOW)
    assert (pay(found).lag_s, pay(found).state) == (2.0, SourceState.FLOWING)
    assert tag(found, "spends").promise is Promise.KEPT
    stuck = report([worker(pay=lagging | {"per_s": 10.0, "clear_ms": NOW - MINUTE}, clock=Clock.EVENT)], shop, NOW)
    assert (pay(stuck).lag_s, pay(stuck).state) == (60.0, SourceState.BEHIND)
    assert tag(stuck, "spends").promise is Promise.MISSED


def test_with_the_event_clock_a_source_is_as_old_as_it_is_behind_the_newest_event_of_all(shop: Catalogue) -> None:
    found = report([worker(pay={"newest_ms": NOW - 9_000}, clock=Clock.EVENT)], shop, NOW)
    assert [source.age_s for source in found.sources] == [7.0, 0.0]


@pytest.mark.parametrize(
    ("given", "state"),
    [
        ({"at_ms": NOW - 15_000}, WorkerState.WORKING),
        ({"at_ms": NOW - 15_001}, WorkerState.LOST),
        ({"stopped": True}, WorkerState.STOPPED),
    ],
)
def test_a_worker_unheard_of_for_three_intervals_or_that_said_so_is_stopped(
    shop: Catalogue, given: dict[str, Any], state: WorkerState
) -> None:
    found = report([worker(**given)], shop, NOW)
    assert [one.state for one in found.workers] == [state]
    unread = state is not WorkerState.WORKING
    assert (pay(found).state is SourceState.UNREAD) == unread
    assert pay(found).unread == ([0] if unread else [])
    assert tag(found, "spends").promise is (Promise.NOBODY if unread else Promise.KEPT)
    assert found.good is not unread


def test_a_stopped_worker_is_not_taken_for_a_silent_source(shop: Catalogue) -> None:
    long_ago = NOW - 60 * MINUTE
    found = report([worker(pay={"received_ms": long_ago}, at_ms=long_ago)], shop, NOW)
    assert pay(found).state is SourceState.UNREAD
    assert pay(found).silence_s == 3_600.0


def test_partitions_of_a_stopped_worker_are_unread_until_another_has_them(shop: Catalogue) -> None:
    first, second = worker("one", 0, 1, partitions_total=4), worker("two", 2, 3, partitions_total=4, stopped=True)
    found = report([first, second], shop, NOW)
    assert (pay(found).unread, pay(found).partitions) == ([2, 3], 4)
    heir = worker("three", 2, 3, partitions_total=4)
    assert pay(report([first, second, heir], shop, NOW)).state is SourceState.FLOWING


def test_a_partition_that_moved_counts_once_as_its_living_worker_says(shop: Catalogue) -> None:
    before = worker("one", pay={"lag": 900, "at_end": False, "clear_ms": NOW - 60 * MINUTE}, at_ms=NOW - 4_000)
    now = worker("two", pay={"lag": 3, "at_end": False, "received_ms": None})
    moved = msgspec.structs.replace(before, partitions=[])
    found = report([now, moved], shop, NOW)
    assert (pay(found).lag, pay(found).state) == (3, SourceState.FLOWING)
    assert pay(found).silence_s == 1.0  # the worker before had a record a second ago


def test_where_nobody_ever_worked_all_is_unread_and_the_groups_lag_is_told(shop: Catalogue) -> None:
    found = report([], shop, NOW, partitions=2, lags={"pay": {0: 5, 1: 7}})
    assert [source.state for source in found.sources] == [SourceState.UNREAD] * 2
    assert [source.lag for source in found.sources] == [12, None]
    assert (found.clock, found.workers, pay(found).silence_s) == (None, [], None)


def test_the_groups_lag_stands_in_for_partitions_without_a_worker(shop: Catalogue) -> None:
    found = report([worker(pay={"lag": 3})], shop, NOW, partitions=2, lags={"pay": {0: 1_000, 1: 7}})
    assert (pay(found).lag, pay(found).unread) == (10, [1])


def test_workers_that_ended_long_ago_are_forgotten(shop: Catalogue) -> None:
    assert report([worker(at_ms=NOW - FORGOTTEN_AFTER_MS)], shop, NOW).workers == []


def ages(published: int, over: int, step_ms: int) -> TagStatus:
    """Changes that were all as old."""
    counts = [0] * (len(BOUNDS_MS) + 1)
    counts[BOUNDS_MS.index(step_ms)] = published
    return TagStatus(published, over, counts)


@pytest.mark.parametrize(("over", "promise"), [(0, Promise.KEPT), (1, Promise.KEPT), (2, Promise.MISSED)])
def test_a_promise_is_kept_for_99_of_100_changes(shop: Catalogue, over: int, promise: Promise) -> None:
    found = tag(report([worker(tags={"spends": ages(100, over, 100)})], shop, NOW), "spends")
    assert (found.promise, found.published, found.over) == (promise, 100, over)


def test_changes_of_all_workers_are_counted_together(shop: Catalogue) -> None:
    one = worker("one", 0, partitions_total=2, tags={"spends": ages(90, 0, 100)})
    two = worker("two", 1, partitions_total=2, tags={"spends": ages(10, 1, 10_000)})
    found = tag(report([one, two], shop, NOW), "spends")
    assert (found.published, found.over) == (100, 1)
    assert found.p50_s == pytest.approx(0.05 + 0.05 * 50 / 90)
    assert found.p99_s == pytest.approx(5.0 + 5.0 * 9 / 10)
    assert found.age_s == found.p99_s


def test_a_tag_is_as_old_as_the_records_that_wait_and_misses_its_promise_with_them(shop: Catalogue) -> None:
    behind = {"lag": 5, "at_end": False, "clear_ms": NOW - MINUTE, "stamp_ms": NOW - 8_000}
    found = report([worker(pay=behind)], shop, NOW)
    spends, looks, rich = (tag(found, name) for name in ("spends", "looks", "rich"))
    assert (spends.promise, spends.age_s, spends.waits_for) == (Promise.MISSED, 8.0, ["pay"])
    assert (looks.promise, looks.age_s, looks.waits_for) == (Promise.KEPT, 0.0, [])
    assert (rich.promise, rich.age_s, rich.waits_for) == (Promise.NONE, 8.0, ["pay"])
    assert not found.good


def test_a_promise_is_neither_kept_nor_missed_before_the_lag_is_known(shop: Catalogue) -> None:
    found = report([worker(pay={"lag": None})], shop, NOW)
    assert (tag(found, "spends").promise, tag(found, "spends").age_s) == (Promise.UNKNOWN, None)
    assert not found.good


def test_a_tag_rests_on_sources_through_features_tags_and_targets(shop: Catalogue) -> None:
    assert {one.name: sources_of(one, shop) for one in shop.tags} == {
        "spends": ("pay",),
        "rich": ("pay", "look"),
        "looks": ("look",),
        "risk": ("pay", "look"),
    }


def test_a_frozen_source_says_since_when_and_so_do_the_tags_that_rest_on_it(shop: Catalogue) -> None:
    found = report([worker()], shop, NOW, frozen={"pay": NOW - MINUTE})
    assert (pay(found).state, pay(found).frozen_at) == (SourceState.FROZEN, "2025-01-01T02:52:20.000Z")
    assert {one.name for one in found.tags if one.frozen} == {"spends", "rich", "risk"}
    assert tag(found, "spends").waits_for == ["pay"]


def test_a_frozen_source_that_nobody_reads_is_unread_first(shop: Catalogue) -> None:
    assert pay(report([worker(stopped=True)], shop, NOW, frozen={"pay": NOW})).state is SourceState.UNREAD


@pytest.mark.parametrize(
    ("heard", "state"),
    [
        # open until 09:00, and from 21:00 the day before
        ("2025-01-01T02:43:20Z", SourceState.SILENT),
        ("2025-01-01T02:43:21Z", SourceState.FLOWING),
        ("2024-12-31T20:00:00Z", SourceState.SILENT),
    ],
)
def test_silence_is_told_within_open_hours(heard: str, state: SourceState) -> None:
    night = loads(CATALOGUE.replace("stall_after: 10m", "stall_after: 10m, open: '21:00-09:00'"))
    assert pay(report([worker(pay={"received_ms": parse_iso(heard, UTC)})], night, NOW)).state is state


def test_closed_hours_are_no_silence() -> None:
    day = loads(CATALOGUE.replace("stall_after: 10m", "stall_after: 10m, open: '09:00-21:00'"))
    heard = parse_iso("2024-12-31T20:55:00Z", UTC)
    assert pay(report([worker(pay={"received_ms": heard})], day, NOW)).state is SourceState.FLOWING
