"""What the page is told of a worker: sums over its partitions, a rate, a state, ages by its clock."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.freshness import SourceState, WorkerState
from schemas.loading import load
from schemas.records import SegmentChange
from schemas.status import WorkerStatus
from streams.config import Clock, Settings, wall_ms
from streams.counters import LATEST, Counters
from streams.engine.plan import build
from streams.output import Output
from streams.replay import Record, Replay
from streams.silence import Silence
from streams.watch import WINDOW_S, Rate, WorkerView
from streams.web.view import State
from tests.integration.support import EVERYTHING, HOUR_MS, START_MS, stream

LATER_MS = START_MS + 200 * 24 * HOUR_MS


class FakeWorker:
    """A worker's partitions, fed from a list, without a broker."""

    def __init__(self, count: int, partitions: int, clock: Clock = Clock.EVENT) -> None:
        self.catalogue = load(EVERYTHING)
        self.settings = Settings(clock=clock)
        self.counters = Counters([source.name for source in self.catalogue.sources], 50)
        self.ready = True
        self.models: list[Any] = []
        self.silence, self.clock = Silence(self.catalogue, "watched"), wall_ms
        replay = Replay(build(self.catalogue), partitions)
        self.partitions = dict(enumerate(replay.parts))
        self.outputs: list[Output] = []
        records = [Record(r.source, r.value, r.key.decode()) for r in stream(count)]
        for output in (*replay.feed(records), *replay.advance(LATER_MS)):
            self.counters.take(output)
            self.outputs.append(output)

    @property
    def changes(self) -> list[Any]:
        """All that came out, partition by partition."""
        return [change for output in self.outputs for change in output.changes()]


def view(worker: Any, **given: Any) -> WorkerView:
    return WorkerView(worker, **given)


@pytest.fixture(scope="module")
def worker() -> FakeWorker:
    return FakeWorker(1_500, 3)


def test_figures_are_the_sums_over_all_partitions(worker: FakeWorker) -> None:
    whole = view(FakeWorker(1_500, 1))
    parts = view(worker)
    assert parts.summary().customers == whole.summary().customers > 50
    assert [tag.counts for tag in parts.tags()] == [tag.counts for tag in whole.tags()]
    assert parts.summary().events == 1_500 - parts.summary().late - parts.summary().duplicates


def test_every_entering_and_leaving_is_counted(worker: FakeWorker) -> None:
    moves = [change for change in worker.changes if isinstance(change, SegmentChange)]
    segments = view(worker).segments()
    assert sum(segment.entered for segment in segments) == sum(change.new for change in moves) > 0
    assert sum(segment.left for segment in segments) == sum(not change.new for change in moves) > 0
    assert all(segment.entered - segment.left == segment.customers for segment in segments)


def test_who_entered_last_comes_first_and_once(worker: FakeWorker) -> None:
    moves = [change for change in worker.changes if isinstance(change, SegmentChange) and change.new]
    for segment in view(worker).segments():
        last = [change.customer_id for change in moves if change.segment == segment.name][-LATEST:]
        assert segment.latest == list(dict.fromkeys(reversed(last)))


def test_changes_are_counted_by_cause(worker: FakeWorker) -> None:
    summary = view(worker).summary()
    assert sum(summary.changes_by_cause.values()) == summary.changes == len(worker.changes)


def test_recent_changes_come_newest_first(worker: FakeWorker) -> None:
    assert view(worker).recent(7) == worker.changes[:-8:-1]
    assert len(view(worker).recent(1_000)) == 50
    assert view(worker).recent(0) == []


def test_a_customer_is_found_and_explained_in_whatever_partition_it_is(worker: FakeWorker) -> None:
    shown = view(worker)
    names = [tag.name for tag in worker.catalogue.tags] + [one.name for one in worker.catalogue.segments]
    for part in worker.partitions.values():
        customer = part.arena.customers[0]
        found, explained = shown.customer(customer), shown.explain(customer)
        assert found is not None
        assert found.customer_id == customer
        assert explained is not None
        assert [item.name for item in explained] == names


def test_a_customer_nobody_knows_is_none(worker: FakeWorker) -> None:
    assert view(worker).customer("nobody") is None
    assert view(worker).explain("nobody") is None


def test_the_rate_looks_back_over_its_window_only() -> None:
    rate = Rate(100.0)
    assert rate.per_s(100.0, 0) == 0.0
    assert rate.per_s(101.0, 500) == 500.0
    assert rate.per_s(101.0 + WINDOW_S, 500 + 3_000) == 3_000 / WINDOW_S
    assert rate.per_s(101.0 + 2 * WINDOW_S, 3_500) == 0.0


def test_a_rate_asked_for_after_a_long_time_is_the_mean_since() -> None:
    rate = Rate(0.0)
    rate.per_s(1.0, 10)
    assert rate.per_s(101.0, 1_010) == 10.0


@pytest.mark.parametrize(
    ("dealt_with", "state", "progress"), [(0, State.RUNNING, 0.0), (500, State.RUNNING, 0.5), (1_000, State.DONE, 1.0)]
)
def test_with_a_known_end_it_says_how_far_it_is(dealt_with: int, state: State, progress: float) -> None:
    worker = FakeWorker(0, 1)
    worker.counters.reached("pay", dealt_with, None)
    summary = view(worker, expected=1_000).summary()
    assert (summary.state, summary.progress) == (state, progress)


def test_without_a_known_end_it_runs() -> None:
    summary = view(FakeWorker(0, 1)).summary()
    assert (summary.state, summary.progress, summary.event_time) == (State.RUNNING, None, None)


def test_without_the_others_statuses_it_tells_of_itself() -> None:
    worker = FakeWorker(0, 2)
    for name in worker.counters.sources:
        for number in worker.partitions:
            worker.counters.lag(name, number, 0, True)
            worker.counters.received(name, number, wall_ms(), wall_ms())
    found = view(worker).freshness()
    assert [one.partitions for one in found.workers] == [[0, 1]]
    assert {source.state for source in found.sources} == {SourceState.FLOWING}


def test_with_the_others_statuses_it_tells_of_all_workers() -> None:
    now = wall_ms()
    told = [
        WorkerStatus("livetags-everything", "east", Clock.EVENT, now, now, 5.0, [0], 2),
        WorkerStatus("livetags-everything", "west", Clock.EVENT, now, now, 5.0, [1], 2, stopped=True),
    ]
    found = view(FakeWorker(0, 1), statuses=lambda: told).freshness()
    assert [(one.name, one.state) for one in found.workers] == [
        ("east", WorkerState.WORKING),
        ("west", WorkerState.STOPPED),
    ]
    assert {tuple(source.unread) for source in found.sources} == {(1,)}


def test_metrics_are_read_from_the_counters_when_they_are_asked_for() -> None:
    worker = FakeWorker(0, 1)
    shown = view(worker)
    worker.counters.events = 77
    assert b"\nlivetags_events_applied_total 77.0\n" in shown.metrics("").body


def test_before_it_has_its_partitions_it_starts_and_later_it_recovers() -> None:
    worker = FakeWorker(0, 1)
    shown = view(worker)
    states = []
    for worker.ready in (False, True, False):
        states.append(shown.summary().state)
    assert states == [State.STARTING, State.RUNNING, State.RECOVERING]


def test_with_the_event_clock_a_source_is_as_old_as_it_is_behind_the_newest_event() -> None:
    worker = FakeWorker(0, 1)
    worker.counters.reached("pay", 10, 1_735_700_000_000)
    worker.counters.reached("look", 10, 1_735_699_940_000)
    ages = {source.name: source.age_s for source in view(worker).sources()}
    assert ages == {"pay": 0.0, "look": 60.0, "who": None}
    assert view(worker).summary().event_time == "2025-01-01T02:53:20.000Z"


def test_with_the_wall_clock_a_source_is_as_old_as_its_newest_event() -> None:
    worker = FakeWorker(0, 1, Clock.WALL)
    worker.counters.reached("pay", 10, wall_ms() - 5_000)
    age = next(source.age_s for source in view(worker).sources() if source.name == "pay")
    assert age is not None
    assert 5.0 <= age < 60.0
