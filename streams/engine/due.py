"""The due index: which row's timer comes next, found without looking at the others (P4).

A binary heap over slots with the place of each slot beside it, so that a row's due time can move either way. All
slots are always in it; rows without a timer bear `NEVER` and lie at the bottom.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.engine.compiling import compiled, inlined
from streams.engine.layout import NEVER


class Due(NamedTuple):
    """`time[slot]` in ms; `heap` holds slots, `place[slot]` where each stands; `size[0]` slots are in use.

    `size[1]` timers have fired so far: all the work that time has made.
    """

    time: NDArray[np.int64]
    heap: NDArray[np.int32]
    place: NDArray[np.int32]
    size: NDArray[np.int64]


def make(capacity: int) -> Due:
    """An empty index for `capacity` slots."""
    return Due(
        np.full(capacity, NEVER, dtype=np.int64),
        np.zeros(capacity, dtype=np.int32),
        np.zeros(capacity, dtype=np.int32),
        np.zeros(2, dtype=np.int64),
    )


def grow(due: Due, capacity: int) -> Due:
    """The same index with room for more slots."""
    larger = make(capacity)
    larger.time[: len(due.time)] = due.time
    larger.heap[: len(due.heap)] = due.heap
    larger.place[: len(due.place)] = due.place
    larger.size[:] = due.size
    return larger


@compiled
def add_slots(due: Due, slots: int) -> None:
    """Take slots up to `slots` into the index, without a timer."""
    for slot in range(due.size[0], slots):
        due.heap[slot] = slot
        due.place[slot] = slot
        due.time[slot] = NEVER
    due.size[0] = slots


@compiled
def set_due(due: Due, slot: int, time: int) -> None:
    """Move a slot's due time; O(log n)."""
    earlier = time < due.time[slot]
    due.time[slot] = time
    at = due.place[slot]
    if earlier:
        while at > 0:
            parent = (at - 1) >> 1
            other = due.heap[parent]
            if due.time[other] <= time:
                break
            due.heap[at] = other
            due.place[other] = at
            at = parent
    else:
        size = due.size[0]
        while True:
            child = 2 * at + 1
            if child >= size:
                break
            if child + 1 < size and due.time[due.heap[child + 1]] < due.time[due.heap[child]]:
                child += 1
            other = due.heap[child]
            if due.time[other] >= time:
                break
            due.heap[at] = other
            due.place[other] = at
            at = child
    due.heap[at] = slot
    due.place[slot] = at


def set_all(due: Due, times: NDArray[np.int64]) -> None:
    """Have slots 0, 1, ... due at those times, all at once; slots in order of their times are a heap."""
    slots = len(times)
    due.time[:slots] = times
    order = np.argsort(times, kind="stable")
    due.heap[:slots] = order
    due.place[order] = np.arange(slots)
    due.size[0] = slots


def upcoming(due: Due, limit: int, most: int) -> NDArray[np.int64]:
    """The slots that are next due, at or before `limit`, in order of their times; at most `most`. O(most log most)."""
    found = np.empty(most, dtype=np.int64)
    return found[: _upcoming(due, limit, found, np.empty(most + 1, dtype=np.int64))]


@compiled
def _upcoming(due: Due, limit: int, found: NDArray[np.int64], waiting: NDArray[np.int64]) -> int:
    """Walk down the heap from its top, the earliest first; `waiting` is a heap of places that may come next.

    A place that is taken gives up its room to its children, one of which is new: so there is room for all.
    """
    size, count, taken = due.size[0], 0, 0
    if size > 0 and due.time[due.heap[0]] <= limit:
        waiting[0], count = 0, 1
    while count > 0 and taken < len(found):
        place = waiting[0]
        found[taken] = due.heap[place]
        taken += 1
        count -= 1
        _sink(due, waiting, count, waiting[count])
        for child in (2 * place + 1, 2 * place + 2):
            if child < size and due.time[due.heap[child]] <= limit:
                _rise(due, waiting, count, child)
                count += 1
    return taken


@inlined
def _time_at(due: Due, place: int) -> int:
    return due.time[due.heap[place]]


@compiled
def _sink(due: Due, waiting: NDArray[np.int64], count: int, place: int) -> None:
    """Put a place in at the top of the first `count` that wait."""
    at = 0
    while 2 * at + 1 < count:
        child = 2 * at + 1
        if child + 1 < count and _time_at(due, waiting[child + 1]) < _time_at(due, waiting[child]):
            child += 1
        if _time_at(due, waiting[child]) >= _time_at(due, place):
            break
        waiting[at] = waiting[child]
        at = child
    waiting[at] = place


@compiled
def _rise(due: Due, waiting: NDArray[np.int64], count: int, place: int) -> None:
    """Put a place in at the end of the first `count` that wait."""
    at = count
    while at > 0 and _time_at(due, waiting[(at - 1) >> 1]) > _time_at(due, place):
        waiting[at] = waiting[(at - 1) >> 1]
        at = (at - 1) >> 1
    waiting[at] = place
