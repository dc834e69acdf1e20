"""What came tells how far log odds are to be trusted, and the second stage mends them only where it has to."""

from __future__ import annotations

import random

import msgspec
import numpy as np
import pytest

from models.reliability import Reliability, calibrated
from models.snapshot import probability
from models.state import ReliabilityState
from schemas.durations import DAY
from schemas.learning import Calibration


def drawn(count: int, slope: float, intercept: float, seed: int = 2) -> list[tuple[float, bool]]:
    """Log odds, and what comes of them where their true ones are `slope * logit + intercept`."""
    draw = random.Random(seed)
    logits = [draw.gauss(-2.5, 1.5) for _ in range(count)]
    return [(logit, draw.random() < probability(slope * logit + intercept)) for logit in logits]


HORIZON_DAYS = 20


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
    assert not found.decide(0, DAY)


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.6, -0.8), (1.5, 0.5), (1.0, 0.7)])
def test_it_finds_what_a_fit_of_all_answers_finds(slope: float, intercept: float) -> None:
    judged = drawn(8_000, slope, intercept)
    found = after(judged).measured
    assert (found.slope, found.intercept) == pytest.approx(fitted(judged), abs=0.08)


def lived(found: Reliability, judged: list[tuple[float, bool]], a_day: int = 100, since: int = 0) -> list[bool]:
    """Whether the second stage was in force at each day's end, where questions are settled a horizon after."""
    told, days = list[bool](), [judged[at : at + a_day] for at in range(0, len(judged), a_day)]
    for day, answers in enumerate(days, since):
        for logit, label in answers:
            found.comparison.settle(logit, label, (day - HORIZON_DAYS) * DAY)
            found.update(logit, label)
        found.decide(day * DAY, HORIZON_DAYS * DAY)
        told.append(found.mending)
    return told


def test_calibrated_log_odds_are_left_as_they_are() -> None:
    found = Reliability()
    assert not any(lived(found, drawn(12_000, 1.0, 0.0)))
    assert found.calibration == Calibration()


def test_log_odds_too_extreme_are_mended_once_that_was_seen_to_help() -> None:
    found = Reliability()
    told = lived(found, drawn(8_000, 0.6, -0.8))
    begins = told.index(True)
    assert HORIZON_DAYS < begins < HORIZON_DAYS + 20
    assert all(told[begins:])
    mended = [(calibrated(found.calibration, logit), label) for logit, label in drawn(20_000, 0.6, -0.8, seed=9)]
    slope, intercept = fitted(mended)
    assert slope == pytest.approx(1.0, abs=0.1)
    assert slope * -2.5 + intercept == pytest.approx(-2.5, abs=0.1)


def test_log_odds_that_mean_again_what_they_say_are_left_alone_long_before_the_regression_forgets() -> None:
    found = Reliability()
    lived(found, drawn(8_000, 0.6, -0.8))
    assert found.mending
    told = lived(found, drawn(12_000, 1.0, 0.0, seed=4), since=80)
    assert not told[-1]
    assert found.calibration == Calibration()
    assert abs(found.measured.slope - 1.0) > 0.05


def test_what_was_mended_meanwhile_is_not_mended_again() -> None:
    """Answers to old questions are told to it by a model that is too extreme no longer where it is asked."""
    found, days = Reliability(), 120
    said, given = drawn(days * 100, 1.4, 0.6, seed=5), drawn(days * 100, 1.0, 0.0, seed=6)
    for day in range(days):
        for (logit, label), (raw, came) in zip(said[day::days], given[day::days], strict=True):
            found.comparison.settle(raw, came, (day - HORIZON_DAYS) * DAY)
            found.update(logit, label)
        assert not found.decide(day * DAY, HORIZON_DAYS * DAY)
    assert found.measured.slope > 1.2


def test_after_a_drift_the_regression_decides_alone_until_questions_from_then_on_are_settled() -> None:
    found = Reliability()
    lived(found, drawn(4_000, 1.0, 0.0))
    found.forget(0.02)
    told = lived(found, drawn(1_500, 1.0, 1.0, seed=5), since=40)
    assert told.index(True) < HORIZON_DAYS


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
    straight, resumed = Reliability(), Reliability()
    for one in (straight, resumed):
        lived(one, drawn(3_000, 0.5, 0.0))
    resumed = Reliability.of(msgspec.json.decode(msgspec.json.encode(resumed.state()), type=ReliabilityState))
    for one in (straight, resumed):
        lived(one, drawn(300, 0.5, 0.0, seed=7), since=30)
    assert straight.state() == resumed.state()


def test_a_state_from_before_stages_were_compared_is_read() -> None:
    old = {"slope": 0.7, "offset": 0.1, "information": [50.0, 1.0, 60.0], "answers": 900, "mending": True}
    found = Reliability.of(msgspec.json.decode(msgspec.json.encode(old), type=ReliabilityState))
    assert found.mending
    assert found.comparison.gain is None
    assert not found.comparison.hurts
