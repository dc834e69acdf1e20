"""The composition root of trainers: settings and a catalogue in, a process out that learns its targets.

A trainer joins its consumer group through Faust, recovers the targets it is given, and then learns, flushes and
publishes until it is told to stop. Trainers are a group of their own, so that learning never holds up an event.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Final

import msgspec
from aiokafka import AIOKafkaProducer

from schemas.catalogue import Catalogue
from schemas.definitions import learning_fingerprint
from schemas.learning import model_key
from schemas.model_reports import ModelOrder, order_key, report_key
from schemas.topics import Role
from streams.agents import ingest
from streams.beside import Beside, Failed, Opened
from streams.broker import BrokerError
from streams.cluster import Cluster, StateRefused, prepare_trainer
from streams.config import FLUSH_S, Settings
from streams.control import Control
from streams.emit import producer
from streams.lane import Batch, Lane, Place, Tuning
from streams.learning import Learning, Standing
from streams.logs import quiet
from streams.store import StoreError
from streams.tables import Tables
from streams.task import FlushRule

SLICE: Final = 500  # examples between two looks at anything else: about 20 ms
IDLE_S: Final = 0.1
STOP_WITHIN_S: Final = 5.0

log = logging.getLogger("livetags")


class NothingToLearn(Exception):
    """The catalogue has no targets."""


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
        self._rule = FlushRule(settings.flush_interval_s or FLUSH_S, settings.flush_bytes)
        self._tables: Tables
        self._lane: Lane
        self._control: Control
        self._on_control: dict[str, bytes] = {}
        self._orders: dict[str, ModelOrder] = {}
        self._sender: AIOKafkaProducer
        self._arrived = asyncio.Event()
        self._gate = asyncio.Lock()
        self._suspended = True
        self._generation = -1
        self._beside = Beside("trainer", self._suspend)
        self._opened = Opened()

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
        self._beside.begin()
        try:
            await self._open()
            self._beside.spawn(self._beside.watch(lambda: self._lane.crashed))
            await self._beside.first(self._lane.app.start())
        except BaseException:
            self._beside.halt.set()
            await self._opened.aclose()
            raise
        self._beside.spawn(self._pump())

    async def _open(self) -> None:
        """Everything but the group: topics, producer, tables, control, lane."""
        self.cluster = await prepare_trainer(
            self.settings, self.catalogue, self._fingerprint, rebuild=self._rebuild, file=self._file
        )
        sender: AIOKafkaProducer = producer(self.cluster.address, idempotent=not self.cluster.embedded)
        self._opened.connected(sender.stop)
        await sender.start()
        self._sender = sender
        self._tables = Tables(self.cluster, sender, self._file, Role.TRAINER_CHANGELOG)
        self._opened.connected(self._tables.stop)
        control = self.cluster.named(Role.CONTROL)
        self._control = Control(self.cluster.address, control, self.cluster.embedded, self._beside.fail)
        self._control.follow(self._note)
        await self._control.start()
        self._opened.connected(self._control.stop)
        self._opened.connected(self._control.drained)  # what was not published is when it starts again
        group = self.settings.trainer_group(self.catalogue.name)
        self._lane = Lane(
            Tuning.of(self.settings, group, self.cluster), self._positions, [self.cluster.named(Role.TRAINING_EXAMPLES)]
        )
        self._lane.on_revoked(self._revoked)
        ingest.define(self._lane, self._receive, self._beside.fail, name="learn")
        self._opened.connected(self._lane.app.stop)

    async def stop(self) -> None:
        """Finish what is at work, flush, publish and close; what was not taken in is read again next time.

        Raises
        ------
        Failed
            The broker did not take the last flush; those examples are read again next time too.
        """
        self._beside.halt.set()
        self._arrived.set()
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                async with self._gate:
                    self._suspend()
                    if not self._beside.failed:
                        await self._flush_all()
                await self._beside.ended()
        except TimeoutError:
            raise Failed(
                f"the broker did not take the last flush within {STOP_WITHIN_S:.0f} s; its examples are read again"
            ) from None
        finally:
            await self._opened.aclose()

    def check(self) -> None:
        """Nothing while the trainer works.

        Raises
        ------
        Failed
            It stopped by itself.
        """
        self._beside.check()

    async def wait(self) -> None:
        """Run until the trainer fails.

        Raises
        ------
        Failed
            Always in the end, unless cancelled.
        """
        await self._beside.wait()

    def standings(self) -> list[Standing]:
        """How far each of its targets is, in the catalogue's order."""
        return [task.standing(self._lane.behind(task.place)) for _, task in sorted(self.targets.items())]

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
            self._beside.fail(error)
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
            self._beside.spawn(self._make_up(self.targets[number]))
        for task in self.targets.values():
            task.reassigned()

    def _drop(self, numbers: set[int]) -> None:
        for number in numbers:
            del self.targets[number]
        self._tables.close(sorted(numbers))

    def _suspend(self) -> None:
        self._suspended = True

    async def _revoked(self) -> None:
        """Before others may get the targets: write everything."""
        async with self._gate:
            self._suspend()
            if not self._beside.failed:
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
        while not self._beside.halt.is_set():
            self._arrived.clear()
            busy = False
            for task in list(self.targets.values()):
                async with self._gate:
                    if self._suspended or self.targets.get(task.place.partition) is not task:
                        continue
                    if task.target.name in self._orders and self._control.is_caught_up:
                        task.follow(self._orders[task.target.name])
                    busy = task.step(SLICE) or busy
                    task.balance(self._lane, self.settings.max_queued)
                    if task.flush_due(self._rule, time.monotonic()):
                        self._beside.spawn(self._flush(task))
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
        await self._tell(task, news=news)
        if task.position is not None:
            await self._lane.commit({task.place: task.position})

    async def _tell(self, task: Learning, *, news: bool) -> None:
        """Tell of decisions, and report now and then."""
        topic = self.cluster.named(Role.MODEL_EVENTS)
        for event in task.take_telling():
            await self._sender.send_and_wait(topic, msgspec.json.encode(event), event.id.encode())
        report = task.report(time.monotonic(), at_once=news)
        if report is not None:
            group = self.settings.group(self.catalogue.name)
            self._control.put(report_key(group, task.target.name), report)

    async def _flush_all(self) -> None:
        await asyncio.gather(*(self._flush(task) for task in self.targets.values()))

    async def _make_up(self, task: Learning) -> None:
        """Publish a recovered target's newest snapshot where the control topic has another, or none.

        It was flushed and not published, or control was created anew. A target that starts from nothing takes away
        what an earlier one published: nobody knows what that was learned from.
        """
        caught_up = asyncio.ensure_future(self._control.caught_up())
        halted = asyncio.ensure_future(self._beside.halt.wait())
        await asyncio.wait([caught_up, halted], return_when=asyncio.FIRST_COMPLETED)
        caught_up.cancel()
        halted.cancel()
        ours = self.targets.get(task.place.partition) is task
        if ours:
            await self._tell(task, news=True)
        if ours and self._control.is_caught_up and self._on_control.get(self._key(task)) != task.published:
            self._control.put(self._key(task), task.published)

    def _note(self, key: str, value: bytes | None, _offset: int) -> None:
        """Follow the control topic."""
        if value is None:
            self._on_control.pop(key, None)
        elif key.startswith(self._keys):
            self._on_control[key] = value
        elif key.startswith(order_key(self.settings.group(self.catalogue.name), "")):
            self._order(value)

    def _order(self, value: bytes) -> None:
        """Note the newest order to a target's trainer; one that can't be read is left out, and said."""
        try:
            order = msgspec.json.decode(value, type=ModelOrder)
        except msgspec.MsgspecError as error:
            log.warning("an order on the control topic can't be read: %s", error)
            return
        self._orders[order.target] = order
        self._arrived.set()

    @property
    def _keys(self) -> str:
        """How the keys of this catalogue's models begin."""
        return model_key(self.settings.group(self.catalogue.name), "")

    def _key(self, task: Learning) -> str:
        return self._keys + task.target.name


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
