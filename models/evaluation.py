"""How good scores were, from a list of them with what came: exact, and for any part of the list."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.model_reports import Quality

_CERTAIN: Final = 1e-15  # as River's LogLoss: a certain score that fails costs 34.5, not infinity
_STEPS: Final = 50
_CLOSE: Final = 1e-10
_STEEPEST: Final = 50.0


def quality(scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> Quality:
    """What scores were worth.

    Parameters
    ----------
    scores, labels
        Probabilities and what came, shape (n,).
    """
    answers, positives = len(labels), int(labels.sum())
    if not answers:
        return Quality(0, 0)
    certain = np.clip(scores, _CERTAIN, 1.0 - _CERTAIN)
    loss = -float(np.mean(np.log(np.where(labels, certain, 1.0 - certain))))
    return Quality(answers, positives, float(scores.mean()), loss, auc(scores, labels), slope(certain, labels))


def auc(scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> float | None:
    """Probability that a positive has a higher score than a negative, ties count half; None without both."""
    positives = int(labels.sum())
    pairs = positives * (len(labels) - positives)
    if not pairs:
        return None
    _, place = np.unique(scores, return_inverse=True)
    won = np.bincount(place, weights=labels)
    lost = np.bincount(place) - won
    lower = np.cumsum(lost) - lost
    return float(np.sum(won * (2.0 * lower + lost))) / (2.0 * pairs)


def slope(scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> float | None:
    """Slope of a logistic regression of what came on the scores' log odds: 1 is calibrated, below 1 too extreme.

    None without both labels, where all scores are equal, and where no finite slope fits best.

    Parameters
    ----------
    scores
        Above 0 and below 1, shape (n,).
    """
    x, y = np.log(scores / (1.0 - scores)), labels.astype(np.float64)
    if not 0 < y.sum() < len(y) or np.ptp(x) == 0.0:
        return None
    design, found = np.column_stack([np.ones_like(x), x]), np.array([0.0, 1.0])
    for _ in range(_STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(design @ found, -40.0, 40.0)))
        information = (design * (p * (1.0 - p))[:, None]).T @ design
        try:
            step = np.linalg.solve(information, design.T @ (y - p))
        except np.linalg.LinAlgError:
            return None
        found = found + step * min(1.0, 2.0 / max(float(np.abs(step).max()), _CLOSE))
        if abs(found[1]) > _STEEPEST:
            return None
        if float(np.abs(step).max()) < _CLOSE:
            return float(found[1])
    return None
