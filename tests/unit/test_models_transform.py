"""A feature's value becomes the same number for learning and for scoring, by its unit."""

from __future__ import annotations

import math
from importlib import resources
from pathlib import Path

import numba
import pytest

from models import transform
from models.transform import Kind, Transform, inputs, transformed, transforms_of
from schemas.catalogue import Unit
from schemas.durations import DAY
from schemas.loading import load
from schemas.loading_targets import LEARNABLE

MONEY, COUNT = Transform("money", Kind.SIGNED_LOG, 100.0), Transform("count", Kind.SIGNED_LOG, 1.0)
DURATION, RATIO = Transform("duration", Kind.SIGNED_LOG, float(DAY)), Transform("ratio", Kind.PLAIN, 1.0)

CASES = (
    (MONEY, 61_000_00.0, math.log1p(61_000)),
    (MONEY, -61_000_00.0, -math.log1p(61_000)),
    (COUNT, 0.0, 0.0),
    (COUNT, 9.0, math.log(10)),
    (COUNT, -9.0, -math.log(10)),
    (DURATION, float(DAY), math.log(2)),
    (RATIO, -0.25, -0.25),
    (RATIO, 1.0, 1.0),
)
MISSING = (math.nan, math.inf, -math.inf)


@pytest.mark.parametrize(("how", "value", "wanted"), CASES)
def test_money_counts_and_durations_are_logs_with_their_sign_and_ratios_stay(
    how: Transform, value: float, wanted: float
) -> None:
    assert transformed(value, how.kind, how.scale) == pytest.approx(wanted, rel=1e-15)


@pytest.mark.parametrize("how", [MONEY, RATIO])
@pytest.mark.parametrize("value", MISSING)
def test_what_is_no_finite_number_is_missing(how: Transform, value: float) -> None:
    assert math.isnan(transformed(value, how.kind, how.scale))


def test_a_kernel_can_run_the_same_code() -> None:
    compiled = numba.njit(transformed)
    for how, value, _ in CASES:
        assert compiled(value, int(how.kind), how.scale) == pytest.approx(
            transformed(value, how.kind, how.scale), rel=1e-15
        )
    for value in MISSING:
        assert math.isnan(compiled(value, int(MONEY.kind), MONEY.scale))


def test_missing_features_stay_missing_and_the_number_of_features_is_checked() -> None:
    found = inputs((COUNT, RATIO), [None, 0.5])
    assert math.isnan(found[0])
    assert found[1] == 0.5
    with pytest.raises(ValueError, match="shorter"):
        inputs((COUNT, RATIO), [1.0])


def test_every_unit_that_a_target_may_learn_from_has_a_transform() -> None:
    assert transform._KINDS.keys() == set(LEARNABLE)


def test_the_bank_s_money_is_in_yuan_and_its_durations_in_days() -> None:
    bank = load(Path(str(resources.files("schemas").joinpath("bank.yaml"))))
    for target in bank.targets:
        found = {one.feature: one for one in transforms_of(bank, target)}
        assert tuple(found) == target.features
        for name, one in found.items():
            unit = bank.feature(name).unit
            assert one.scale == {Unit.MONEY: 100.0, Unit.DURATION: 86_400_000.0}.get(unit, 1.0)
            assert (one.kind is Kind.PLAIN) == (unit in (Unit.RATIO, Unit.BOOLEAN))
