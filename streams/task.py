"""One partition at work: batches in, changes out, state written back.

A task joins what belongs to a partition: its processor, its output batches and where each topic is read next. The
worker drives it; one step or snapshot at a time, while the writing of a snapshot goes on beside later steps.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from typing import Any

import msgspec

from schemas.catalogue import Source
from schemas.sources import Incoming
from schemas.topics import Role, read_from
from streams.cluster import Cluster
from streams.config import wall_ms
from streams.correcting import Correcting
from streams.counters import Counters
from streams.emit import Cut, Emitter
from streams.engine_thread import FEW_RECORDS, EngineThread
from streams.following import Following, News
from streams.inbox import Inbox, rest_until
from streams.lane import Batch, Lane, Place
from streams.measures import Part
from streams.output import Dirty, Output
from streams.processor import Partition
from streams.reaching import Reaching, Said
from streams.store import LABELS, TRIGGERS, Entry, Marker, Rows
from streams.tables import Tables
from streams.written import Changes, Customers

FIRST_ROW_BYTES = 600
TIMERS_AT_ONCE = 1_024
"""How many customers time may change before records have their turn again (P4)."""


class LaneGap(Exception):
    """A batch did not start where the one before ended: an error of ours, never of the input."""


class FlushTorn(Exception):
    """A flush did not end; only recovery knows the state now."""


class FlushRule(msgspec.Struct, frozen=True):
    """When state is written."""

    interval_s: float
    bytes: int


class _State(msgspec.Struct, frozen=True):
    """A partition's state at a moment; what to publish is made when it is asked for."""

    positions: dict[str, int]
    clock: dict[str, Any]
    dirty: Dirty
    labels: list[Entry]
    published: Iterator[Customers]


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
        reaching: Reaching,
        engine: Executor,
        clock: Callable[[], int] = wall_ms,
        prefix: str = "",
        correcting: Correcting | None = None,
    ) -> None:
        """`clock` is the wall's, UTC ms; `prefix` that of the topics livetags writes, the re-keyed ones among them.

        `correcting` holds what was published behind the marker.
        """
        self._correcting = None if correcting is None or correcting.over else correcting
        self._clock = clock
        self.busy, self.arrived = asyncio.Lock(), asyncio.Event()
        self._engine, self._reaching = EngineThread(engine), reaching
        self._timers = TIMERS_AT_ONCE if reaching.live else None
        self._inbox = Inbox()
        self._head: int | None = None
        self._following = Following(part)
        self.publish: Callable[[list[Part]], None] | None = None
        self._unpublished: list[Changes] = []
        self._passed_ms: int | None = None
        self.part, self.number, self._sources, self._emitter = part, number, sources, emitter
        self._counters, self._run_records = counters, run_records
        self._places = {source.name: Place(read_from(source, prefix), number) for source in sources}
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
        self._ended = dict[str, bool]()

    def next_offsets(self) -> dict[Place, int | None]:
        """Where each source is read on, None where it never was."""
        return {self._places[name]: offset for name, offset in self._expected.items()}

    def receive(self, batch: Batch, placed: int | None = None) -> None:
        """Take a batch in; one that was here before is passed over.

        Parameters
        ----------
        placed
            Where reading began after the latest assignment; what expired before it is counted and given up.

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
            if expected is not None and expected < batch.begin == placed:
                self._counters.expired(source.name, batch.begin - expected)
            elif expected is not None and batch.begin > expected:
                raise LaneGap(f"{batch.place.topic}/{self.number}: expected offset {expected}, got {batch.begin}")
            records = batch.records
            if expected is not None and batch.begin < expected:
                records = [record for record in records if record.offset >= expected]
            if batch.records:
                self._inbox.add(source.name, records)
                self._counters.received(source.name, self.number, batch.records[-1].timestamp, self._clock())
            self._expected[source.name] = batch.end
            self.more = True

    async def idle(self) -> None:
        """Wait for the step at work."""
        async with self.busy:
            return

    def _ends(self, lane: Lane) -> dict[str, bool]:
        """Whether each source was read to its end."""
        return {source.name: lane.at_end(self._places[source.name]) for source in self._sources}

    async def rest(self, lane: Lane) -> None:
        """Wait until there may be something to do."""
        await rest_until(self.arrived, lambda: self.waits, lambda: self._ends(lane) != self._ended)

    async def step(self, lane: Lane) -> bool:
        """Merge and apply what can be now; whether anything was. To be called with `busy` held."""
        self._ended = ended = self._ends(lane)
        brief, inbox = self._brief, self._inbox.take()
        outputs = self._work(inbox, ended) if brief else await self._engine.call(self._work, inbox, ended)
        self.more = any(output.more for output in outputs) or bool(self._inbox) or self._following.at_work
        applied = [self._take(output) for output in outputs]
        self._say(self._reaching.advance(self._head))
        await self._correct(lane)
        return any(applied)

    async def _correct(self, lane: Lane) -> None:
        """Mend some of what was published behind the marker, once all that led to it is applied again."""
        correcting = self._correcting
        if correcting is None or self._following.at_work or self.part.overdue:
            return
        positions = self.part.positions()
        for name, place in self._places.items():
            ended = lane.at_end(place) and not self._queued(name)
            correcting.reached(name, positions.get(name, 0), lane.end(place), ended)
        if not correcting.due(self._watermark if self._reaching.live else None):
            return
        corrections = await self._engine.call(correcting.take)
        self._emitter.add(corrections)
        self._counters.corrected(corrections)
        self._changed_since += 1  # what is said of customers goes out with the next flush
        self._correcting, self.more = (None, self.more) if correcting.over else (correcting, True)

    def _work(self, inbox: dict[str, Sequence[Incoming]], ended: dict[str, bool]) -> list[Output]:
        """What a step does in the engine's thread."""
        for source, records in inbox.items():
            self.part.push(source, records)
        if self.part.choked:
            return []  # until a flush is through: it has been asked for
        outputs = [self._following.turn()]
        for source, at_end in ended.items():
            # Nobody waits for a source that is frozen: what it brings is late anyhow.
            self.part.ended(source, at_end or source in self.part.frozen)
        stop = self._reaching.stops_at(self.part.head())
        outputs.append(self.part.run(self._run_records, stop, self._timers))
        self._head = self.part.head()
        return outputs + self._following.step()

    @property
    def _brief(self) -> bool:
        """Whether a step now is of a few records and nothing else, and nobody else is at the partition."""
        few = sum(self._queued(source.name) for source in self._sources) <= FEW_RECORDS
        return few and not (self._engine.at_work or self.part.overdue or self._following.at_work)

    def follow(self, news: News) -> None:
        """Go by what came on `control` from the next step on."""
        if self._following.take(news):
            self.more = True
            self.arrived.set()

    def resume(self, said: Iterable[Said]) -> None:
        """Say what was left to be said when the state was written."""
        self._say(said)
        self._say(self._reaching.advance())

    async def advance(self, to_ms: int, lane: Lane) -> None:
        """Let time pass where every source that flows is read to its end. To be called with `busy` held."""
        if self._following.stalls or self.part.choked:
            return
        flowing = [source.name for source in self._sources if source.name not in self.part.frozen]
        if all(lane.at_end(self._places[name]) and not self._queued(name) for name in flowing):
            self._passed_ms = to_ms
            self._take(await self._engine.call(self.part.advance, to_ms, self._timers))
            if self.part.overdue:
                self.more = True
                self.arrived.set()

    def _queued(self, source: str) -> int:
        """Records of a source that are here and not yet applied."""
        return self.part.queued(source) + self._inbox.waiting(source)

    def _take(self, output: Output) -> bool:
        for changes in output.written:
            if self._correcting is not None:
                self._correcting.note(changes)
            self._emitter.add_changes(changes)
            if self._counters.ages is not None:
                self._unpublished.append(changes)
        self._emitter.add(output.dead)
        self._emitter.add(output.late)
        self._emitter.add_examples(output.examples)
        self._counters.take(output)
        if output.populations and self.publish is not None and self.part.merger is None:
            self.publish(output.populations)
        for changes in output.written:
            self._say(self._reaching.consider(changes))
        touched = output.applied + output.superseded + sum(map(len, output.written)) + len(output.examples)
        self._changed_since += touched
        return bool(touched or output.dead or output.late or output.duplicates)

    def _say(self, said: Iterable[Said]) -> None:
        """Hand on what the triggers decided."""
        records = list(said)
        self._emitter.add(records)
        self._counters.said(records)
        self._changed_since += len(records)

    @property
    def waits(self) -> bool:
        """Whether records wait for another source to be read on."""
        return any(self._queued(source.name) for source in self._sources)

    def balance(self, lane: Lane, limit: int) -> None:
        """Leave a source unread that runs ahead of the others, until half of what it is ahead is applied."""
        for source in self._sources:
            queued, place = self._queued(source.name), self._places[source.name]
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
            place, queued = self._places[source.name], self._queued(source.name)
            behind = lane.behind(place)
            at_end = lane.at_end(place) and not queued
            done = self.part.positions().get(source.name, 0)
            self._counters.reached(source.name, done - self._counted.get(source.name, 0), self.part.newest(source.name))
            self._counted[source.name] = done
            self._counters.lag(source.name, self.number, None if behind is None else behind + queued, at_end)
            self._counters.stands(
                source.name, self.number, self.part.newest(source.name), self._watermark, done, self._clock()
            )
        arena = self.part.arena
        self._counters.holds(self.number, len(arena), arena.timers(), arena.rows, arena.row_bytes)

    @property
    def _watermark(self) -> int | None:
        """How far time has passed here: by records, or by the wall's clock where that went on."""
        known = [ms for ms in (self.part.watermark, self._passed_ms) if ms is not None]
        return max(known, default=None)

    async def send(self, linger_s: float) -> None:
        """Send batches that have waited long enough."""
        if self._emitter.due(linger_s):
            await self._emitter.send()
            self._published(self._take_unpublished())

    def _take_unpublished(self) -> list[Changes]:
        taken, self._unpublished = self._unpublished, []
        return taken

    def _published(self, pages: list[Changes]) -> None:
        """Note how old changes were when they went out; only those that a record just made tell."""
        for changes in pages:
            fresh = changes.fresh()
            self._counters.published(changes.rules[fresh], changes.at[fresh], self._clock())

    async def settled(self) -> None:
        """Wait for the flush at work."""
        async with self._flushing:
            return

    def flush_due(self, rule: FlushRule, now_s: float) -> bool:
        """Whether state is to be written now."""
        if self._flushing.locked():
            return False
        waited = now_s - self._flushed_at >= rule.interval_s
        return (waited and self._dirty) or self._changed_since * self._row_bytes >= rule.bytes or self.part.crowded

    @property
    def _dirty(self) -> bool:
        moved = self.part.positions() != self._flushed_positions
        return bool(self._changed_since) or moved or self.part.crowded

    def _snapshot(self) -> _State:
        """The partition's state as it is now."""
        part = self.part
        labels = [Entry(LABELS + key, value) for key, value in part.asker.take_entries()]
        return _State(part.positions(), part.clock_state(), part.take_dirty(), labels, part.take_published())

    def _topics(self) -> set[str]:
        """What the positions, and the origins of re-keyed records, are places in."""
        return {source.topic for source in self._sources} | {place.topic for place in self._places.values()}

    async def flush(self, tables: Tables, cluster: Cluster, lane: Lane, fingerprint: str) -> None:
        """Write the state as it is now: outputs are safe first, then rows, then the marker; then commit for show."""
        async with self._flushing:
            self._flushed_at = time.monotonic()
            if self._torn:
                raise FlushTorn(f"a flush of partition {self.number} was cut off; what it held is in no later one")
            if not self._dirty:
                return
            self._torn = True
            async with self.busy:
                state = await self._engine.call(self._snapshot)
                kept = [*state.labels, *(Entry(TRIGGERS + key, value) for key, value in self._reaching.take_entries())]
                cut, self._changed_since = self._emitter.cut(), 0
                pages = self._take_unpublished()
            dirty = state.dirty

            async def published() -> Marker:
                return await self._publish(state, cut, cluster, fingerprint)

            if not self._emitter.whole:
                self._published(pages)
            await tables.flush(self.number, Rows(dirty.customers, dirty.rows), published, kept)
            if self._emitter.whole:
                self._published(pages)
            if await self._engine.call(self.part.written):
                self.more = True
                self.arrived.set()
            if dirty.rows:
                self._row_bytes = max(1, sum(map(len, dirty.rows)) // len(dirty.rows))
            self._torn = False
            self._flushed_positions = state.positions
            self._counters.flushes += 1
            self._counters.flushed(time.monotonic() - self._flushed_at, len(dirty.rows), sum(map(len, dirty.rows)))
            await lane.commit(
                {self._places[name]: offset for name, offset in state.positions.items() if name in self._places}
            )

    async def _publish(self, state: _State, cut: list[Cut], cluster: Cluster, fingerprint: str) -> Marker:
        """Have the broker acknowledge what belongs to that state; its marker."""
        await self._emitter.acknowledged(cut)
        while (customers := await self._engine.call(next, state.published, None)) is not None:
            self._emitter.add_customers(customers)
        return Marker(
            positions=state.positions,
            clock=state.clock,
            fingerprint=fingerprint,
            cluster=cluster.id,
            topics={topic: cluster.topic_ids.get(topic, "") for topic in self._topics()},
            partitions=cluster.partitions,
            outputs=await self._emitter.acknowledged(self._emitter.cut(Role.CUSTOMER_TAGS)),
        )
