"""What a partition's rows say: looked up by whoever asks, while the partition works."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.records import CustomerTags
from schemas.sources import MISSING
from streams.arena import Arena
from streams.census import PartitionCensus
from streams.engine import clock
from streams.engine.explain import Explanation, explain
from streams.engine.layout import NOW
from streams.engine.plan import Plan
from streams.output import Overview
from streams.say import Sayer
from streams.standstill import Standstill
from streams.written import Customers

_AT_ONCE: Final = 1_000


class Lookups:
    """The rows of one partition, and the words for what they say."""

    def __init__(self, plan: Plan) -> None:
        sources = plan.catalogue.sources
        self.plan = plan
        self._lock = threading.Lock()
        self.arena = Arena(plan)
        self._still = Standstill(plan)
        self.census = PartitionCensus(plan, self.arena)
        self.sayer = Sayer(plan, self.arena, self._still, self.census.cuts)
        self._profiles = np.array([plan.rows.newest[one.name] for one in sources if one.profile], dtype=np.int64)

    def customer_tags(self, customer: str) -> CustomerTags | None:
        """All that is said about a customer, at the row's now."""
        slot = self.arena.slots.get(customer)
        with self._lock:
            if slot is None or self.arena.state.rows[slot, NOW] == MISSING:
                return None
            return next(iter(self.sayer.customers(np.array([slot]))))

    def tags_of(self, customers: Iterable[str]) -> Iterator[CustomerTags]:
        """All that is said about those of these customers who are known."""
        slots = [slot for customer in customers if (slot := self.arena.slots.get(customer)) is not None]
        for page in self._pages(np.array(slots, dtype=np.int64)):
            yield from page

    def publish_again(self, customers: Iterable[str]) -> None:
        """Have what is said of those customers published with the next flush, changed or not."""
        slots = [slot for customer in customers if (slot := self.arena.slots.get(customer)) is not None]
        self.arena.state.changed[slots] = True

    def all_customer_tags(self) -> Iterator[Customers]:
        """All that is said about every customer, in the order in which they came."""
        return self._pages(np.flatnonzero(self.arena.state.rows[: len(self.arena), NOW] != MISSING))

    def take_published(self) -> Iterator[Customers]:
        """What to publish of every customer with a change since the last call."""
        return self._pages(self.arena.take_changed())

    def _pages(self, slots: NDArray[np.int64]) -> Iterator[Customers]:
        for first in range(0, len(slots), _AT_ONCE):
            with self._lock:
                page = self.sayer.customers(slots[first : first + _AT_ONCE])
            yield page

    def explain(self, customer: str) -> list[Explanation] | None:
        """Why the customer has every tag and segment; None for one that is not known."""
        slot = self.arena.slots.get(customer)
        if slot is None or self.arena.state.rows[slot, NOW] == MISSING:
            return None
        with self._lock:
            row, cuts, freeze = self.arena.state.rows[slot].copy(), self.census.of_slot(slot), self._still.now()
        return explain(self.plan, row, cuts, self.census.held, freeze, self.census.lifetimes.held)

    def holds(self, name: str, customer: str) -> bool | None:
        """What a boolean tag, segment or stored feature says of a customer now; None where that is not known."""
        slot = self.arena.slots.get(customer)
        if slot is None or self.arena.state.rows[slot, NOW] == MISSING:
            return None
        return self.sayer.holds(name, self.arena.state.rows[slot])

    def profiled_at(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """Time of the newest profile record of the customer in each slot; 0 where there is none."""
        known: NDArray[np.int64] = self.arena.state.rows[np.ix_(slots, self._profiles)].max(axis=1, initial=0)
        return known

    @property
    def watermark(self) -> int | None:
        """The partition's watermark in ms, None before the first record."""
        found = int(clock.watermark(self.arena.state.clock, self.plan.skew_ms))
        return None if found == MISSING else found

    def event_now(self) -> int:
        """The newest confirmed event time in ms; 0 before the first record."""
        found = self.watermark
        return 0 if found is None else found + self.plan.skew_ms

    def overview(self) -> Overview:
        """How many customers say what."""
        tags, segments = self.sayer.counts()
        return Overview(len(self.arena), tags, segments)
