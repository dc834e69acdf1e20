"""What is known of a partition's customers: a slot for each, the marks of what is to be written, and the due index.

A slot is a customer's number for good. All that is kept by slot is small; the rows are not, so with a limit only some
of them are in memory (`streams.residence`). Without one, every row lies in the frame of its slot's number.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streams.engine import due as due_index
from streams.engine import quantiles
from streams.engine.kernel import State
from streams.engine.layout import MISSING, NEVER
from streams.engine.plan import Plan
from streams.engine.write import Names
from streams.frames import NOBODY, Frames
from streams.heads import Heads

FIRST_CAPACITY = 1024


class Arena:
    """The customers of one partition; `state` is what the kernel works on, `slots` the number of each.

    Attributes
    ----------
    most
        How many rows may be in memory; None: all.
    held
        By slot: its row is being written, and is not on disk before that is done.
    stored
        By slot: its row is on disk.
    kept
        By slot, shape (capacity, words): `Heads.words` of the rows that are not in memory.
    """

    def __init__(self, plan: Plan, most: int | None = None) -> None:
        self._empty = plan.rows.empty
        self._said = max([1, *(len(tag.values) + 1 for tag in plan.catalogue.tags), 3])
        self.most, self.heads = most, Heads(plan)
        self.slots: dict[str, int] = {}
        self.customers: list[str] = []
        self._name_bytes = np.empty(16 * FIRST_CAPACITY, dtype=np.uint8)
        self._name_ends = np.zeros(FIRST_CAPACITY + 1, dtype=np.int64)
        capacity, rules = FIRST_CAPACITY, len(plan.said)
        self.frames = Frames(capacity if most is None else most, plan.width)
        self.held = np.zeros(capacity, dtype=np.bool_)
        self.stored = np.zeros(capacity, dtype=np.bool_)
        self.kept = np.empty((capacity, len(self.heads.words)), dtype=np.int64)
        rows = self.frames.rows
        self.state = State(
            rows=rows,
            rows32=rows.view(np.int32),
            reals=rows.view(np.float64),
            frames=self._no_frames(0, capacity),
            due=due_index.make(capacity),
            dirty=np.zeros(capacity, dtype=np.bool_),
            changed=np.zeros(capacity, dtype=np.bool_),
            said=np.zeros((rules, self._said), dtype=np.int64),
            clock=np.array([MISSING, MISSING, -1], dtype=np.int64),
            census=quantiles.census(capacity, len(plan.tables.quantiles)),
        )

    def __len__(self) -> int:
        return len(self.customers)

    def slot(self, customer: str) -> int:
        """The customer's slot; a new one's row is the empty one."""
        found = self.slots.get(customer)
        if found is not None:
            return found
        slot = len(self.customers)
        self._room_for(slot + 1)
        self.slots[customer] = slot
        self.customers.append(customer)
        name = customer.encode()
        self._room_for_names(slot, len(name))
        end = int(self._name_ends[slot]) + len(name)
        self._name_bytes[end - len(name) : end] = np.frombuffer(name, dtype=np.uint8)
        self._name_ends[slot + 1] = end
        if self.most is None:
            self.state.rows[slot] = self._empty
        return slot

    def add(self, customers: list[bytes]) -> NDArray[np.int64]:
        """New customers, each once; their slots."""
        first, end = len(self), len(self) + len(customers)
        self._room_for(end)
        names = [customer.decode() for customer in customers]
        self.slots.update(zip(names, range(first, end), strict=True))
        self.customers += names
        lengths = np.cumsum([len(customer) for customer in customers], dtype=np.int64)
        self._room_for_names(first, int(lengths[-1]) if customers else 0)
        start = int(self._name_ends[first])
        self._name_ends[first + 1 : end + 1] = start + lengths
        self._name_bytes[start : self._name_ends[end]] = np.frombuffer(b"".join(customers), dtype=np.uint8)
        if self.most is None:
            self.state.rows[first:end] = self._empty
        return np.arange(first, end)

    def _room_for_names(self, slot: int, more: int) -> None:
        end = int(self._name_ends[slot]) + more
        if end > len(self._name_bytes):
            self._name_bytes = np.concatenate([self._name_bytes, np.empty(max(end, len(self._name_bytes)), np.uint8)])

    @property
    def names(self) -> Names:
        """The customers as bytes; what is given out stays as it is."""
        return Names(self._name_bytes, self._name_ends)

    def index(self) -> None:
        """Take slots given out since the last call into the due index."""
        due_index.add_slots(self.state.due, len(self.customers))

    def count_new(self, first: int, codes: NDArray[np.int64]) -> None:
        """Count customers from slot `first` on as saying what the empty row says."""
        new = len(self.customers) - first
        if new > 0:
            self.state.said[np.arange(len(codes)), codes] += new

    def said_in_store(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many customers say what, without those whose rows were never written: they say `codes`."""
        count, state = len(self), self.state
        unwritten = count - np.count_nonzero(self.stored[:count] | self.held[:count] | state.dirty[:count])
        said: NDArray[np.int64] = state.said.copy()
        said[np.arange(len(codes)), codes] -= unwritten
        return said

    @property
    def rows(self) -> int:
        """How many rows are in memory."""
        return len(self) if self.most is None else len(self.frames)

    @property
    def row_bytes(self) -> int:
        """The memory that rows take."""
        return (len(self) if self.most is None else self.frames.touched) * self.frames.rows.strides[0]

    def timers(self) -> int:
        """How many customers have a timer."""
        return int(np.count_nonzero(self.state.due.time[: len(self)] != NEVER))

    def words(self, slots: NDArray[np.int64], word: int) -> NDArray[np.int64]:
        """That word of the rows of those slots, in memory or not; one of `Heads.words`."""
        frames, place = self.state.frames[slots], int(np.searchsorted(self.heads.words, word))
        found: NDArray[np.int64] = np.where(frames < 0, self.kept[slots, place], self.state.rows[frames, word])
        return found

    def take_dirty(self) -> NDArray[np.int64]:
        """The slots written since the last call, in order; they are `held` until `written`."""
        slots = np.flatnonzero(self.state.dirty[: len(self)])
        self.state.dirty[slots] = False
        self.held[slots] = True
        return slots

    def written(self) -> None:
        """What was taken is on disk."""
        np.logical_or(self.stored, self.held, out=self.stored)
        self.held[:] = False

    def take_changed(self) -> NDArray[np.int64]:
        """The slots whose tags or segments changed since the last call."""
        slots = np.flatnonzero(self.state.changed[: len(self)])
        self.state.changed[slots] = False
        return slots

    def relocated(self) -> None:
        """Have the kernel work on the frames as they are now."""
        rows = self.frames.rows
        if self.state.rows is not rows:
            self.state = self.state._replace(rows=rows, rows32=rows.view(np.int32), reals=rows.view(np.float64))

    def _no_frames(self, first: int, end: int) -> NDArray[np.int32]:
        """Where the rows of new slots are: nowhere, or in the frame of the same number."""
        if self.most is None:
            return np.arange(first, end, dtype=np.int32)
        return np.full(end - first, NOBODY, dtype=np.int32)

    def _room_for(self, slots: int) -> None:
        while slots > len(self.state.dirty):
            self._grow()

    def _grow(self) -> None:
        old = self.state
        before, capacity = len(old.dirty), 2 * len(old.dirty)
        self._name_ends = np.concatenate([self._name_ends, np.zeros(capacity - before, dtype=np.int64)])
        more = np.zeros(capacity - before, dtype=np.bool_)
        self.held, self.stored = np.concatenate([self.held, more]), np.concatenate([self.stored, more])
        self.kept = np.concatenate([self.kept, np.empty((capacity - before, self.kept.shape[1]), dtype=np.int64)])
        if self.most is None:
            self.frames.extend(capacity)
        self.state = old._replace(
            frames=np.concatenate([old.frames, self._no_frames(before, capacity)]),
            due=due_index.grow(old.due, capacity),
            dirty=np.concatenate([old.dirty, more]),
            changed=np.concatenate([old.changed, more]),
            census=quantiles.grow(old.census, capacity),
        )
        self.relocated()
