"""The composition root: settings and a catalogue in, a worker out.

A worker joins its consumer group through Faust, recovers the partitions it is given, and then merges, applies, emits
and flushes until it is told to stop. One event loop, which a web server may share, and one thread for the engine: its
kernels run while the loop sends what the partition before said.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from aiokafka import AIOKafkaProducer

from schemas.catalogue import Catalogue
from schemas.learning import ModelSnapshot
from schemas.topics import Role, read_from
from streams.agents import ingest
from streams.ages import Ages
from streams.beginning import Beginning
from streams.beside import Beside, Failed, Opened
from streams.broker import BrokerError
from streams.cluster import Cluster, StateRefused, prepare
from streams.config import Clock, Settings, wall_ms
from streams.control import Control
from streams.counters import Counters
from streams.emit import producer
from streams.engine import plan
from streams.heads import Heads
from streams.heartbeat import Heartbeat
from streams.inbox import Arrivals
from streams.lane import Batch, Lane, Place, Tuning
from streams.logs import quiet
from streams.news import News
from streams.processor import Partition
from streams.rekey import Rekeyer
from streams.store import StoreError
from streams.tables import Tables
from streams.taking_over import TakingOver
from streams.task import FlushRule, FlushTorn, Task
from streams.transactions import Leased, Lost
from streams.warm import warm

GC_EVERY = 100_000
SWITCH_S = 0.0005
TICK_S = 1.0
FLUSH_WITHIN_S = 5.0
CAUGHT_UP_WITHIN_S = 10.0

log = logging.getLogger("livetags")

REFUSALS = (BrokerError, StateRefused, StoreError)
"""What `Worker.start` raises when it can't run so; each message says what to do."""


class Worker:
    """One member of the group.

    Attributes
    ----------
    partitions
        The processors of the partitions it has, by number.
    counters
        What it has done since it started.
    cluster
        What it found on its cluster; set by `start`.
    reports
        What trainers last said of the models.
    silence
        Which sources are frozen.
    clock
        The wall's, UTC ms.
    """

    def __init__(
        self, settings: Settings, catalogue: Catalogue, *, rebuild: bool, file: str, clock: Callable[[], int]
    ) -> None:
        self.settings, self.catalogue = settings, catalogue
        self.plan = plan.build(catalogue)
        ages = Ages.of(catalogue) if settings.clock is Clock.WALL else None
        self.counters = Counters([source.name for source in catalogue.sources], settings.recent, ages)
        self.heartbeat: Heartbeat | None = None
        self.clock = clock
        self.cluster: Cluster
        self._rebuild, self._file = rebuild, file
        self._sender: AIOKafkaProducer
        self._tables: Tables
        self._lane: Lane
        self._rekeyer: Rekeyer
        self._tasks: dict[int, Task] = {}
        self._news = News(settings, catalogue, self.counters, self._tasks)
        self.reports, self.silence = self._news.reports, self._news.silence
        self._gate, self._arrivals = asyncio.Lock(), Arrivals()
        self._suspended = True
        self._warming: asyncio.Task[None]
        self._generation = -1
        self._beside = Beside("worker", self._suspend)
        self._opened = Opened()
        self._rule = FlushRule(settings.flush_s, settings.flush_bytes)
        self._skew_ms = max(source.allowed_skew_ms for source in catalogue.sources)

    @property
    def partitions(self) -> dict[int, Partition]:
        """The processors of the partitions this worker has."""
        return {number: task.part for number, task in self._tasks.items()}

    @property
    def models(self) -> list[ModelSnapshot]:
        """The models in force."""
        return self._news.models.snapshots()

    @property
    def ready(self) -> bool:
        """Whether it has its partitions and works on them."""
        return not self._suspended

    async def start(self) -> None:
        """Check the cluster, join the group, recover; returns when the partitions are at work.

        Raises
        ------
        BrokerError, StateRefused, StoreError
            It can't run so; the message says what to do.
        """
        quiet()
        # Millions of rows' customers and topics live long and hold no circles: looking at them over and over took a
        # tenth of the worker's time.
        gc.set_threshold(GC_EVERY, 20, 50)
        # A kernel gives the interpreter away while it runs; to wait 5 ms for it after each made changes late.
        sys.setswitchinterval(SWITCH_S)
        self._beside.begin()
        try:
            await self._open()
            self._beside.spawn(self._beside.watch(lambda: self._lane.crashed))
            await self._beside.first(self._join())
        except BaseException:
            self._beside.halt.set()
            await self._opened.aclose()
            raise

    async def _open(self) -> None:
        """Everything but the group: topics, producer, tables, lane."""
        self.cluster = await prepare(
            self.settings, self.catalogue, self.plan.fingerprint, rebuild=self._rebuild, file=self._file
        )
        self._sender = producer(self.cluster.address, idempotent=not self.cluster.embedded)
        self._opened.connected(self._sender.stop)
        await self._sender.start()
        await self._follow()
        row_bytes = Heads(self.plan).most_bytes if self.settings.arena_bytes else None
        self._tables = Tables(
            self.cluster, Leased(self._sender, lambda: self._lane.holds), self._file,
            row_bytes=row_bytes, whole=self.settings.whole, recovery=self.counters.recovery,
        )  # fmt: skip
        self._opened.connected(self._tables.stop)
        engine = ThreadPoolExecutor(1, "livetags-engine")
        self._opened.callback(engine.shutdown)
        begin = Beginning(
            self.settings, self.plan, self.cluster, self._tables.outlet, self.counters, engine, self.clock
        )
        self._partitions = TakingOver(
            self._tables, self.cluster, begin, self.plan.fingerprint, self._file, self.counters
        )
        self._opened.connected(self._partitions.stop)
        self._lane = Lane(
            Tuning.of(self.settings, self.settings.group(self.catalogue.name), self.cluster),
            self._positions,
            [read_from(source, self.settings.topic_prefix) for source in self.catalogue.sources],
            self.settings.standbys,
        )
        self._rekeyer = Rekeyer(self.settings, self.catalogue, self.cluster, self._sender, self.counters)
        self._rekeyer.hold(self._lane)
        self._lane.on_revoked(self._revoked)
        ingest.define(self._lane, self._receive, self._beside.fail)
        self._opened.connected(self._lane.app.stop)

    async def _follow(self) -> None:
        """Read what all workers agree on: models, and how far the others are."""
        topic, embedded = self.cluster.named(Role.CONTROL), self.cluster.embedded
        control = Control(self.cluster.address, topic, embedded, self._beside.fail)
        self.heartbeat = Heartbeat(self, control, self.clock)
        control.follow(self.heartbeat.statuses.on_record)
        self._news.follow(control)
        self._opened.connected(control.stop)
        self._opened.connected(control.drained)
        self._opened.callback(self.heartbeat.stopped)
        await control.start()
        # Scores of a moment ago are to be had before the first event is scored; a control that can't be read holds up
        # no event for long.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CAUGHT_UP_WITHIN_S):
                await control.caught_up()

    async def stop(self) -> None:
        """Finish what is at work, flush, commit and close; what is queued is read again next time.

        Raises
        ------
        Failed
            The broker did not take the last flush; those records are read again next time too.
        """
        self._beside.halt.set()
        for task in self._tasks.values():
            task.arrived.set()
        try:
            async with asyncio.timeout(FLUSH_WITHIN_S):
                await self._beside.ended()
                async with self._gate:
                    await self._still()
                    if not self._beside.failed:
                        await asyncio.gather(*map(self._flush, self._tasks.values()))
        except Lost as error:
            raise Failed(str(error)) from None
        except TimeoutError:
            raise Failed(
                f"the broker did not take the last flush within {FLUSH_WITHIN_S:.0f} s; its records are read again"
            ) from None
        finally:
            await self._opened.aclose()

    def check(self) -> None:
        """Raise `Failed` where it stopped by itself."""
        self._beside.check()

    async def wait(self) -> None:
        """Run until the worker fails: raises `Failed` in the end, unless cancelled."""
        await self._beside.wait()

    async def _positions(self, assigned: frozenset[Place], generation: int) -> dict[Place, int | None]:
        """Recover what is new, drop what is gone, and say where to read on."""
        try:
            await self._warming  # kernels compile while the group is joined, never under load
            async with self._gate:
                await self._still()
                await self._own(numbers := {place.partition for place in assigned}, generation)
                self._suspended = False
                if not numbers <= set(self._tasks):  # one was given up just now
                    self._beside.spawn(self._lane.rejoin())
                return {place: at for task in self._tasks.values() for place, at in task.next_offsets().items()}
        except Exception as error:
            self._beside.fail(error)
            raise

    async def _own(self, numbers: set[int], generation: int) -> None:
        """Have exactly those partitions. Where a generation went by without us, others may have changed their state."""
        if generation not in (self._generation, self._generation + 1):
            self._drop(set(self._tasks))
        self._generation = generation
        self._drop(set(self._tasks) - numbers)
        self._tables.retain(numbers)
        for task in self._tasks.values():
            task.reassigned()
        new = sorted(numbers - set(self._tasks))
        for number, task in (await self._partitions.taken_over(new, self._tasks)).items():
            self._tasks[number] = task
            self._news.brief(task)
            self._beside.spawn(self._drive(task))
        self._partitions.stand_by(self._lane.standbys() - numbers)

    def _drop(self, numbers: set[int]) -> None:
        for number in numbers:
            del self._tasks[number]
            self.counters.drop(number)
        self._tables.close(sorted(numbers))

    async def _revoked(self) -> None:
        """Before others may get the partitions: write everything."""
        async with self._gate:
            await self._still()
            if not self._beside.failed:
                await asyncio.gather(*map(self._flush, self._tasks.values()))

    def _suspend(self) -> None:
        self._suspended = True

    async def _still(self) -> None:
        """Let no task begin a step, and wait for those that have."""
        self._suspend()
        for task in list(self._tasks.values()):
            await task.idle()

    # ------------------------------------------------------------------------------------------------ at work

    def _receive(self, batch: Batch) -> None:
        task = None if self._suspended else self._tasks.get(batch.place.partition)
        if task is not None:
            task.receive(batch, self._lane.placed(batch.place))
        self._arrivals.came(batch, None if task is None else task.arrived)

    async def _drive(self, task: Task) -> None:
        """Step through a partition while there is anything to do, then wait for a batch."""
        while not self._beside.halt.is_set() and self._tasks.get(task.number) is task:
            task.arrived.clear()
            busy = await self._step(task)
            if task.flush_due(self._rule, time.monotonic()) and not self._suspended and self._lane.holds:
                self._beside.spawn(self._flush(task))
            if busy:
                await asyncio.sleep(0)
                continue
            await task.rest(self._lane)

    async def _step(self, task: Task) -> bool:
        """One step; whether there is more to do at once."""
        async with task.busy:
            if self._suspended or self._tasks.get(task.number) is not task or not self._lane.holds:
                return False
            await task.step(self._lane)
            task.balance(self._lane, self.settings.max_queued)
            try:
                await task.send(self.settings.linger_ms / 1000 if task.more else 0)
            except Lost as lost:
                self._give_up(task, lost)
            return task.more

    async def _tick(self) -> None:
        """Once a second: let the wall's time pass, and note how far behind each source is."""
        while not self._beside.halt.is_set():
            for task in list(self._tasks.values()):
                async with task.busy:
                    if self._suspended or self._tasks.get(task.number) is not task or not self._lane.holds:
                        continue
                    if self.settings.clock is Clock.WALL:
                        await task.advance(self.clock() - self._skew_ms, self._lane)
                    task.observe(self._lane)
            if 0 in self._tasks and not self._suspended and self._lane.holds and self.heartbeat is not None:
                self.silence.decide(self.heartbeat.everyone(), self.clock(), self.cluster.partitions)
            await self._news.tick()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._beside.halt.wait(), TICK_S)

    async def _flush(self, task: Task) -> None:
        """Write a task's state, or give the task up where that may be another worker's by now."""
        try:
            await task.flush(self._tables, self.cluster, self._lane, self.plan.fingerprint)
        except Lost as lost:
            self._give_up(task, lost)
            if self._beside.halt.is_set():
                raise
        except FlushTorn:
            if self._tasks.get(task.number) is task:  # of one that was given up nothing later counts either
                raise

    def _give_up(self, task: Task, lost: Lost) -> None:
        """Go on without a partition until the group says whose it is; what it had not flushed counts nowhere."""
        if self._tasks.get(task.number) is task:
            log.warning("%s", lost)
            del self._tasks[task.number]
            self.counters.drop(task.number)
            if not self._suspended:  # else the group deals them out already, and being asked it would do so again
                self._beside.spawn(self._lane.rejoin())

    async def _join(self) -> None:
        """Join the group and recover; what goes on beside is there before the first record is applied."""
        self._warming = asyncio.create_task(asyncio.to_thread(warm, self.plan))
        self._beside.spawn(self._tick())
        self._beside.spawn(self._rekeyer.run(self._beside.halt))
        if self.heartbeat is not None:
            self._beside.spawn(self.heartbeat.run(self._beside.halt))
        await self._lane.app.start()


def build(
    settings: Settings,
    catalogue: Catalogue,
    *,
    rebuild: bool = False,
    file: str = "CATALOGUE",
    clock: Callable[[], int] = wall_ms,
) -> Worker:
    """A worker, wired and not yet started.

    Parameters
    ----------
    rebuild
        Drop the local state and compute everything anew from the beginning of the sources.
    file
        The catalogue's file as the user named it, for messages that hold a command.
    clock
        The wall's, UTC ms.
    """
    return Worker(settings, catalogue, rebuild=rebuild, file=file, clock=clock)
