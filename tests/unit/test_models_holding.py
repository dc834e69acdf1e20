"""Why answers wait: learned from when they are known, quick positives and slow negatives spoil a model that drifts."""

from __future__ import annotations

import random

from models.learner import Learner
from models.progress import Progress
from models.trainer import Trainer
from models.transform import inputs
from schemas.durations import DAY
from schemas.learning import Answer, Example, Pipeline
from tests.generators_learning import START, TRANSFORMS, answer, features, question, target

TARGET = target()
SETTLED = TARGET.label.settled_ms
BASE_RATE = 0.05
FACTOR = 1.2  # how far the mean score may be from the base rate, either way


def drifting(days: int = 180, a_day: int = 25, seed: int = 11) -> list[Example]:
    """Outcomes within five days by pure chance; how long a customer is known and a filling window grow meanwhile."""
    draw, examples = random.Random(seed), list[tuple[int, bool, Example]]()
    for number in range(days * a_day):
        at = START + number * DAY // a_day
        values = features(draw)
        values[1], values[2] = float(min(at - START, 90 * DAY) // DAY), float(at - START)
        asked, came = question(TARGET, f"c{number}", at, values), draw.random() < BASE_RATE
        known_at = at + (draw.randrange(1, 5 * DAY) if came else SETTLED)
        examples += [(at, True, asked), (known_at, False, answer(asked, came, known_at))]
    return [example for *_, example in sorted(examples, key=lambda one: one[:2])]


def learned_when_known(examples: list[Example]) -> Progress:
    """What comes of the same examples where each answer after the first horizon is learned from when it is known."""
    learner, progress = Learner(TARGET.features, TARGET.prior), Progress()
    kept = dict[str, tuple[float, list[float]]]()
    for example in examples:
        if not isinstance(example, Answer):
            values = inputs(TRANSFORMS, example.features)
            kept[example.id] = learner.logits(values).linear, values
        elif example.known_at >= START + SETTLED:
            logit, values = kept.pop(example.id)
            progress.update(logit, example.label)
            learner.learn(values, example.label)
    return progress


def held(examples: list[Example]) -> Progress:
    """What a trainer makes of them."""
    one = Trainer(TARGET, TRANSFORMS)
    one.take(examples)
    return one.judges[Pipeline.LINEAR].raw


def too_high(progress: Progress, examples: list[Example]) -> float:
    """By what factor the mean score is above the share of positives there are."""
    answers = [example.label for example in examples if isinstance(example, Answer)]
    assert progress.mean_score is not None
    return progress.mean_score / (sum(answers) / len(answers))


def test_quick_positives_and_features_that_drift_do_not_push_scores_above_the_truth() -> None:
    examples = drifting()
    progress = held(examples)
    assert 1 / FACTOR < too_high(progress, examples) < FACTOR
    assert progress.answers == len(examples) / 2


def test_it_is_the_waiting_that_makes_the_difference() -> None:
    """The same examples learned from when each is known push scores up: the test above would notice."""
    examples = drifting()
    assert too_high(learned_when_known(examples), examples) > 1.25 * FACTOR
