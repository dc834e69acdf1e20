"""The due index: which row's timer comes next, found without looking at the others (P4).

A binary heap over slots with the place of each slot beside it, so that a row's due time can move either way. All
slots are always in it; rows without a timer bear `NEVER` and lie at the bottom.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.engine.compiling import compiled
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
