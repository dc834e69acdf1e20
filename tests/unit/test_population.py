"""Buckets, cut-points and their merger: exact where they can be, and off by a bucket at most."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.loading import loads
from schemas.population import CutPoints, Population, definition_of
from streams.cuts import Followed, Merger
from streams.engine.population import (
    BUCKETS,
    EDGES,
    UNKNOWN,
    bucket_of,
    buckets_of,
    cut_points,
    histogram,
    is_ordered,
    level,
    moved,
)
from streams.gathering import WAIT_S

CATALOGUE = """
catalogue: shop
timezone: UTC
currency: CNY
sources:
  buys: {topic: buys, key: who, time: at, id: id, fields: {paid: money}}
features:
  times: {source: buys, count: true, window: ever}
  idle: {source: buys, since: last}
tags:
  often: {quantiles: {of: times, levels: 5, least: 5}}
  lately: {quantiles: {of: idle, levels: 2, least: 2}}
"""
values = st.floats(-1e15, 1e15).filter(lambda value: value == 0 or abs(value) > 1e-6)


@given(values)
def test_a_value_is_in_its_bucket_whichever_way_it_is_looked_up(value: float) -> None:
    assert bucket_of(value, EDGES) == buckets_of(np.array([value]))[0]


@given(values, values)
def test_larger_values_are_in_higher_buckets(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert bucket_of(low, EDGES) <= bucket_of(high, EDGES)


@given(st.lists(values, min_size=1, max_size=60), st.integers(2, 9), st.booleans())
def test_cut_points_let_the_exact_quantile_in_and_lie_within_its_bucket(
    found: list[float], levels: int, falling: bool
) -> None:
    cuts = cut_points(histogram(np.array(found)), levels, falling, False)
    assert is_ordered(cuts, falling)
    for k, cut in enumerate(cuts, start=1):
        share = 1 - k / levels if falling else k / levels
        exact = sorted(found, reverse=falling)[-(-(len(found) - 1) * k // levels)]
        with_numpy = np.quantile(found, share, method="lower" if falling else "higher")
        assert exact == with_numpy or (len(found) - 1) * k % levels == 0
        assert bucket_of(exact, EDGES) == bucket_of(cut, EDGES)
        assert exact <= cut if falling else exact >= cut


@given(st.lists(st.integers(0, 100), min_size=1, max_size=60), st.integers(2, 6), st.booleans())
def test_small_whole_numbers_have_exact_cut_points(found: list[int], levels: int, falling: bool) -> None:
    cuts = cut_points(histogram(np.array(found, dtype=float)), levels, falling, True)
    ordered = sorted(found, reverse=falling)
    assert cuts == [ordered[-(-(len(found) - 1) * k // levels)] for k in range(1, levels)]


@given(st.lists(st.lists(values, max_size=20), max_size=6))
def test_histograms_add_up_to_that_of_all_values(parts: list[list[float]]) -> None:
    whole = histogram(np.array([value for part in parts for value in part], dtype=float))
    added = sum((histogram(np.array(part, dtype=float)) for part in parts), np.zeros(BUCKETS, dtype=np.int64))
    np.testing.assert_array_equal(whole, added)


def test_values_beyond_all_buckets_share_the_outermost_ones() -> None:
    assert bucket_of(1e-12, EDGES) == bucket_of(1e-10, EDGES)
    assert bucket_of(1e30, EDGES) == bucket_of(np.inf, EDGES)
    assert bucket_of(-1e30, EDGES) == bucket_of(-np.inf, EDGES)
    outermost = np.array([-1e30, -1e-12, 1e-12, 1e30])
    for falling in (False, True):
        assert is_ordered(cut_points(histogram(outermost), 5, falling, False), falling)


def test_many_equal_values_have_one_level_whatever_their_number() -> None:
    for ones in (700, 701, 760):
        bought = np.array([1.0] * ones + [2.0] * 150 + [3.0] * 100 + [50.0] * 50)
        cuts = cut_points(histogram(bought), 5, False, True)
        assert cuts == [1.0, 1.0, 1.0, 2.0]
        assert [level(times, cuts, False) for times in (0, 1, 2, 3, 50)] == [1, 4, 5, 5, 5]


def test_one_value_alone_puts_everybody_in_the_highest_level() -> None:
    for falling in (False, True):
        cuts = cut_points(histogram(np.full(9, 7.0)), 5, falling, True)
        assert level(7.0, cuts, falling) == 5


def test_of_a_falling_order_small_values_are_the_high_levels() -> None:
    cuts = cut_points(histogram(np.arange(1.0, 101.0)), 4, True, True)
    assert cuts == [75.0, 50.0, 25.0]
    assert [level(value, cuts, True) for value in (100, 76, 75, 50, 25, 1)] == [1, 1, 2, 3, 4, 4]


def test_who_has_no_value_is_the_lowest_and_makes_no_cut_point() -> None:
    counts = histogram(np.array([3.0, 4.0, 5.0, 6.0]), unknown=6)
    assert counts[UNKNOWN] == 6
    assert cut_points(counts, 5, False, True) == [3.0, 3.0, 3.0, 5.0]
    assert cut_points(histogram(np.array([]), unknown=6), 5, False, True) == []


def test_cut_points_move_only_past_the_tolerance() -> None:
    assert not moved([100.0, 200.0], [102.0, 196.0], 0.02)
    assert moved([100.0, 200.0], [102.0, 195.9], 0.02)
    assert moved([0.0], [1.0], 0.5)
    assert not moved([0.0], [0.0], 0.0)


# ---------------------------------------------------------------------------------------------------------- the merger


def population(times: list[int], partition: int = 0, partitions: int = 1, at: int = 1_000) -> Population:
    counts = histogram(np.array(times, dtype=float))
    buckets = np.flatnonzero(counts)
    catalogue = loads(CATALOGUE)
    kind = definition_of(catalogue, "often")
    return Population("often", kind, partition, partitions, at, buckets.tolist(), counts[buckets].tolist())


def test_the_merger_waits_for_every_partition_or_a_while() -> None:
    merger = Merger(loads(CATALOGUE))
    merger.take(population([1, 2, 3], 0, 2), now_s=5.0)
    assert merger.make(5.0) == []
    merger.take(population([4, 5, 6], 1, 2), now_s=6.0)
    (whole,) = merger.make(6.0)
    assert (whole.version, whole.customers, whole.cuts) == (1, 6, [2.0, 3.0, 4.0, 5.0])
    merger.take(population([7, 8, 9], 0, 2, at=2_000), now_s=7.0)
    assert merger.make(7.0 + WAIT_S - 0.1) == []
    (late,) = merger.make(7.0 + WAIT_S)
    assert (late.version, late.at, late.cuts) == (2, 2_000, [5.0, 6.0, 7.0, 8.0])


def test_by_records_times_what_every_partition_counted_last_is_taken() -> None:
    merger = Merger(loads(CATALOGUE), together=False)
    merger.take(population([1, 2, 3], 0, 2, at=5_000))
    assert merger.make() == []
    merger.take(population([4, 5, 6], 1, 2, at=2_000))
    (points,) = merger.make()
    assert (points.at, points.customers) == (5_000, 6)


def test_nothing_is_cut_before_control_has_been_read() -> None:
    topic, worker = Topic(), Followed(loads(CATALOGUE), "g")
    told, topic.is_caught_up = topic.follow(worker), False
    worker.publish([population([1, 2, 3, 4, 5])])
    worker.tick(True, 1.0)
    assert told == []
    topic.is_caught_up = True
    worker.tick(True, 2.0)
    assert [points.version for points in told] == [1]


def test_a_population_that_stays_as_it_is_makes_no_new_cut_points() -> None:
    merger = Merger(loads(CATALOGUE))
    merger.take(population(list(range(1, 51))))
    assert len(merger.make()) == 1
    merger.take(population(list(range(1, 51)), at=2_000))
    assert merger.make() == []


def test_too_few_customers_make_no_cut_points() -> None:
    merger = Merger(loads(CATALOGUE))
    merger.take(population([1, 2, 3, 4]))
    assert merger.make() == []
    merger.take(population([1, 2, 3, 4, 5]))
    assert len(merger.make()) == 1


def test_counts_of_another_definition_or_of_fewer_partitions_are_left_out() -> None:
    merger = Merger(loads(CATALOGUE))
    merger.take(msgspec.structs.replace(population([1] * 9), definition="0" * 16))
    assert merger.make() == []
    merger.take(population([1] * 9, 0, 1))
    merger.take(population([2] * 9, 1, 2))
    merger.take(population([2] * 9, 0, 2))
    (points,) = merger.make()
    assert (points.customers, points.cuts) == (18, [2.0] * 4)


class Topic:
    """A control topic of one app in memory: what is put comes back at once."""

    def __init__(self) -> None:
        self.records: list[tuple[str, bytes | None]] = []
        self.followers: list[Followed] = []
        self.is_caught_up = True

    def put(self, key: str, value: bytes | None) -> None:
        self.records.append((key, value))
        for one in self.followers:
            one.on_record(key, value, len(self.records) - 1)

    def follow(self, followed: Followed) -> list[CutPoints]:
        told: list[CutPoints] = []
        followed.follow(self, lambda cut: told.append(cut.points))
        for offset, (key, value) in enumerate(self.records):
            followed.on_record(key, value, offset)
        self.followers.append(followed)
        return told


def test_one_worker_merges_all_follow_and_one_that_begins_later_goes_on() -> None:
    topic, first, second = Topic(), Followed(loads(CATALOGUE), "g"), Followed(loads(CATALOGUE), "g")
    told, told_too = topic.follow(first), topic.follow(second)
    first.publish([population([1, 2, 3], 0, 2)])
    second.publish([population([4, 5, 6], 1, 2)])
    for worker in (second, first):
        worker.tick(worker is first, 1.0)
    assert [points.cuts for points in told] == [points.cuts for points in told_too] == [[2.0, 3.0, 4.0, 5.0]]
    later = Followed(loads(CATALOGUE), "g")
    told_later = topic.follow(later)
    assert told_later == told
    first.publish([population([11, 12, 13], 0, 2, at=2_000)])
    second.publish([population([14, 15, 16], 1, 2, at=2_000)])
    later.tick(True, 2.0)
    assert [points.version for points in told_later] == [1, 2]


@pytest.mark.parametrize("value", [b"no JSON", b'{"tag": "often"}', None])
def test_what_can_not_be_read_is_left_out(value: bytes | None) -> None:
    topic = Topic()
    told = topic.follow(Followed(loads(CATALOGUE), "g"))
    for key in ("population/g/often/0", "cut-points/g/often", "population/other/often/0", "model/g/t", "control"):
        topic.put(key, value)
    odd = msgspec.structs.replace(population([1] * 9), buckets=[BUCKETS])
    topic.put("population/g/often/0", msgspec.json.encode(odd))
    topic.followers[0].tick(True, 1.0)
    assert told == []
