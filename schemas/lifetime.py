"""What travels on `control` for lifetime models: samples of customers' purchases, and the parameters found of them."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from schemas.catalogue import Catalogue, Segment, Tag
from schemas.loading_tags import rests_on
from schemas.outlook import Lifetime
from schemas.rules import names_in

FORMAT: Final = 1


class Sample(msgspec.Struct, frozen=True):
    """Purchases of some customers of one partition, chosen by chance, at a moment; it holds nobody's name.

    Attributes
    ----------
    definition
        What is counted (`definition_of`); samples of another definition are of no use.
    at
        UTC ms: the moment of the refresh that it was taken for.
    customers
        How many customers of the partition have bought; where that is more than the lists hold, each of these stands
        for several.
    purchases
        How many each one made, the first one too.
    last_day, today
        On which day the last one was and which day it is now, counted from that of the first, in local (standard) time.
    mean
        The mean amount in minor units, to three digits; 0 where it is unknown or none above zero.
    """

    model: str
    definition: str
    partition: int
    partitions: int
    at: int
    customers: int
    purchases: list[int]
    last_day: list[int]
    today: list[int]
    mean: list[float]

    @property
    def name(self) -> str:
        """What it is of."""
        return self.model


class Fit(msgspec.Struct, frozen=True):
    """The parameters of a lifetime model, in force until others come; times in days, amounts in minor units.

    Attributes
    ----------
    version
        Counts a model's parameters from 1.
    at
        UTC ms: the moment of the refresh that brought them.
    customers
        How many customers they speak of.
    r, alpha, a, b
        BG/NBD.
    p, q, v
        Gamma-Gamma; 0 where amounts tell nothing.
    """

    model: str
    definition: str
    version: int
    at: int
    customers: int
    r: float
    alpha: float
    a: float
    b: float
    p: float = 0.0
    q: float = 0.0
    v: float = 0.0

    @property
    def name(self) -> str:
        """What it is of."""
        return self.model

    @property
    def parameters(self) -> tuple[float, ...]:
        """All of them: r, alpha, a, b, p, q, v."""
        return (self.r, self.alpha, self.a, self.b, self.p, self.q, self.v)


def models_in_use(catalogue: Catalogue) -> dict[str, Lifetime]:
    """The lifetime models that some feature looks through, by name, in the catalogue's order."""
    used = {feature.outlook.model for feature in catalogue.features if feature.outlook is not None}
    return {model.name: model for model in catalogue.lifetimes if model.name in used}


def definition_of(catalogue: Catalogue, model: Lifetime) -> str:
    """16 hex digits that change when a lifetime model speaks of other purchases."""
    plain = msgspec.structs.replace(model, title={}, refresh_ms=0, least=0, after_ms=0, tolerance=0.0)
    features = [msgspec.structs.replace(catalogue.feature(name), title={}) for name in model.features]
    whole = (FORMAT, plain, features, catalogue.offset_ms, catalogue.currency)
    return hashlib.blake2b(msgspec.json.encode(whole), digest_size=8).hexdigest()


def models_of(catalogue: Catalogue, item: Tag | Segment) -> set[str]:
    """The lifetime models whose features a tag or segment names, directly or in a computed feature."""
    features = {feature.name: feature for feature in catalogue.features}
    named = {name.name for name in names_in(item.rule)} if isinstance(item, Segment) else rests_on(item.rule)
    found, waiting = set[str](), [name for name in named if name in features]
    while waiting:
        feature = features[waiting.pop()]
        if feature.outlook is not None:
            found.add(feature.outlook.model)
        else:
            waiting += feature.rests_on
    return found


def sample_key(group: str, model: str, partition: int) -> str:
    """The key of a partition's sample on the control topic, which apps share."""
    return f"lifetime-sample/{group}/{model}/{partition}"


def fit_key(group: str, model: str) -> str:
    """The key of a model's parameters on the control topic."""
    return f"lifetime/{group}/{model}"
