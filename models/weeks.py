"""The questions of each week: what both models foretold of them, as shown, and what came.

A model may be calibrated over all and not over time: where customers grow in number, or a habit changes, it shows in
the weeks first. A week is where its questions were asked, not where their answers came.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from models.entries import Touched
from models.snapshot import probability
from models.state import TallyState, WeekState
from models.trial import loss
from schemas.durations import DAY
from schemas.learning import Pipeline
from schemas.model_reports import Quality

PREFIX: Final = b"week/"
WEEK: Final = 7 * DAY
MONDAY: Final = 4 * DAY  # 1970-01-05
BUCKETS_A_UNIT: Final = 20
OPEN: Final = 26
"""So many weeks keep their buckets; answers that come later still count, in all but the AUC."""
MOST: Final = 104
LATELY: Final = 4


class Weeks:
    """The weeks of a target's questions.

    Parameters
    ----------
    offset_ms
        What the local week is ahead of UTC.
    """

    def __init__(self, offset_ms: int = 0) -> None:
        self._offset_ms = offset_ms
        self._weeks: dict[int, WeekState] = {}
        self._touched: Touched[int] = Touched()

    def asked(self, at_ms: int) -> None:
        """Count a question."""
        number = self._number(at_ms)
        if number not in self._weeks:
            self._weeks[number] = WeekState(0, TallyState(), TallyState())
            self._touched.opened(number)
            self._age(max(self._weeks))
        else:
            self._touched.changed(number)
        self._weeks[number].asked += 1

    def settled(self, asked_ms: int, linear: float, crossed: float, label: bool) -> None:
        """Count the answer to a question of that time, with the log odds that both models showed."""
        number = self._number(asked_ms)
        week = self._weeks.get(number)
        if week is None:
            return
        self._touched.changed(number)
        for tally, logit in ((week.linear, linear), (week.crossed, crossed)):
            tally.answers += 1
            tally.positives += label
            tally.loss += loss(logit, label)
            tally.scores += probability(logit)
            if tally.auc is None:
                tally.buckets.setdefault(round(logit * BUCKETS_A_UNIT), [0, 0])[label] += 1

    def _age(self, newest: int) -> None:
        """Forget the oldest weeks, and the buckets of old ones."""
        for number, week in list(self._weeks.items()):
            if number <= newest - MOST:
                del self._weeks[number]
                self._touched.closed(number)
            elif number <= newest - OPEN:
                for tally in (week.linear, week.crossed):
                    if tally.buckets:
                        tally.auc, tally.buckets = _auc(tally), {}
                        self._touched.changed(number)

    def _number(self, at_ms: int) -> int:
        return (at_ms + self._offset_ms - MONDAY) // WEEK

    def begins(self, number: int) -> int:
        """A week's first moment, UTC ms."""
        return number * WEEK + MONDAY - self._offset_ms

    def all(self) -> list[tuple[int, WeekState]]:
        """The weeks by number, the oldest first."""
        return sorted(self._weeks.items())

    def in_large(self, pipeline: Pipeline) -> float | None:
        """Positives over those that the model foretold, of the newest weeks with answers; None before any."""
        newest = [qualities(week)[pipeline] for _, week in self.all() if week.linear.answers][-LATELY:]
        foretold = sum(one.mean_score * one.answers for one in newest if one.mean_score is not None)
        return sum(one.positives for one in newest) / foretold if foretold else None

    def take_entries(self) -> list[tuple[bytes, bytes | None]]:
        """What has changed since the last call; None removes a key."""
        encode, weeks = msgspec.json.encode, self._weeks
        return [(PREFIX + b"%d" % n, encode(weeks[n]) if n in weeks else None) for n in self._touched.take()]

    def load(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Go on from a table's weeks."""
        decode = msgspec.json.Decoder(WeekState).decode
        self._weeks = {int(key.removeprefix(PREFIX)): decode(value) for key, value in entries}


def qualities(week: WeekState) -> dict[Pipeline, Quality]:
    """What each model's predictions for a week were worth; empty before any answer."""
    pairs = ((Pipeline.LINEAR, week.linear), (Pipeline.CROSSED, week.crossed))
    return {pipeline: _quality(tally) for pipeline, tally in pairs if tally.answers}


def _quality(tally: TallyState) -> Quality:
    n = tally.answers
    auc = _auc(tally) if tally.buckets else tally.auc
    return Quality(n, tally.positives, tally.scores / n, tally.loss / n, auc)


def _auc(tally: TallyState) -> float | None:
    """Share of pairs of a positive and a negative in order; within a bucket that counts as a half."""
    lower, won, pairs = 0, 0, tally.positives * (tally.answers - tally.positives)
    for _, (negatives, positives) in sorted(tally.buckets.items()):
        won += positives * (2 * lower + negatives)
        lower += negatives
    return won / (2 * pairs) if pairs else None
