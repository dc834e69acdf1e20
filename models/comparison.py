"""What a second stage is worth: the log loss that it saves on outcomes of questions asked since it was measured.

A stage measured on answers of the past may mend what was mended meanwhile, as a model goes on learning. So each day's
stage is kept, and every question that is settled is judged twice: by the log odds that the model gave when it was
asked, and by these after the stage of that day, whether it was in force or not. Old answers fade, by half after
`FADES * ln 2` newer ones.
"""

from __future__ import annotations

import math
from typing import Final

from models.state import ComparisonState, TriedState
from models.trial import loss
from schemas.learning import Calibration

FADES: Final = 5_000.0
ENOUGH: Final = 500.0
"""Answers before anything is said."""
SURE: Final = 1.0
"""Standard errors by which one in force has to do harm before it goes; nearer to 0 it would come and go."""


class Comparison:
    """Log odds as given against the same after the second stage."""

    def __init__(self) -> None:
        self._tried: list[TriedState] = []
        self._answers = self._gains = self._squares = 0.0
        self._urgent = False

    def tries(self, stage: Calibration, now_ms: int, horizon_ms: int) -> None:
        """Try a stage on questions asked from now on; they settle within the horizon, and older stages are dropped."""
        self._tried.append(TriedState(now_ms, stage.slope, stage.intercept))
        while len(self._tried) > 1 and self._tried[1].since <= now_ms - horizon_ms:
            del self._tried[0]

    def settle(self, raw: float, label: bool, asked_ms: int) -> None:
        """Judge the stage of the time at which a question was asked, by its log odds and its answer."""
        stage = next((one for one in reversed(self._tried) if one.since <= asked_ms), None)
        if stage is None:
            return
        gain = loss(raw, label) - loss(stage.slope * raw + stage.intercept, label)
        kept = 1.0 - 1.0 / FADES
        self._answers = kept * self._answers + 1.0
        self._gains = kept * self._gains + gain
        self._squares = kept * self._squares + gain * gain

    @property
    def gain(self) -> float | None:
        """Log loss saved by an answer, nats; None before there are enough."""
        return self._gains / self._answers if self._answers >= ENOUGH else None

    @property
    def helps(self) -> bool:
        """Whether a stage may come into force: it saves something, or there was no time to find out.

        That log odds are off at all, the regression is sure of already.
        """
        gain = self.gain
        return self._urgent if gain is None else gain > 0.0

    @property
    def hurts(self) -> bool:
        """Whether one that is in force has to go."""
        gain = self.gain
        if gain is None:
            return False
        error = math.sqrt(max(self._squares / self._answers - gain * gain, 0.0) / self._answers)
        return gain < -SURE * error

    def forget(self) -> None:
        """Begin anew after a drift; until there are enough answers the regression decides alone.

        To wait for questions that are asked after the drift, and for their horizon, would be to be wrong that long.
        """
        self._tried, self._urgent = [], True
        self._answers = self._gains = self._squares = 0.0

    def state(self) -> ComparisonState:
        """All that it knows."""
        return ComparisonState(list(self._tried), self._answers, self._gains, self._squares, self._urgent)

    @classmethod
    def of(cls, state: ComparisonState) -> Comparison:
        """One that goes on from a state."""
        made = cls()
        made._tried, made._urgent = list(state.tried), state.urgent
        made._answers, made._gains, made._squares = state.answers, state.gains, state.squares
        return made
