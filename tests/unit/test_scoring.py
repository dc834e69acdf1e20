"""Scores in the kernel: equal to the model's own, moved by records, models and midnights only, with hysteresis."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import snapshot as models
from models.transform import inputs, transforms_of
from schemas.catalogue import Catalogue
from schemas.durations import DAY, HOUR
from schemas.learning import CrossWeight, ModelSnapshot, Pipeline, Question
from schemas.loading import load
from schemas.records import Cause, Change
from schemas.sources import Incoming
from streams.engine.explain_score import explain_scores
from streams.engine.plan import Plan, build
from streams.engine.scoring import logit
from streams.processor import Partition

LESSONS = Path(__file__).parents[1] / "lessons.yaml"
MIDNIGHT = 1_735_660_800_000  # 2025-01-01T00:00:00+08:00


@pytest.fixture(scope="module")
def plan() -> Plan:
    return build(load(LESSONS))


def model(catalogue: Catalogue, target: str, weights: list[float], bias: float, version: int = 1) -> ModelSnapshot:
    names = next(one.features for one in catalogue.targets if one.name == target)
    means = [0.5 * n for n in range(len(names))]
    figures = {"at": 0, "questions": 9, "answers": 9, "positives": 1, "learned": 9, "ready": True}
    return ModelSnapshot(target, version, **figures, features=list(names), means=means, weights=weights, bias=bias)


def buy(customer: str, at: int, amount: float = 10.0, kind: str = "card") -> tuple[str, Incoming]:
    record = {"customer": customer, "at": at, "id": f"{customer}{at}", "amount": amount, "kind": kind}
    return "buys", Incoming(msgspec.json.encode(record))


def look(customer: str, at: int) -> tuple[str, Incoming]:
    return "looks", Incoming(msgspec.json.encode({"customer": customer, "at": at, "page": "home"}))


def partition(plan: Plan) -> Partition:
    return Partition(plan, keyed=False)


def of(changes: list[Change], name: str) -> list[tuple[object, object, str]]:
    return [(change.old, change.new, change.cause.value) for change in changes if change.name == name]


def rescore(part: Partition, anchor: str = "7") -> list[Change]:
    done = part.rescore(0, anchor)
    assert not done.more
    return done.output.changes()


finite = st.floats(-3, 3).map(lambda value: round(value, 6))


@given(
    st.lists(finite, min_size=5, max_size=5), finite, st.lists(st.none() | st.floats(0, 1e7), min_size=5, max_size=5)
)
def test_the_kernels_log_odds_are_those_of_the_snapshot(
    weights: list[float], bias: float, values: list[float | None]
) -> None:
    plan = build(load(LESSONS))
    part = partition(plan)
    snapshot = model(plan.catalogue, "deposit", weights, bias)
    assert part.adopt(snapshot)
    target = plan.catalogue.targets[0]
    registers = np.full(64, np.nan)
    for name, value in zip(target.features, values, strict=True):
        place = [feature.name for feature in plan.catalogue.features].index(name)
        registers[place] = np.nan if value is None else value
    expected = models.logit(snapshot, inputs(transforms_of(plan.catalogue, target), values))
    assert logit(plan.tables, part._models, 0, registers) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@given(
    st.lists(finite, min_size=15, max_size=15), st.lists(st.sampled_from([0.0, 0.5, 3.0]), min_size=5, max_size=5),
    st.lists(st.none() | st.floats(0, 1e7), min_size=5, max_size=5),
)  # fmt: skip
def test_the_kernels_log_odds_of_a_crossed_model_are_those_of_the_snapshot_until_a_linear_one_comes(
    weights: list[float], spreads: list[float], values: list[float | None]
) -> None:
    plan = build(load(LESSONS))
    part, target = partition(plan), plan.catalogue.targets[0]
    assert len(target.crosses) == 15
    crosses = [CrossWeight(one.first, one.second, weight) for one, weight in zip(target.crosses, weights, strict=True)]
    linear = model(plan.catalogue, "deposit", weights[:5], -0.5)
    crossed = msgspec.structs.replace(linear, version=2, model=Pipeline.CROSSED, spreads=spreads, crosses=crosses)
    registers = np.full(64, np.nan)
    for name, value in zip(target.features, values, strict=True):
        place = [feature.name for feature in plan.catalogue.features].index(name)
        registers[place] = np.nan if value is None else value
    for snapshot in (crossed, msgspec.structs.replace(linear, version=3)):
        assert part.adopt(snapshot)
        expected = models.logit(snapshot, inputs(transforms_of(plan.catalogue, target), values))
        assert logit(plan.tables, part._models, 0, registers) == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert not part.adopt(msgspec.structs.replace(crossed, version=4, crosses=crosses[1:]))


def test_without_a_model_a_score_is_warming_and_missing(plan: Plan) -> None:
    part = partition(plan)
    assert not of(part.feed([buy("a", MIDNIGHT)]).changes(), "intent")
    tags = part.customer_tags("a")
    assert tags is not None
    assert (tags.tags["intent"], tags.status["intent"]) == (None, "warming")


def test_a_new_model_changes_tags_with_cause_score_and_the_control_offset_in_the_id(plan: Plan) -> None:
    part = partition(plan)
    part.feed([buy("a", MIDNIGHT), buy("b", MIDNIGHT + 1)])
    assert part.adopt(model(plan.catalogue, "deposit", [0.0] * 5, 0.0))
    changes = rescore(part, "41")
    assert of(changes, "intent") == [(None, "high", "score")] * 2
    assert of(changes, "hot") == [(False, True, "score")] * 2
    again = partition(plan)
    again.feed([buy("a", MIDNIGHT), buy("b", MIDNIGHT + 1)])
    again.adopt(model(plan.catalogue, "deposit", [0.0] * 5, 0.0))
    assert [c.id for c in rescore(again, "41")] == [c.id for c in changes] != [c.id for c in rescore(again, "42")]
    tags = part.customer_tags("a")
    assert tags is not None
    assert "intent" not in tags.status


def test_a_model_that_is_not_ready_or_known_already_changes_nothing(plan: Plan) -> None:
    part = partition(plan)
    ready = model(plan.catalogue, "deposit", [0.0] * 5, 1.0)
    assert not part.adopt(msgspec.structs.replace(ready, ready=False))
    assert part.adopt(ready)
    assert not part.adopt(ready)
    assert not part.adopt(msgspec.structs.replace(ready, features=["idle"], version=2))


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        # high from 0.50, middle from 0.20; a level is left only below its threshold less 0.05
        ([0.51, 0.46, 0.44], ["high", "high", "middle"]),
        ([0.19, 0.20, 0.16, 0.14], ["low", "middle", "middle", "low"]),
        ([0.60, 0.16, 0.10], ["high", "middle", "low"]),
        ([0.10, 0.49, 0.50], ["low", "middle", "high"]),
    ],
)
def test_a_level_falls_only_below_its_threshold_less_the_margin(
    plan: Plan, scores: list[float], said: list[str]
) -> None:
    part = partition(plan)
    part.feed([buy("a", MIDNIGHT)])
    for version, (score, expected) in enumerate(zip(scores, said, strict=True), 1):
        part.adopt(model(plan.catalogue, "deposit", [0.0] * 5, math.log(score / (1 - score)), version))
        rescore(part, str(version))
        tags = part.customer_tags("a")
        assert tags is not None
        assert tags.tags["intent"] == expected


def test_between_midnights_no_timer_moves_a_score_and_at_midnight_one_does(plan: Plan) -> None:
    part = partition(plan)
    # The longer idle the less likely: log1p(days) counts -2 each.
    part.feed([buy("a", MIDNIGHT + HOUR), buy("b", MIDNIGHT + HOUR)])
    part.adopt(model(plan.catalogue, "deposit", [0.0, 0.0, 0.0, -2.0, 0.0], 1.0))
    assert of(rescore(part), "intent") == [(None, "high", "score")] * 2
    assert not of(part.advance(MIDNIGHT + DAY - 1).changes(), "intent")
    changes = [c for c in part.advance(MIDNIGHT + DAY).changes() if c.name == "intent" and c.customer_id == "a"]
    assert [(c.new, c.cause) for c in changes] == [("middle", Cause.TIME)]
    assert changes[0].at.endswith("T16:00:00.000Z")  # midnight in Shanghai


def test_a_new_model_scores_as_of_the_time_that_a_clock_has_reached(plan: Plan) -> None:
    part = partition(plan)
    part.feed([buy("a", MIDNIGHT)])
    part.advance(MIDNIGHT + 3 * DAY + HOUR)
    part.adopt(model(plan.catalogue, "deposit", [0.0, 0.0, 0.0, -2.0, 0.0], 1.0))
    (change,) = [one for one in rescore(part) if one.name == "intent"]
    # log1p(3 days and an hour) counts -2; as of the record it would be `high`.
    assert (change.new, change.at) == ("low", "2025-01-03T17:00:00.000Z")


def test_a_withdrawn_model_leaves_what_is_said_and_says_warming(plan: Plan) -> None:
    part = partition(plan)
    part.feed([buy("a", MIDNIGHT)])
    part.adopt(model(plan.catalogue, "deposit", [0.0] * 5, 3.0, version=9))
    rescore(part)
    part.withdraw("deposit")
    assert not of(part.feed([buy("a", MIDNIGHT + 1)]).changes(), "intent")
    tags = part.customer_tags("a")
    assert tags is not None
    assert (tags.tags["intent"], tags.status["intent"]) == ("high", "warming")
    assert part.adopt(model(plan.catalogue, "deposit", [0.0] * 5, -3.0, version=1))
    assert of(rescore(part), "intent") == [("high", "low", "score")]


def test_a_midnight_without_a_change_leaves_the_row_unwritten(plan: Plan) -> None:
    part = partition(plan)
    part.feed([look("a", MIDNIGHT + HOUR), look("b", MIDNIGHT + HOUR)])
    part.adopt(model(plan.catalogue, "churn", [0.0, 0.0], 0.0))
    rescore(part)
    part.take_dirty()
    assert not part.advance(MIDNIGHT + 5 * DAY).changes()
    assert not part.take_dirty().rows


def test_a_row_read_back_keeps_its_levels_until_a_record_comes(plan: Plan) -> None:
    part = partition(plan)
    part.feed([buy("a", MIDNIGHT)])
    part.adopt(model(plan.catalogue, "deposit", [0.0] * 5, 3.0))
    rescore(part)
    dirty = part.take_dirty()
    restored = partition(plan)
    restored.load(dirty.customers, dirty.rows)
    restored.restore(part.positions(), part.clock_state())
    tags = restored.customer_tags("a")
    assert tags is not None
    assert tags.tags["intent"] == "high"
    assert not of(restored.feed([buy("a", MIDNIGHT + 1)]).changes(), "intent")


def test_a_question_holds_the_features_as_the_customers_tags_show_them(plan: Plan) -> None:
    part = partition(plan)
    output = part.feed([look("a", MIDNIGHT), buy("a", MIDNIGHT + HOUR, 61.5), buy("a", MIDNIGHT + 8 * DAY, 2.25)])
    asked = [one for one in output.examples if isinstance(one, Question) and one.target == "deposit"]
    assert [one.at for one in asked] == [MIDNIGHT, MIDNIGHT + 8 * DAY]
    assert asked[1].features[:4] == [225.0, 1.0, 1.0, 0.0]
    assert msgspec.json.decode(msgspec.json.encode(asked[1]), type=Question).features[4] is None


def test_what_pushes_a_score_adds_up_to_the_one_that_the_kernel_decides_by(plan: Plan) -> None:
    part = partition(plan)
    part.feed([look("a", MIDNIGHT), buy("a", MIDNIGHT + HOUR, 61.5)])
    snapshot = model(plan.catalogue, "deposit", [0.4, -0.3, 0.2, 0.1, 0.6], -0.7)
    part.adopt(snapshot)
    rescore(part)
    tags = part.customer_tags("a")
    assert tags is not None
    (score,) = explain_scores(plan.catalogue, [snapshot], tags.features)
    assert score.rest + sum(one.push for one in score.contributions) == pytest.approx(score.logit, abs=1e-12)
    values = [6150.0, 1.0, 1.0, 0.0, None]
    expected = models.logit(snapshot, inputs(transforms_of(plan.catalogue, plan.catalogue.targets[0]), values))
    assert score.logit == pytest.approx(expected, abs=1e-12)
    assert tags.tags["intent"] == ("high" if score.probability >= 0.5 else "middle")
