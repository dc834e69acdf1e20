"""Questions and answers one by one give what River's own delayed progressive validation gives on the same ones."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import combinations
from operator import itemgetter
from typing import Any

import msgspec
import pytest
from river import compose, evaluate, linear_model, metrics, optim, preprocessing

from models.snapshot import probability
from models.trainer import Trainer
from models.transform import inputs
from schemas.catalogue import Target
from schemas.durations import DAY
from schemas.learning import Answer, Example, Pipeline, Question
from tests.generators_learning import CROSSES, TRANSFORMS, question, stream, target


class Slowing(optim.base.Scheduler):
    """0.01 over the root of 1 + a thousandth of the steps, at least 0.001."""

    def get(self, t: int) -> float:
        return max(0.001, 0.01 / (1 + t / 1000) ** 0.5)


def crossed(scaled: dict[Hashable, Any]) -> dict[Hashable, Any]:
    """With each product of scaled features that are known, products held between -3 and 3."""
    both = {(one.first, one.second) for one in CROSSES if one.first in scaled and one.second in scaled}
    return scaled | {pair: max(-3.0, min(3.0, scaled[pair[0]] * scaled[pair[1]])) for pair in both}


def model(prior: float, pipeline: Pipeline = Pipeline.LINEAR) -> compose.Pipeline:
    """River's pipeline; the features bring two times with them, which are not learned from."""
    start = math.log(prior / (1 - prior))
    regression = linear_model.LogisticRegression(optim.SGD(Slowing()), intercept_init=start, intercept_lr=Slowing())
    scaled = compose.Discard("moment", "delay") | preprocessing.StandardScaler()
    return (
        scaled | regression if pipeline is Pipeline.LINEAR else scaled | compose.FuncTransformer(crossed) | regression
    )


def examples_of(wanted: Target) -> list[Example]:
    """Questions and their answers in order of time; some answers are known weeks later than they might be."""
    draw, found = random.Random(8), stream(wanted, days=150, seed=5)
    answered = {example.id for example in found if isinstance(example, Answer)}
    examples = [example for example in found if example.id in answered]
    for place, example in enumerate(examples):
        if isinstance(example, Answer) and draw.random() < 0.3:
            examples[place] = msgspec.structs.replace(example, known_at=example.known_at + draw.randrange(45 * DAY))
    return sorted(examples, key=lambda one: (one.known_at, 0) if isinstance(one, Answer) else (one.at, 1))


def revealed(wanted: Target, examples: Sequence[Example]) -> dict[str, tuple[int, Answer]]:
    """Each answer by id with its moment in microseconds: when its question's time is over, or when it is known later.

    River knows no order within one moment but that of the questions: answers of one millisecond are set a little apart,
    first those that waited for it, by id, then the others in the order in which they came.
    """
    waited, came = list[tuple[int, str, Answer]](), list[tuple[int, str, Answer]]()
    for answer in examples:
        if isinstance(answer, Answer):
            over = answer.at + wanted.label.settled_ms
            if answer.known_at < over:
                waited.append((over, answer.id, answer))
            else:
                came.append((answer.known_at, answer.id, answer))
    ordered = sorted([*sorted(waited), *came], key=itemgetter(0))
    found, together = dict[str, tuple[int, Answer]](), Counter[int]()
    for moment, one, answer in ordered:
        found[one] = moment * 1_000 - 999 + together[moment], answer
        together[moment] += 1
    return found


Row = tuple[dict[Hashable, Any], bool]


def dataset(wanted: Target, examples: Sequence[Example], held: bool = True) -> list[Row]:
    """Every answered question as River takes it, in the order of asking.

    Not `held`, each answer is revealed when it is known.
    """
    rows, answers = list[Row](), revealed(wanted, examples)
    for example in examples:
        if isinstance(example, Question):
            moment, answer = answers[example.id]
            values = zip(wanted.features, inputs(TRANSFORMS, example.features), strict=True)
            row: dict[Hashable, Any] = {name: value for name, value in values if not math.isnan(value)}
            row |= {"moment": example.at * 1_000}
            row["delay"] = (moment if held else answer.known_at * 1_000) - row["moment"]
            rows.append((row, answer.label))
    return rows


@pytest.mark.parametrize("pipeline", Pipeline)
@pytest.mark.parametrize("wanted", [target(), target("churn", absent=True, late=0)], ids=["outcome", "absence"])
def test_log_loss_auc_and_weights_are_those_of_rivers_delayed_progressive_validation(
    wanted: Target, pipeline: Pipeline
) -> None:
    examples = examples_of(wanted)
    trainer, logits = Trainer(wanted, TRANSFORMS), dict[str, float]()
    for example in examples:
        trainer.take([example])
        if isinstance(example, Question):
            kept = trainer.kept(example.id)
            assert kept is not None
            logits[example.id] = getattr(kept.raw, pipeline.value)
    trainer.take([question(wanted, "last", examples[-1].at + 99 * DAY, [None] * 6)])
    assert trainer.choosing.desk.fresh == {}
    ours, judged = metrics.RollingROCAUC(10_000), list[tuple[float, bool]]()
    for example in examples:
        if isinstance(example, Answer):
            judged.append((logits[example.id], example.label))
            ours.update(example.label, probability(logits[example.id]))
    loss, auc = metrics.LogLoss(), metrics.RollingROCAUC(10_000)
    for metric in (loss, auc):
        theirs = model(wanted.prior, pipeline)
        evaluate.progressive_val_score(dataset(wanted, examples), theirs, metric, moment="moment", delay="delay")
    progress = trainer.judges[pipeline].raw
    assert (trainer.counters.learned, trainer.settling) == (len(logits), 0)
    assert progress.positives > 10
    assert progress.log_loss == pytest.approx(loss.get(), abs=1e-12)
    assert ours.get() == pytest.approx(auc.get(), abs=1e-12)
    # Before anything is learned all scores are equal; where they tie River's AUC is not exact.
    assert progress.auc == pytest.approx(pairs_in_order(judged), abs=1e-3)
    state = trainer.learner.state()
    names = [*wanted.features, *((one.first, one.second) for one in CROSSES)]
    learned = state.linear if pipeline is Pipeline.LINEAR else state.crossed
    weights: dict[Hashable, float] = dict(zip(names, learned.weights, strict=False))
    assert theirs["LogisticRegression"].weights == pytest.approx(weights, abs=1e-12)


def pairs_in_order(judged: list[tuple[float, bool]]) -> float:
    """The AUC by its definition; a tie counts a half."""
    positives = [logit for logit, label in judged if label]
    negatives = [logit for logit, label in judged if not label]
    won = sum((high > low) + (high == low) / 2 for high in positives for low in negatives)
    return won / (len(positives) * len(negatives))


def test_the_answers_compared_are_known_early_on_time_and_late() -> None:
    wanted = target()
    found = Counter[int]()
    for answer in examples_of(wanted):
        if isinstance(answer, Answer):
            over = answer.at + wanted.label.settled_ms
            found[(answer.known_at > over) - (answer.known_at < over)] += 1
    assert min(found[-1], found[0], found[1]) > 5


def test_it_is_the_delay_that_makes_the_difference() -> None:
    """The same examples without delay, or learned from when known, give another loss: a wrong order is noticed."""
    wanted = target()
    examples = examples_of(wanted)
    delayed: dict[str, Any] = {"moment": "moment", "delay": "delay"}
    losses = [
        evaluate.progressive_val_score(rows, model(wanted.prior), metrics.LogLoss(), **how).get()
        for rows, how in (
            (dataset(wanted, examples), {}),
            (dataset(wanted, examples), delayed),
            (dataset(wanted, examples, held=False), delayed),
        )
    ]
    assert min(abs(one - other) for one, other in combinations(losses, 2)) > 1e-6
