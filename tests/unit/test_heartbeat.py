"""A worker's status: what it says of itself, when, and what it knows of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from schemas.loading import load
from schemas.status import Clock, PlaceStatus, TagStatus, WorkerStatus, read_status
from streams.ages import STEPS, Ages
from streams.config import Settings
from streams.counters import Counters, Standing
from streams.freshness import FORGOTTEN_AFTER_MS
from streams.heartbeat import Heartbeat, status_of
from streams.statuses import Statuses
from tests.integration.support import EVERYTHING

NOW = 1_735_700_000_000


class FakeWorker:
    """A worker with the partitions it is given, and nothing behind them."""

    def __init__(self, *partitions: int, **given: Any) -> None:
        self.settings = Settings(**({"member_id": "east"} | given))
        self.catalogue = load(EVERYTHING)
        sources = [source.name for source in self.catalogue.sources]
        self.counters = Counters(sources, 10, Ages(["held", "keen"], [5_000, None]))
        self.partitions: Mapping[int, object] = dict.fromkeys(partitions)


class Written:
    """What was put, as the control topic would have it."""

    def __init__(self) -> None:
        self.values: dict[str, bytes | None] = {}

    def put(self, key: str, value: bytes | None) -> None:
        """As `Control.put`."""
        self.values[key] = value


def test_a_status_tells_every_partition_it_has_and_none_that_went() -> None:
    worker = FakeWorker(0, 2)
    for partition in (0, 1, 2):
        worker.counters.lag("pay", partition, 12, partition == 0)
    worker.counters.received("pay", 0, NOW - 90, NOW - 50)
    worker.counters.stands("pay", 0, NOW - 100, NOW - 200, 77, NOW)
    status = status_of(worker, "east", NOW - 1_000, NOW)
    assert status.places["pay"] == [
        PlaceStatus(
            0, newest_ms=NOW - 100, watermark_ms=NOW - 200, lag=12, at_end=True, received_ms=NOW - 50,
            stamp_ms=NOW - 90, clear_ms=NOW, position=77,
        ),
        PlaceStatus(2, lag=12),
    ]  # fmt: skip
    assert (status.app_id, status.partitions, status.partitions_total) == ("livetags-everything", [0, 2], None)
    assert (status.clock, status.interval_s, status.stopped) == (Clock.WALL, 5.0, False)


def test_the_number_of_partitions_comes_from_the_cluster_once_it_is_known() -> None:
    worker: Any = FakeWorker(0)
    worker.cluster = SimpleNamespace(partitions=8)
    assert status_of(worker, "east", NOW, NOW).partitions_total == 8


def test_tags_published_lately_are_told_with_their_ages() -> None:
    worker = FakeWorker(0)
    worker.counters.published(np.array([0, 0]), np.array([NOW - 3, NOW - 5_001]), NOW)
    worker.counters.published(np.array([], dtype=np.int64), np.array([], dtype=np.int64), NOW)
    counts = [0] * STEPS
    counts[0] = counts[10] = 1
    assert status_of(worker, "east", NOW, NOW).tags == {"held": TagStatus(2, 1, counts)}


def test_with_the_event_clock_no_age_is_counted() -> None:
    counters = Counters(["pay"], 10)
    counters.published(np.array([0]), np.array([0]), NOW)
    assert counters.ages is None


def test_the_rate_follows_what_is_dealt_with_and_falls_when_it_stops() -> None:
    standing = Standing()
    for second in range(60):
        standing.see(100 * second, NOW + 1_000 * second)
    assert standing.per_s == pytest.approx(100.0, rel=0.01)
    for second in range(60, 120):
        standing.see(5_900, NOW + 1_000 * second)
    assert standing.per_s < 0.01


def test_a_place_is_clear_when_it_was_at_its_end_last() -> None:
    standing = Standing(at_end=True)
    standing.see(10, NOW)
    standing.at_end = False
    standing.see(11, NOW + 5_000)
    assert standing.clear_ms == NOW


def test_a_partition_that_went_is_forgotten() -> None:
    counters = Counters(["pay"], 10)
    counters.lag("pay", 3, 5, False)
    counters.holds(3, 100, 7)
    counters.drop(3)
    assert (counters.standings, counters.held) == ({"pay": {}}, {})


def test_each_beat_is_put_under_the_workers_own_key_and_the_last_says_stopped() -> None:
    control = Written()
    heart = Heartbeat(FakeWorker(0), control, lambda: NOW)
    heart.beat()
    key = "worker/livetags-everything/east"
    beat = read_status(control.values[key] or b"")
    assert beat == heart.now()
    heart.stopped()
    last = read_status(control.values[key] or b"")
    assert last is not None
    assert last.stopped
    assert last.partitions == [0]


def test_a_worker_without_a_lasting_name_gets_one_of_its_own() -> None:
    one, two = (Heartbeat(FakeWorker(0, member_id=""), Written()) for _ in range(2))
    assert one.member != two.member


def test_it_beats_until_it_is_told_to_halt() -> None:
    async def beating() -> int:
        halt, beats = asyncio.Event(), 0

        class Counted(Written):
            def put(self, key: str, value: bytes | None) -> None:
                nonlocal beats
                beats += 1
                if beats == 3:
                    halt.set()

        await Heartbeat(FakeWorker(0, status_interval_s=0.1), Counted()).run(halt)
        return beats

    assert asyncio.run(beating()) == 3


def other(member: str, at_ms: int = NOW, app_id: str = "livetags-everything") -> WorkerStatus:
    """Another worker's status."""
    return WorkerStatus(app_id, member, Clock.WALL, NOW - 1_000, at_ms, 5.0, [1])


def encoded(status: WorkerStatus) -> tuple[str, bytes]:
    return status.key, msgspec.json.encode(status)


def test_it_knows_what_the_others_said_and_itself_as_it_is_now() -> None:
    worker = FakeWorker(0)
    heart = Heartbeat(worker, Written(), lambda: NOW)
    west, own_before = other("west"), other("east", NOW - 5_000)
    for status in (west, own_before):
        heart.statuses.on_record(*encoded(status))
    assert heart.everyone() == [west, heart.now()]


def test_the_last_status_of_a_worker_counts_and_other_apps_and_keys_do_not() -> None:
    statuses = Statuses("livetags-everything")
    for status in (other("west", NOW - 5), other("west"), other("north"), other("west", app_id="livetags-retail")):
        statuses.on_record(*encoded(status))
    statuses.on_record("model/deposit", b"{}")
    statuses.on_record("worker/livetags-everything/north", None)
    assert statuses.latest() == [other("west")]


@pytest.mark.parametrize("value", [b"", b"\xff", b"[]", b'{"member": 3}'])
def test_a_status_that_can_not_be_read_is_passed_over(value: bytes) -> None:
    statuses = Statuses("livetags-everything")
    statuses.on_record("worker/livetags-everything/west", value)
    assert statuses.latest() == []


def test_workers_that_ended_long_ago_are_removed_from_the_topic() -> None:
    control = Written()
    heart = Heartbeat(FakeWorker(0), control, lambda: NOW)
    for status in (other("old", NOW - FORGOTTEN_AFTER_MS), other("young", NOW - FORGOTTEN_AFTER_MS + 1)):
        heart.statuses.on_record(*encoded(status))
    heart.beat()
    assert [key for key, value in control.values.items() if value is None] == ["worker/livetags-everything/old"]
