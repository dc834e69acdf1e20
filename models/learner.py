"""A target's two models while they learn: River's scaler, and two of its logistic regressions on what it gives.

The linear one takes the features, the crossed one products of them as well; they share the scaler, as both see the same
examples. `learn_one` only: River's `learn_many` takes one mean step a batch. Missing inputs are left out, which acts as
their mean; NaN or None would spoil every weight for ever.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from river import compose, linear_model, optim, preprocessing
from river.utils import VectorDict

from models.snapshot import product_scale
from models.state import LearnerState, RegressionState
from schemas.catalogue import Cross
from schemas.learning import CROSS_LIMIT, Pipeline

LEARNING_RATE: Final = 0.01
SLOWEST_RATE: Final = 0.001
SLOWS_AFTER: Final = 1_000.0
Inputs = dict[Hashable, Any]
"""By name, as River takes them; a product's name is the pair of its features'."""


class OtherFeatures(ValueError):
    """A state learned from other features than the target's."""

    def __init__(self, learned: list[str], wanted: tuple[str, ...]) -> None:
        super().__init__(
            f"this model was learned from the features {', '.join(learned)}; the catalogue's target has "
            f"{', '.join(wanted)}: remove the model's state to learn anew"
        )


class Slowing(optim.base.Scheduler):
    """A learning rate that falls with the root of the examples: 0.01 at first, 0.001 in the end.

    At 0.01 throughout the weights wander: on the simulated bank log odds were too extreme (slope 0.8) and ROC AUC was
    lower by 0.02; at 0.001 from the start a model takes months to begin.
    """

    def get(self, t: int) -> float:
        """The rate of step `t`."""
        return float(max(SLOWEST_RATE, LEARNING_RATE / math.sqrt(1.0 + t / SLOWS_AFTER)))


class Logits(NamedTuple):
    """The log odds that each of the two models gives."""

    linear: float
    crossed: float


class Learner:
    """StandardScaler | LogisticRegression(SGD), and StandardScaler | products | LogisticRegression(SGD).

    Parameters
    ----------
    features
        Names of the inputs.
    prior
        Share of positives to expect before any answer, above 0 and below 1: the intercepts' beginning.
    crosses
        The products that the crossed model takes in.
    """

    def __init__(self, features: tuple[str, ...], prior: float, crosses: tuple[Cross, ...] = ()) -> None:
        self.features, self.crosses = features, crosses
        self._scaler = preprocessing.StandardScaler()
        # All weights from the start, in one order: a restored learner then adds up in the same order.
        self._pairs = [(cross.first, cross.second) for cross in crosses]
        self._scale = product_scale(len(features), len(crosses))
        self._firsts = np.array([features.index(cross.first) for cross in crosses], dtype=np.int64)
        self._seconds = np.array([features.index(cross.second) for cross in crosses], dtype=np.int64)
        self._linear, self._crossed = _regression(features, prior), _regression([*features, *self._pairs], prior)

    @property
    def pipelines(self) -> dict[Pipeline, compose.Pipeline]:
        """The models as River's pipelines."""
        products = compose.FuncTransformer(self.with_products)
        return {
            Pipeline.LINEAR: self._scaler | self._linear,
            Pipeline.CROSSED: self._scaler | products | self._crossed,
        }

    def logits(self, inputs: Sequence[float]) -> Logits:
        """The log odds of a positive; `inputs` are transformed, in the features' order, NaN is missing."""
        scaled = self._scaler.transform_one(self._known(inputs))
        crossed = self._crossed._raw_dot_one(self.with_products(scaled))
        return Logits(float(self._linear._raw_dot_one(scaled)), float(crossed))

    def learn(self, inputs: Sequence[float], label: bool) -> Logits:
        """Take one step towards the label, and what was said just before; `inputs` as for `logits`."""
        known = self._known(inputs)
        self._scaler.learn_one(known)
        scaled = self._scaler.transform_one(known)
        products = self.with_products(scaled)
        said = Logits(float(self._linear._raw_dot_one(scaled)), float(self._crossed._raw_dot_one(products)))
        self._linear.learn_one(scaled, label)
        self._crossed.learn_one(products, label)
        return said

    def with_products(self, scaled: Mapping[Hashable, Any]) -> Inputs:
        """Scaled inputs and the products of those that are known."""
        found = dict(scaled)
        if self.crosses:
            # In arrays: one by one, as many products as features allow would take most of a trainer's time.
            values = np.array([scaled.get(name, math.nan) for name in self.features])
            held = np.clip(values[self._firsts] * values[self._seconds], -CROSS_LIMIT, CROSS_LIMIT) * self._scale
            products = zip(self._pairs, held.tolist(), strict=True)
            if len(scaled) < len(self.features):
                products = ((pair, value) for pair, value in products if value == value)  # type: ignore[assignment]
            found.update(products)
        return found

    def recentre(self, feature: str, mean: float, variance: float, examples: int) -> None:
        """Take that feature's inputs as being around another mean from now on, as of so many examples."""
        self._scaler.means[feature], self._scaler.vars[feature] = mean, variance
        self._scaler.counts[feature] = examples

    def weights(self, pipeline: Pipeline) -> list[float]:
        """A model's weights of scaled inputs: what is added for one standard deviation more.

        Of the crossed model those of products come behind, for both features one standard deviation above their means.
        """
        if pipeline is Pipeline.LINEAR:
            return list(self._linear._weights.to_dict().values())
        found, features = list(self._crossed._weights.to_dict().values()), len(self.features)
        return found[:features] + [self._scale * weight for weight in found[features:]]

    def mean(self, feature: str) -> float:
        """Mean of a feature's inputs; 0 before any."""
        return float(self._scaler.means.get(feature, 0.0))

    def spread(self, feature: str) -> float:
        """Standard deviation of a feature's inputs; 0 before two differ."""
        return float(self._scaler.vars.get(feature, 0.0) ** 0.5)

    def _known(self, inputs: Sequence[float]) -> Inputs:
        return {name: value for name, value in zip(self.features, inputs, strict=True) if value == value}

    # ------------------------------------------------------------------------------------------------ state

    def state(self) -> LearnerState:
        """All that it knows, as plain numbers."""
        names, scaler = self.features, self._scaler
        return LearnerState(
            features=list(names),
            crosses=list(self.crosses),
            counts=[scaler.counts.get(name, 0) for name in names],
            means=[scaler.means.get(name, 0.0) for name in names],
            variances=[scaler.vars.get(name, 0.0) for name in names],
            linear=_state(self._linear),
            crossed=_state(self._crossed),
        )

    def load(self, state: LearnerState) -> None:
        """Go on from a state, to the same weights bit for bit.

        Raises
        ------
        OtherFeatures
            Where it was learned from other features or products.
        """
        names = self.features
        if tuple(state.features) != names or tuple(state.crosses) != self.crosses:
            raise OtherFeatures(state.features, names)
        by_name = (dict(zip(names, numbers, strict=True)) for numbers in (state.counts, state.means, state.variances))
        self._scaler = preprocessing.StandardScaler._from_state(*by_name)
        _load(self._linear, state.linear)
        _load(self._crossed, state.crossed)


def _regression(names: Sequence[Hashable], prior: float) -> linear_model.LogisticRegression:
    found = linear_model.LogisticRegression(
        optimizer=optim.SGD(Slowing()), intercept_lr=Slowing(), intercept_init=math.log(prior / (1.0 - prior))
    )
    found._weights = VectorDict(dict.fromkeys(names, 0.0))
    return found


def _state(regression: linear_model.LogisticRegression) -> RegressionState:
    weights = list(regression._weights.to_dict().values())
    return RegressionState(weights, float(regression.intercept), regression.optimizer.n_iterations)


def _load(regression: linear_model.LogisticRegression, state: RegressionState) -> None:
    names = regression._weights.to_dict()
    regression._weights = VectorDict(dict(zip(names, state.weights, strict=True)))
    regression.intercept = state.intercept
    regression.optimizer.n_iterations = state.iterations
