"""A window is cut where its level changed, and nowhere else, whatever its scale."""

from __future__ import annotations

import numpy as np
import pytest
from river.drift import ADWIN

from models.adwin import FIRST, cut


def series(*levels: tuple[int, float], seed: int = 0, spread: float = 1.0) -> np.ndarray:
    """So many days at each level, with noise."""
    parts = [np.full(days, level) for days, level in levels]
    whole = np.concatenate(parts)
    return whole + np.random.default_rng(seed).normal(0.0, spread, len(whole))


def test_noise_alone_is_hardly_ever_cut() -> None:
    assert sum(cut(series((120, 0.0), seed=seed)) is not None for seed in range(150)) <= 1


def test_a_step_is_found_where_it_is() -> None:
    found = cut(series((60, 0.0), (12, 4.0)))
    assert found is not None
    assert abs(found.place - 60) <= 1
    assert (found.before, found.after) == pytest.approx((0.0, 4.0), abs=0.6)
    assert found.spreads == pytest.approx(4.0, abs=1.0)


def test_a_large_step_is_found_within_days() -> None:
    days = next(n for n in range(1, 20) if cut(series((60, 0.0), (n, 12.0))) is not None)
    assert days <= 3


def test_scale_and_level_change_nothing() -> None:
    window = series((60, 0.0), (12, 4.0))
    places = {found.place for a, b in ((1.0, 0.0), (1e6, 3e6), (1e-6, 0.5)) if (found := cut(a * window + b))}
    assert len(places) == 1


@pytest.mark.parametrize("level", [0.0, 1 / 3, 1e9])
def test_equal_numbers_are_one_level_and_short_windows_are_left_alone(level: float) -> None:
    assert cut(np.full(100, level)) is None
    assert cut(np.array([0.0] * 4 + [1.0] * (FIRST - 5))) is None
    assert cut(np.array([level] * 20 + [level + 1.0] * 5)) is not None


def test_where_rivers_adwin_sees_a_change_in_shares_of_days_so_does_this() -> None:
    days = np.clip(series((150, 0.2), (150, 0.6), spread=0.1), 0.0, 1.0)
    theirs = ADWIN(clock=1)
    for number, value in enumerate(days):  # noqa: B007 - it is read below
        theirs.update(float(value))
        if theirs.drift_detected:
            break
    ours = next(n for n in range(FIRST, len(days)) if cut(days[:n]) is not None)
    assert 150 <= ours <= number
