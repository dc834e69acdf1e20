"""A learned model as plain numbers, which the engine scores with, and what each feature adds to a score.

River's score is intercept + sum(w * (x - mean) / sd). With a = w / sd and bias = intercept - sum(a * mean) that is
bias + sum(a * x); a missing x counts as its mean. Where sd is 0 River's scaler gives 0, so a is 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from models.state import LearnerState
from schemas.learning import ModelSnapshot


class Folded(msgspec.Struct, frozen=True):
    """The numbers of a ModelSnapshot that score."""

    means: list[float]
    weights: list[float]
    bias: float


class Contributions(msgspec.Struct, frozen=True):
    """What a logit is made of: what a customer of mean features has, and what each feature adds to it."""

    baseline: float
    by_feature: dict[str, float]

    @property
    def logit(self) -> float:
        """The sum."""
        return self.baseline + sum(self.by_feature.values())


def fold(state: LearnerState) -> Folded:
    """A learner's scaler, weights and intercept in one."""
    weights = [w / v**0.5 if v else 0.0 for w, v in zip(state.weights, state.variances, strict=True)]
    shift = math.fsum(a * mean for a, mean in zip(weights, state.means, strict=True))
    return Folded(state.means, weights, state.intercept - shift)


def logit(snapshot: ModelSnapshot, inputs: Sequence[float]) -> float:
    """The log odds of a positive; `inputs` are transformed, in the features' order, NaN is missing."""
    total = snapshot.bias
    for weight, mean, value in zip(snapshot.weights, snapshot.means, inputs, strict=True):
        total += weight * (mean if math.isnan(value) else value)
    return total


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
    """What each feature adds to the logit, against its mean: 0 where it is missing; `inputs` as for `logit`."""
    parts = zip(snapshot.features, snapshot.weights, snapshot.means, inputs, strict=True)
    by_feature = {name: 0.0 if math.isnan(x) else weight * (x - mean) for name, weight, mean, x in parts}
    shift = math.fsum(weight * mean for weight, mean in zip(snapshot.weights, snapshot.means, strict=True))
    return Contributions(snapshot.bias + shift, by_feature)
