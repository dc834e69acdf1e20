"""New cut-points and lifetime parameters on their way to a partition's customers: one set at a time, slice by slice."""

from __future__ import annotations

from streams.gathering import Cut
from streams.output import Output
from streams.processor import Partition
from streams.rounds import Round


class Measuring:
    """The rounds of one partition. A round ends before the next begins; of sets that wait, a tag's newest counts."""

    def __init__(self, part: Partition) -> None:
        self._part = part
        self._waiting: dict[tuple[type, str], Cut] = {}
        self._round: Round | None = None

    def take(self, cut: Cut) -> None:
        """Have these cut-points adopted when it is their turn."""
        self._waiting[type(cut.points), cut.points.name] = cut

    @property
    def at_work(self) -> bool:
        """Whether there is anything left to do."""
        return self._round is not None or bool(self._waiting)

    def step(self) -> list[Output]:
        """Bring some more customers up to the cut-points; between two records."""
        while self._round is None and self._waiting:
            cut = self._waiting.pop(next(iter(self._waiting)))
            if self._part.adopt_cuts(cut.points):
                self._round = Round(self._part.recut, str(cut.offset))
        if self._round is None:
            return []
        output = self._round.step()
        if self._round.over:
            self._round = None
        return [output]
