"""How old changes are when they are published: steps, promises, the last minutes, quantiles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.ages import BOUNDS_MS, EVERY_MS, STEPS, WINDOW_MS, Ages
from streams.histogram import Histogram, quantile

NOW = 1_735_700_000_000


def take(ages: Ages, *changes: tuple[int, int], at: int = NOW) -> None:
    """Publish changes: number and age in ms."""
    numbers, old = np.array([c[0] for c in changes]), np.array([c[1] for c in changes])
    ages.take(numbers, at - old, at)


def test_each_change_lies_in_the_step_whose_bound_it_does_not_exceed() -> None:
    ages = Ages(["a", "b"], [None, None])
    take(ages, (0, 0), (0, 5), (0, 6), (1, 1_000), (1, 86_400_001), (0, -50))
    assert ages.counts[0].tolist() == [3, 1] + [0] * (STEPS - 2)
    assert ages.counts[1, BOUNDS_MS.index(1_000)] == ages.counts[1, -1] == 1
    assert ages.sum_ms == 0 + 5 + 6 + 1_000 + 86_400_001 + 0


def test_what_is_older_than_promised_is_counted_by_the_millisecond() -> None:
    ages = Ages(["a", "b"], [5_000, None])
    take(ages, (0, 5_000), (0, 5_001), (1, 90_000))
    recent = ages.recent(NOW)
    assert (recent["a"].published, recent["a"].over) == (2, 1)
    assert (recent["b"].published, recent["b"].over) == (1, 0)


def test_nothing_published_says_nothing() -> None:
    assert Ages(["a"], [5_000]).recent(NOW) == {}


def test_only_the_last_minutes_count() -> None:
    ages = Ages(["a"], [5_000])
    take(ages, (0, 9_000))
    for passed in range(0, WINDOW_MS + EVERY_MS + 1, EVERY_MS):
        recent = ages.recent(NOW + passed)
    assert recent == {}
    take(ages, (0, 10), at=NOW + WINDOW_MS)
    assert ages.recent(NOW + WINDOW_MS + EVERY_MS + 1)["a"].published == 1
    assert ages.counts.sum() == 2


@given(st.lists(st.integers(0, 100_000_000), min_size=1, max_size=60))
def test_counting_in_any_cut_is_counting_at_once(old: list[int]) -> None:
    whole, parts = Ages(["a", "b"], [5_000, None]), Ages(["a", "b"], [5_000, None])
    changes = [(number % 2, age) for number, age in enumerate(old)]
    take(whole, *changes)
    for change in changes:
        take(parts, change)
    assert whole.recent(NOW) == parts.recent(NOW)
    assert whole.sum_ms == parts.sum_ms


def test_a_histogram_counts_at_or_below_its_bounds() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 9.0):
        histogram.add(value)
    assert (histogram.counts, histogram.sum) == ([2, 1, 1], 12.0)


@pytest.mark.parametrize(
    ("counts", "share", "value"),
    [
        ([0, 0, 0], 0.5, None),
        ([10, 0, 0], 0.5, 0.5),
        ([0, 10, 0], 0.5, 1.5),
        ([5, 5, 0], 0.5, 1.0),
        ([0, 0, 3], 0.99, 2.0),
    ],
)
def test_a_quantile_lies_straight_within_its_step(counts: list[int], share: float, value: float | None) -> None:
    assert quantile(counts, (1.0, 2.0), share) == value
