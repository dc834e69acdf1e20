"""One order over a partition's sources: by event time, ties by the catalogue, then offset."""

from __future__ import annotations

import heapq

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from schemas.sources import MISSING, Decoded, Incoming
from streams.merge import Merge


def decoded(times: list[int]) -> Decoded:
    count = len(times)
    return Decoded(
        index=np.arange(count),
        customers=["c"] * count,
        times=np.array(times, dtype=np.int64),
        ids=[str(i) for i in range(count)],
        id_hashes=np.zeros(count, dtype=np.int64),
        removed=np.zeros(count, dtype=np.bool_),
        values=np.zeros((count, 0), dtype=np.int64),
        bad=[],
    )


def push(merge: Merge, source: int, times: list[int]) -> None:
    merge.push(source, decoded(times), [Incoming(b"", offset=i) for i in range(len(times))])


def taken(merge: Merge, limit: int = 1000) -> list[tuple[int, int]]:
    """(source, event time) of all that can be taken."""
    found: list[tuple[int, int]] = []
    while (piece := merge.take(limit)) is not None and len(piece.order):
        for run, place in zip(piece.order.tolist(), piece.places.tolist(), strict=True):
            found.append((piece.numbers[run], int(piece.runs[run].decoded.times[place])))
    return found


def test_records_come_by_event_time_and_ties_by_the_catalogues_order() -> None:
    merge = Merge(2)
    push(merge, 1, [10, 20, 30])
    push(merge, 0, [10, 25])
    assert taken(merge) == [(0, 10), (1, 10), (1, 20), (0, 25), (1, 30)]


def test_a_source_that_is_not_at_its_end_is_waited_for() -> None:
    merge = Merge(2)
    merge.ended(0, False)
    merge.ended(1, False)
    push(merge, 0, [10, 20])
    assert taken(merge) == []
    push(merge, 1, [5, 15])
    assert taken(merge) == [(1, 5), (0, 10), (1, 15)]
    merge.ended(1, True)
    assert taken(merge) == [(0, 20)]


def test_a_tie_with_an_unread_source_before_it_waits() -> None:
    merge = Merge(2)
    merge.ended(0, False)
    push(merge, 0, [10])
    push(merge, 1, [10])
    assert taken(merge) == [(0, 10)]
    push(merge, 0, [10])
    merge.ended(0, True)
    assert taken(merge) == [(0, 10), (1, 10)]


def test_a_sources_own_order_is_kept_when_its_times_are_not() -> None:
    merge = Merge(2)
    push(merge, 0, [10, 5, 20])
    push(merge, 1, [7, 12])
    assert taken(merge) == [(1, 7), (0, 10), (0, 5), (1, 12), (0, 20)]


def test_a_removal_without_time_stays_behind_the_record_before_it() -> None:
    merge = Merge(2)
    push(merge, 0, [10, MISSING, 20])
    push(merge, 1, [10, 11])
    assert taken(merge) == [(0, 10), (0, MISSING), (1, 10), (1, 11), (0, 20)]


def test_a_sources_own_order_is_kept_over_a_restart() -> None:
    merge = Merge(2)
    push(merge, 0, [100])
    push(merge, 1, [100])
    assert taken(merge) == [(0, 100), (1, 100)]
    again = Merge(2)
    again.go_on(merge.taken)
    for one in (merge, again):
        push(one, 0, [60, 120])
        push(one, 1, [50])
        # Both stand behind records of 100 of their own, and the first source comes first.
        assert taken(one) == [(0, 60), (1, 50), (0, 120)]


@given(
    st.lists(st.lists(st.integers(0, 50), max_size=12), min_size=1, max_size=3),
    st.integers(1, 7),
    st.integers(1, 5),
)
def test_any_cut_gives_the_order_of_a_merge_of_heads(sources: list[list[int]], run: int, limit: int) -> None:
    expected: list[tuple[int, int]] = []
    heads = [(times[0], number, 0) for number, times in enumerate(sources) if times]
    heapq.heapify(heads)
    while heads:
        time, number, place = heapq.heappop(heads)
        expected.append((number, time))
        if place + 1 < len(sources[number]):
            heapq.heappush(heads, (sources[number][place + 1], number, place + 1))
    merge, found = Merge(len(sources)), list[tuple[int, int]]()
    for number in range(len(sources)):
        merge.ended(number, False)
    for first in range(0, 12, run):
        for number, times in enumerate(sources):
            push(merge, number, times[first : first + run])
            merge.ended(number, first + run >= len(times))
        found += taken(merge, limit)
    assert found == expected


def test_what_came_in_small_lots_is_taken_at_once() -> None:
    merge = Merge(3)
    for number in range(4):
        for source in range(3):
            push(merge, source, [10 * number + source, 10 * number + source + 5])
    piece = merge.take(1000)
    assert piece is not None
    assert [int(piece.runs[run].heads[place]) for run, place in zip(piece.order, piece.places, strict=True)] == [
        10 * number + place for number in range(4) for place in (0, 1, 2, 5, 6, 7)
    ]
    assert [merge.queued(source) for source in range(3)] == [0, 0, 0]
    assert merge.taken == [35, 36, 37]


def test_of_small_lots_nothing_is_taken_that_an_unread_record_may_come_before() -> None:
    merge = Merge(2)
    merge.ended(0, False)
    for number in range(4):
        push(merge, 0, [10 * number])
        push(merge, 1, [10 * number + 5])
    assert taken(merge) == [(0, 0), (1, 5), (0, 10), (1, 15), (0, 20), (1, 25), (0, 30)]


def test_small_lots_beyond_the_limit_wait_their_turn() -> None:
    merge = Merge(2)
    for number in range(6):
        push(merge, 0, [10 * number])
    push(merge, 1, [25])
    first = merge.take(2)
    assert first is not None
    assert len(first.order) == 2
    assert taken(merge, 2) == [(0, 20), (1, 25), (0, 30), (0, 40), (0, 50)]
