"""What a partition follows from `control`: models, sources that freeze and thaw, cut-points; each between two records.

All of it is brought to the customers slice by slice, so that records are not held up (P4).
"""

from __future__ import annotations

from collections import deque

from schemas.silence import Stall
from streams.gathering import Cut
from streams.measuring import Measuring
from streams.model_follower import Model
from streams.output import Output
from streams.processor import Partition
from streams.rounds import AT_ONCE, Round

News = Model | Stall | Cut


class Following:
    """One partition's news, in the order of `control` within each kind."""

    def __init__(self, part: Partition) -> None:
        self._part = part
        self._models: deque[Model] = deque()
        self._stalls: deque[Stall] = deque()
        self._cuts: deque[Cut] = deque()
        self._rescoring: Round | None = None
        self._measuring = Measuring(part)
        self._begun = False

    def take(self, news: News) -> bool:
        """Note what came; whether there is anything to do. Who makes its own cut-points needs no others."""
        match news:
            case Model():
                self._models.append(news)
            case Stall():
                self._stalls.append(news)
            case Cut():
                if self._part.merger is not None:
                    return False
                self._cuts.append(news)
        return True

    @property
    def stalls(self) -> bool:
        """Whether it is yet to be settled what is frozen: no clock may move time before."""
        return bool(self._stalls) or self._part.sleeps

    @property
    def at_work(self) -> bool:
        """Whether there is anything left to do."""
        waits = self._models or self._cuts or self._rescoring or self._measuring.at_work
        return bool(waits) or self.stalls

    def turn(self) -> Output:
        """Freeze and thaw what is to be, in its order, and bring some more customers up to what flows again."""
        begins, self._begun = not self._begun, True
        # Rows that were read back may sleep, and must not wake before it is known what is frozen; later all that was
        # due comes first.
        while self._stalls and (begins or not (self._part.sleeps or self._part.overdue)):
            stall = self._stalls.popleft()
            if stall.frozen_ms is None:
                self._part.thaw(stall.source)
            else:
                self._part.freeze(stall.source, stall.frozen_ms)
        return self._part.wake(AT_ONCE)

    def step(self) -> list[Output]:
        """Bring some more customers up to the models and the cut-points."""
        while self._models:
            self._adopt(self._models.popleft())
        while self._cuts:
            self._measuring.take(self._cuts.popleft())
        outputs: list[Output] = []
        if self._rescoring is not None and not self._part.overdue:
            outputs.append(self._rescoring.step())
            self._rescoring = None if self._rescoring.over else self._rescoring
        return outputs + self._measuring.step()

    def _adopt(self, model: Model) -> None:
        """Score with a model; the round of an older one ends, as this one brings everybody up to both."""
        if model.snapshot is None:
            self._part.withdraw(model.target)
        elif self._part.adopt(model.snapshot):
            self._rescoring = Round(self._part.rescore, str(model.offset))
