"""What comes between the records of a stream: models for the catalogue's targets, and a clock's time."""

from __future__ import annotations

from random import Random
from typing import Final

import msgspec

from schemas.catalogue import Catalogue, Target
from schemas.durations import DAY, HOUR, MINUTE
from schemas.learning import CrossWeight, ModelSnapshot, Pipeline

# Halves and quarters: what is summed in another order or by another exponential stays the same to the last bit or two,
# and no score comes closer to a threshold than that by chance.
NUMBERS: Final = (0.0, 0.25, -0.5, 1.0, -2.0, 3.0)


class Adoption(msgspec.Struct, frozen=True):
    """A model that comes before record `before` of a stream."""

    before: int
    model: ModelSnapshot


class Passing(msgspec.Struct, frozen=True):
    """Time that passes to a moment before record `before` of a stream."""

    before: int
    ms: int


def passings(draw: Random, clocks: list[int]) -> tuple[Passing, ...]:
    """How a clock moves time in some streams; `clocks` is the newest time before each record and after the last."""
    if draw.randint(0, 3) > 0:
        return ()
    places = sorted(draw.randrange(len(clocks)) for _ in range(draw.randint(1, 4)))
    ahead = (-HOUR, 0, 1, 10 * MINUTE, HOUR, DAY, 8 * DAY)
    return tuple(Passing(place, clocks[place] + draw.choice(ahead)) for place in places)


def adoptions(draw: Random, catalogue: Catalogue, records: int) -> tuple[Adoption, ...]:
    """Up to three models for each target, in the order in which they come."""
    made: list[Adoption] = []
    for target in catalogue.targets:
        places = sorted(draw.randint(0, records) for _ in range(draw.randint(0, 3)))
        for version, before in enumerate(places, 1):
            features = list(target.features)
            means, weights = ([draw.choice(NUMBERS) for _ in features] for _ in range(2))
            counts = {"at": 0, "questions": 9, "answers": 9, "positives": 1, "learned": 9, "ready": True}
            bias = draw.choice(NUMBERS)
            model = ModelSnapshot(
                target.name, version, **counts, features=features, means=means, weights=weights, bias=bias
            )
            made.append(Adoption(before, _crossed(draw, target, model) if draw.random() < 0.5 else model))
    return tuple(sorted(made, key=lambda adoption: adoption.before))


def _crossed(draw: Random, target: Target, model: ModelSnapshot) -> ModelSnapshot:
    """The same with products of the features; spreads are powers of two, so that scaling is exact."""
    crosses = [CrossWeight(one.first, one.second, draw.choice(NUMBERS)) for one in target.crosses]
    spreads = [draw.choice((0.0, 0.5, 1.0, 2.0, 4.0)) for _ in target.features]
    return msgspec.structs.replace(model, model=Pipeline.CROSSED, crosses=crosses, spreads=spreads)
