"""A learner goes on bit for bit from its state, and as plain numbers scores as its pipeline does."""

from __future__ import annotations

import math
import random
from itertools import combinations_with_replacement

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.learner import Learner, OtherFeatures
from models.snapshot import NO_CALIBRATION, contributions, fold, logit, score
from models.state import LearnerState
from models.transform import inputs
from schemas.catalogue import Cross
from schemas.learning import Calibration, ModelSnapshot, Pipeline
from tests.generators_learning import CROSSES, NAMES, TRANSFORMS, features


def example(draw: random.Random) -> tuple[list[float], bool]:
    """Transformed inputs, and a label that depends on them."""
    values = inputs(TRANSFORMS, features(draw))
    lift = sum(value for value in values[:2] if not math.isnan(value)) / 10
    return values, draw.random() < 0.1 * lift


def learned(seed: int, count: int) -> Learner:
    """A learner after `count` examples."""
    draw, learner = random.Random(seed), Learner(NAMES, 0.05, CROSSES)
    for _ in range(count):
        learner.learn(*example(draw))
    return learner


def restored(learner: Learner) -> Learner:
    """A learner that has come through JSON."""
    state = msgspec.json.decode(msgspec.json.encode(learner.state()), type=LearnerState)
    made = Learner(NAMES, 0.5, CROSSES)
    made.load(state)
    return made


def snapshot(
    learner: Learner, pipeline: Pipeline = Pipeline.LINEAR, calibration: Calibration = NO_CALIBRATION
) -> ModelSnapshot:
    """Its numbers, with nothing told of where they come from."""
    folded = fold(learner.state(), pipeline, calibration)
    bare = ModelSnapshot("deposit", 1, 0, 0, 0, 0, 0, True, list(NAMES), folded.means, folded.weights, folded.bias)
    return msgspec.structs.replace(bare, spreads=folded.spreads, crosses=folded.crosses)


def said(learner: Learner, pipeline: Pipeline, values: list[float]) -> float:
    """The log odds that one of its models gives."""
    return float(getattr(learner.logits(values), pipeline.value))


def test_before_it_learned_it_says_the_prior() -> None:
    learner = Learner(NAMES, 0.05, CROSSES)
    assert 1 / (1 + math.exp(-learner.logits([1.0] * len(NAMES)).crossed)) == pytest.approx(0.05)
    assert score(snapshot(learner), [1.0] * len(NAMES)) == pytest.approx(0.05)


@given(seed=st.integers(0, 2**31), cut=st.integers(0, 120))
def test_a_learner_restored_midway_goes_on_to_the_same_weights_bit_for_bit(seed: int, cut: int) -> None:
    draw, straight = random.Random(seed), learned(seed, 0)
    resumed = learned(seed, 0)
    for number in range(120):
        if number == cut:
            resumed = restored(resumed)
        values, label = example(draw)
        assert straight.logits(values) == resumed.logits(values)
        straight.learn(values, label)
        resumed.learn(values, label)
    assert straight.state() == resumed.state()
    assert any(straight.state().linear.weights)
    assert any(straight.state().crossed.weights[len(NAMES) :])


def test_a_state_of_other_features_is_refused() -> None:
    with pytest.raises(OtherFeatures, match="inflow"):
        Learner(("age",), 0.05).load(learned(1, 3).state())
    with pytest.raises(OtherFeatures):
        Learner(NAMES, 0.05).load(learned(1, 3).state())


@pytest.mark.parametrize("pipeline", Pipeline)
@given(seed=st.integers(0, 2**31), count=st.integers(0, 200))
def test_the_folded_score_is_the_pipeline_s(pipeline: Pipeline, seed: int, count: int) -> None:
    learner, draw = learned(seed, count), random.Random(~seed)
    folded, mended = snapshot(learner, pipeline), snapshot(learner, pipeline, Calibration(0.8, -0.3))
    for _ in range(20):
        values, _ = example(draw)
        known = {name: value for name, value in zip(NAMES, values, strict=True) if not math.isnan(value)}
        assert logit(folded, values) == pytest.approx(said(learner, pipeline, values), abs=1e-12)
        theirs = learner.pipelines[pipeline].predict_proba_one(known)[True]
        assert score(folded, values) == pytest.approx(theirs, abs=1e-12)
        assert logit(mended, values) == pytest.approx(0.8 * said(learner, pipeline, values) - 0.3, abs=1e-12)


@pytest.mark.parametrize("pipeline", Pipeline)
@given(seed=st.integers(0, 2**31))
def test_contributions_add_up_to_the_logit_and_are_the_pipeline_s(pipeline: Pipeline, seed: int) -> None:
    learner, draw = learned(seed, 100), random.Random(~seed)
    steps = learner.pipelines[pipeline].steps
    scaler, regression = steps["StandardScaler"], steps["LogisticRegression"]
    folded = snapshot(learner, pipeline)
    for _ in range(10):
        values, _ = example(draw)
        found = contributions(folded, values)
        assert found.logit == pytest.approx(said(learner, pipeline, values), abs=1e-12)
        assert found.baseline == pytest.approx(regression.intercept, abs=1e-12)
        known = {name: value for name, value in zip(NAMES, values, strict=True) if not math.isnan(value)}
        scaled = scaler.transform_one(known)
        wanted = {name: regression.weights[name] * scaled.get(name, 0.0) for name in NAMES}
        if pipeline is Pipeline.CROSSED:
            for pair, product in learner.with_products(scaled).items():
                for name in pair if isinstance(pair, tuple) else ():
                    wanted[name] += regression.weights[pair] * product / 2
        assert found.by_feature == pytest.approx(wanted, abs=1e-12)


def test_a_product_of_rare_values_is_held_within_its_limits() -> None:
    learner = learned(1, 200)
    scaled = learner.with_products({"inflow": 40.0, "visits": -30.0, "silence": 9.0, "share": 1.0})
    assert scaled["inflow", "visits"] == -scaled["silence", "silence"] == -3.0
    assert ("share", "member") not in scaled


def test_many_products_move_a_model_no_further_in_a_step_than_its_features_do() -> None:
    names = tuple("abcd")
    pairs = tuple(Cross(first, second) for first, second in combinations_with_replacement(names, 2))
    learner = Learner(names, 0.5, pairs)
    found = learner.with_products(dict.fromkeys(names, 1.0))
    assert sum(value**2 for name, value in found.items() if isinstance(name, tuple)) == pytest.approx(len(names))


def test_a_feature_that_never_changes_has_no_weight() -> None:
    folded = snapshot(learned(1, 200))
    assert folded.weights[NAMES.index("constant")] == 0.0
    assert all(folded.weights[:-1])


def test_a_far_logit_is_a_probability_still() -> None:
    sure = ModelSnapshot("t", 1, 0, 0, 0, 0, 0, True, [], [], [], 5_000.0)
    assert score(sure, []) == 1.0
    assert score(msgspec.structs.replace(sure, bias=-5_000.0), []) == 0.0
