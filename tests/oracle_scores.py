"""The specification in slow Python: what a model says of a customer, and when one is asked about (section 7)."""

from __future__ import annotations

import math
from collections.abc import Mapping

from schemas.catalogue import Catalogue, Feature, Score, Target, Unit
from schemas.durations import DAY
from schemas.learning import ModelSnapshot
from schemas.records import Value


class Scores:
    """The models in force."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._features = {feature.name: feature for feature in catalogue.features}
        self._models: dict[str, ModelSnapshot] = {}

    def __bool__(self) -> bool:
        return bool(self._models)

    def __contains__(self, target: str) -> bool:
        return target in self._models

    def adopt(self, model: ModelSnapshot) -> bool:
        """Score with this model from now on; whether it is another one than before."""
        known = self._models.get(model.target)
        self._models[model.target] = model
        return known != model

    def level(self, rule: Score, names: Mapping[str, Value], before: Value) -> Value:
        """The level of the customer's probability; one is left for a lower one only below its threshold less margin."""
        if rule.target not in self._models:
            return before
        score = self._probability(self._models[rule.target], names)
        reached = [name for name, least in zip(rule.names, rule.thresholds, strict=True) if score >= least]
        if before in rule.names:
            place = rule.names.index(str(before))
            held = [
                name
                for name, least in zip(rule.names[place:], rule.thresholds[place:], strict=True)
                if score >= least - rule.margin
            ]
            reached += held
        return min([*reached, rule.names[-1]], key=rule.names.index)

    def _probability(self, model: ModelSnapshot, names: Mapping[str, Value]) -> float:
        logit = model.bias
        for name, mean, weight in zip(model.features, model.means, model.weights, strict=True):
            taken = self._taken(self._features[name], names[name])
            logit += weight * (mean if taken is None else taken)
        logit += self._products(model, names)
        # Beyond 700 the exponential is more than a double holds, and the probability less than one says.
        return 1 / (1 + math.exp(-logit)) if logit > -700 else 0.0

    def _products(self, model: ModelSnapshot, names: Mapping[str, Value]) -> float:
        """What products of scaled features add; one counts for no more than 3 either way, for nothing where missing."""
        scaled = dict[str, float | None]()
        for name, mean, spread in zip(model.features, model.means, model.spreads, strict=False):
            taken = self._taken(self._features[name], names[name])
            scaled[name] = None if taken is None else (taken - mean) / spread if spread else 0.0
        total = 0.0
        for cross in model.crosses:
            first, second = scaled[cross.first], scaled[cross.second]
            if first is not None and second is not None:
                total += cross.weight * max(-3.0, min(3.0, first * second))
        return total

    def _taken(self, feature: Feature, value: Value) -> float | None:
        """What a model takes in: signed log1p of money in major units, of counts and of days; the rest as it is."""
        number = double(value)
        if number is None or not math.isfinite(number):
            return None
        match feature.unit:
            case Unit.MONEY:
                number /= 10**self._catalogue.exponent
            case Unit.DURATION:
                number /= DAY
            case Unit.RATIO | Unit.BOOLEAN:
                return number
        return math.copysign(math.log1p(abs(number)), number)


def asked(target: Target, names: Mapping[str, Value]) -> list[float | None]:
    """The features of a question: doubles, None where missing."""
    return [double(names[name]) for name in target.features]


def double(value: Value) -> float | None:
    """A feature's value as a double; a boolean is 0 or 1."""
    return float(value) if isinstance(value, int | float) else None
