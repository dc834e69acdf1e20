"""What a feature's value becomes before a model sees it, by its unit.

`transformed` holds for learning and for scoring alike: it uses plain arithmetic only, so that a compiled kernel can run
it from a table of (register, kind, scale).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import IntEnum
from typing import Final

import msgspec

from schemas.catalogue import Aggregation, Catalogue, Target, Unit
from schemas.durations import DAY
from schemas.records import Value


class Kind(IntEnum):
    """What is done to a value after it was divided by its scale."""

    PLAIN = 0
    SIGNED_LOG = 1


class Transform(msgspec.Struct, frozen=True):
    """How a feature's values are transformed, and when they can be compared.

    Attributes
    ----------
    scale
        What they are divided by first.
    fills_ms
        How long records have to flow until its window is full; None where it never is, and values grow with time.
    """

    feature: str
    kind: Kind
    scale: float
    fills_ms: int | None = 0


_KINDS: Final = {
    Unit.MONEY: Kind.SIGNED_LOG,
    Unit.COUNT: Kind.SIGNED_LOG,
    Unit.DURATION: Kind.SIGNED_LOG,
    Unit.RATIO: Kind.PLAIN,
    Unit.BOOLEAN: Kind.PLAIN,
}


# Of all time, but what the newest record or the profile says does not grow with it.
_STANDING: Final = (Aggregation.LAST, Aggregation.FIRST, Aggregation.TOP, Aggregation.MEAN, Aggregation.SINCE_LAST)


def transforms_of(catalogue: Catalogue, target: Target) -> tuple[Transform, ...]:
    """The transforms of a target's features, in its order: money in major units, durations in days."""
    scales = {Unit.MONEY: float(10**catalogue.exponent), Unit.DURATION: float(DAY)}
    units = [(name, catalogue.feature(name).unit) for name in target.features]
    return tuple(
        Transform(name, _KINDS[unit], scales.get(unit, 1.0), _fills_ms(catalogue, name)) for name, unit in units
    )


def _fills_ms(catalogue: Catalogue, name: str) -> int | None:
    """How long it takes a feature, or the slowest of those it is made of, until its window is full."""
    feature = catalogue.feature(name)
    if feature.rests_on:
        parts = [_fills_ms(catalogue, one) for one in feature.rests_on]
        return None if None in parts else max(part for part in parts if part is not None)
    if feature.window is not None:
        return feature.window.length_ms
    return 0 if feature.aggregation in _STANDING else None


def transformed(value: float, kind: int, scale: float) -> float:
    """A feature's value as a model takes it; NaN (missing) for NaN and infinities."""
    scaled = value / scale
    if not math.isfinite(scaled):
        return math.nan
    return math.copysign(math.log1p(abs(scaled)), scaled) if kind == Kind.SIGNED_LOG else scaled


def untransformed(value: float, kind: int, scale: float) -> float:
    """The feature's value of which `transformed` makes this one.

    Raises
    ------
    OverflowError
        Where it is beyond all doubles.
    """
    return (math.copysign(math.expm1(abs(value)), value) if kind == Kind.SIGNED_LOG else value) * scale


def usual_value(unit: Unit, how: Transform, mean: float) -> Value:
    """An input, such as the mean of all, as JSON shows a value of its feature's unit; None beyond all numbers."""
    try:
        found = untransformed(mean, how.kind, 1.0 if unit is Unit.MONEY else how.scale)
    except OverflowError:
        return None
    if not math.isfinite(found):
        return None
    return round(found) if unit is Unit.DURATION else found


def inputs(transforms: Iterable[Transform], values: Iterable[float | None]) -> list[float]:
    """What a model takes of a question's features, in their order; NaN is missing.

    Raises
    ------
    ValueError
        Where there are not as many values as transforms.
    """
    pairs = zip(transforms, values, strict=True)
    return [math.nan if value is None else transformed(value, how.kind, how.scale) for how, value in pairs]
