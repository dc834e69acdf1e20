"""Rows in and out of memory: who leaves, what stays, how it is read, and that a store has what was put out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.durations import DAY
from schemas.loading import loads
from schemas.sources import Incoming
from streams.engine import codec
from streams.engine import due as due_index
from streams.engine.layout import NEVER
from streams.engine.plan import Plan, build
from streams.frames import NOBODY, Frames
from streams.output import Output
from streams.processor import Partition
from streams.residence import LEAST_ROWS, Cold, RowLost, rows_within
from streams.store import ROW, Entry, Marker, Store
from tests.cold import Shelf

MIDNIGHT: Final = 1_772_323_200_000
ROOM: Final = 8
TEXT: Final = """
catalogue: days
timezone: UTC
sources:
  look: {topic: look, key: customer, time: at, id: id, allowed_skew: 0s, accept_late: 1d, fields: {page: [home, help]}}
features:
  days: {source: look, days: true, window: 2d}
  looks: {source: look, count: true}
tags:
  regular: {when: days >= 1}
  keen: {when: looks >= 2}
segments:
  present: {when: regular}
"""


@pytest.fixture(scope="module")
def plan() -> Plan:
    return build(loads(TEXT))


def looks(customers: Sequence[int], first: int = 0) -> list[tuple[str, Incoming]]:
    """A look of each, a second apart; `first` is the number of the first one."""
    return [
        ("look", Incoming(b'{"customer":"c%d","at":%d,"id":"%d","page":"home"}' % (who, MIDNIGHT + 1_000 * n, n), None))
        for n, who in enumerate(customers, first)
    ]


def flush(part: Partition, shelf: Shelf) -> None:
    shelf.put(part.take_dirty())
    part.written()


def small(plan: Plan, shelf: Shelf, rows: int = ROOM) -> Partition:
    return Partition(plan, keyed=False, cold=Cold(shelf.read, rows))


def here(part: Partition) -> list[str]:
    """The customers whose rows are in memory."""
    return [name for name, slot in part.arena.slots.items() if part.arena.state.frames[slot] >= 0]


def test_who_was_not_seen_for_longest_leaves_first(plan: Plan) -> None:
    shelf = Shelf()
    part = small(plan, shelf)
    for first in range(ROOM):
        part.feed(looks([first], first))
        flush(part, shelf)
    part.feed(looks([0], ROOM))
    flush(part, shelf)
    part.feed(looks([ROOM], ROOM + 1))
    assert "c0" in here(part)
    assert "c1" not in here(part)
    assert len(here(part)) == ROOM


def test_rows_that_are_dirty_or_being_written_stay(plan: Plan) -> None:
    shelf = Shelf()
    part = small(plan, shelf)
    part.feed(looks(range(ROOM)))
    taken = part.take_dirty()
    part.feed(looks(range(ROOM, 2 * ROOM), ROOM))
    assert len(here(part)) == 2 * ROOM  # beyond the limit: the first are not on the shelf yet, the others are dirty
    shelf.put(taken)
    part.written()
    part.feed(looks([2 * ROOM], 2 * ROOM))
    assert here(part) == [f"c{n}" for n in range(ROOM, 2 * ROOM + 1)]
    flush(part, shelf)
    part.feed(looks([0], 2 * ROOM + 1))
    assert part.arena.rows <= ROOM
    assert part.arena.frames.capacity == ROOM


def test_rows_of_the_step_at_work_stay_whatever_else_is_needed(plan: Plan) -> None:
    shelf = Shelf()
    part = small(plan, shelf)
    part.feed(looks(range(2 * ROOM)))
    flush(part, shelf)
    residence = part.residence
    assert residence is not None
    residence.begin(np.arange(ROOM))
    residence.bring(
        np.arange(ROOM, 2 * ROOM)
    )  # timers that fall due meanwhile: all rows are clean, and the limit is met
    assert here(part) == [f"c{n}" for n in range(2 * ROOM)]
    residence.end()
    residence.begin(np.array([2 * ROOM - 1]))
    assert part.arena.rows <= ROOM


def test_a_flush_is_asked_for_before_there_is_no_room_and_steps_need_little(plan: Plan) -> None:
    shelf = Shelf()
    part = small(plan, shelf, rows=16)
    assert not part.crowded
    part.push("look", [record for _, record in looks(range(100))])
    part.ended("look", True)
    asked = 0
    while part.run().more:
        assert part.arena.rows <= 16
        if part.crowded:
            asked += 1
            flush(part, shelf)
        assert not part.choked
    assert asked > 5
    for _ in range(5):
        part.feed(looks(range(12), 200))
    assert part.choked
    flush(part, shelf)
    assert not part.choked


def test_each_step_reads_once_and_only_what_is_not_in_memory(plan: Plan) -> None:
    shelf, asked = Shelf(), list[list[bytes]]()

    def read(customers: Sequence[bytes]) -> list[bytes | None]:
        asked.append(list(customers))
        return shelf.read(customers)

    part = Partition(plan, keyed=False, cold=Cold(read, 4))
    part.feed(looks([0, 1, 2, 3]))
    flush(part, shelf)
    part.feed(looks([4, 5], 4))
    assert asked == []  # nobody has written them: there is nothing to read
    flush(part, shelf)
    gone = {f"c{n}".encode() for n in range(6)} - {name.encode() for name in here(part)}
    part.feed(looks([0, 1, 2, 3, 4, 5], 6))
    assert [set(one) for one in asked] == [gone]
    assert part.residence is not None
    assert (part.residence.done.reads, part.residence.done.rows) == (1, len(gone))
    assert part.residence.done.evicted >= len(gone)


def test_a_row_that_the_store_has_lost_is_not_taken_for_a_new_customers(plan: Plan) -> None:
    shelf = Shelf()
    part = small(plan, shelf, rows=1)
    part.feed(looks([0, 1]))
    flush(part, shelf)
    part.feed(looks([2], 2))
    shelf.rows.clear()
    with pytest.raises(RowLost, match=r"1 of 1 rows are missing in the local state\. Remove it"):
        part.feed(looks([0], 3))


def test_less_room_is_kept_to_from_the_next_step_on(plan: Plan) -> None:
    shelf = Shelf()
    part = small(plan, shelf, rows=40)
    part.feed(looks(range(40)))
    flush(part, shelf)
    part.resize(10)
    part.feed(looks([3], 40))
    assert (part.arena.rows, part.arena.frames.capacity) == (10, 10)
    assert "c3" in here(part)
    part.resize(20)
    part.feed(looks(range(15), 41))
    assert part.arena.rows <= 20
    assert {f"c{n}" for n in range(15)} <= set(here(part))


def test_p4_customers_on_disk_are_due_like_others_a_slice_at_a_time(plan: Plan) -> None:
    count, shelf = 60, Shelf()
    part, whole = small(plan, shelf), Partition(plan, keyed=False)
    for one in (part, whole):
        one.feed(looks(range(count)))
        flush(part, shelf)
    expected = [change.id for change in whole.advance(MIDNIGHT + 3 * DAY).changes()]
    assert len(expected) == 2 * count
    outputs = [part.advance(MIDNIGHT + 3 * DAY, 7)]
    while part.overdue:
        flush(part, shelf)
        outputs.append(part.run(timers=7))
        assert part.arena.rows <= ROOM
        assert len(outputs[-1].changes()) <= 2 * 7
    assert sorted(change.id for one in outputs for change in one.changes()) == sorted(expected)
    assert part.overview() == whole.overview()


def test_p1_over_a_database_with_restarts_all_is_as_without_a_limit(plan: Plan, tmp_path: Path) -> None:
    draw = np.random.default_rng(5)
    records = looks(draw.integers(0, 300, 3_000).tolist())
    whole, expected = Partition(plan, keyed=False), list[str]()
    expected += ids(whole.feed(records))
    store, found = Store(tmp_path / "store"), list[str]()
    part = Partition(plan, keyed=False, cold=Cold(store.some_rows, 32))
    for first in range(0, len(records), 100):
        found += ids(part.feed(records[first : first + 100]))
        dirty, clock = part.take_dirty(), part.clock_state()
        entries = [Entry(ROW + who, row) for who, row in zip(dirty.customers, dirty.rows, strict=True)]
        store.write(entries, Marker({}, clock, "", "", {}, 1, {}), first)
        part.written()
        assert part.arena.rows <= 132
        if first % 1_000 == 900:
            store.close()
            store = Store(tmp_path / "store")
            assert store.marker is not None
            rows = store.rows(part.arena.heads.most_bytes)
            assert max(map(len, rows.rows)) <= part.arena.heads.most_bytes
            part = Partition(plan, keyed=False, cold=Cold(store.some_rows, 32))
            part.load(rows.customers, rows.rows)
            part.restore({}, msgspec.json.decode(msgspec.json.encode(store.marker.clock)))
            assert part.arena.rows == 0
    assert sorted(found) == sorted(expected)
    assert part.overview() == whole.overview()
    for name in ("c0", "c17", "c299"):
        assert part.customer_tags(name) == whole.customer_tags(name)
        assert part.explain(name) == whole.explain(name)
    assert part.customer_tags("c300") is None
    assert {one.customer_id for page in part.all_customer_tags() for one in page} == whole.arena.slots.keys()
    store.close()


def ids(output: Output) -> list[str]:
    return [change.id for change in output.changes()]


def test_a_workers_limit_is_shared_by_its_partitions_and_never_next_to_nothing() -> None:
    assert rows_within(1_000_000_000, 500, 8) == 31_250
    assert rows_within(1_000_000_000, 500, 0) == 250_000
    assert rows_within(1, 500, 8) == LEAST_ROWS


@given(st.lists(st.integers(0, 30) | st.just(NEVER), max_size=40), st.integers(-1, 31), st.integers(1, 12))
def test_p4_the_next_due_are_found_in_order_without_the_others(times: list[int], limit: int, most: int) -> None:
    due = due_index.make(64)
    due_index.set_all(due, np.array(times, dtype=np.int64))
    found = due_index.upcoming(due, limit, most)
    assert due.time[found].tolist() == sorted(time for time in times if time <= limit)[:most]
    assert len(set(found.tolist())) == len(found)
    for slot in range(len(times)):
        due_index.set_due(due, slot, NEVER)
    assert sorted(due.heap[: len(times)].tolist()) == list(range(len(times)))


@given(st.lists(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=3, max_size=3), min_size=1, max_size=6))
def test_heads_are_read_with_the_rows_cut_off(heads: list[list[int]]) -> None:
    given_heads, empty = np.array(heads, dtype=np.int64), np.array([7, 0, -1, 5], dtype=np.int64)
    rows, frames = np.arange(4 * len(heads), dtype=np.int64).reshape(-1, 4), np.arange(len(heads))
    written = codec.encode(rows, frames, empty, given_heads)
    cut = [row[: 3 * codec.HEAD_BYTES] for row in written]
    assert codec.heads_of(cut, 3).tolist() == heads
    back = np.zeros_like(rows)
    codec.decode(written, back, frames, empty, 3)
    assert (back == rows).all()
    with pytest.raises(codec.CorruptRow, match="written row 0 of 1 has no head of 3 words"):
        codec.heads_of([b"\x02\x80"], 3)


def test_frames_are_given_again_and_rows_move_to_the_first_ones() -> None:
    frames = Frames(4, 2)
    taken = frames.take(6)
    frames.rows[taken], frames.owner[taken] = taken[:, None], taken + 10
    frames.release(np.array([1, 4]))
    assert (len(frames), frames.touched) == (4, 6)
    again = frames.take(1)
    assert again.tolist()[0] in (1, 4)
    frames.release(again)
    frames.shrink(3)
    assert (frames.capacity, frames.touched) == (4, 4)
    assert frames.owner.tolist() == [10, 12, 13, 15]
    assert frames.rows[:, 0].tolist() == [0, 2, 3, 5]
    frames.release(np.array([3]))
    frames.shrink(3)
    assert frames.owner.tolist() == [10, 12, 13]
    assert NOBODY not in frames.owner


def test_p5_a_worker_that_begins_with_its_rows_on_disk_wakes_those_that_slept(plan: Plan) -> None:
    shelf, late = Shelf(), MIDNIGHT + 10 * DAY
    whole, part = Partition(plan, keyed=False), small(plan, shelf)
    for one in (whole, part):
        one.feed(looks(range(20)))
        one.freeze("look", MIDNIGHT + 60_000)
        one.advance(late)
        one.thaw("look")
        shelf_of = Shelf() if one is whole else shelf
        flush(one, shelf_of)
    again = small(plan, shelf)
    again.load(list(shelf.rows), list(shelf.rows.values()))
    again.restore({}, part.clock_state())
    assert again.sleeps
    found = [ids(one.wake()) for one in (whole, again) if one.sleeps]
    while again.sleeps:
        found[-1] += ids(again.wake())
    for one, said in zip((whole, again), found, strict=True):
        said += ids(one.advance(late))
    assert sorted(found[0]) == sorted(found[1])
    assert len(found[0]) == 40


def test_after_a_restart_those_of_whom_nothing_was_written_are_not_counted(plan: Plan) -> None:
    shelf = Shelf()
    part = small(plan, shelf)
    part.feed(looks(range(4)))
    flush(part, shelf)
    part.arena.slot("nobody")
    part.arena.index()
    part.arena.count_new(4, part._empty_codes)
    again = small(plan, shelf)
    again.load(list(shelf.rows), list(shelf.rows.values()))
    again.restore({}, part.clock_state())
    assert again.overview().customers == 4
    assert again.overview().tags == {"regular": {"false": 0, "true": 4}, "keen": {"false": 4, "true": 0}}


def test_times_since_of_customers_on_disk_are_counted_too() -> None:
    aged = build(
        loads(
            TEXT.replace(
                "tags:", "  idle: {source: look, since: last}\ntags:\n  lately: {quantiles: {of: idle, levels: 2}}"
            )
        )
    )
    shelf = Shelf()
    whole, part = Partition(aged, keyed=False), small(aged, shelf)
    for first in range(0, 60, 5):
        whole.feed(looks(range(first, first + 5), first))
        part.feed(looks(range(first, first + 5), first))
        flush(part, shelf)
    assert part.arena.rows == ROOM
    again = small(aged, shelf)
    again.load(list(shelf.rows), list(shelf.rows.values()))
    again.restore({}, part.clock_state())
    expected = whole.census.counts("lately", MIDNIGHT + DAY)
    assert expected.sum() == 60
    for one in (part, again):
        assert (one.census.counts("lately", MIDNIGHT + DAY) == expected).all()
