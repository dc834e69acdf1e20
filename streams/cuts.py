"""Cut-points of quantile tags, made of the partitions' populations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from schemas.catalogue import Aggregation, Catalogue, Feature, Unit
from schemas.population import CutPoints, Population, cut_points_key, definition_of, population_key, quantile_rules
from streams.engine.population import BUCKETS, UNKNOWN, cut_points, moved
from streams.gathering import Follower, Kinds, Maker


class Merger(Maker[Population, CutPoints]):
    """Makes cut-points of the newest population of every partition.

    Cut-points go out only where a tag had none, or where one of them is off by more than the tag's tolerance: a
    population that stays as it is moves nobody.
    """

    def __init__(self, catalogue: Catalogue, together: bool = True) -> None:
        self._rules = quantile_rules(catalogue)
        self._whole = {name: _is_whole(catalogue.feature(rule.of)) for name, rule in self._rules.items()}
        super().__init__({name: definition_of(catalogue, name) for name in self._rules}, together)

    def _made(self, name: str, parts: Sequence[Population], held: CutPoints | None) -> CutPoints | None:
        rule, counts = self._rules[name], np.zeros(BUCKETS, dtype=np.int64)
        for one in parts:
            np.add.at(counts, np.array(one.buckets, dtype=np.int64), np.array(one.counts, dtype=np.int64))
        customers = int(counts[UNKNOWN:].sum())
        if customers < rule.least:
            return None
        cuts = cut_points(counts, rule.levels, rule.falling, self._whole[name])
        if not cuts or (held is not None and not moved(held.cuts, cuts, rule.tolerance)):
            return None
        version = held.version + 1 if held is not None else 1
        at_ms = max(one.at for one in parts)
        return CutPoints(name, self.definitions[name], version, at_ms, customers, cuts)


def _is_whole(feature: Feature) -> bool:
    """Whether a feature's values are whole numbers as the engine has them."""
    counted = feature.unit in (Unit.COUNT, Unit.MONEY, Unit.DURATION)
    return counted and not feature.is_derived and feature.aggregation is not Aggregation.MEAN


class Followed(Follower[Population, CutPoints]):
    """Populations and cut-points of an app as the control topic has them; one of all workers merges."""

    def __init__(self, catalogue: Catalogue, group: str, together: bool = True) -> None:
        kinds = Kinds(Population, CutPoints, population_key, cut_points_key, _check)
        super().__init__(Merger(catalogue, together), kinds, group)


def _check(population: Population) -> None:
    """Raise ValueError where the counts can be none."""
    if len(population.buckets) != len(population.counts) or not all(0 <= one < BUCKETS for one in population.buckets):
        raise ValueError("buckets and counts that don't belong together")
