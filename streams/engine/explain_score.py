"""What each feature adds to a score, from a model's snapshot: `weight * (input - mean)` of each, and the rest.

A model sees features on the scale of their unit: signed `log1p` of money in major units and of counts, `log1p` of days
of durations, ratios and booleans as they are. `SCALES` holds that and the way back, which makes means usual values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final, Protocol

import msgspec

from schemas.catalogue import Catalogue, Feature, Score, Target, Unit
from schemas.durations import DAY
from schemas.explanations import Contribution, ScoreExplanation
from schemas.learning import ModelSnapshot
from schemas.records import Value


class SnapshotMismatch(ValueError):
    """A model whose target or features are not the catalogue's."""


class Scale(msgspec.Struct, frozen=True):
    """How a unit's values (as JSON has them: money in major units, durations in ms) become inputs, and back."""

    there: Callable[[float], float]
    back: Callable[[float], float]


def _signed_log(value: float) -> float:
    return math.copysign(math.log1p(abs(value)), value)


def _signed_exp(value: float) -> float:
    return math.copysign(math.expm1(abs(value)), value)


_LOG: Final = Scale(_signed_log, _signed_exp)
_DAYS: Final = Scale(lambda ms: _signed_log(ms / DAY), lambda days: _signed_exp(days) * DAY)
_SAME: Final = Scale(float, float)
SCALES: Final[Mapping[Unit, Scale]] = {
    Unit.MONEY: _LOG,
    Unit.COUNT: _LOG,
    Unit.DURATION: _DAYS,
    Unit.RATIO: _SAME,
    Unit.BOOLEAN: _SAME,
}


class Inputs(Protocol):
    """A feature's value as JSON to what the model is given; None is missing."""

    def __call__(self, feature: Feature, value: Value) -> float | None:
        """The input, finite, or None."""


def scaled(feature: Feature, value: Value) -> float | None:
    """The input of a value as JSON; None where it is missing or its unit is no number's."""
    scale = SCALES.get(feature.unit)
    if value is None or scale is None:
        return None
    found = scale.there(float(Decimal(value)) if isinstance(value, str) else float(value))
    return found if math.isfinite(found) else None


def usual_value(feature: Feature, mean: float) -> Value:
    """The mean of a feature's inputs as a value of its unit; None where the unit is no number's."""
    scale = SCALES.get(feature.unit)
    if scale is None:
        return None
    try:
        found = scale.back(mean)
    except OverflowError:
        return None
    if not math.isfinite(found):
        return None
    return round(found) if feature.unit is Unit.DURATION else found


def explain_scores(
    catalogue: Catalogue, snapshots: Sequence[ModelSnapshot], values: Mapping[str, Value], inputs: Inputs = scaled
) -> list[ScoreExplanation]:
    """The scores of the targets that have a model, in the catalogue's order; of several the latest version counts.

    Parameters
    ----------
    values
        The customer's features as JSON, by name.
    """
    latest = {one.target: one for one in sorted(snapshots, key=lambda one: one.version)}
    found = [(latest[target.name], target) for target in catalogue.targets if target.name in latest]
    return [
        explain_score(
            catalogue,
            model,
            values,
            [inputs(catalogue.feature(name), values.get(name)) for name in _checked(target, model).features],
        )
        for model, target in found
    ]


def explain_score(
    catalogue: Catalogue, model: ModelSnapshot, values: Mapping[str, Value], inputs: Sequence[float | None]
) -> ScoreExplanation:
    """One target's score.

    Parameters
    ----------
    values
        The customer's features as JSON, by name: they are shown.
    inputs
        The same on the model's scale, in the order of `model.features`; None and NaN are missing and count as the mean.

    Raises
    ------
    SnapshotMismatch
        Where the model is not of this catalogue.
    """
    target = next((one for one in catalogue.targets if one.name == model.target), None)
    if target is None:
        raise SnapshotMismatch(f"the catalogue has no target {model.target!r}, of which there is a model")
    _checked(target, model)
    parts = [
        _contribution(catalogue.feature(name), values.get(name), given, mean, weight)
        for name, given, mean, weight in zip(model.features, inputs, model.means, model.weights, strict=True)
    ]
    rest = model.bias + math.fsum(weight * mean for weight, mean in zip(model.weights, model.means, strict=True))
    logit = rest + math.fsum(part.push for part in parts)
    return ScoreExplanation(
        target=target.name,
        title=target.title,
        tags=[tag.name for tag in catalogue.tags if isinstance(tag.rule, Score) and tag.rule.target == target.name],
        probability=_probability(logit),
        logit=logit,
        rest=rest,
        usual_probability=_probability(rest),
        version=model.version,
        ready=model.ready,
        contributions=parts,
    )


def _contribution(feature: Feature, value: Value, given: float | None, mean: float, weight: float) -> Contribution:
    push = 0.0 if given is None or math.isnan(given) else weight * (given - mean)
    return Contribution(feature.name, feature.title, feature.unit, value, usual_value(feature, mean), push)


def _checked(target: Target, model: ModelSnapshot) -> ModelSnapshot:
    if tuple(model.features) != target.features:
        raise SnapshotMismatch(f"the model of {target.name!r} has learned from other features than the catalogue names")
    return model


def _probability(logit: float) -> float:
    """The logistic function without an overflow on either side."""
    if logit >= 0:
        return 1 / (1 + math.exp(-logit))
    grown = math.exp(logit)
    return grown / (1 + grown)
