"""The quantile tags of one partition: counting its customers when it is time to, and the cut-points in force."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.population import CutPoints, Population, definition_of, quantile_rules
from streams.arena import Arena
from streams.engine.layout import MISSING, NEVER, NOW
from streams.engine.plan import Plan
from streams.engine.population import LOWEST, UNKNOWN, histogram, is_ordered
from streams.engine.quantiles import BEFORE, IN_FORCE, Cuts, no_cuts

KEPT: Final = "cuts"
"""Under what a marker's clocks hold the cut-points that the rows were brought up to."""


class Refresh(msgspec.Struct, frozen=True):
    """A moment (UTC ms) at which the populations of some quantile tags are counted."""

    at_ms: int
    tags: list[str]


class PartitionCensus:
    """What a partition knows of its population and of the cut-points in force.

    A customer's bucket follows from the row, so it is kept beside the rows and not in them: otherwise a value that
    moves as tiles leave had to be written though nothing is said of it. Rows that are read back are counted anew.

    Attributes
    ----------
    cuts
        The cut-points as the kernel reads them.
    held
        Those in force, by tag.
    reached_ms
        The latest moment that time is known to have reached, by the watermark or by the wall's clock.
    """

    def __init__(self, plan: Plan, arena: Arena) -> None:
        self._plan, self._arena = plan, arena
        self._rules = quantile_rules(plan.catalogue)
        self._places = {name: place for place, name in enumerate(self._rules)}
        self.definitions = {name: definition_of(plan.catalogue, name) for name in self._rules}
        self.cuts: Cuts = no_cuts(plan.tables)
        self.held: dict[str, CutPoints] = {}
        self._settled: dict[str, CutPoints] = {}
        self._next: dict[str, int] = {}
        self.reached_ms = MISSING
        if self._rules:
            self._stop_at(MISSING + 1)  # the first record of all says when the first refresh is

    def __bool__(self) -> bool:
        return bool(self._rules)

    # ---------------------------------------------------------------------------------------------------- counting

    def due(self, reached_ms: int | None) -> list[Refresh]:
        """The refreshes that are due now that time has reached a moment; of several of a tag, the latest.

        The first moment of all has none: there is nobody to be counted yet.
        """
        if not self._rules or reached_ms is None:
            return []
        self.reached_ms = max(self.reached_ms, reached_ms)
        found: dict[int, list[str]] = {}
        for name, rule in self._rules.items():
            last = self._boundary(reached_ms, rule.refresh_ms)
            if name in self._next and reached_ms >= self._next[name]:
                found.setdefault(last, []).append(name)
            self._next[name] = max(last + rule.refresh_ms, self._next.get(name, MISSING))
        self._stop_at(min(self._next.values()) + self._plan.skew_ms)
        return [Refresh(at_ms, found[at_ms]) for at_ms in sorted(found)]

    def _boundary(self, at_ms: int, refresh_ms: int) -> int:
        """The last multiple of a refresh's period, in local time, at or before a moment."""
        offset_ms = self._plan.catalogue.offset_ms
        return (at_ms + offset_ms) // refresh_ms * refresh_ms - offset_ms

    def _stop_at(self, clock_ms: int) -> None:
        self._arena.state.census.stop[0] = clock_ms

    def populations(self, refresh: Refresh, partition: int, partitions: int) -> list[Population]:
        """The partition's customers at a refresh, every timer due by then having fired."""
        found: list[Population] = []
        for name in refresh.tags:
            counts = self.counts(name, refresh.at_ms)
            buckets = np.flatnonzero(counts)
            found.append(
                Population(
                    name, self.definitions[name], partition, partitions, refresh.at_ms,
                    buckets.tolist(), counts[buckets].tolist(),
                )
            )  # fmt: skip
        return found

    def counts(self, tag: str, at_ms: int) -> NDArray[np.int64]:
        """How many customers are in which bucket, shape (BUCKETS,).

        A time since something moves on by itself, so that no bucket could be kept for it: the ages of those who count
        are worked out from one word of each row. A row that is further on than `at_ms` is taken at its own now.
        """
        place, state = self._places[tag], self._arena.state
        counts: NDArray[np.int64] = state.census.counts[place].copy()
        stored = int(self._plan.tables.quantiles[place]["stored"])
        if stored < 0:
            return counts
        slots = np.flatnonzero(state.census.buckets[: len(self._arena), place] == LOWEST)
        ages = np.maximum(self._arena.words(slots, NOW), at_ms) - self._arena.words(slots, stored)
        return histogram(ages.astype(np.float64), int(counts[UNKNOWN]))

    # --------------------------------------------------------------------------------------------------- measuring

    def adopt(self, points: CutPoints) -> bool:
        """Have these in force from now on; whether rows have to be brought up to them, by a whole round.

        To be called between rounds. Those of another definition, or in force already, are passed over.
        """
        if not self._fits(points) or self.held.get(points.tag) == points:
            return False
        self.cuts.points[BEFORE], self.cuts.ready[BEFORE] = self.cuts.points[IN_FORCE], self.cuts.ready[IN_FORCE]
        self._put(points)
        self.cuts.stale[0] = 0
        return True

    def _fits(self, points: CutPoints) -> bool:
        rule = self._rules.get(points.tag)
        return (
            rule is not None
            and points.definition == self.definitions[points.tag]
            and len(points.cuts) == rule.levels - 1
            and is_ordered(points.cuts, rule.falling)
        )

    def _put(self, points: CutPoints) -> None:
        place = self._places[points.tag]
        self.cuts.points[IN_FORCE, place, : len(points.cuts)] = points.cuts
        self.cuts.ready[IN_FORCE, place] = True
        self.held[points.tag] = points

    def settle(self) -> None:
        """Every row has been brought up to the cut-points in force."""
        self.cuts.stale[0] = NEVER
        self._settled = dict(self.held)

    def of_slot(self, slot: int) -> Cuts:
        """The cut-points as the row in a slot is measured by them now; a copy."""
        use = BEFORE if slot >= int(self.cuts.stale[0]) else IN_FORCE
        return Cuts(self.cuts.points.copy(), self.cuts.ready.copy(), self.cuts.stale.copy(), np.full(1, use))

    # ------------------------------------------------------------------------------------------------------ keeping

    def kept(self) -> dict[str, Any]:
        """What a marker has to hold, beside the clocks."""
        return {KEPT: msgspec.to_builtins(list(self._settled.values()))} if self._settled else {}

    def restore(self, clock_state: Mapping[str, Any]) -> list[str]:
        """Measure rows that are read back by the cut-points of their marker; before they are. The tags that have some.

        Newer ones, from `control`, are adopted then as always.
        """
        for points in msgspec.convert(clock_state.get(KEPT, []), list[CutPoints]):
            if self._fits(points):
                self._put(points)
        self._settled = dict(self.held)
        return list(self.held)
