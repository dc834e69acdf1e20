"""What features add to a score: the parts are the whole, and what is missing adds nothing."""

from __future__ import annotations

import math

import msgspec
import pytest

from models.transform import Kind, Transform, transformed, transforms_of, untransformed, usual_value
from schemas.catalogue import Catalogue, Unit
from schemas.explanations import ScoreExplanation
from schemas.learning import ModelSnapshot
from schemas.loading import loads
from schemas.records import Value
from streams.engine.explain_score import SnapshotMismatch, explain_score, explain_scores, input_of
from tests.explaining import CATALOGUE

DAY_MS = 86_400_000
NAMES = ["inflow_30d", "payments", "idle", "is_vip"]
MEANS, WEIGHTS, BIAS = [8.0, 1.0, 1.2, 0.3], [0.4, -0.2, -0.9, 1.1], -5.2
VALUES: dict[str, Value] = {"inflow_30d": "62200.50", "payments": 2, "idle": 3 * DAY_MS, "is_vip": True}
INPUTS = [math.log1p(62_200.5), math.log1p(2), math.log1p(3), 1.0]


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return loads(CATALOGUE)


def model(version: int = 3, **given: object) -> ModelSnapshot:
    snapshot = ModelSnapshot("deposit", version, 0, 9, 8, 2, 8, True, NAMES, MEANS, WEIGHTS, BIAS)
    return msgspec.structs.replace(snapshot, **given)


def explained(catalogue: Catalogue, values: dict[str, Value]) -> ScoreExplanation:
    (found,) = explain_scores(catalogue, [model()], values)
    return found


def test_the_probability_is_the_models_own(catalogue: Catalogue) -> None:
    logit = BIAS + sum(weight * given for weight, given in zip(WEIGHTS, INPUTS, strict=True))
    found = explained(catalogue, VALUES)
    assert found.logit == pytest.approx(logit, abs=1e-12)
    assert found.probability == pytest.approx(1 / (1 + math.exp(-logit)), abs=1e-12)


def test_pushes_and_the_rest_add_up_to_the_logit(catalogue: Catalogue) -> None:
    found = explained(catalogue, VALUES)
    assert found.rest + sum(part.push for part in found.contributions) == pytest.approx(found.logit, abs=1e-12)
    assert [part.feature for part in found.contributions] == NAMES
    assert found.contributions[3].push == pytest.approx(1.1 * (1 - 0.3))
    assert found.tags == ["intent"]


def test_what_is_missing_pushes_nothing_and_a_customer_of_whom_nothing_is_known_is_usual(catalogue: Catalogue) -> None:
    found = explained(catalogue, {**VALUES, "idle": None})
    assert found.contributions[2].push == 0 != found.contributions[0].push
    nobody = explained(catalogue, {})
    assert nobody.logit == nobody.rest
    assert nobody.probability == nobody.usual_probability
    assert explain_score(catalogue, model(), {}).logit == nobody.rest


def test_a_customer_with_the_usual_values_is_pushed_nowhere(catalogue: Catalogue) -> None:
    usual = {part.feature: part.usual for part in explained(catalogue, {}).contributions}
    assert usual["inflow_30d"] == pytest.approx(math.expm1(8.0))
    assert usual["idle"] == round(math.expm1(1.2) * DAY_MS)
    assert usual["is_vip"] == pytest.approx(0.3)
    assert all(abs(part.push) < 1e-6 for part in explained(catalogue, usual).contributions)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("inflow_30d", "1000.00", math.log1p(1000)),
        ("inflow_30d", "-1000.00", -math.log1p(1000)),
        ("inflow_30d", 12.5, math.log1p(12.5)),
        ("payments", 7, math.log1p(7)),
        ("idle", DAY_MS, math.log1p(1)),
        ("is_vip", True, 1.0),
        ("is_vip", False, 0.0),
        ("inflow_30d", None, None),
    ],
)
def test_a_value_becomes_what_the_model_is_given(
    catalogue: Catalogue, name: str, value: Value, expected: float | None
) -> None:
    found = input_of(catalogue.feature(name), how(catalogue, name), value)
    assert math.isnan(found) if expected is None else found == expected


def how(catalogue: Catalogue, name: str) -> Transform:
    return dict(zip(NAMES, transforms_of(catalogue, catalogue.targets[0]), strict=True))[name]


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("scale", [1.0, 100.0, float(DAY_MS)])
@pytest.mark.parametrize("value", [0.0, 0.4, 1.0, -3.5, 12_345.0])
def test_the_way_back_from_a_transform_ends_where_it_began(kind: Kind, scale: float, value: float) -> None:
    assert untransformed(transformed(value, kind, scale), kind, scale) == pytest.approx(value)


def test_a_mean_beyond_all_numbers_has_no_usual_value(catalogue: Catalogue) -> None:
    assert usual_value(Unit.MONEY, how(catalogue, "inflow_30d"), 1e6) is None


def test_extreme_logits_are_probabilities_still(catalogue: Catalogue) -> None:
    for bias, expected in ((1e4, 1.0), (-1e4, 0.0)):
        assert explain_scores(catalogue, [model(bias=bias)], {})[0].probability == expected


def test_of_several_models_of_a_target_the_latest_version_counts(catalogue: Catalogue) -> None:
    found = explain_scores(catalogue, [model(4), model(2), model(3)], VALUES)
    assert [score.version for score in found] == [4]


def test_a_model_of_another_target_or_of_other_features_is_refused(catalogue: Catalogue) -> None:
    with pytest.raises(SnapshotMismatch, match="other features"):
        explain_scores(catalogue, [model(features=NAMES[::-1])], VALUES)
    with pytest.raises(SnapshotMismatch, match="no target 'loan'"):
        explain_score(catalogue, model(target="loan"), VALUES)
