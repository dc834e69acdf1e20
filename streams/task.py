"""One partition at work: batches in, changes out, state written back.

A task joins what belongs to a partition: its processor, its output batches and where each topic is read next. The
worker drives it; one step or snapshot at a time, while the writing of a snapshot goes on beside later steps.
"""

from __future__ import annotations

import asyncio
import time

import msgspec

from schemas.catalogue import Source
from schemas.topics import Role
from streams.cluster import Cluster
from streams.counters import Counters
from streams.emit import Emitter
from streams.lane import Batch, Lane, Place
from streams.output import Output
from streams.processor import Partition
from streams.store import Marker, Rows
from streams.tables import Tables

FIRST_ROW_BYTES = 600


class LaneGap(Exception):
    """A batch did not start where the one before ended: an error of ours, never of the input."""


class FlushTorn(Exception):
    """A flush did not end; only recovery knows the state now."""


class FlushRule(msgspec.Struct, frozen=True):
    """When state is written."""

    interval_s: float
    bytes: int


class Task:
    """A partition of this worker."""

    def __init__(
        self,
        part: Partition,
        number: int,
        sources: tuple[Source, ...],
        emitter: Emitter,
        counters: Counters,
        run_records: int,
    ) -> None:
        self.part, self.number, self._sources, self._emitter = part, number, sources, emitter
        self._counters, self._run_records = counters, run_records
        self._places = {source.name: Place(source.topic, number) for source in sources}
        self._expected = {source.name: part.positions().get(source.name) for source in sources}
        self._paused: set[str] = set()
        self._flushing = asyncio.Lock()
        self._flushed_at = time.monotonic()
        self._flushed_positions = part.positions()
        self._changed_since = 0
        self._row_bytes = FIRST_ROW_BYTES
        self._torn = False
        self._counted = part.positions()
        self.more = False

    def next_offsets(self) -> dict[Place, int | None]:
        """Where each source is read on, None where it never was."""
        return {self._places[name]: offset for name, offset in self._expected.items()}

    def receive(self, batch: Batch) -> None:
        """Take a batch in; one that was here before is passed over.

        Raises
        ------
        LaneGap
            Records before it are missing.
        """
        for source in self._sources:
            if self._places[source.name] != batch.place:
                continue
            expected = self._expected[source.name]
            if expected is not None and batch.end <= expected:
                return
            if expected is not None and batch.begin > expected:
                raise LaneGap(f"{batch.place.topic}/{self.number}: expected offset {expected}, got {batch.begin}")
            records = batch.records
            if expected is not None and batch.begin < expected:
                records = [record for record in records if record.offset >= expected]
            self.part.push(source.name, records)
            self._expected[source.name] = batch.end
            self.more = True

    def step(self, lane: Lane) -> bool:
        """Merge and apply what can be now; whether anything was."""
        for source in self._sources:
            self.part.ended(source.name, lane.at_end(self._places[source.name]))
        output = self.part.run(self._run_records)
        self.more = output.more
        return self._take(output)

    def advance(self, to_ms: int, lane: Lane) -> None:
        """Let time pass where every source is read to its end."""
        if all(lane.at_end(self._places[s.name]) and not self.part.queued(s.name) for s in self._sources):
            self._take(self.part.advance(to_ms))

    def _take(self, output: Output) -> bool:
        for changes in output.written:
            self._emitter.add_changes(changes)
        self._emitter.add(output.dead)
        self._emitter.add(output.late)
        self._counters.take(output)
        touched = output.applied + output.superseded + sum(map(len, output.written))
        self._changed_since += touched
        return bool(touched or output.dead or output.late or output.duplicates)

    @property
    def waits(self) -> bool:
        """Whether records wait for another source to be read on."""
        return any(self.part.queued(source.name) for source in self._sources)

    def balance(self, lane: Lane, limit: int) -> None:
        """Leave a source unread that runs ahead of the others, until half of what it is ahead is applied."""
        for source in self._sources:
            queued, place = self.part.queued(source.name), self._places[source.name]
            if queued > limit and source.name not in self._paused:
                self._paused.add(source.name)
                lane.pause([place])
            elif source.name in self._paused and queued <= limit // 2:
                self._paused.discard(source.name)
                lane.resume([place])

    def reassigned(self) -> None:
        """After a rebalance every place is read again."""
        self._paused.clear()

    def observe(self, lane: Lane) -> None:
        """Note how far each source is behind."""
        for source in self._sources:
            place, queued = self._places[source.name], self.part.queued(source.name)
            behind = lane.behind(place)
            at_end = lane.at_end(place) and not queued
            done = self.part.positions().get(source.name, 0)
            self._counters.reached(source.name, done - self._counted.get(source.name, 0), self.part.newest(source.name))
            self._counted[source.name] = done
            self._counters.lag(source.name, self.number, None if behind is None else behind + queued, at_end)

    async def send(self, linger_s: float) -> None:
        """Send batches that have waited long enough."""
        if self._emitter.due(linger_s):
            await self._emitter.send()

    def flush_due(self, rule: FlushRule, now_s: float) -> bool:
        """Whether state is to be written now."""
        if self._flushing.locked():
            return False
        waited = now_s - self._flushed_at >= rule.interval_s
        return (waited and self._dirty) or self._changed_since * self._row_bytes >= rule.bytes

    @property
    def _dirty(self) -> bool:
        return bool(self._changed_since) or self.part.positions() != self._flushed_positions

    async def flush(self, tables: Tables, cluster: Cluster, lane: Lane, fingerprint: str) -> None:
        """Write the state as it is now: outputs are safe first, then rows, then the marker; then commit for show."""
        async with self._flushing:
            self._flushed_at = time.monotonic()
            if self._torn:
                raise FlushTorn(f"a flush of partition {self.number} was cut off; what it held is in no later one")
            if not self._dirty:
                return
            self._torn = True
            self._changed_since = 0
            positions, clock, dirty = self.part.positions(), self.part.clock_state(), self.part.take_dirty()
            published, cut = self.part.take_published(), self._emitter.cut()
            await self._emitter.acknowledged(cut)
            for customers in published:
                self._emitter.add_customers(customers)
                await asyncio.sleep(0)
            outputs = await self._emitter.acknowledged(self._emitter.cut(Role.CUSTOMER_TAGS))
            marker = Marker(
                positions=positions,
                clock=clock,
                fingerprint=fingerprint,
                cluster=cluster.id,
                topics={source.topic: cluster.topic_ids.get(source.topic, "") for source in self._sources},
                partitions=cluster.partitions,
                outputs=outputs,
            )
            await tables.flush(self.number, Rows(dirty.customers, dirty.rows), marker)
            if dirty.rows:
                self._row_bytes = max(1, sum(map(len, dirty.rows)) // len(dirty.rows))
            self._torn = False
            self._flushed_positions = positions
            self._counters.flushes += 1
            await lane.commit(
                {self._places[name]: offset for name, offset in positions.items() if name in self._places}
            )
