"""Scores judged from a list: equal to what is worked out by hand, and to what a trainer counts as it goes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.evaluation import auc, quality, slope
from models.progress import Progress
from schemas.model_reports import Quality


def drawn(count: int, steep: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and labels that come with log odds `steep` times as extreme as theirs."""
    draw = np.random.default_rng(4)
    logits = draw.normal(-2.0, 1.5, count)
    came = draw.random(count) < 1.0 / (1.0 + np.exp(-steep * logits))
    return 1.0 / (1.0 + np.exp(-logits)), came


def test_few_scores_by_hand() -> None:
    found = quality(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, True, False, False]))
    assert (found.answers, found.positives, found.mean_score) == (4, 1, pytest.approx(0.425))
    assert found.auc == pytest.approx(1.5 / 3)
    assert found.log_loss == pytest.approx(-(math.log(0.9) + math.log(0.4) + math.log(0.6) + math.log(0.2)) / 4)


def test_it_says_what_progressive_metrics_say() -> None:
    scores, labels = drawn(5_000)
    progress = Progress()
    for score, label in zip(scores.tolist(), labels.tolist(), strict=True):
        progress.update(math.log(score / (1 - score)), label)
    found = quality(scores, labels)
    assert found.log_loss == pytest.approx(progress.log_loss, rel=1e-12)
    assert found.mean_score == pytest.approx(progress.mean_score, rel=1e-12)
    assert found.auc == pytest.approx(progress.auc, abs=1e-4)


@pytest.mark.parametrize("steep", [0.5, 1.0, 2.0])
def test_the_slope_is_how_much_more_extreme_log_odds_should_have_been(steep: float) -> None:
    assert slope(*drawn(100_000, steep)) == pytest.approx(steep, rel=0.03)


def test_what_can_not_be_told_is_none() -> None:
    none, some = np.zeros(0), np.array([0.2, 0.3])
    assert quality(none, none.astype(bool)) == Quality(0, 0)
    assert (auc(some, np.array([True, True])), slope(some, np.array([True, True]))) == (None, None)
    assert slope(np.array([0.2, 0.2]), np.array([True, False])) is None
    assert slope(some, np.array([False, True])) is None  # no finite slope fits best
