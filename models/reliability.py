"""Whether a model's log odds mean what they say, and the second stage that mends them where they do not.

What came is regressed on the log odds that the model gives, one answer after the other: `slope * logit + intercept`
(Platt's scaling). Calibrated log odds have slope 1 and intercept 0; below 1 they are too extreme.
Each answer moves the two numbers by one Newton step, and old answers fade, by half after `FADES * ln 2` newer ones.

That log odds are off is not enough: the stage comes into force only where it would have saved log loss on questions
asked since it was measured (`models.comparison`), and leaves when it does not any more.
"""

from __future__ import annotations

import math
from typing import Final

from models.comparison import Comparison
from models.snapshot import probability
from models.state import ReliabilityState
from schemas.learning import Calibration

FADES: Final = 20_000.0
# What is known before any answer, as if a few dozen had said that nothing is to be mended.
PRIOR_SLOPE, PRIOR_INTERCEPT = 4.0, 1.0
CENTRE: Final = -3.0
"""Log odds are counted from here, so that slope and intercept are learned almost independently."""
LEAVES, RETURNS = 0.1, 0.05
SURE: Final = 3.0
"""Standard errors by which a slope or a level has to be off before anything is done about it."""
_STEEPEST, _FLATTEST = 4.0, 0.25


class Reliability:
    """The regression of what came on what was foretold, and whether a model's log odds go through it.

    Attributes
    ----------
    mending
        Whether the second stage is in force.
    comparison
        What it would have been worth.
    """

    def __init__(self) -> None:
        self.mending, self.comparison = False, Comparison()
        # Slope, and log odds given at CENTRE less CENTRE.
        self._slope, self._offset = 1.0, 0.0
        # The information matrix of both.
        self._ss, self._so, self._oo = PRIOR_SLOPE, 0.0, PRIOR_INTERCEPT
        self._answers = 0

    @property
    def slope(self) -> float | None:
        """The slope; None before any answer."""
        return self._slope if self._answers else None

    @property
    def measured(self) -> Calibration:
        """What would mend the model's log odds."""
        return Calibration(self._slope, self._offset + CENTRE * (1.0 - self._slope))

    @property
    def calibration(self) -> Calibration:
        """The second stage in force."""
        return self.measured if self.mending else Calibration()

    def update(self, logit: float, label: bool) -> None:
        """Take one step towards an answer.

        Parameters
        ----------
        logit
            What the model says of its question now, before it learns from the answer: what was foretold when it was
            asked is of the model of a horizon ago, and mending that one would mend twice what was learned meanwhile.
        """
        kept = 1.0 - 1.0 / FADES
        x = logit - CENTRE
        p = probability(self._slope * x + self._offset + CENTRE)
        weight = p * (1.0 - p)
        self._ss = kept * self._ss + (1.0 - kept) * PRIOR_SLOPE + weight * x * x
        self._so = kept * self._so + weight * x
        self._oo = kept * self._oo + (1.0 - kept) * PRIOR_INTERCEPT + weight
        error = float(label) - p
        determinant = self._ss * self._oo - self._so * self._so
        slope = self._slope + error * (self._oo * x - self._so) / determinant
        self._slope = min(max(slope, _FLATTEST), _STEEPEST)
        self._offset += error * (self._ss - self._so * x) / determinant
        self._answers += 1

    def decide(self, now_ms: int, horizon_ms: int) -> bool:
        """Whether the second stage came into force or went out of it: look at it once a day.

        Parameters
        ----------
        horizon_ms
            How long a question takes to settle.
        """
        determinant = self._ss * self._oo - self._so * self._so
        steep, level = abs(self._slope - 1.0), abs(self._offset)
        if self.mending:
            mending = (steep > RETURNS or level > RETURNS) and not self.comparison.hurts
        else:
            off = steep > LEAVES and steep > SURE * math.sqrt(self._oo / determinant)
            off = off or (level > LEAVES and level > SURE * math.sqrt(self._ss / determinant))
            mending = off and self.comparison.helps
        changed, self.mending = mending != self.mending, mending
        self.comparison.tries(self.measured, now_ms, horizon_ms)
        return changed

    def forget(self, share: float) -> None:
        """Trust what was learned so far less: only that share of it, as after a drift."""
        self._ss, self._so, self._oo = self._ss * share, self._so * share, self._oo * share
        self._ss, self._oo = max(self._ss, PRIOR_SLOPE), max(self._oo, PRIOR_INTERCEPT)
        self.comparison.forget()

    def state(self) -> ReliabilityState:
        """All that it knows."""
        information = [self._ss, self._so, self._oo]
        parts = self._slope, self._offset, information, self._answers, self.mending
        return ReliabilityState(*parts, self.comparison.state())

    @classmethod
    def of(cls, state: ReliabilityState) -> Reliability:
        """One that goes on from a state."""
        made = cls()
        made._slope, made._offset, made._answers = state.slope, state.offset, state.answers
        made._ss, made._so, made._oo = state.information
        made.mending, made.comparison = state.mending, Comparison.of(state.comparison)
        return made


def calibrated(calibration: Calibration, logit: float) -> float:
    """Log odds after the second stage."""
    return calibration.slope * logit + calibration.intercept
