"""What a worker has done since it started, for the page and for the log."""

from __future__ import annotations

from collections import Counter, defaultdict, deque

import msgspec

from schemas.records import Change
from streams.output import Output
from streams.written import Changes

LATEST = 20


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


class Counters:
    """Counts of one worker."""

    def __init__(self, sources: list[str], recent: int) -> None:
        self.events = 0
        self.duplicates = 0
        self.late = 0
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

    def take(self, output: Output) -> None:
        """Count an output."""
        self.events += output.applied
        self.duplicates += output.duplicates
        self.superseded += output.superseded
        self.late += len(output.late)
        self.dead.update(letter.reason for letter in output.dead)
        for changes in output.written:
            self.changes.update(changes.by_cause())
            self._keep(changes)
            self._moved(changes)

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
        places = changes.segments()
        for place, name, entered in zip(places, changes.said_in(places), changes.new[places].tolist(), strict=True):
            count = self.segments[name]
            if entered:
                count.entered += 1
                count.latest.append(changes.customer(place))
            else:
                count.left += 1

    def reached(self, source: str, records: int, newest_ms: int | None) -> None:
        """Note records of a source that were dealt with, and its newest event time in a partition."""
        count = self.sources[source]
        count.events += records
        if newest_ms is not None and newest_ms > (count.newest_ms or 0):
            count.newest_ms = newest_ms

    def lag(self, source: str, partition: int, records: int | None, at_end: bool) -> None:
        """Note how far a partition of a source is behind."""
        self._lags[source][partition], self._ends[source][partition] = records, at_end
        known = [lag for lag in self._lags[source].values() if lag is not None]
        count = self.sources[source]
        count.lag = sum(known) if len(known) == len(self._lags[source]) else None
        count.at_end = all(self._ends[source].values())

    def drop(self, partition: int) -> None:
        """Forget the lag of a partition that went to another worker."""
        for lags in self._lags.values():
            lags.pop(partition, None)
        for ends in self._ends.values():
            ends.pop(partition, None)
