"""Both models judged by a simulated truth: ranking, calibration, promotion, drift and recovery; and nothing leaks."""

from __future__ import annotations

import random
from collections import defaultdict

import msgspec
import numpy as np
import pytest

from models.snapshot import probability
from models.trainer import Trainer
from schemas.catalogue import Promotion, Target
from schemas.durations import DAY
from schemas.learning import Answer, Example, Pipeline, Question
from schemas.model_reports import Happening, ModelEvent, Series
from tests import simulated
from tests.simulated import START, TARGET, TRANSFORMS, Asked, Truth, asked, auc, examples


class Run:
    """A trainer that took examples in, with what it said of each question."""

    def __init__(self, given: list[Asked], target: Target = TARGET, told: list[Example] | None = None) -> None:
        self.trainer = Trainer(target, TRANSFORMS)
        self.asked, self.said = given, dict[str, tuple[float, float, float, float]]()
        for example in told or examples(given):
            self.trainer.take([example])
            if isinstance(example, Question):
                kept = self.trainer.kept(example.id)
                assert kept is not None
                self.said[example.id] = (*kept.raw, *kept.shown)
        self.events = self.trainer.take_events()

    def auc(self, place: int, since: int = 60) -> float:
        """Of the log odds in that place, over the questions since that day and long enough ago to be answered."""
        later = self.later(since)
        return auc([self.said[one.question.id][place] for one in later], [one.label for one in later])

    def truth(self, since: int = 60) -> float:
        later = self.later(since)
        return auc([one.truth for one in later], [one.label for one in later])

    def later(self, since: int) -> list[Asked]:
        return [one for one in self.asked if one.question.at >= START + since * DAY]

    def in_large(self, since: int, until: int) -> float:
        """Positives over those foretold, as shown, of the questions between two days."""
        days = [one for one in self.later(since) if one.question.at < START + until * DAY]
        return sum(one.label for one in days) / sum(probability(self.said[one.question.id][3]) for one in days)


def fitted(judged: list[tuple[float, bool]]) -> float:
    """The slope of what came on log odds, by maximum likelihood."""
    x, y = np.array([[logit, 1.0] for logit, _ in judged]), np.array([float(label) for _, label in judged])
    found = np.array([1.0, 0.0])
    for _ in range(30):
        p = 1.0 / (1.0 + np.exp(-x @ found))
        found = found + np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x, x.T @ (y - p))
    return float(found[0])


@pytest.fixture(scope="module")
def run() -> Run:
    """Half a year of a target that it takes products to foretell."""
    return Run(asked(simulated.crossed, 180, 35, seed=1))


def test_the_crossed_model_ranks_nearly_as_well_as_the_truth_and_the_linear_one_does_not(run: Run) -> None:
    assert run.auc(1, since=120) > run.truth(since=120) - 0.015
    assert run.auc(0, since=120) < run.truth(since=120) - 0.03


def test_a_linear_target_is_ranked_nearly_as_well_as_by_the_truth() -> None:
    plain = Run(asked(simulated.plain, 120, 25, seed=2))
    assert plain.auc(0) > plain.truth() - 0.03


def test_the_challenger_is_promoted_by_evidence_and_told_with_its_numbers(run: Run) -> None:
    promoted = [event for event in run.events if event.what is Happening.PROMOTED]
    assert [event.model for event in promoted] == [Pipeline.CROSSED]
    (trial,) = (event.trial for event in promoted)
    assert trial is not None
    assert trial.evidence >= trial.needed == 20.0
    assert trial.gain is not None
    assert trial.gain > 0
    assert run.trainer.choosing.champion is Pipeline.CROSSED


def test_by_hand_only_the_evidence_grows_and_nothing_is_promoted() -> None:
    target = msgspec.structs.replace(TARGET, promotion=Promotion(20.0, automatic=False))
    run = Run(asked(simulated.crossed, 90, 30, seed=1), target)
    assert run.trainer.choosing.trial.evidence > 20.0
    assert not [event for event in run.events if event.what is Happening.PROMOTED]


def test_what_is_shown_is_calibrated(run: Run) -> None:
    later = run.later(120)
    slope = fitted([(run.said[one.question.id][3], one.label) for one in later])
    assert slope == pytest.approx(1.0, abs=0.15)
    assert run.in_large(100, 180) == pytest.approx(1.0, abs=0.15)
    weeks = [week.crossed for _, week in run.trainer.weeks.all() if week.crossed.answers]
    assert sum(week.answers for week in weeks) == run.trainer.counters.learned
    assert not [event for event in run.events if event.what is Happening.DRIFTED]


def test_outcomes_dealt_out_anew_within_each_week_leave_nothing_to_rank_by() -> None:
    given, weeks = asked(simulated.plain, 100, 30, seed=3), defaultdict[int, list[int]](list)
    for place, one in enumerate(given):
        weeks[one.question.at // (7 * DAY)].append(place)
    labels, draw = [one.label for one in given], random.Random(0)
    for places in weeks.values():
        dealt = draw.sample([labels[place] for place in places], len(places))
        for place, label in zip(places, dealt, strict=True):
            labels[place] = label
    dealt_out = [Asked(one.question, one.truth, label) for one, label in zip(given, labels, strict=True)]
    run = Run(dealt_out)
    assert run.auc(0) == pytest.approx(0.5, abs=0.05)
    assert run.auc(1) == pytest.approx(0.5, abs=0.05)


def test_what_is_said_rests_on_no_answer_that_settles_later() -> None:
    given = asked(simulated.plain, 75, 15, seed=4)
    told = examples(given)
    turned = [
        msgspec.structs.replace(one, label=not one.label)
        if isinstance(one, Answer) and one.at + TARGET.label.settled_ms > START + 60 * DAY
        else one
        for one in told
    ]
    one, other = Run(given, told=told), Run(given, told=turned)
    early = [asked.question.id for asked in given if asked.question.at < START + 60 * DAY]
    assert [one.said[name] for name in early] == [other.said[name] for name in early]
    assert one.said != other.said


# ------------------------------------------------------------------------------------------------ drift

CHANGE = 90


def first(events: list[ModelEvent], series: Series, what: Happening = Happening.DRIFTED) -> ModelEvent:
    return next(event for event in events if event.what is what and event.drift and event.drift.series is series)


def doubled(truth: Truth) -> Truth:
    """The same with about twice the base rate from the day of the change."""
    return lambda inflow, views, age, day: truth(inflow, views, age, day) + (0.9 if day >= CHANGE else 0.0)


def test_a_doubled_base_rate_is_reported_within_3000_examples_and_followed() -> None:
    run = Run(asked(doubled(simulated.plain), 200, 30, seed=5))
    event = first(run.events, Series.BASE_RATE)
    assert event.drift is not None
    assert event.drift.after > 1.5 * event.drift.before
    assert event.drift.examples <= 3_000
    began = run.events and int((_ms(event.drift.began) - START) // DAY)
    assert abs(began - CHANGE - 31) <= 4  # settled a month later
    assert run.in_large(CHANGE + 5, CHANGE + 30) > 1.4
    assert run.in_large(145, 168) == pytest.approx(1.0, abs=0.2)


def _ms(text: str) -> int:
    from datetime import datetime

    return round(datetime.fromisoformat(text).timestamp() * 1_000)


def test_a_feature_that_means_something_else_is_reported_and_read_anew() -> None:
    given = asked(simulated.plain, 160, 28, seed=6, minor=lambda day: 100.0 if day < CHANGE else 0.01)
    run = Run(given)
    event = first(run.events, Series.MEAN)
    assert event.drift is not None
    assert (event.drift.feature, event.drift.examples <= 3_000) == ("inflow", True)
    recentred = first(run.events, Series.MEAN, Happening.RECENTRED)
    found_on = int((_ms(recentred.at) - START) // DAY)
    assert CHANGE < found_on <= CHANGE + 5
    lost = [one for one in given if START + CHANGE * DAY <= one.question.at < START + found_on * DAY]
    assert sum(probability(run.said[one.question.id][2]) for one in lost) < 0.5 * sum(one.truth for one in lost)
    assert run.auc(2, since=found_on + 1) > run.truth(since=found_on + 1) - 0.04
    assert run.in_large(found_on + 1, 155) == pytest.approx(1.0, abs=0.25)


def test_values_that_go_missing_are_reported() -> None:
    given = asked(simulated.plain, 60, 40, seed=7)
    told = [
        msgspec.structs.replace(one, features=[one.features[0], None, one.features[2]])
        if isinstance(one, Question) and one.at >= START + 40 * DAY
        else one
        for one in examples(given)
    ]
    event = first(Run(given, told=told).events, Series.MISSING)
    assert event.drift is not None
    assert (event.drift.feature, event.drift.after) == ("views", 1.0)
    assert event.drift.examples <= 400
