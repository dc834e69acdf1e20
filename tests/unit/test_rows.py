"""Rows written and read back, and the index of due times."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.engine import codec
from streams.engine import due as due_index
from streams.engine.layout import NEVER

WORDS = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 300)


@given(st.lists(st.lists(WORDS, min_size=6, max_size=6), max_size=5), st.lists(WORDS, min_size=6, max_size=6))
def test_a_row_written_and_read_back_is_the_same_row(rows: list[list[int]], empty: list[int]) -> None:
    given_rows, template = np.array(rows, dtype=np.int64).reshape(-1, 6), np.array(empty, dtype=np.int64)
    slots = np.arange(len(given_rows))
    written = codec.encode(given_rows, slots, template)
    back = np.full_like(given_rows, 77)
    if len(slots):
        codec.decode(written, back, slots, template)
    assert (back == given_rows).all()
    assert len(codec.encode(template[None, :], np.array([0]), template)[0]) == 0


@pytest.mark.parametrize("torn", [b"\x80", b"\x07\x02", b"\x01", b"\xff" * 12])
def test_torn_rows_are_refused(torn: bytes) -> None:
    rows, empty = np.zeros((1, 4), dtype=np.int64), np.zeros(4, dtype=np.int64)
    with pytest.raises(codec.CorruptRow, match="written row 0 of 1"):
        codec.decode([torn], rows, np.array([0]), empty)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 40) | st.just(NEVER)), max_size=60))
def test_p4_the_earliest_due_slot_is_always_first(moves: list[tuple[int, int]]) -> None:
    due = due_index.make(16)
    due_index.add_slots(due, 10)
    times = dict.fromkeys(range(10), NEVER)
    for slot, time in moves:
        due_index.set_due(due, slot, time)
        times[slot] = time
        first = int(due.heap[0])
        assert int(due.time[first]) == times[first] == min(times.values())
        assert sorted(due.heap[:10].tolist()) == list(range(10))
        assert all(int(due.heap[due.place[s]]) == s for s in range(10))


def test_the_index_grows_and_keeps_its_times() -> None:
    due = due_index.make(2)
    due_index.add_slots(due, 2)
    due_index.set_due(due, 1, 5)
    due = due_index.grow(due, 4)
    due_index.add_slots(due, 4)
    due_index.set_due(due, 3, 3)
    assert due.time.tolist() == [NEVER, 5, NEVER, 3]
    assert int(due.heap[0]) == 3
