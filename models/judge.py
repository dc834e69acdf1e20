"""One model judged: its predictions as it made them, as they are shown, and the second stage between the two."""

from __future__ import annotations

from models.progress import Progress
from models.reliability import Reliability
from models.state import JudgeState
from schemas.model_reports import Quality


class Judge:
    """What a model's predictions were worth.

    Attributes
    ----------
    raw, shown
        Of its own log odds, and of those after the second stage that was in force when a question was asked.
    reliability
        The second stage.
    """

    def __init__(self) -> None:
        self.raw, self.shown, self.reliability = Progress(), Progress(), Reliability()

    def settle(self, raw: float, shown: float, label: bool, asked_ms: int) -> None:
        """Judge a question's log odds by its answer."""
        self.raw.update(raw, label)
        self.shown.update(shown, label)
        self.reliability.comparison.settle(raw, label, asked_ms)

    def quality(self) -> Quality:
        """Of what was shown, with the slope that its own log odds have lately."""
        return _quality(self.shown, self.reliability.slope)

    def raw_quality(self) -> Quality:
        """Of its own log odds."""
        return _quality(self.raw, self.reliability.slope)

    def state(self) -> JudgeState:
        """All that it knows."""
        return JudgeState(self.raw.state(), self.shown.state(), self.reliability.state())

    @classmethod
    def of(cls, state: JudgeState) -> Judge:
        """One that goes on from a state."""
        made = cls()
        made.raw, made.shown = Progress.of(state.raw), Progress.of(state.shown)
        made.reliability = Reliability.of(state.reliability)
        return made


def _quality(of: Progress, slope: float | None) -> Quality:
    return Quality(of.answers, of.positives, of.mean_score, of.log_loss, of.auc, slope)
