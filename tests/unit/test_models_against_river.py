"""Questions and answers one by one give what River's own delayed progressive validation gives on the same ones."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
from river import base, evaluate, linear_model, metrics, optim, preprocessing

from models.snapshot import probability
from models.trainer import Trainer
from models.transform import inputs
from schemas.catalogue import Target
from schemas.durations import DAY
from schemas.learning import Answer, Question
from tests.generators_learning import TRANSFORMS, stream, target


class FromFirstHorizon(base.Classifier):
    """River's pipeline, but what is known before the first horizon is over is neither learned nor judged.

    The features bring two times with them, which the pipeline is not shown. An empty prediction is not judged by River.
    """

    def __init__(self, prior: float, first_horizon: int) -> None:
        self.first_horizon = first_horizon
        self.pipeline = preprocessing.StandardScaler() | linear_model.LogisticRegression(
            optim.SGD(0.01), intercept_init=math.log(prior / (1 - prior))
        )

    def predict_proba_one(self, x: dict[str, Any]) -> dict[Any, float]:
        discarded = x["known_at"] < self.first_horizon
        return {} if discarded else self.pipeline.predict_proba_one(self.shown(x))

    def learn_one(self, x: dict[str, Any], y: bool) -> None:
        if x["known_at"] >= self.first_horizon:
            self.pipeline.learn_one(self.shown(x), y)

    @staticmethod
    def shown(x: dict[str, Any]) -> dict[str, float]:
        return {name: value for name, value in x.items() if name not in ("moment", "delay", "known_at")}


def dataset(wanted: Target, examples: list[Question | Answer]) -> list[tuple[dict[str, Any], bool]]:
    """Every answered question as River takes it, in the order of asking.

    River knows no order within one moment but that of the questions: answers known at once are set a little apart, in
    the order in which they came.
    """
    answers, together = dict[str, tuple[Answer, int]](), Counter[int]()
    for example in examples:
        if isinstance(example, Answer):
            answers[example.id] = example, together[example.known_at]
            together[example.known_at] += 1
    rows: list[tuple[dict[str, Any], bool]] = []
    for example in examples:
        if isinstance(example, Question) and example.id in answers:
            answer, place = answers[example.id]
            values = zip(wanted.features, inputs(TRANSFORMS, example.features), strict=True)
            row: dict[str, Any] = {name: value for name, value in values if not math.isnan(value)}
            row |= {"moment": example.at * 1_000, "known_at": answer.known_at}
            row["delay"] = (answer.known_at - example.at) * 1_000 - 999 + place
            rows.append((row, answer.label))
    return rows


@pytest.mark.parametrize("wanted", [target(), target("churn", absent=True, late=0)], ids=["outcome", "absence"])
def test_log_loss_auc_and_weights_are_those_of_rivers_delayed_progressive_validation(wanted: Target) -> None:
    examples = stream(wanted, days=150, seed=5)
    answered = {example.id for example in examples if isinstance(example, Answer)}
    examples = [example for example in examples if example.id in answered]
    trainer, ours = Trainer(wanted, TRANSFORMS), metrics.RollingROCAUC(10_000)
    first_horizon = examples[0].at + wanted.label.settled_ms
    for example in examples:
        kept = trainer.kept(example.id)
        if isinstance(example, Answer) and kept is not None and example.known_at >= first_horizon:
            ours.update(example.label, probability(kept.logit))
        trainer.take([example])
    loss, auc = metrics.LogLoss(), metrics.RollingROCAUC(10_000)
    for metric in (loss, auc):
        model = FromFirstHorizon(wanted.prior, first_horizon)
        evaluate.progressive_val_score(dataset(wanted, examples), model, metric, moment="moment", delay="delay")
    assert trainer.counters.learned > 200
    assert trainer.counters.discarded > 5
    assert trainer.progress.positives > 10
    assert trainer.progress.log_loss == pytest.approx(loss.get(), abs=1e-12)
    assert ours.get() == pytest.approx(auc.get(), abs=1e-12)
    assert trainer.progress.auc == pytest.approx(auc.get(), abs=1e-3)
    weights = dict(zip(wanted.features, trainer._learner.state().weights, strict=True))
    assert model.pipeline["LogisticRegression"].weights == pytest.approx(weights, abs=1e-12)


def test_it_is_the_delay_that_makes_the_difference() -> None:
    """The same examples without delay give another loss: the comparison above would notice a wrong order."""
    wanted = target()
    examples = stream(wanted, days=150, seed=5)
    rows = dataset(wanted, examples)
    losses = []
    for how in ({}, {"moment": "moment", "delay": "delay"}):
        model = FromFirstHorizon(wanted.prior, examples[0].at + 31 * DAY)
        losses.append(evaluate.progressive_val_score(rows, model, metrics.LogLoss(), **how).get())
    assert abs(losses[0] - losses[1]) > 1e-6
