"""A feature is watched once its window is full; of one that grows with time only what is sudden is told."""

from __future__ import annotations

import math
import random
from pathlib import Path

import msgspec
import pytest

from models.state import SeriesState
from models.transform import Kind, Transform, transforms_of
from models.watching import PREFIX, Found, Watch
from schemas.durations import DAY
from schemas.loading import load
from schemas.model_reports import Series

HORIZON = 31
A_DAY = 40
CATALOGUES = Path(__file__).parents[2] / "schemas"


def feature(fills_ms: int | None) -> Transform:
    return Transform("spent", Kind.PLAIN, 1.0, fills_ms)


def told(watch: Watch, levels: list[float], since: int = 0, spread: float = 1.0) -> list[Found]:
    """What was found where a feature's mean is that on each day; NaN is missing."""
    draw, found = random.Random(1), list[Found]()
    for day, level in enumerate(levels, since):
        for place in range(A_DAY):
            found += watch.asked([draw.gauss(level, spread)], day * DAY + place)
    return found


def watching(fills_ms: int | None) -> Watch:
    return Watch((feature(fills_ms),), HORIZON * DAY)


def filling(days: int, more: int = 40) -> list[float]:
    """Means of a window that fills within so many days."""
    return [4.0 * min(1.0, day / days) for day in range(days + more)]


@pytest.mark.parametrize("window", [7, 30, 90])
def test_nothing_is_told_of_a_window_that_fills(window: int) -> None:
    assert not told(watching(window * DAY), filling(window, more=100))


def test_while_a_window_of_another_length_fills_it_would_be_told() -> None:
    assert told(watching(0), filling(90))


def test_a_change_after_the_window_is_full_is_told_once() -> None:
    (found,) = told(watching(30 * DAY), [*filling(30), *[6.0] * 30])
    assert (found.series, found.feature) == (Series.MEAN, "spent")
    assert (found.before, found.after) == pytest.approx((4.0, 6.0), abs=0.2)
    assert found.began == 70 * DAY


@pytest.mark.parametrize("silent", [0.0, math.nan])
def test_a_window_fills_from_the_day_its_own_records_flow(silent: float) -> None:
    """Sources begin on different days: for weeks all customers have the same value, or none."""
    watch = watching(30 * DAY)
    assert not told(watch, [silent] * 60, spread=0.0)
    assert not told(watch, filling(30, more=60), since=60)
    assert [one.series for one in told(watch, [math.nan] * 12, since=150)] == [Series.MISSING]


def test_what_grows_with_time_is_told_of_only_where_it_jumps() -> None:
    growing = [day / 20 for day in range(200)]
    assert not told(watching(None), growing)
    assert told(watching(0), growing)
    (found,) = told(watching(None), [*[2.0] * 60, *[12.0] * 20])
    assert (found.began, found.spreads > 8.0) == (60 * DAY, True)


def test_a_restored_watch_goes_on_and_one_from_before_flows_was_kept_is_read() -> None:
    straight, resumed = watching(30 * DAY), watching(30 * DAY)
    for one in (straight, resumed):
        told(one, filling(30))
    entries = [(key, value) for key, value in resumed.take_entries() if value is not None]
    assert {key for key, _ in entries} == {PREFIX + b"mean/spent", PREFIX + b"missing/spent"}
    again = watching(30 * DAY)
    again.load(resumed.state(), entries)
    assert told(again, [6.0] * 30, since=70) == told(straight, [6.0] * 30, since=70) != []
    old = [(key, _before_flows(value)) for key, value in entries]
    read = watching(30 * DAY)
    read.load(resumed.state(), old)
    assert [one.began for one in told(read, [6.0] * 30, since=70)] == [70 * DAY]


def _before_flows(value: bytes) -> bytes:
    kept = msgspec.json.decode(value, type=SeriesState)
    plain = {name: getattr(kept, name) for name in kept.__struct_fields__ if name != "flows"}
    return msgspec.json.encode(plain)


def test_how_long_a_feature_takes_to_fill_follows_from_the_catalogue() -> None:
    bank = load(CATALOGUES / "bank.yaml")
    deposit = next(one for one in bank.targets if one.name == "deposit")
    fills = {one.feature: one.fills_ms for one in transforms_of(bank, deposit)}
    assert fills["inflow_7d"] == 7 * DAY
    assert fills["monthly_salary"] == fills["visits_90d"] == 90 * DAY
    assert fills["balance"] == fills["is_vip"] == 0
    assert fills["logins"] is fills["since_first"] is None
