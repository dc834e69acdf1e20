"""When a source is to freeze and when to flow again, from what all workers last said (P5). Pure.

A source stalls when no record of it came, on any partition, for `stall_after` of its open hours; then it is frozen as
of the moment at which that time was over. It is known to have stalled only where every partition has a living worker
that says, at that moment or later, that all there is was applied. It flows again when records came since, all of them
are applied, and its newest event is not so old that the source would stall by it: a backlog is read by then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from schemas.catalogue import Catalogue, Source
from schemas.freshness import WorkerState
from schemas.silence import Stall
from schemas.status import PlaceStatus, WorkerStatus
from streams.freshness import state_of
from streams.open_hours import silent_until


class _Word(msgspec.Struct, frozen=True):
    """What the worker that has a partition last said of it, and when."""

    place: PlaceStatus
    at_ms: int


def decide(
    catalogue: Catalogue,
    statuses: Sequence[WorkerStatus],
    held: Mapping[str, Stall],
    now_ms: int,
    partitions: int | None,
) -> list[Stall]:
    """What is to change: a stall for every source that is to freeze or to flow again.

    Parameters
    ----------
    statuses
        The last one of every worker of the app, living or not.
    held
        What was decided before, by source.
    partitions
        How many every source has; nothing is decided while that is not known.
    """
    found = []
    for source in catalogue.sources:
        if source.stall_after_ms is None or partitions is None:
            continue
        one = _Source(source, catalogue.timezone, statuses, now_ms)
        stall = held.get(source.name)
        if stall is None or stall.frozen_ms is None:
            found.append(one.stalled(partitions))
        else:
            found.append(one.came_back(stall, stall.frozen_ms, partitions))
    return [stall for stall in found if stall is not None]


class _Source:
    """One source at a moment."""

    def __init__(self, source: Source, timezone: str, statuses: Sequence[WorkerStatus], now_ms: int) -> None:
        self.source, self.timezone, self.now_ms = source, timezone, now_ms
        living = [one for one in statuses if state_of(one, now_ms) is WorkerState.WORKING]
        every = [place for one in statuses for place in one.places.get(source.name, ())]
        came = [place.received_ms for place in every if place.received_ms is not None]
        begun = [one.started_ms for one in living]
        # Where none ever came, they were waited for since the last of the workers began to.
        self.heard_ms = max(came) if came else max(begun, default=None)
        self.newest_ms = max((place.newest_ms for place in every if place.newest_ms is not None), default=None)
        self.words: dict[int, _Word] = {}
        for one in sorted(living, key=lambda one: one.at_ms):
            mine = [place for place in one.places.get(source.name, ()) if place.partition in one.partitions]
            self.words |= {place.partition: _Word(place, one.at_ms) for place in mine}

    def all_applied(self, partitions: int, since_ms: int) -> bool:
        """Whether every partition was read to its end, as said at `since_ms` or later."""
        told = [self.words.get(number) for number in range(partitions)]
        return all(one is not None and one.place.at_end and one.at_ms >= since_ms for one in told)

    def stalls_at(self, since_ms: int) -> int:
        """When the source stalls if nothing comes after that."""
        return silent_until(self.source, self.timezone, since_ms, self.source.stall_after_ms or 0)

    def stalled(self, partitions: int) -> Stall | None:
        """The stall of a source that was not frozen; None where it goes on."""
        if self.heard_ms is None:
            return None
        frozen_ms = self.stalls_at(self.heard_ms)
        if frozen_ms > self.now_ms or not self.all_applied(partitions, frozen_ms):
            return None
        delay_ms = 0 if self.newest_ms is None else max(0, self.heard_ms - self.newest_ms)
        return Stall(self.source.name, frozen_ms, self.now_ms, delay_ms)

    def came_back(self, stall: Stall, frozen_ms: int, partitions: int) -> Stall | None:
        """The end of a stall; None where it goes on."""
        if self.heard_ms is None or self.heard_ms <= frozen_ms or self.newest_ms is None:
            return None
        caught_up = self.now_ms < self.stalls_at(self.newest_ms + stall.delay_ms)
        if not caught_up or not self.all_applied(partitions, self.heard_ms):
            return None
        return Stall(self.source.name, None, self.now_ms)
