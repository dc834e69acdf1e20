"""One order over a partition's sources: by event time, ties by the catalogue's order of sources, then offset.

Each source is read in its own order; the next record is that of the source whose head is earliest, as Kafka Streams
merges its tasks' inputs. A source of which nothing is queued is waited for, unless it has been read to its end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.sources import MISSING, Decoded, Incoming


class Run(msgspec.Struct):
    """Decoded records of one source that wait to be merged; `done` of them are. `slots` are given at the first."""

    decoded: Decoded
    records: Sequence[Incoming]
    heads: NDArray[np.int64]
    done: int = 0
    slots: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.heads) - self.done


class Piece(msgspec.Struct, frozen=True):
    """Merged records: each is record `places[i]` of `runs[order[i]]`; `numbers` are the runs' sources."""

    order: NDArray[np.int64]
    places: NDArray[np.int64]
    runs: list[Run]
    numbers: list[int]


class Merge:
    """The queues of one partition's sources, by their number in the catalogue."""

    def __init__(self, sources: int) -> None:
        self._queues: list[list[Run]] = [[] for _ in range(sources)]
        self._ended = [True] * sources
        self._reached = [MISSING] * sources
        self.taken = [MISSING] * sources
        """Per source, the place in time of the last record that was taken: none comes before it any more."""

    def go_on(self, taken: Sequence[int]) -> None:
        """Order records as if those up to these places in time had been taken here."""
        self.taken, self._reached = list(taken), list(taken)

    def push(self, source: int, decoded: Decoded, records: Sequence[Incoming]) -> None:
        """Queue a source's next records; a removal without a time goes with the record before it."""
        times = decoded.times
        if len(times) == 0:
            return
        # A source's own order is kept: a record may not pass one that stands before it.
        heads = np.maximum.accumulate(np.concatenate([[self._reached[source]], times]))[1:]
        self._reached[source] = int(heads[-1])
        self._queues[source].append(Run(decoded, records, heads))

    def next_offset(self, source: int) -> int | None:
        """The offset of a source's next record; None where none waits."""
        if not self._queues[source]:
            return None
        run = self._queues[source][0]
        return run.records[int(run.decoded.index[run.done])].offset

    def ended(self, source: int, at_end: bool) -> None:
        """Whether a source has been read to its end."""
        self._ended[source] = at_end

    def queued(self, source: int) -> int:
        """How many of a source's records wait."""
        return sum(len(run) for run in self._queues[source])

    def head(self) -> int | None:
        """Time of the next record in order; None where it is not known yet or there is none."""
        if any(not queue and not ended for queue, ended in zip(self._queues, self._ended, strict=True)):
            return None
        return min((int(queue[0].heads[queue[0].done]) for queue in self._queues if queue), default=None)

    def take(self, limit: int, before: int | None = None) -> Piece | None:
        """Up to `limit` records in order, of times below `before`; None where nothing can be taken now."""
        bound = None if before is None else (before - 1, len(self._queues))
        runs: list[tuple[int, Run]] = []
        for number, queue in enumerate(self._queues):
            if not queue:
                if not self._ended[number]:
                    return None
                continue
            first = _first(queue, limit)
            runs += [(number, run) for run in first]
            if len(first) == len(queue) and self._ended[number]:
                continue
            # Behind these, or of a source that is not at its end, unread records may come before others' heads.
            last = int(first[-1].heads[-1])
            bound = (last, number) if bound is None or (last, number) < bound else bound
        if not runs:
            return None
        piece = _merge(runs, bound, limit)
        for number, run in runs:
            if run.done:
                self.taken[number] = int(run.heads[run.done - 1])
        for queue in self._queues:
            while queue and len(queue[0]) == 0:
                queue.pop(0)
        return piece


def _first(queue: list[Run], limit: int) -> list[Run]:
    """The runs that hold a queue's first `limit` records: those that come live are of a few records each."""
    found, count = list[Run](), 0
    for run in queue:
        found.append(run)
        count += len(run)
        if count >= limit:
            break
    return found


def as_given(records: Sequence[tuple[int, Incoming]], decode: Callable[[int, list[Incoming]], Decoded]) -> Piece | None:
    """Records in the order given, each with its source's number, whatever their times; None where none is good."""
    given: dict[int, list[Incoming]] = {}
    order: list[tuple[int, int]] = []
    for number, record in records:
        some = given.setdefault(number, [])
        order.append((number, len(some)))
        some.append(record)
    decoded = {number: decode(number, given[number]) for number in sorted(given)}
    runs = [Run(found, given[number], found.times) for number, found in decoded.items()]
    places = {number: {int(i): place for place, i in enumerate(found.index)} for number, found in decoded.items()}
    numbers = list(decoded)
    good = [(numbers.index(number), places[number][i]) for number, i in order if i in places[number]]
    if not good:
        return None
    both = np.array(good, dtype=np.int64)
    return Piece(both[:, 0], both[:, 1], runs, numbers)


def _merge(runs: list[tuple[int, Run]], bound: tuple[int, int] | None, limit: int) -> Piece:
    """Merge the heads of runs; nothing after (time, source) `bound` is taken."""
    heads = np.concatenate([run.heads[run.done :][:limit] for _, run in runs])
    numbers = np.concatenate([np.full(min(len(run), limit), i, dtype=np.int64) for i, (_, run) in enumerate(runs)])
    places = np.concatenate([np.arange(run.done, run.done + min(len(run), limit)) for _, run in runs])
    order = np.argsort(heads, kind="stable")
    if bound is not None:
        sources = np.array([number for number, _ in runs], dtype=np.int64)[numbers[order]]
        order = order[(heads[order] < bound[0]) | ((heads[order] == bound[0]) & (sources <= bound[1]))]
    order = order[:limit]
    for (_, run), taken in zip(runs, np.bincount(numbers[order], minlength=len(runs)).tolist(), strict=True):
        run.done += taken
    return Piece(numbers[order], places[order], [run for _, run in runs], [number for number, _ in runs])
