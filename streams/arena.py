"""Rows in memory: a slot per customer, the marks of what is to be written, and the due index.

Grows by doubling. It holds every customer of the partition; rows leave it only with the partition.
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

FIRST_CAPACITY = 1024


class Arena:
    """The rows of one partition; `state` is what the kernel works on, `slots` where each customer lies."""

    def __init__(self, plan: Plan) -> None:
        self._empty = plan.rows.empty
        self._said = max([1, *(len(tag.values) + 1 for tag in plan.catalogue.tags), 3])
        self.slots: dict[str, int] = {}
        self.customers: list[str] = []
        self._name_bytes = np.empty(16 * FIRST_CAPACITY, dtype=np.uint8)
        self._name_ends = np.zeros(FIRST_CAPACITY + 1, dtype=np.int64)
        capacity, rules = FIRST_CAPACITY, len(plan.said)
        rows = np.empty((capacity, plan.width), dtype=np.int64)
        self.state = State(
            rows=rows,
            rows32=rows.view(np.int32),
            reals=rows.view(np.float64),
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
        """The customer's slot; a new one holds the empty row."""
        found = self.slots.get(customer)
        if found is not None:
            return found
        slot = len(self.customers)
        if slot == len(self.state.rows):
            self._grow()
        self.slots[customer] = slot
        self.customers.append(customer)
        self._name(slot, customer.encode())
        self.state.rows[slot] = self._empty
        return slot

    def _name(self, slot: int, name: bytes) -> None:
        start = int(self._name_ends[slot])
        end = start + len(name)
        if end > len(self._name_bytes):
            self._name_bytes = np.concatenate([self._name_bytes, np.empty(max(end, len(self._name_bytes)), np.uint8)])
        self._name_bytes[start:end] = np.frombuffer(name, dtype=np.uint8)
        self._name_ends[slot + 1] = end

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

    def timers(self) -> int:
        """How many customers have a timer."""
        return int(np.count_nonzero(self.state.due.time[: len(self)] != NEVER))

    def take_dirty(self) -> NDArray[np.int64]:
        """The slots written since the last call, in order."""
        slots = np.flatnonzero(self.state.dirty[: len(self)])
        self.state.dirty[slots] = False
        return slots

    def take_changed(self) -> NDArray[np.int64]:
        """The slots whose tags or segments changed since the last call."""
        slots = np.flatnonzero(self.state.changed[: len(self)])
        self.state.changed[slots] = False
        return slots

    def _grow(self) -> None:
        old = self.state
        capacity = 2 * len(old.rows)
        self._name_ends = np.concatenate([self._name_ends, np.zeros(capacity - len(old.rows), dtype=np.int64)])
        rows = np.empty((capacity, old.rows.shape[1]), dtype=np.int64)
        rows[: len(old.rows)] = old.rows
        more = np.zeros(capacity - len(old.rows), dtype=np.bool_)
        self.state = State(
            rows=rows,
            rows32=rows.view(np.int32),
            reals=rows.view(np.float64),
            due=due_index.grow(old.due, capacity),
            dirty=np.concatenate([old.dirty, more]),
            changed=np.concatenate([old.changed, more]),
            said=old.said,
            clock=old.clock,
            census=quantiles.grow(old.census, capacity),
        )
