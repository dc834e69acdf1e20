"""Cut-points of quantile tags: made of the partitions' populations, and followed as they come on the control topic."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, Protocol

import msgspec
import numpy as np

from schemas.catalogue import Aggregation, Catalogue, Feature, Quantiles, Unit
from schemas.population import (
    CutPoints,
    Population,
    cut_points_key,
    definition_of,
    population_key,
    quantile_rules,
)
from streams.engine.population import BUCKETS, UNKNOWN, cut_points, moved

WAIT_S: Final = 30.0
"""How long a merger waits for the partitions that have not counted yet; then it takes what they counted before."""
FIRST_PARTITION: Final = 0
"""The worker that has this partition merges."""

log = logging.getLogger("livetags")


class Cut(msgspec.Struct, frozen=True):
    """A tag's cut-points and their offset on the control topic."""

    points: CutPoints
    offset: int


class Measured(Protocol):
    """A partition at work."""

    publish: Callable[[list[Population]], None] | None

    def measure(self, cut: Cut) -> None:
        """Measure by these cut-points."""


class Agreed(Protocol):
    """The control topic: `streams.control.Control`."""

    @property
    def is_caught_up(self) -> bool:
        """Whether all that was there at the start has been read."""

    def put(self, key: str, value: bytes | None) -> None:
        """Have that value under that key."""


class Merger:
    """Makes cut-points of the newest population of every partition.

    Cut-points go out only where a tag had none, or where one of them is off by more than the tag's tolerance: a
    population that stays as it is moves nobody.

    Parameters
    ----------
    together
        Whether partitions come to a refresh at about the same time, as by the wall's clock, so that one is waited for.
        By their records' times each has a pace of its own: then what every partition counted last is taken.
    """

    def __init__(self, catalogue: Catalogue, together: bool = True) -> None:
        self._together = together
        self._rules = quantile_rules(catalogue)
        self._whole = {name: _is_whole(catalogue.feature(rule.of)) for name, rule in self._rules.items()}
        self._definitions = {name: definition_of(catalogue, name) for name in self._rules}
        self._populations: dict[str, dict[int, Population]] = {name: {} for name in self._rules}
        self._newest: dict[str, CutPoints] = {}
        self._since: dict[str, float] = {}

    def take(self, population: Population, now_s: float = 0.0) -> None:
        """Note what a partition counted; `now_s` is any clock that goes on."""
        if self._definitions.get(population.tag) != population.definition:
            return
        known = self._populations[population.tag]
        if any(one.partitions != population.partitions for one in known.values()):
            known.clear()
        known[population.partition] = population
        self._since.setdefault(population.tag, now_s)

    def drop(self, tag: str, partition: int) -> None:
        """Forget what a partition counted."""
        self._populations[tag].pop(partition, None)

    def know(self, points: CutPoints) -> None:
        """Note cut-points that are in force."""
        if self._definitions.get(points.tag) == points.definition:
            held = self._newest.get(points.tag)
            if held is None or points.version >= held.version:
                self._newest[points.tag] = points

    def at_once(self, populations: list[Population]) -> list[CutPoints]:
        """The cut-points that follow right from what was counted."""
        for population in populations:
            self.take(population)
        return self.make()

    def make(self, now_s: float = 0.0) -> list[CutPoints]:
        """Cut-points that are to be in force from now on."""
        found = [self._make(tag) for tag in self._rules if self._is_ready(tag, now_s)]
        return [points for points in found if points is not None]

    def _is_ready(self, tag: str, now_s: float) -> bool:
        """Whether something new was counted, by all partitions for the same refresh or else some time ago."""
        if tag not in self._since:
            return False
        known = list(self._populations[tag].values())
        newest = max((one.at for one in known), default=0)
        done = [one for one in known if one.at == newest or not self._together]
        return (bool(done) and len(done) == done[0].partitions) or now_s - self._since[tag] >= WAIT_S

    def _make(self, tag: str) -> CutPoints | None:
        del self._since[tag]
        rule, known = self._rules[tag], list(self._populations[tag].values())
        counts = np.zeros(BUCKETS, dtype=np.int64)
        for one in known:
            np.add.at(counts, np.array(one.buckets, dtype=np.int64), np.array(one.counts, dtype=np.int64))
        customers = int(counts[UNKNOWN:].sum())
        if customers < rule.least:
            return None
        cuts, held = cut_points(counts, rule.levels, rule.falling, self._whole[tag]), self._newest.get(tag)
        if not cuts or (held is not None and not moved(held.cuts, cuts, rule.tolerance)):
            return None
        version = held.version + 1 if held is not None else 1
        at_ms = max(one.at for one in known)
        self._newest[tag] = points = CutPoints(tag, self._definitions[tag], version, at_ms, customers, cuts)
        return points

    @property
    def tags(self) -> dict[str, Quantiles]:
        """The quantile tags, by name."""
        return self._rules


def _is_whole(feature: Feature) -> bool:
    """Whether a feature's values are whole numbers as the engine has them."""
    counted = feature.unit in (Unit.COUNT, Unit.MONEY, Unit.DURATION)
    return counted and feature.aggregation not in (Aggregation.COMPUTE, Aggregation.MEAN)


class Followed:
    """Populations and cut-points of an app as the control topic has them; one of all workers merges."""

    def __init__(self, catalogue: Catalogue, group: str, together: bool = True) -> None:
        self.merger = Merger(catalogue, together)
        self._group = group
        self._tags = {cut_points_key(group, tag): tag for tag in self.merger.tags}
        self._populations = {f"{population_key(group, tag, 0)[:-1]}": tag for tag in self.merger.tags}
        self._held: dict[str, Cut] = {}
        self._now_s = 0.0
        self._tell: Callable[[Cut], None] | None = None
        self._control: Agreed | None = None

    def follow(self, control: Agreed, tell: Callable[[Cut], None]) -> None:
        """Write to `control`, and have `tell` called with all new cut-points."""
        self._control, self._tell = control, tell

    def on_record(self, key: str, value: bytes | None, offset: int) -> None:
        """Take a record of the control topic; what can't be read is left out, and said."""
        prefix, _, partition = key.rpartition("/")
        try:
            if key in self._tags:
                self._on_cut_points(self._tags[key], value, offset)
            elif f"{prefix}/" in self._populations:
                self._on_population(self._populations[f"{prefix}/"], partition, value)
        except (msgspec.MsgspecError, ValueError) as error:
            log.warning("what is under %s at control offset %d can't be read: %s", key, offset, error)

    def _on_cut_points(self, tag: str, value: bytes | None, offset: int) -> None:
        if value is None:
            self._held.pop(tag, None)
            return
        points = msgspec.json.decode(value, type=CutPoints)
        self.merger.know(points)
        self._held[tag] = cut = Cut(points, offset)
        if self._tell is not None:
            self._tell(cut)

    def _on_population(self, tag: str, partition: str, value: bytes | None) -> None:
        if value is None:
            self.merger.drop(tag, int(partition))
            return
        population = msgspec.json.decode(value, type=Population)
        _check(population)
        self.merger.take(population, self._now_s)

    def serve(self, task: Measured) -> None:
        """Have a partition measure by the cut-points in force, and tell what it counts."""
        task.publish = self.publish
        for cut in self._held.values():
            task.measure(cut)

    def publish(self, populations: list[Population]) -> None:
        """Tell all workers what partitions of this one counted."""
        for one in populations:
            if self._control is not None:
                self._control.put(population_key(self._group, one.tag, one.partition), msgspec.json.encode(one))

    def tick(self, merges: bool, now_s: float) -> None:
        """To be called about once a second; `merges` where it is this worker that makes cut-points."""
        self._now_s = now_s
        if not merges or self._control is None or not self._control.is_caught_up:
            return
        for points in self.merger.make(now_s):
            self._control.put(cut_points_key(self._group, points.tag), msgspec.json.encode(points))


def _check(population: Population) -> None:
    """Raise ValueError where the counts can be none."""
    if len(population.buckets) != len(population.counts) or not all(0 <= one < BUCKETS for one in population.buckets):
        raise ValueError("buckets and counts that don't belong together")
