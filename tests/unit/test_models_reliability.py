"""What came tells how far log odds are to be trusted, and the second stage mends them only where it has to."""

from __future__ import annotations

import random

import msgspec
import numpy as np
import pytest

from models.reliability import Reliability, calibrated
from models.snapshot import probability
from models.state import ReliabilityState
from schemas.learning import Calibration


def drawn(count: int, slope: float, intercept: float, seed: int = 2) -> list[tuple[float, bool]]:
    """Log odds, and what comes of them where their true ones are `slope * logit + intercept`."""
    draw = random.Random(seed)
    logits = [draw.gauss(-2.5, 1.5) for _ in range(count)]
    return [(logit, draw.random() < probability(slope * logit + intercept)) for logit in logits]


def after(judged: list[tuple[float, bool]]) -> Reliability:
    made = Reliability()
    for logit, label in judged:
        made.update(logit, label)
    return made


def fitted(judged: list[tuple[float, bool]]) -> tuple[float, float]:
    """Slope and intercept by maximum likelihood."""
    x, y = np.array([[logit, 1.0] for logit, _ in judged]), np.array([float(label) for _, label in judged])
    found = np.array([1.0, 0.0])
    for _ in range(30):
        p = 1.0 / (1.0 + np.exp(-x @ found))
        found = found + np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x, x.T @ (y - p))
    return float(found[0]), float(found[1])


def test_before_any_answer_nothing_is_said_and_nothing_mended() -> None:
    found = Reliability()
    assert (found.slope, found.measured, found.calibration) == (None, Calibration(), Calibration())
    assert not found.decide()


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.6, -0.8), (1.5, 0.5), (1.0, 0.7)])
def test_it_finds_what_a_fit_of_all_answers_finds(slope: float, intercept: float) -> None:
    judged = drawn(8_000, slope, intercept)
    found = after(judged).measured
    assert (found.slope, found.intercept) == pytest.approx(fitted(judged), abs=0.08)


def test_calibrated_log_odds_are_left_as_they_are() -> None:
    found = Reliability()
    for number, (logit, label) in enumerate(drawn(8_000, 1.0, 0.0)):
        found.update(logit, label)
        if number % 100 == 0:
            assert not found.decide()
    assert found.calibration == Calibration()


def test_log_odds_too_extreme_are_mended_until_they_need_it_no_more() -> None:
    found = after(drawn(5_000, 0.6, -0.8))
    assert found.decide()
    assert not found.decide()
    test = drawn(20_000, 0.6, -0.8, seed=9)
    mended = [(calibrated(found.calibration, logit), label) for logit, label in test]
    slope, intercept = fitted(mended)
    assert slope == pytest.approx(1.0, abs=0.1)
    assert slope * -2.5 + intercept == pytest.approx(-2.5, abs=0.1)
    for logit, label in drawn(70_000, 1.0, 0.0, seed=4):
        found.update(logit, label)
    assert found.decide()
    assert found.calibration == Calibration()


def test_after_forgetting_a_new_level_is_followed_within_hundreds_of_answers() -> None:
    slow, quick = after(drawn(20_000, 1.0, 0.0)), after(drawn(20_000, 1.0, 0.0))
    quick.forget(0.02)
    for logit, label in drawn(800, 1.0, 1.0, seed=5):
        slow.update(logit, label)
        quick.update(logit, label)
    at = -2.5
    assert calibrated(quick.measured, at) - at == pytest.approx(1.0, abs=0.35)
    assert calibrated(slow.measured, at) - at < 0.3


def test_a_restored_one_goes_on_to_the_same_bit_for_bit() -> None:
    straight, resumed = after(drawn(300, 0.5, 0.0)), after(drawn(300, 0.5, 0.0))
    resumed = Reliability.of(msgspec.json.decode(msgspec.json.encode(resumed.state()), type=ReliabilityState))
    for logit, label in drawn(300, 0.5, 0.0, seed=7):
        straight.update(logit, label)
        resumed.update(logit, label)
    assert straight.state() == resumed.state()
