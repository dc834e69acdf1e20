"""A target's model while it learns: River's scaler and logistic regression, one example after the other.

`learn_one` only: River's `learn_many` takes one mean step a batch. Missing inputs are left out, which acts as their
mean; NaN or None would spoil every weight for ever.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from river import linear_model, optim, preprocessing
from river.utils import VectorDict

from models.state import LearnerState

LEARNING_RATE: Final = 0.01


class OtherFeatures(ValueError):
    """A state learned from other features than the target's."""

    def __init__(self, learned: list[str], wanted: tuple[str, ...]) -> None:
        super().__init__(
            f"this model was learned from the features {', '.join(learned)}; the catalogue's target has "
            f"{', '.join(wanted)}: remove the model's state to learn anew"
        )


class Learner:
    """StandardScaler | LogisticRegression(SGD).

    Parameters
    ----------
    features
        Names of the inputs.
    prior
        Share of positives to expect before any answer, above 0 and below 1: the intercept's beginning.
    """

    def __init__(self, features: tuple[str, ...], prior: float) -> None:
        self.features = features
        self._scaler = preprocessing.StandardScaler()
        self._regression = linear_model.LogisticRegression(
            optimizer=optim.SGD(LEARNING_RATE), intercept_init=math.log(prior / (1.0 - prior))
        )
        # All weights from the start, in the features' order: a restored learner then adds up in the same order.
        self._regression._weights = VectorDict(dict.fromkeys(features, 0.0))
        self.pipeline = self._scaler | self._regression

    def logit(self, inputs: Sequence[float]) -> float:
        """The log odds of a positive; `inputs` are transformed, in the features' order, NaN is missing."""
        return float(self._regression._raw_dot_one(self._scaler.transform_one(self._known(inputs))))

    def learn(self, inputs: Sequence[float], label: bool) -> None:
        """Take one step towards the label; `inputs` as for `logit`."""
        self.pipeline.learn_one(self._known(inputs), label)

    def _known(self, inputs: Sequence[float]) -> dict[str, float]:
        return {name: value for name, value in zip(self.features, inputs, strict=True) if value == value}

    def state(self) -> LearnerState:
        """All that it knows, as plain numbers."""
        names, scaler, weights = self.features, self._scaler, self._regression._weights.to_dict()
        return LearnerState(
            features=list(names),
            counts=[scaler.counts.get(name, 0) for name in names],
            means=[scaler.means.get(name, 0.0) for name in names],
            variances=[scaler.vars.get(name, 0.0) for name in names],
            weights=[weights[name] for name in names],
            intercept=float(self._regression.intercept),
            iterations=self._regression.optimizer.n_iterations,
        )

    def load(self, state: LearnerState) -> None:
        """Go on from a state, to the same weights bit for bit.

        Raises
        ------
        OtherFeatures
            Where it was learned from other features.
        """
        names = self.features
        if tuple(state.features) != names:
            raise OtherFeatures(state.features, names)
        by_name = (dict(zip(names, numbers, strict=True)) for numbers in (state.counts, state.means, state.variances))
        self._scaler = preprocessing.StandardScaler._from_state(*by_name)
        self._regression._weights = VectorDict(dict(zip(names, state.weights, strict=True)))
        self._regression.intercept = state.intercept
        self._regression.optimizer.n_iterations = state.iterations
        self.pipeline = self._scaler | self._regression
