"""The quantile tags and lifetime models of one partition: counting its customers when it is time to, and what holds."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.lifetime import Fit, Sample
from schemas.population import CutPoints, Population, definition_of, quantile_rules
from streams.arena import Arena
from streams.engine.layout import MISSING, NEVER, NOW
from streams.engine.plan import Plan
from streams.engine.population import LOWEST, UNKNOWN, histogram, is_ordered
from streams.engine.quantiles import BEFORE, IN_FORCE, Cuts, no_cuts
from streams.sampling import PartitionLifetimes

KEPT: Final = "cuts"
"""Under what a marker's clocks hold the cut-points that the rows were brought up to."""
KEPT_FITS: Final = "fits"
"""The same of lifetime models' parameters."""


class Refresh(msgspec.Struct, frozen=True):
    """A moment (UTC ms) at which the populations of some quantile tags are counted, and lifetime models sampled."""

    at_ms: int
    tags: list[str]
    lifetimes: list[str] = []


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
    lifetimes
        The lifetime models, and their parameters in force.
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
        self.lifetimes = PartitionLifetimes(plan, arena, self.cuts)
        self._settled: dict[str, CutPoints] = {}
        self._settled_fits: dict[str, Fit] = {}
        self._next: dict[str, int] = {}
        self._next_fits: dict[str, int] = {}
        self.reached_ms = MISSING
        if self:
            self._stop_at(MISSING + 1)  # the first record of all says when the first refresh is

    def __bool__(self) -> bool:
        return bool(self._rules or self.lifetimes.models)

    # ---------------------------------------------------------------------------------------------------- counting

    def due(self, reached_ms: int | None) -> list[Refresh]:
        """The refreshes that are due now that time has reached a moment; of several of a tag, the latest.

        The first moment of all has none: there is nobody to be counted yet.
        """
        if not self or reached_ms is None:
            return []
        self.reached_ms = max(self.reached_ms, reached_ms)
        tags = self._due(reached_ms, {name: rule.refresh_ms for name, rule in self._rules.items()}, self._next)
        periods = {name: model.refresh_ms for name, model in self.lifetimes.models.items()}
        fits = self._due(reached_ms, periods, self._next_fits)
        self._stop_at(min(*self._next.values(), *self._next_fits.values(), NEVER) + self._plan.skew_ms)
        return [Refresh(at, tags.get(at, []), fits.get(at, [])) for at in sorted(tags.keys() | fits.keys())]

    def _due(self, reached_ms: int, periods: Mapping[str, int], upcoming: dict[str, int]) -> dict[int, list[str]]:
        """What is due, by moment; `upcoming` holds when each comes next, and is moved on."""
        found: dict[int, list[str]] = {}
        for name, period_ms in periods.items():
            last = self._boundary(reached_ms, period_ms)
            if name in upcoming and reached_ms >= upcoming[name]:
                found.setdefault(last, []).append(name)
            upcoming[name] = max(last + period_ms, upcoming.get(name, MISSING))
        return found

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

    def counted(
        self, refresh: Refresh, partition: int, partitions: int, frozen: Collection[str]
    ) -> Iterator[list[Population | Sample]]:  # fmt: skip
        """All that is counted at a refresh, samples first: levels may rest on what is foretold of them.

        Of a lifetime model with a `frozen` source none is taken: its customers only seem silent.
        """
        lively = (name for name in refresh.lifetimes if not self.lifetimes.sources(name) & set(frozen))
        yield [self.lifetimes.sample(name, refresh.at_ms, partition, partitions) for name in lively]
        yield [*self.populations(refresh, partition, partitions)]

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

    def adopt(self, points: CutPoints | Fit) -> bool:
        """Have these in force from now on; whether rows have to be brought up to them, by a whole round.

        To be called between rounds. Those of another definition, or in force already, are passed over.
        """
        held = (self.lifetimes.held if isinstance(points, Fit) else self.held).get(points.name)
        if not self._fits(points) or held == points:
            return False
        for moving in (self.cuts.points, self.cuts.ready, self.cuts.fits, self.cuts.fitted):
            moving[BEFORE] = moving[IN_FORCE]
        self._put(points)
        self.cuts.stale[0] = 0
        return True

    def _fits(self, points: CutPoints | Fit) -> bool:
        if isinstance(points, Fit):
            return self.lifetimes.takes(points)
        rule = self._rules.get(points.tag)
        return (
            rule is not None
            and points.definition == self.definitions[points.tag]
            and len(points.cuts) == rule.levels - 1
            and is_ordered(points.cuts, rule.falling)
        )

    def _put(self, points: CutPoints | Fit) -> None:
        if isinstance(points, Fit):
            self.lifetimes.put(points)
            return
        place = self._places[points.tag]
        self.cuts.points[IN_FORCE, place, : len(points.cuts)] = points.cuts
        self.cuts.ready[IN_FORCE, place] = True
        self.held[points.tag] = points

    def settle(self) -> None:
        """Every row has been brought up to the cut-points in force."""
        self.cuts.stale[0] = NEVER
        self._settled, self._settled_fits = dict(self.held), dict(self.lifetimes.held)

    def of_slot(self, slot: int) -> Cuts:
        """The cut-points as the row in a slot is measured by them now; a copy."""
        use = BEFORE if slot >= int(self.cuts.stale[0]) else IN_FORCE
        found = Cuts._make(part.copy() for part in self.cuts)
        found.use[0] = use
        return found

    # ------------------------------------------------------------------------------------------------------ keeping

    def kept(self) -> dict[str, Any]:
        """What a marker has to hold, beside the clocks."""
        kept = {KEPT: list(self._settled.values()), KEPT_FITS: list(self._settled_fits.values())}
        return {name: msgspec.to_builtins(some) for name, some in kept.items() if some}

    def restore(self, clock_state: Mapping[str, Any]) -> None:
        """Measure rows that are read back by the cut-points and parameters of their marker; before they are.

        Newer ones, from `control`, are adopted then as always.
        """
        kept: list[CutPoints | Fit] = [*msgspec.convert(clock_state.get(KEPT, []), list[CutPoints])]
        kept += msgspec.convert(clock_state.get(KEPT_FITS, []), list[Fit])
        for points in kept:
            if self._fits(points):
                self._put(points)
        self._settled, self._settled_fits = dict(self.held), dict(self.lifetimes.held)

    def in_force(self) -> list[CutPoints | Fit]:
        """All that rows are measured by."""
        return [*self.lifetimes.held.values(), *self.held.values()]
