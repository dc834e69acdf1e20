"""The lifetime models of one partition: samples of its customers' purchases, and the parameters in force."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.durations import DAY
from schemas.lifetime import Fit, Sample, definition_of, models_in_use
from streams.arena import Arena
from streams.engine.layout import MISSING, NEVER
from streams.engine.plan import Plan
from streams.engine.quantiles import IN_FORCE, Cuts

MOST: Final = 4_096
"""Customers in a sample: of eight partitions they give parameters to within some two per cent."""
DIGITS: Final = 3
_MIX: Final = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9))


class PartitionLifetimes:
    """What a partition knows of its customers' purchases, for the models that a feature looks through.

    Attributes
    ----------
    held
        The parameters in force, by model.
    """

    def __init__(self, plan: Plan, arena: Arena, cuts: Cuts) -> None:
        self._plan, self._arena, self._cuts = plan, arena, cuts
        self.models = models_in_use(plan.catalogue)
        self.definitions = {name: definition_of(plan.catalogue, model) for name, model in self.models.items()}
        self._places = {name: place for place, name in enumerate(self.models)}
        self.held: dict[str, Fit] = {}

    def sources(self, name: str) -> set[str]:
        """The sources whose records a model speaks of."""
        catalogue = self._plan.catalogue
        return {source for feature in self.models[name].features for source in catalogue.feature(feature).sources}

    def sample(self, name: str, at_ms: int, partition: int, partitions: int) -> Sample:
        """Some of the customers at a moment, or all where these are few.

        Who is in it hangs on the purchases alone, and so does the order: neither on slots nor on the order of records.
        A customer that is further on than `at_ms` is taken as of its last purchase.
        """
        count, last, first, total = self._columns(name)
        known = np.flatnonzero((count > 0) & (first != NEVER) & (last != MISSING))
        mixed = _mixed([column[known] for column in (first, last, count, total)])
        some = known
        if len(known) > MOST:
            least = np.argpartition(mixed, MOST)[:MOST]
            some, mixed = known[least], mixed[least]
        some = some[np.argsort(mixed, kind="stable")]
        offset_ms = self._plan.catalogue.offset_ms
        began, lasted = ((column[some] + offset_ms) // DAY for column in (first, last))
        today = np.maximum(lasted, (at_ms + offset_ms) // DAY)
        return Sample(
            name, self.definitions[name], partition, partitions, at_ms, len(known),
            count[some].tolist(), (lasted - began).tolist(), (today - began).tolist(),
            _rounded(np.maximum(total[some], 0) / count[some]),
        )  # fmt: skip

    def _columns(self, name: str) -> tuple[NDArray[np.int64], ...]:
        """Of every row how many purchases, the times of the last and the first, and what they amount to."""
        outlooks, every = self._plan.tables.outlooks, np.arange(len(self._arena))
        one = outlooks[outlooks["model"] == self._places[name]][0]
        word, half = divmod(int(one["count"]), 2)
        count = self._arena.words(every, word).view(np.int32)[half::2].astype(np.int64)
        last, first = (self._arena.words(every, int(one[field])) for field in ("last", "first"))
        total = self._arena.words(every, int(one["total"])) if one["total"] >= 0 else np.zeros_like(count)
        return count, last, first, total

    def takes(self, fit: Fit) -> bool:
        """Whether these are parameters of one of its models, such as can be."""
        known = self.definitions.get(fit.model) == fit.definition
        sound = min(fit.r, fit.alpha, fit.a, fit.b) > 0.0 and bool(np.isfinite(fit.parameters).all())
        return known and sound and (fit.q == 0.0 or (fit.q > 1.0 and min(fit.p, fit.v) > 0.0))

    def put(self, fit: Fit) -> None:
        """Have these in force."""
        place = self._places[fit.model]
        self._cuts.fits[IN_FORCE, place] = fit.parameters
        self._cuts.fitted[IN_FORCE, place] = True
        self.held[fit.model] = fit


def _mixed(columns: list[NDArray[np.int64]]) -> NDArray[np.uint64]:
    """A number for each row, as if drawn by lot, made of nothing but its columns (as in splitmix64)."""
    mixed = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        mixed = (mixed ^ column.astype(np.uint64)) * _MIX[0]
        mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX[1]
        mixed ^= mixed >> np.uint64(27)
    return mixed


def _rounded(amounts: NDArray[np.float64]) -> list[float]:
    """Amounts to three digits."""
    step = 10.0 ** (np.floor(np.log10(np.maximum(amounts, 1e-9))) - DIGITS + 1)
    found: list[float] = (np.round(amounts / step) * step).tolist()
    return found
