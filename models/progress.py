"""How good a model's predictions were, each judged by its answer: progressive metrics.

Everything but two sums is counted in a histogram of the logits by label, in buckets 0.001 wide between -20 and 20: an
update is O(1), AUC and deciles are worked out when asked for, and neither depends on the order of the answers.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.snapshot import probability
from models.state import HistogramState, ProgressState
from schemas.learning import Decile

WIDEST: Final = 20.0
BUCKETS_A_UNIT: Final = 1_000
BUCKETS: Final = int(2 * WIDEST) * BUCKETS_A_UNIT + 1
# As River's LogLoss: a certain prediction that fails costs 34.5, not infinity.
_CERTAIN: Final = 1e-15


class Progress:
    """Metrics of the predictions made for questions whose answers are known by now."""

    def __init__(self) -> None:
        # Shape (2, BUCKETS): the answers by label and bucket.
        self._counts: NDArray[np.int64] = np.zeros((2, BUCKETS), dtype=np.int64)
        self._loss = 0.0
        self._scores = 0.0

    def update(self, logit: float, label: bool) -> None:
        """Count a prediction and what came."""
        score = probability(logit)
        certain = min(max(score, _CERTAIN), 1.0 - _CERTAIN)
        self._loss -= math.log(certain if label else 1.0 - certain)
        self._scores += score
        self._counts[int(label), bucket(logit)] += 1

    def merge(self, other: Progress) -> None:
        """Count all that another has counted."""
        self._counts += other._counts
        self._loss += other._loss
        self._scores += other._scores

    @property
    def answers(self) -> int:
        """How many predictions were judged."""
        return int(self._counts.sum())

    @property
    def positives(self) -> int:
        """How many of the answers were positive."""
        return int(self._counts[1].sum())

    @property
    def base_rate(self) -> float | None:
        """Share of positives; None before any answer."""
        return self.positives / self.answers if self.answers else None

    @property
    def mean_score(self) -> float | None:
        """Mean predicted probability, equal to the base rate where the model is calibrated; None before any answer."""
        return self._scores / self.answers if self.answers else None

    @property
    def log_loss(self) -> float | None:
        """Mean of -log(probability given to what came), as River's LogLoss; None before any answer."""
        return self._loss / self.answers if self.answers else None

    @property
    def auc(self) -> float | None:
        """Probability that a positive had a higher logit than a negative; None before both were met.

        Of logits in one bucket neither is higher: that counts as a half.
        """
        negatives, positives = self._counts
        pairs = self.positives * (self.answers - self.positives)
        if not pairs:
            return None
        lower = np.cumsum(negatives) - negatives
        # In halves of a pair, so that all is integer: exact as long as there are fewer than 2^62 pairs.
        won = int(np.sum(positives * (2 * lower + negatives)))
        return won / (2 * pairs)

    def deciles(self) -> list[Decile]:
        """The answers in ten parts by rising score; a part that is empty, since scores are equal, is left out."""
        both = self._counts.sum(axis=0)
        filled = np.flatnonzero(both)
        if not len(filled):
            return []
        counts, positives = both[filled], self._counts[1, filled]
        middles = (filled - BUCKETS // 2) / BUCKETS_A_UNIT
        scores = counts / (1.0 + np.exp(-middles))
        # A bucket belongs where the middle of its answers does.
        tenth = (2 * np.cumsum(counts) - counts) * 10 // (2 * self.answers)
        parts = (np.bincount(tenth, weights, minlength=10) for weights in (counts, positives, scores))
        rows = zip(*parts, strict=True)
        return [Decile(int(n), int(came), float(total / n)) for n, came, total in rows if n]

    def state(self) -> ProgressState:
        """All that it has counted."""
        negatives, positives = map(_histogram, self._counts)
        return ProgressState(self._loss, self._scores, negatives, positives)

    @classmethod
    def of(cls, state: ProgressState) -> Progress:
        """Metrics that go on from a state."""
        made = cls()
        made._loss, made._scores = state.loss, state.scores
        for counts, kept in zip(made._counts, (state.negatives, state.positives), strict=True):
            counts[kept.first : kept.first + len(kept.counts)] = kept.counts
        return made


def bucket(logit: float) -> int:
    """The bucket whose middle is nearest to a logit; those beyond -20 and 20 are in the outermost."""
    return round((min(max(logit, -WIDEST), WIDEST) + WIDEST) * BUCKETS_A_UNIT)


def _histogram(counts: NDArray[np.int64]) -> HistogramState:
    filled = np.flatnonzero(counts)
    if not len(filled):
        return HistogramState(0, [])
    first, last = int(filled[0]), int(filled[-1])
    return HistogramState(first, counts[first : last + 1].tolist())
