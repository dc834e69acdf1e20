"""The worker as the page and the API see it; every answer comes from memory."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from schemas.catalogue import Score, Segment, Tag
from schemas.explanations import ScoreExplanation
from schemas.freshness import Freshness
from schemas.records import Change, CustomerTags
from schemas.status import WorkerStatus
from schemas.tag_words import rules_in_words
from schemas.values import iso
from streams.app import Worker
from streams.config import Clock
from streams.engine.explain import Explanation
from streams.engine.explain_score import explain_scores
from streams.freshness import report
from streams.heartbeat import member_name, partitions_of, status_of
from streams.metrics import Exposed, Reading, WorkerMetrics
from streams.output import Overview
from streams.recovering import RecoveryStatus
from streams.web.view import FeatureView, SegmentView, SourceView, State, Summary, TagView

OVERVIEW_AGE_S = 0.5
WINDOW_S = 3.0


class WorkerView:
    """A `View` of a worker: its own partitions, not the whole group's.

    Parameters
    ----------
    expected
        How many records the sources will hold in the end, where that is known: then there is a progress and an end.
    clock
        Seconds that never go back.
    statuses
        The last one of every worker of the app, this one's included; without, it knows of itself only.
    """

    def __init__(
        self,
        worker: Worker,
        expected: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        statuses: Callable[[], Sequence[WorkerStatus]] | None = None,
    ) -> None:
        self._worker, self._expected, self._clock = worker, expected, clock
        self._member, self._started_ms = member_name(worker.settings), worker.clock()
        self._statuses = statuses or self._own
        self._metrics = WorkerMetrics(lambda: Reading(worker.counters, self.freshness()))
        self._rate = Rate(clock())
        self._overview: Overview | None = None
        self._overview_at = 0.0
        self._begun = False
        self._rules = rules_in_words(worker.catalogue)

    def summary(self) -> Summary:
        """The worker in a line."""
        worker, counters, catalogue = self._worker, self._worker.counters, self._worker.catalogue
        newest, progress = self._newest(), self._reached()
        return Summary(
            catalogue=catalogue.name,
            title=catalogue.title,
            clock=worker.settings.clock.value,
            state=self._state(progress),
            events=counters.events,
            events_per_s=self._rate.per_s(self._clock(), counters.events),
            changes=counters.changes.total(),
            customers=self._counts().customers,
            event_time=None if newest is None else iso(newest),
            dead=counters.dead.total(),
            late=counters.late,
            duplicates=counters.duplicates,
            progress=progress,
            currency=catalogue.currency,
            timezone=catalogue.timezone,
            changes_by_cause=dict(counters.changes),
            recovering=self._recovering(),
        )

    def sources(self) -> list[SourceView]:
        """Every source, in the catalogue's order."""
        return [self._source(source.name, source.topic) for source in self._worker.catalogue.sources]

    def freshness(self) -> Freshness:
        """How fresh sources and tags are, over all workers that it knows of."""
        worker = self._worker
        frozen = worker.silence.frozen
        return report(self._statuses(), worker.catalogue, worker.clock(), partitions_of(worker), frozen=frozen)

    def _own(self) -> Sequence[WorkerStatus]:
        return [status_of(self._worker, self._member, self._started_ms, self._worker.clock())]

    def metrics(self, accept: str) -> Exposed:
        """The worker's metrics for Prometheus, in a format that the `Accept` header allows."""
        return self._metrics.exposed(accept)

    def features(self) -> list[FeatureView]:
        """Every feature, in the catalogue's order."""
        return [FeatureView(one.name, one.title, one.unit) for one in self._worker.catalogue.features]

    def tags(self) -> list[TagView]:
        """Every tag, in the catalogue's order."""
        counts = self._counts().tags
        return [
            TagView(
                name=tag.name,
                title=tag.title,
                kind=tag.kind,
                owner=tag.owner,
                about=tag.about,
                waits=self._waits(tag),
                boolean=tag.boolean,
                counts=counts.get(tag.name, dict.fromkeys(tag.values, 0)),
                rule=self._rules[tag.name],
            )
            for tag in self._worker.catalogue.tags
        ]

    def segments(self) -> list[SegmentView]:
        """Every segment, in the catalogue's order."""
        counts = self._counts().segments
        return [self._segment(one, counts.get(one.name, 0)) for one in self._worker.catalogue.segments]

    def _segment(self, segment: Segment, customers: int) -> SegmentView:
        moved = self._worker.counters.segments[segment.name]
        return SegmentView(
            name=segment.name,
            title=segment.title,
            about=segment.about,
            customers=customers,
            entered=moved.entered,
            left=moved.left,
            latest=list(dict.fromkeys(reversed(moved.latest))),
            rule=self._rules[segment.name],
        )

    def recent(self, limit: int) -> list[Change]:
        """The last changes, newest first, at most `limit`."""
        return self._worker.counters.recent[: -limit - 1 : -1]

    def customer(self, customer_id: str) -> CustomerTags | None:
        """What is said about a customer; None where this worker has no such customer."""
        found = (part.customer_tags(customer_id) for part in self._worker.partitions.values())
        return next((tags for tags in found if tags is not None), None)

    def explain(self, customer_id: str) -> list[Explanation] | None:
        """Why, for every tag and segment; None where this worker has no such customer."""
        found = (part.explain(customer_id) for part in self._worker.partitions.values())
        return next((explanations for explanations in found if explanations is not None), None)

    def scores(self, customer_id: str) -> list[ScoreExplanation]:
        """What models give the customer; nothing where this worker has no such customer."""
        found = self.customer(customer_id)
        return [] if found is None else explain_scores(self._worker.catalogue, self._worker.models, found.features)

    def _waits(self, tag: Tag) -> str:
        """Why a tag can't be said yet; one can as soon as there is its model, or are its cut-points."""
        if any(tag.name in part.census.held for part in self._worker.partitions.values()):
            return ""
        scored = {model.target for model in self._worker.models}
        return "" if isinstance(tag.rule, Score) and tag.rule.target in scored else tag.waits

    def _source(self, name: str, topic: str) -> SourceView:
        count = self._worker.counters.sources[name]
        newest, now = count.newest_ms, self._now()
        return SourceView(
            name=name,
            topic=topic,
            events=count.events,
            newest=None if newest is None else iso(newest),
            age_s=None if newest is None or now is None else max(0.0, (now - newest) / 1000),
            lag=count.lag,
            at_end=count.at_end,
        )

    def _newest(self) -> int | None:
        """The newest event time applied, over all sources."""
        found = (count.newest_ms for count in self._worker.counters.sources.values())
        return max((ms for ms in found if ms is not None), default=None)

    def _now(self) -> int | None:
        """What a source's newest event is compared with: the wall's clock, or the newest event of all."""
        return self._worker.clock() if self._worker.settings.clock is Clock.WALL else self._newest()

    def _reached(self) -> float | None:
        """The share of the expected records that were dealt with."""
        if not self._expected:
            return None
        return min(1.0, sum(count.events for count in self._worker.counters.sources.values()) / self._expected)

    def _state(self, progress: float | None) -> State:
        if not self._worker.ready:
            return State.RECOVERING if self._begun or self._recovering() else State.STARTING
        self._begun = True
        return State.DONE if progress == 1.0 else State.RUNNING

    def _recovering(self) -> RecoveryStatus | None:
        return self._worker.counters.recovery.status

    def _counts(self) -> Overview:
        """Customers by tag and segment over all partitions, counted anew where the count is old."""
        now = self._clock()
        if self._overview is None or now - self._overview_at >= OVERVIEW_AGE_S:
            self._overview = joined([part.overview() for part in self._worker.partitions.values()])
            self._overview_at = now
        return self._overview


class Rate:
    """Events per second over the last `WINDOW_S`, from counts noted whenever somebody asks."""

    def __init__(self, now_s: float) -> None:
        self._noted: deque[_Noted] = deque([_Noted(now_s, 0)])

    def per_s(self, now_s: float, events: int) -> float:
        """Note a count, and say how many came per second since the oldest one in the window."""
        self._noted.append(_Noted(now_s, events))
        while len(self._noted) > 2 and self._noted[1].at_s <= now_s - WINDOW_S:
            self._noted.popleft()
        first = self._noted[0]
        return (events - first.events) / (now_s - first.at_s) if now_s > first.at_s else 0.0


class _Noted(msgspec.Struct, frozen=True):
    at_s: float
    events: int


def joined(overviews: list[Overview]) -> Overview:
    """How many customers say what, over all partitions."""
    whole = Overview(0, {}, {})
    for one in overviews:
        whole.customers += one.customers
        for name, counts in one.tags.items():
            held = whole.tags.setdefault(name, {})
            for value, number in counts.items():
                held[value] = held.get(value, 0) + number
        for name, number in one.segments.items():
            whole.segments[name] = whole.segments.get(name, 0) + number
    return whole
