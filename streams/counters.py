"""What a worker has done since it started, for the page and for the log."""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from collections.abc import Iterable

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.learning import Example, ModelSnapshot, Question
from schemas.outreach import OutreachRequest, TriggerDecision, Verdict, Why
from schemas.records import Change
from streams.ages import Ages
from streams.histogram import Histogram
from streams.output import Output
from streams.recovering import Recovery
from streams.residence import Reads
from streams.written import Changes

LATEST = 20
RATE_OVER_S = 5.0
FLUSH_BOUNDS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class SourceCount(msgspec.Struct):
    """A source on this worker.

    Attributes
    ----------
    events
        Offsets dealt with, whatever became of their records.
    newest_ms
        Largest event time applied; None before the first.
    lag
        Records that are there and not applied, over all partitions; None where that is not known yet.
    at_end
        Whether every partition is read to its end and applied.
    """

    events: int = 0
    newest_ms: int | None = None
    lag: int | None = None
    at_end: bool = False


class SegmentCount(msgspec.Struct):
    """A segment on this worker: how often it was entered and left, and who entered last, newest last."""

    entered: int = 0
    left: int = 0
    latest: deque[str] = msgspec.field(default_factory=lambda: deque(maxlen=LATEST))


class Standing(msgspec.Struct):
    """A partition of a source on this worker; each field as in `schemas.status.PlaceStatus`."""

    newest_ms: int | None = None
    watermark_ms: int | None = None
    lag: int | None = None
    at_end: bool = False
    received_ms: int | None = None
    stamp_ms: int | None = None
    clear_ms: int | None = None
    per_s: float = 0.0
    position: int | None = None
    seen_ms: int | None = None

    def see(self, position: int, now_ms: int) -> None:
        """Note where it is now; the rate follows within a few seconds."""
        if self.position is not None and self.seen_ms is not None and now_ms > self.seen_ms:
            past_s = (now_ms - self.seen_ms) / 1000
            rate = (position - self.position) / past_s
            self.per_s += (rate - self.per_s) * -math.expm1(-past_s / RATE_OVER_S)
        self.position, self.seen_ms = position, now_ms
        if self.at_end or self.clear_ms is None:
            self.clear_ms = now_ms


class Held(msgspec.Struct, frozen=True):
    """What a partition holds: customers, those of them with a timer, and the rows in memory with their bytes."""

    customers: int
    timers: int
    rows: int = 0
    bytes: int = 0


class Decision(msgspec.Struct, frozen=True):
    """What a trigger decided, and why."""

    trigger: str
    verdict: Verdict
    why: Why


class Outreach(msgspec.Struct, frozen=True):
    """A trigger and the channel its requests go to."""

    trigger: str
    channel: str


class Outcome(msgspec.Struct, frozen=True):
    """A target and whether what it predicts came."""

    target: str
    label: bool


class Model(msgspec.Struct, frozen=True):
    """The model of a target that scores now; None before there is such a figure."""

    version: int
    ready: bool
    log_loss: float | None = None
    auc: float | None = None
    slope: float | None = None
    in_large: float | None = None
    evidence: float | None = None
    drifts: int = 0


class Counters:
    """Counts of one worker.

    Attributes
    ----------
    standings
        By source and partition, of the partitions it has.
    held
        By partition.
    recovery
        How far the recovery of its partitions is.
    standbys
        By partition that it stands by for, offsets of the changelog that are not taken in; None before that is known.
    decisions, outreach, questions, answers, models
        What triggers and learning did; each stays empty in a worker without them. `questions` is by target.
    """

    def __init__(self, sources: list[str], recent: int, ages: Ages | None = None) -> None:
        """Without `ages` nobody asks how old changes are when they are published: there is no clock to tell."""
        self.events = 0
        self.duplicates = 0
        self.late = 0
        self.lost: Counter[str] = Counter()
        self.rekeyed: Counter[str] = Counter()
        self.superseded = 0
        self.flushes = 0
        self.changes: Counter[str] = Counter()
        self.dead: Counter[str] = Counter()
        self.segments: defaultdict[str, SegmentCount] = defaultdict(SegmentCount)
        self.sources = {name: SourceCount() for name in sources}
        self._recent = recent
        self._pages: deque[Changes] = deque()
        self._lags: dict[str, dict[int, int | None]] = {name: {} for name in sources}
        self._ends: dict[str, dict[int, bool]] = {name: {} for name in sources}
        self.ages = ages
        self.standings: dict[str, dict[int, Standing]] = {name: {} for name in sources}
        self.held: dict[int, Held] = {}
        self.recovery = Recovery()
        self.standbys: dict[int, int | None] = {}
        self.flush_s = Histogram(FLUSH_BOUNDS_S)
        self.flushed_rows = 0
        self.flushed_bytes = 0
        self.cold = Reads()
        self.decisions: Counter[Decision] = Counter()
        self.outreach: Counter[Outreach] = Counter()
        self.questions: Counter[str] = Counter()
        self.answers: Counter[Outcome] = Counter()
        self.models: dict[str, Model] = {}

    def take(self, output: Output) -> None:
        """Count an output."""
        self.events += output.applied
        self.duplicates += output.duplicates
        self.superseded += output.superseded
        self.late += len(output.late)
        self._learned(output.examples)
        self.dead.update(letter.reason for letter in output.dead)
        for changes in output.written:
            self.changes.update(changes.by_cause())
            self._keep(changes)
            self._moved(changes)

    def corrected(self, changes: list[Change]) -> None:
        """Count corrections of what was published before the partition came here."""
        self.changes.update(change.cause.value for change in changes)

    def said(self, records: Iterable[OutreachRequest | TriggerDecision]) -> None:
        """Count what triggers decided."""
        for record in records:
            if isinstance(record, OutreachRequest):
                self.outreach[Outreach(record.trigger, record.channel)] += 1
            else:
                self.decisions[Decision(record.trigger, record.verdict, record.why)] += 1

    def _learned(self, examples: list[Example]) -> None:
        """Count questions and answers."""
        counts = Counter((one.target, None if isinstance(one, Question) else one.label) for one in examples)
        for (target, label), count in counts.items():
            if label is None:
                self.questions[target] += count
            else:
                self.answers[Outcome(target, label)] += count

    def scores(self, target: str, snapshot: ModelSnapshot | None) -> None:
        """Note the model that scores a target from now on; None where it was withdrawn."""
        if snapshot is None:
            self.models.pop(target, None)
            return
        figures = snapshot.version, snapshot.ready, snapshot.log_loss, snapshot.auc
        watched = snapshot.slope, snapshot.in_large, snapshot.evidence, snapshot.drifts
        self.models[target] = Model(*figures, *watched)

    def _keep(self, changes: Changes) -> None:
        """Keep the pages that hold the latest changes."""
        self._pages.append(changes)
        held = sum(map(len, self._pages))
        while held - len(self._pages[0]) >= self._recent:
            held -= len(self._pages.popleft())

    @property
    def recent(self) -> list[Change]:
        """The latest changes, oldest first."""
        found: list[Change] = []
        for changes in reversed(self._pages):
            wanted = min(len(changes), self._recent - len(found))
            found[:0] = changes.some(range(len(changes) - wanted, len(changes)))
        return found

    def _moved(self, changes: Changes) -> None:
        """Count who entered and left segments."""
        crossed = np.flatnonzero(changes.segment)
        rules = changes.rules[crossed]
        for rule in np.unique(rules).tolist():
            places = crossed[rules == rule]
            entered = places[changes.new[places] != 0]
            count = self.segments[changes.said[rule]]
            count.entered += len(entered)
            count.left += len(places) - len(entered)
            count.latest.extend(changes.customer(place) for place in entered[-LATEST:].tolist())

    def reached(self, source: str, records: int, newest_ms: int | None) -> None:
        """Note records of a source that were dealt with, and its newest event time in a partition."""
        count = self.sources[source]
        count.events += records
        if newest_ms is not None and newest_ms > (count.newest_ms or 0):
            count.newest_ms = newest_ms

    def lag(self, source: str, partition: int, records: int | None, at_end: bool) -> None:
        """Note how far a partition of a source is behind."""
        self._lags[source][partition], self._ends[source][partition] = records, at_end
        standing = self._standing(source, partition)
        standing.lag, standing.at_end = records, at_end
        known = [lag for lag in self._lags[source].values() if lag is not None]
        count = self.sources[source]
        count.lag = sum(known) if len(known) == len(self._lags[source]) else None
        count.at_end = all(self._ends[source].values())

    def expired(self, source: str, records: int) -> None:
        """Count records of a source that its topic no longer held when they were to be read."""
        self.lost[source] += records

    def drop(self, partition: int) -> None:
        """Forget the lag of a partition that went to another worker."""
        for lags in self._lags.values():
            lags.pop(partition, None)
        for ends in self._ends.values():
            ends.pop(partition, None)
        for standings in self.standings.values():
            standings.pop(partition, None)
        self.held.pop(partition, None)

    def _standing(self, source: str, partition: int) -> Standing:
        return self.standings[source].setdefault(partition, Standing())

    def received(self, source: str, partition: int, stamp_ms: int, now_ms: int) -> None:
        """Note that records of a source came now; `stamp_ms` is Kafka's timestamp of the last of them."""
        standing = self._standing(source, partition)
        standing.received_ms, standing.stamp_ms = now_ms, stamp_ms

    def stands(
        self,
        source: str,
        partition: int,
        newest_ms: int | None,
        watermark_ms: int | None,
        position: int | None,
        now_ms: int,
    ) -> None:
        """Note how far a partition of a source is, after its lag; `now_ms` is the wall's clock."""
        standing = self._standing(source, partition)
        standing.newest_ms, standing.watermark_ms = newest_ms, watermark_ms
        standing.see(position or 0, now_ms)

    def holds(self, partition: int, customers: int, timers: int, rows: int = 0, size: int = 0) -> None:
        """Note what a partition holds; `size` is that of the rows in memory."""
        self.held[partition] = Held(customers, timers, rows, size)

    def flushed(self, seconds: float, rows: int, size: int) -> None:
        """Count a flush: how long it took, its rows and their bytes."""
        self.flush_s.add(seconds)
        self.flushed_rows += rows
        self.flushed_bytes += size

    def published(self, numbers: NDArray[np.int64], event_ms: NDArray[np.int64], wall_ms: int) -> None:
        """Count changes that an event made and that are handed to the broker now, as `Ages.take` does."""
        if self.ages is not None and len(numbers):
            self.ages.take(numbers, event_ms, wall_ms)
