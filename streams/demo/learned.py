"""How well each target was learned: what its model's kept predictions were worth, next to what could be known at all.

Figures of the predictions are the trainer's own, from its newest snapshot. For a simulated target the same answers are
also judged by the simulator's true probability: no model can be expected to rank better.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.catalogue import Target
from schemas.learning import Decile, ModelSnapshot
from streams.demo import DAY_MS
from streams.demo.examples import Examples, Judged

TRUE_TARGET: Final = "deposit"
"""The target whose probability the simulated bank knows; it has none in closed form for the others."""


class Learned(msgspec.Struct, frozen=True):
    """A target at the end of a demo.

    Attributes
    ----------
    questions, answers, positives, unanswered
        As its topic has them.
    warming
        Whether the first horizon is not over.
    judged
        By how many answers the predictions were judged; of later ones there is no snapshot yet.
    base_rate
        The share of positives among those.
    auc, log_loss
        Progressive, of the predictions as they were made; None before there are any.
    base_log_loss
        What always foretelling the base rate would have cost.
    true_auc
        Of the true probabilities, over the same answers; None where there is no truth.
    """

    target: str
    title: dict[str, str]
    settled_ms: int
    questions: int
    answers: int
    positives: int
    unanswered: int
    warming: bool
    judged: int = 0
    base_rate: float | None = None
    auc: float | None = None
    log_loss: float | None = None
    base_log_loss: float | None = None
    true_auc: float | None = None
    deciles: list[Decile] = []


class Odds(msgspec.Struct, frozen=True):
    """True probabilities of a simulation.

    Attributes
    ----------
    day
        Shape (days,), rising: days since `start_ms`; a value holds at such a day's end.
    p
        Shape (customers, days).
    start_ms
        UTC ms when the simulation's day 0 begins.
    fallen
        By `customer` and `at` (UTC ms): until that moment, on its day, the value is `before`.
    """

    day: NDArray[np.int64]
    p: NDArray[np.floating[Any]]
    start_ms: int
    fallen: NDArray[Any]

    @classmethod
    def load(cls, file: Path, start_ms: int) -> Odds | None:
        """Those that `bank_truth.Truth.save` wrote; None where there is no such file."""
        if not file.exists():
            return None
        with np.load(file) as arrays:
            return cls(arrays["day"], arrays["p"], start_ms, arrays["fallen"])

    def of(self, judged: Judged) -> NDArray[np.float64]:
        """The probability of each, as `at` gives it."""
        return self.at(np.array([int(customer[1:]) for customer in judged.customers], dtype=np.int64), judged.asked_ms)

    def at(self, numbers: NDArray[np.int64], asked_ms: NDArray[np.int64]) -> NDArray[np.float64]:
        """The probabilities of customers by number at moments of their own, from the last day that has one.

        Returns
        -------
        Shape (answers,); NaN where there is none.
        """
        asked = (asked_ms - self.start_ms) // DAY_MS
        column = np.searchsorted(self.day, asked, side="right") - 1
        found = np.full(len(numbers), np.nan)
        known = (column >= 0) & (numbers < len(self.p))
        found[known] = self.p[numbers[known], column[known]]
        # The customer's next trigger, where it falls later on the same day. Times of a year take 35 bits.
        key = self.fallen["customer"].astype(np.int64) << 36 | self.fallen["at"] - self.start_ms
        later = np.searchsorted(key, numbers << 36 | asked_ms - self.start_ms, side="right")
        places = np.flatnonzero(known & (later < len(key)))
        comes = self.fallen[later[places]]
        same_day = (comes["at"] - self.start_ms) // DAY_MS == asked[places]
        same = (comes["customer"] == numbers[places]) & same_day & (self.day[column[places]] == asked[places])
        found[places[same]] = comes["before"][same]
        return found


def learned(target: Target, examples: Examples, model: ModelSnapshot | None, odds: Odds | None = None) -> Learned:
    """How well a target was learned; `odds` of the answers where they are known."""
    found = Learned(
        target=target.name,
        title=target.title,
        settled_ms=target.label.settled_ms,
        questions=examples.questions,
        answers=examples.answers,
        positives=examples.positives,
        unanswered=examples.unanswered,
        warming=examples.warming,
    )
    if model is None or not model.learned:
        return found
    judged = examples.judged().first(model.learned)
    rate = float(judged.labels.mean()) if len(judged.labels) else None
    return msgspec.structs.replace(
        found,
        judged=model.learned,
        base_rate=rate,
        auc=model.auc,
        log_loss=model.log_loss,
        base_log_loss=None if rate is None else entropy(rate),
        true_auc=None if odds is None else true_auc(odds, judged),
        deciles=model.deciles,
    )


def true_auc(odds: Odds, judged: Judged) -> float | None:
    """ROC AUC of the true probability; answers without one are left out."""
    p = odds.of(judged)
    known = ~np.isnan(p)
    return auc(p[known], judged.labels[known])


def auc(scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> float | None:
    """Probability that a positive has a higher score than a negative, ties count half; None without both.

    Parameters
    ----------
    scores, labels
        Shape (n,).
    """
    positives = int(labels.sum())
    pairs = positives * (len(labels) - positives)
    if not pairs:
        return None
    _, place = np.unique(scores, return_inverse=True)
    both = np.bincount(place)
    won = np.bincount(place, weights=labels).astype(np.int64)
    lost = both - won
    lower = np.cumsum(lost) - lost
    return int(np.sum(won * (2 * lower + lost))) / (2 * pairs)


def entropy(rate: float) -> float:
    """Mean log loss of a prediction that always says the share of positives, which is the best constant one."""
    return -sum(share * math.log(share) for share in (rate, 1.0 - rate) if share)
