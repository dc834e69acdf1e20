"""What travels on `control` for quantile tags: how many customers have which value, and the cut-points made of that."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from schemas.catalogue import Catalogue, Quantiles
from schemas.rules import names_in

FORMAT: Final = 1  # of the buckets


class Population(msgspec.Struct, frozen=True):
    """The customers of one partition by a quantile tag's feature, at a moment; nobody can be told from it.

    Attributes
    ----------
    definition
        What is counted (`definition_of`); counts of another definition are of no use.
    at
        UTC ms: the moment of the refresh that this was counted for.
    buckets, counts
        The buckets of `streams.engine.population` that somebody is in, rising, and how many.
    """

    tag: str
    definition: str
    partition: int
    partitions: int
    at: int
    buckets: list[int]
    counts: list[int]

    @property
    def name(self) -> str:
        """What it is of."""
        return self.tag


class CutPoints(msgspec.Struct, frozen=True):
    """Where the levels of a quantile tag begin, in force until others come.

    Attributes
    ----------
    version
        Counts a tag's cut-points from 1.
    at
        UTC ms: the moment of the refresh that brought them.
    customers
        How many were counted.
    cuts
        As the engine computes the feature (money in minor units, durations in ms): where level 2 begins, then 3, ...
    """

    tag: str
    definition: str
    version: int
    at: int
    customers: int
    cuts: list[float]

    @property
    def name(self) -> str:
        """What it is of."""
        return self.tag


def quantile_rules(catalogue: Catalogue) -> dict[str, Quantiles]:
    """The rules of the quantile tags, by name, in the order in which tags are evaluated."""
    found = {name: catalogue.tag(name).rule for name in catalogue.tag_order}
    return {name: rule for name, rule in found.items() if isinstance(rule, Quantiles)}


def definition_of(catalogue: Catalogue, tag: str) -> str:
    """16 hex digits that change when a quantile tag counts something else, or cuts it otherwise."""
    rule = quantile_rules(catalogue)[tag]
    wanted = {rule.of} | ({name.name for name in names_in(rule.population)} if rule.population is not None else set())
    features = []
    for feature in reversed(catalogue.features):  # each rests on earlier ones
        if feature.name in wanted:
            wanted |= set(feature.rests_on)
            features.append(msgspec.structs.replace(feature, title={}))
    meaning = msgspec.structs.replace(rule, refresh_ms=0, least=0, tolerance=0.0)
    whole = (FORMAT, meaning, features, catalogue.offset_ms, catalogue.currency)
    return hashlib.blake2b(msgspec.json.encode(whole), digest_size=8).hexdigest()


def population_key(group: str, tag: str, partition: int) -> str:
    """The key of a partition's population on the control topic, which apps share."""
    return f"population/{group}/{tag}/{partition}"


def cut_points_key(group: str, tag: str) -> str:
    """The key of a tag's cut-points on the control topic."""
    return f"cut-points/{group}/{tag}"
