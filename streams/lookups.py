"""What a partition's rows say, in memory or not: looked up by whoever asks, while the partition works."""

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
from streams.engine import clock, codec
from streams.engine.explain import Explanation, explain
from streams.engine.layout import NOW
from streams.engine.plan import Plan
from streams.output import Dirty, Overview
from streams.residence import Cold, Residence
from streams.say import Sayer
from streams.standstill import Standstill
from streams.written import Customers

_AT_ONCE: Final = 256


class Lookups:
    """The rows of one partition, and the words for what they say.

    Attributes
    ----------
    residence
        Which rows are in memory; None where all are.
    """

    def __init__(self, plan: Plan, cold: Cold | None = None) -> None:
        sources = plan.catalogue.sources
        self.plan = plan
        self._lock = threading.Lock()
        self.arena = Arena(plan, None if cold is None else cold.rows)
        self.residence = None if cold is None else Residence(plan, self.arena, cold)
        self._still = Standstill(plan)
        self.census = PartitionCensus(plan, self.arena)
        self.sayer = Sayer(plan, self.arena, self._still, self.census.cuts)
        self._profiles = np.array([plan.rows.newest[one.name] for one in sources if one.profile], dtype=np.int64)

    @property
    def crowded(self) -> bool:
        """Whether rows are to be written soon, so that others can be in memory."""
        return self.residence is not None and self.residence.wants_flush

    @property
    def choked(self) -> bool:
        """Whether rows have to be written before there is room for others in memory."""
        return self.residence is not None and self.residence.choked

    def resize(self, rows: int) -> None:
        """Have that many rows in memory at most, where there is a limit at all."""
        if self.residence is not None:
            self.residence.resize(rows)

    def _bring(self, slots: NDArray[np.int64]) -> None:
        """Have the rows in those slots in memory."""
        if self.residence is not None:
            self.residence.bring(slots)

    def _bring_next(self, first: int, end: int) -> int:
        """Have the next rows up to slot `end` in memory; where those that are so end."""
        self._take_stock()
        return end if self.residence is None else self.residence.bring_next(first, end)

    def _take_stock(self) -> None:
        """Count the rows that have to stay in memory until they are written."""
        if self.residence is not None:
            self.residence.take_stock()

    def _row(self, customer: str) -> NDArray[np.int64] | None:
        """A copy of the customer's row; None for one of whom nothing is known."""
        slot = self.arena.slots.get(customer)
        if slot is None:
            return None
        self._bring(np.array([slot]))
        row: NDArray[np.int64] = self.arena.state.rows[self.arena.state.frames[slot]].copy()
        return None if row[NOW] == MISSING else row

    def row(self, customer: str) -> NDArray[np.int64] | None:
        """A copy of the customer's row, in memory or not; None for one of whom nothing is known."""
        with self._lock:
            return self._row(customer)

    def customer_tags(self, customer: str) -> CustomerTags | None:
        """All that is said about a customer, at the row's now."""
        with self._lock:
            if self._row(customer) is None:
                return None
            return next(iter(self.sayer.customers(np.array([self.arena.slots[customer]]))))

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
        if self.residence is not None:  # what is not known yet says nothing
            return self._pages(np.arange(len(self.arena)))
        return self._pages(np.flatnonzero(self.arena.state.rows[: len(self.arena), NOW] != MISSING))

    def take_published(self) -> Iterator[Customers]:
        """What to publish of every customer with a change since the last call."""
        return self._pages(self.arena.take_changed())

    def _pages(self, slots: NDArray[np.int64]) -> Iterator[Customers]:
        for first in range(0, len(slots), _AT_ONCE):
            with self._lock:
                self._bring(slots[first : first + _AT_ONCE])
                page = self.sayer.customers(slots[first : first + _AT_ONCE])
            yield page

    def explain(self, customer: str) -> list[Explanation] | None:
        """Why the customer has every tag and segment; None for one that is not known."""
        with self._lock:
            row = self._row(customer)
            if row is None:
                return None
            cuts, freeze = self.census.of_slot(self.arena.slots[customer]), self._still.now()
        return explain(self.plan, row, cuts, self.census.held, freeze, self.census.lifetimes.held)

    def holds(self, name: str, customer: str) -> bool | None:
        """What a boolean tag, segment or stored feature says of a customer now; None where that is not known."""
        row = self.row(customer)
        return None if row is None else self.sayer.holds(name, row)

    def profiled_at(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """Time of the newest profile record of the customer in each slot; 0 where there is none."""
        with self._lock:
            self._bring(slots)
            frames = self.arena.state.frames[slots]
            known: NDArray[np.int64] = self.arena.state.rows[np.ix_(frames, self._profiles)].max(axis=1, initial=0)
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

    @property
    def frozen(self) -> dict[str, int]:
        """The frozen sources, and since when (UTC ms)."""
        return dict(self._still.since)

    @property
    def sleeps(self) -> bool:
        """Whether rows are still to be woken; no other source may freeze or thaw before that."""
        return self._still.asleep is not None

    def freeze(self, source: str, since_ms: int) -> None:
        """Read a source's features as of then from now on, and let what its time would bring wait (P5)."""
        with self._lock:
            if self._still.stop(source, since_ms):
                self.sayer.tell()

    def thaw(self, source: str) -> None:
        """Let a frozen source flow again; `Partition.wake` then brings the customers up to it."""
        with self._lock:
            if self._still.go(source):
                self.sayer.tell()

    def take_dirty(self) -> Dirty:
        """The rows written since the last call, encoded; they stay in memory until `written`."""
        with self._lock:
            state, slots = self.arena.state, self.arena.take_dirty()
            heads = self.arena.heads.of(state, slots)
            rows = codec.encode(state.rows, state.frames[slots].astype(np.int64), self.plan.rows.empty, heads)
        return Dirty([self.arena.customers[slot].encode() for slot in slots], rows)

    def written(self) -> bool:
        """What `take_dirty` gave last is in the store; whether nothing had room before that."""
        with self._lock:
            choked = self.choked
            self.arena.written()
            self._take_stock()
            if self.residence is not None:
                self.residence.keep_limit()
            return choked
