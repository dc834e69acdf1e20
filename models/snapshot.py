"""A learned model as plain numbers, which the engine scores with, and what each feature adds to a score.

River's score is intercept + sum(w * (x - mean) / sd). With a = w / sd and bias = intercept - sum(a * mean) that is
bias + sum(a * x); a missing x counts as its mean. Where sd is 0 River's scaler gives 0, so a is 0. Products are of
scaled inputs, so that they need the means and sds themselves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from models.state import LearnerState
from schemas.learning import CROSS_LIMIT, Calibration, CrossWeight, ModelSnapshot, Pipeline

NO_CALIBRATION: Final = Calibration()


class Folded(msgspec.Struct, frozen=True):
    """The numbers of a ModelSnapshot that score; `spreads` and `crosses` are empty for the linear model."""

    means: list[float]
    weights: list[float]
    bias: float
    spreads: list[float]
    crosses: list[CrossWeight]


class Contributions(msgspec.Struct, frozen=True):
    """What a logit is made of: what a customer of mean features has, and what each feature adds to it."""

    baseline: float
    by_feature: dict[str, float]

    @property
    def logit(self) -> float:
        """The sum."""
        return self.baseline + sum(self.by_feature.values())


def fold(
    state: LearnerState, pipeline: Pipeline = Pipeline.LINEAR, calibration: Calibration = NO_CALIBRATION
) -> Folded:
    """A learner's scaler, one of its models' weights and intercept, and the second stage, in one."""
    spreads, crossed = [v**0.5 for v in state.variances], pipeline is Pipeline.CROSSED
    regression, slope, features = state.crossed if crossed else state.linear, calibration.slope, len(state.features)
    pairs = zip(regression.weights[:features], spreads, strict=True)
    weights = [slope * w / spread if spread else 0.0 for w, spread in pairs]
    shift = math.fsum(a * mean for a, mean in zip(weights, state.means, strict=True))
    bias = slope * regression.intercept + calibration.intercept - shift
    if not crossed:
        return Folded(state.means, weights, bias, [], [])
    products = zip(state.crosses, regression.weights[features:], strict=True)
    scale = slope * product_scale(features, len(state.crosses))
    crosses = [CrossWeight(one.first, one.second, scale * weight) for one, weight in products]
    return Folded(state.means, weights, bias, spreads, crosses)


def product_scale(features: int, crosses: int) -> float:
    """What products are multiplied by before they are learned from.

    Where they are many most say nothing: all of them together then move no further in a step than the features do.
    """
    return min(1.0, math.sqrt(features / crosses)) if crosses else 1.0


def logit(snapshot: ModelSnapshot, inputs: Sequence[float]) -> float:
    """The log odds of a positive; `inputs` are transformed, in the features' order, NaN is missing."""
    total = snapshot.bias
    for weight, mean, value in zip(snapshot.weights, snapshot.means, inputs, strict=True):
        total += weight * (mean if math.isnan(value) else value)
    return total + sum(products(snapshot, inputs))


def products(snapshot: ModelSnapshot, inputs: Sequence[float]) -> list[float]:
    """What each of the crosses adds to the log odds; `inputs` as for `logit`."""
    if not snapshot.crosses:
        return []
    rows = zip(snapshot.features, inputs, snapshot.means, snapshot.spreads, strict=True)
    scaled = {name: 0.0 if math.isnan(x) or not spread else (x - mean) / spread for name, x, mean, spread in rows}
    found = ((one.weight, scaled[one.first] * scaled[one.second]) for one in snapshot.crosses)
    return [weight * min(max(product, -CROSS_LIMIT), CROSS_LIMIT) for weight, product in found]


def score(snapshot: ModelSnapshot, inputs: Sequence[float]) -> float:
    """The probability of a positive; `inputs` as for `logit`."""
    return probability(logit(snapshot, inputs))


def probability(log_odds: float) -> float:
    """1 / (1 + exp(-log_odds)), without overflow."""
    if log_odds >= 0.0:
        return 1.0 / (1.0 + math.exp(-log_odds))
    odds = math.exp(log_odds)
    return odds / (1.0 + odds)


def contributions(snapshot: ModelSnapshot, inputs: Sequence[float]) -> Contributions:
    """What each feature adds to the logit, against its mean: 0 where it is missing; `inputs` as for `logit`.

    A product's part is dealt out to its two features, half each: these are their Shapley values.
    """
    parts = zip(snapshot.features, snapshot.weights, snapshot.means, inputs, strict=True)
    by_feature = {name: 0.0 if math.isnan(x) else weight * (x - mean) for name, weight, mean, x in parts}
    for cross, part in zip(snapshot.crosses, products(snapshot, inputs), strict=True):
        by_feature[cross.first] += part / 2.0
        by_feature[cross.second] += part / 2.0
    shift = math.fsum(weight * mean for weight, mean in zip(snapshot.weights, snapshot.means, strict=True))
    return Contributions(snapshot.bias + shift, by_feature)
