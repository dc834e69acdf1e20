"""The composition root of trainers: settings and a catalogue in, a process out that learns its targets.

A trainer joins its consumer group through Faust, recovers the targets it is given, and then learns, flushes and
publishes until it is told to stop. Trainers are a group of their own, so that learning never holds up an event.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from schemas.catalogue import Catalogue
from schemas.definitions import learning_fingerprint
from schemas.learning import model_key
from schemas.topics import Role
from streams.agents import ingest
from streams.broker import BrokerError
from streams.cluster import Cluster, StateRefused, prepare_trainer
from streams.config import Settings
from streams.control import Control
from streams.emit import producer
from streams.lane import Batch, Lane, Place, Tuning, quiet
from streams.learning import Learning, Standing
from streams.store import StoreError
from streams.tables import Tables
from streams.task import FlushRule

SLICE: Final = 500  # examples between two looks at anything else: about 20 ms
IDLE_S: Final = 0.1
STOP_WITHIN_S: Final = 6.0
CLOSE_WITHIN_S: Final = 1.0


class NothingToLearn(Exception):
    """The catalogue has no targets."""


class TrainerFailed(Exception):
    """The trainer stopped by itself; the cause says why."""


REFUSALS = (BrokerError, StateRefused, StoreError, NothingToLearn)
"""What `TrainerApp.start` raises when it can't run so; each message says what to do."""


class TrainerApp:
    """One member of the trainers' group.

    Attributes
    ----------
    targets
        The targets it has, by partition.
    cluster
        What it found on its cluster; set by `start`.
    """

    def __init__(self, settings: Settings, catalogue: Catalogue, *, rebuild: bool, file: str) -> None:
        self.settings, self.catalogue = settings, catalogue
        self.cluster: Cluster
        self.targets: dict[int, Learning] = {}
        self._rebuild, self._file = rebuild, file
        self._fingerprint = learning_fingerprint(catalogue)
        self._rule = FlushRule(settings.flush_interval_s, settings.flush_bytes)
        self._tables: Tables
        self._lane: Lane
        self._control: Control
        self._on_control: dict[str, bytes] = {}
        self._beside: set[asyncio.Task[None]] = set()
        self._halt, self._arrived = asyncio.Event(), asyncio.Event()
        self._gate = asyncio.Lock()
        self._suspended = True
        self._generation = -1
        self._failure: asyncio.Future[None] | None = None
        self._opened = contextlib.AsyncExitStack()

    async def start(self) -> None:
        """Check the cluster, join the group, recover; returns when the targets are at work.

        Raises
        ------
        BrokerError, StateRefused, StoreError, NothingToLearn
            It can't run so; the message says what to do.
        """
        if not self.catalogue.targets:
            raise NothingToLearn(f"the catalogue {self.catalogue.name!r} has no targets: there is nothing to learn")
        quiet()
        self._failure = asyncio.get_running_loop().create_future()
        try:
            await self._open()
            await self._first(asyncio.ensure_future(self._lane.app.start()))
        except BaseException:
            await self._opened.aclose()
            raise
        self._spawn(self._pump())

    async def _open(self) -> None:
        """Everything but the group: topics, producer, tables, control, lane."""
        self.cluster = await prepare_trainer(
            self.settings, self.catalogue, self._fingerprint, rebuild=self._rebuild, file=self._file
        )
        sender: AIOKafkaProducer = producer(self.cluster.address, idempotent=not self.cluster.embedded)
        self._opened.push_async_callback(_within, sender.stop)
        await sender.start()
        self._tables = Tables(self.cluster, sender, self._file, Role.TRAINER_CHANGELOG)
        self._opened.callback(self._tables.close)
        control = self.cluster.named(Role.CONTROL)
        self._control = Control(self.cluster.address, control, self.cluster.embedded, self._fail)
        self._control.follow(self._note)
        await self._control.start()
        self._opened.push_async_callback(self._control.stop)
        self._lane = Lane(self._tuning(), self._positions, [self.cluster.named(Role.TRAINING_EXAMPLES)])
        self._lane.on_revoked(self._revoked)
        ingest.define(self._lane, self._receive, self._fail, name="learn")
        self._opened.push_async_callback(_within, self._lane.app.stop)

    async def stop(self) -> None:
        """Finish what is at work, flush, publish and close; what was not taken in is read again next time.

        Raises
        ------
        TrainerFailed
            The broker did not take the last flush; those examples are read again next time too.
        """
        self._halt.set()
        self._arrived.set()
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                async with self._gate:
                    self._suspended = True
                    if not self._failed:
                        await self._flush_all()
                await asyncio.gather(*self._beside)
            await _within(self._control.drained)  # what was not published is when it starts again
        except TimeoutError:
            raise TrainerFailed(
                f"the broker did not take the last flush within {STOP_WITHIN_S:.0f} s; its examples are read again"
            ) from None
        finally:
            await self._opened.aclose()

    def check(self) -> None:
        """Nothing while the trainer works.

        Raises
        ------
        TrainerFailed
            It stopped by itself.
        """
        if self._failure is not None and self._failure.done():
            error = self._failure.exception()
            raise TrainerFailed(f"the trainer stopped: {error}") from error

    async def wait(self) -> None:
        """Run until the trainer fails.

        Raises
        ------
        TrainerFailed
            Always in the end, unless cancelled.
        """
        if self._failure is None:
            raise TrainerFailed("the trainer was not started")
        await asyncio.wait([self._failure])
        self.check()

    def standings(self) -> list[Standing]:
        """How far each of its targets is, in the catalogue's order."""
        return [task.standing(self._lane.behind(task.place)) for _, task in sorted(self.targets.items())]

    def _tuning(self) -> Tuning:
        settings = self.settings
        return Tuning(
            app_id=settings.trainer_group(self.catalogue.name),
            address=self.cluster.address,
            embedded=self.cluster.embedded,
            fetch_wait_ms=settings.fetch_wait_ms,
            fetch_bytes=settings.fetch_bytes,
            session_timeout_s=settings.session_timeout_s,
            member_id=settings.member_id,
            data_dir=str(self.cluster.state_dir / "faust"),
        )

    # ------------------------------------------------------------------------------------------------ membership

    async def _positions(self, assigned: frozenset[Place], generation: int) -> dict[Place, int | None]:
        """Recover what is new, drop what is gone, and say where to read on."""
        try:
            async with self._gate:
                await self._own({place.partition: place for place in assigned}, generation)
                self._suspended = False
                self._arrived.set()
                return {task.place: task.next_offset for task in self.targets.values()}
        except Exception as error:
            self._fail(error)
            raise

    async def _own(self, places: dict[int, Place], generation: int) -> None:
        """Have exactly those targets. Where a generation went by without us, others may have changed their state."""
        if generation not in (self._generation, self._generation + 1):
            self._drop(set(self.targets))
        self._generation = generation
        self._drop(set(self.targets) - set(places))
        self._tables.retain(set(places))
        new = sorted(set(places) - set(self.targets))
        for number, recovered in (await self._tables.recover(new)).items():
            self.targets[number] = Learning(self.catalogue, places[number], recovered)
            self._spawn(self._make_up(self.targets[number]))
        for task in self.targets.values():
            task.reassigned()

    def _drop(self, numbers: set[int]) -> None:
        for number in numbers:
            del self.targets[number]
        self._tables.close(sorted(numbers))

    async def _revoked(self) -> None:
        """Before others may get the targets: write everything."""
        async with self._gate:
            self._suspended = True
            if not self._failed:
                await self._flush_all()

    # ------------------------------------------------------------------------------------------------ at work

    def _receive(self, batch: Batch) -> None:
        task = self.targets.get(batch.place.partition)
        if task is not None and not self._suspended:
            task.receive(batch, self._lane.placed(batch.place))
            task.balance(self._lane, self.settings.max_queued)
            self._arrived.set()

    async def _pump(self) -> None:
        """Learn in slices and write what is due; wait for a batch where there is nothing to learn."""
        while not self._halt.is_set():
            self._arrived.clear()
            busy = False
            if self._lane.crashed is not None:
                self._fail(self._lane.crashed)
            for task in list(self.targets.values()):
                async with self._gate:
                    if self._suspended or self.targets.get(task.place.partition) is not task:
                        continue
                    busy = task.step(SLICE) or busy
                    task.balance(self._lane, self.settings.max_queued)
                    if task.flush_due(self._rule, time.monotonic()):
                        self._spawn(self._flush(task))
                await asyncio.sleep(0)
            if not busy:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._arrived.wait(), IDLE_S)

    async def _flush(self, task: Learning) -> None:
        """Write a target's state, and only then publish the snapshot that it holds."""
        news = await task.flush(self._tables, self.cluster, self._fingerprint)
        if self.targets.get(task.place.partition) is not task:
            return  # another trainer has it by now
        if news:
            self._control.put(self._key(task), task.published)
        if task.position is not None:
            await self._lane.commit({task.place: task.position})

    async def _flush_all(self) -> None:
        await asyncio.gather(*(self._flush(task) for task in self.targets.values()))

    async def _make_up(self, task: Learning) -> None:
        """Publish a recovered target's newest snapshot where the control topic has another, or none.

        It was flushed and not published, or control was created anew. A target that starts from nothing takes away
        what an earlier one published: nobody knows what that was learned from.
        """
        caught_up = asyncio.ensure_future(self._control.caught_up())
        halted = asyncio.ensure_future(self._halt.wait())
        await asyncio.wait([caught_up, halted], return_when=asyncio.FIRST_COMPLETED)
        caught_up.cancel()
        halted.cancel()
        ours = self.targets.get(task.place.partition) is task
        if ours and self._control.is_caught_up and self._on_control.get(self._key(task)) != task.published:
            self._control.put(self._key(task), task.published)

    def _note(self, key: str, value: bytes | None, _offset: int) -> None:
        """Follow the control topic."""
        if value is None:
            self._on_control.pop(key, None)
        elif key.startswith(self._keys):
            self._on_control[key] = value

    @property
    def _keys(self) -> str:
        """How the keys of this catalogue's models begin."""
        return model_key(self.settings.group(self.catalogue.name), "")

    def _key(self, task: Learning) -> str:
        return self._keys + task.target.name

    # ------------------------------------------------------------------------------------------------ failing, closing

    @property
    def _failed(self) -> bool:
        return self._failure is not None and self._failure.done()

    def _fail(self, error: BaseException) -> None:
        if self._failure is not None and not self._failure.done():
            self._failure.set_exception(error)
            self._failure.exception()  # read: it is raised by whoever waits
            self._suspended = True

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work beside; its failure is the trainer's."""

        async def guarded() -> None:
            try:
                await work
            except Exception as error:  # it is the trainer's failure, whatever it is
                self._fail(error)

        task = asyncio.create_task(guarded())
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    async def _first(self, started: asyncio.Future[Any]) -> None:
        """Wait for the start, or raise what failed before it."""
        failure = self._failure
        if failure is None:
            raise TrainerFailed("the trainer was not started")
        await asyncio.wait([started, failure], return_when=asyncio.FIRST_COMPLETED)
        if failure.done():
            started.cancel()
            with contextlib.suppress(BaseException):
                await started
            failure.result()
        await started


async def _within(close: Callable[[], Awaitable[None]]) -> None:
    """Close something, or leave it where it hangs on a broker that is gone."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_WITHIN_S):
            await close()


def build(settings: Settings, catalogue: Catalogue, *, rebuild: bool = False, file: str = "CATALOGUE") -> TrainerApp:
    """A trainer, wired and not yet started.

    Parameters
    ----------
    rebuild
        Drop what was learned and learn anew from the examples that are there.
    file
        The catalogue's file as the user named it, for messages that hold a command.
    """
    return TrainerApp(settings, catalogue, rebuild=rebuild, file=file)
