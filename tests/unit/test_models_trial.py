"""The challenger's test errs as seldom as it says, sees what is there, and restarts without a trace."""

from __future__ import annotations

import math
import random

import msgspec
import pytest

from models.snapshot import probability
from models.state import TrialState
from models.trial import Trial, loss
from schemas.durations import DAY

ANSWERS_A_DAY = 20


def outcome(draw: random.Random, logit: float) -> bool:
    return draw.random() < probability(logit)


def highest(seed: int, days: int, champion_off: float, challenger_off: float) -> float:
    """The most evidence there ever is against a champion that errs so far, by a challenger that errs so far."""
    draw, trial, most = random.Random(seed), Trial(), 1.0
    for day in range(days):
        for _ in range(ANSWERS_A_DAY):
            truth = draw.gauss(-2.0, 1.0)
            first, second = (truth + draw.gauss(0.0, off) for off in (champion_off, challenger_off))
            trial.update(first, second, outcome(draw, truth), day * DAY)
        most = max(most, trial.evidence)
    return most


def test_a_challenger_that_is_no_better_seldom_reaches_the_evidence_however_often_one_looks() -> None:
    reached = sum(highest(seed, 60, 0.5, 0.5) >= 20.0 for seed in range(60))
    assert reached <= 6  # 3 expected at most; 7 or more have a probability of 3 %
    assert sum(highest(seed, 60, 0.4, 0.8) >= 20.0 for seed in range(20)) == 0


def test_a_challenger_that_is_better_reaches_it() -> None:
    assert all(highest(seed, 90, 1.5, 0.2) >= 20.0 for seed in range(5))


def test_a_day_is_one_bet_and_the_gain_is_the_mean_of_the_days() -> None:
    trial = Trial(8 * 3_600_000)
    assert not trial.update(0.0, 1.0, True, 15 * 3_600_000)
    assert trial.update(0.0, 1.0, False, 16 * 3_600_000)  # midnight, eight hours ahead of UTC
    assert trial.update(0.0, 0.0, False, 40 * 3_600_000)
    assert trial.days == 2
    assert trial.since == 15 * 3_600_000
    up, down = (math.log(2) - loss(1.0, label) for label in (True, False))
    assert trial.gain == pytest.approx((up + down) / 2)


def test_models_that_say_the_same_are_never_told_apart() -> None:
    trial = Trial()
    for day in range(50):
        trial.update(-1.0, -1.0, day % 7 == 0, day * DAY)
    assert (trial.evidence, trial.gain) == (1.0, 0.0)


def test_a_restored_trial_goes_on_to_the_same_bit_for_bit() -> None:
    draw, straight, resumed = random.Random(1), Trial(), Trial()
    for number in range(400):
        if number in (57, 200):
            state = msgspec.json.decode(msgspec.json.encode(resumed.state()), type=TrialState)
            resumed = Trial()
            resumed.load(state)
        truth = draw.gauss(-2.0, 1.0)
        given = (draw.gauss(truth, 1.0), truth, outcome(draw, truth), number * DAY // 9)
        assert straight.update(*given) == resumed.update(*given)
    assert straight.state() == resumed.state()
    assert straight.evidence > 1.0


@pytest.mark.parametrize("logit", [-800.0, -3.0, 0.0, 2.0, 800.0])
def test_the_loss_is_the_logarithm_of_what_was_given_to_what_came(logit: float) -> None:
    if abs(logit) < 700:
        assert loss(logit, True) == pytest.approx(-math.log(probability(logit)))
    assert loss(logit, True) - loss(logit, False) == pytest.approx(-logit)
