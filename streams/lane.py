"""Record batches through Faust: one message per fetched batch of a partition, its value the records themselves.

Plain Faust spends its time per record; here it deals out partitions and batches, and the rest is ours. This file, and
what it is made of in `heard` and `untabled`, alone touch Faust's private parts. What it promises:

- A batch holds what one fetch brought of one partition, without gaps: `begin` is where the batch before ended.
- After every assignment reading starts at the positions that `Positions` gives, never at the group's committed offsets;
  those are written by `Lane.commit` only to show lag.
- The same partition numbers of all sources land on one worker (Faust's own assignor, co-partitioned).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any, ClassVar

import faust
import msgspec
from aiokafka.errors import KafkaError, NoOffsetForPartitionError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from yarl import URL

from streams.fetching import bare, gather
from streams.heard import Heard
from streams.patience import patient
from streams.places import EMBEDDED_SESSION_S as EMBEDDED_SESSION_S
from streams.places import Batch as Batch
from streams.places import Place as Place
from streams.places import Tuning as Tuning
from streams.untabled import NoTables

POLL_S = 0.05
COMMIT_WITHIN_S = 5.0
REQUEST_WITHIN_S = 40.0
IDLE_S = 0.01
QUEUED_BATCHES = 4
RECOVERY_WITHIN_S = 600.0
EMBEDDED_WAIT_MS = 20


log = logging.getLogger("livetags")


Positions = Callable[[frozenset[Place], int], Awaitable[dict[Place, int | None]]]
"""Given the assigned places and the group's generation: where to read each from, None for its beginning."""


class _Fetched(msgspec.Struct, frozen=True):
    """Records by place, and where the consumer stands after them."""

    records: dict[TP, list[Any]]
    positions: dict[TP, int]


class _Thread(Heard, driver.AIOKafkaConsumerThread):
    """Faust's consumer thread, with our fetch wait and the positions of what it fetched."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        if not transport.tuning.embedded:
            consumer._isolation_level = "read_committed"
        consumer._fetch_max_wait_ms = transport.tuning.fetch_wait_ms
        patient(consumer._client)
        consumer._client._request_timeout_ms = int(REQUEST_WITHIN_S * 1000)  # Faust's own is how long recovery may take
        return consumer

    def set_shutdown(self) -> None:
        """Tell the worker's loop that the thread is over, where there still is that loop."""
        with contextlib.suppress(RuntimeError):
            super().set_shutdown()

    async def on_thread_stop(self) -> None:
        """Leave the group; where the broker is gone there is none to leave, and aiokafka's complaints are dropped."""
        with contextlib.suppress(Exception, asyncio.CancelledError):
            await super().on_thread_stop()

    async def fetch(self, active: set[TP], timeout: float) -> _Fetched:
        """What is there of the active partitions; waits `timeout` seconds at most."""
        fetched: _Fetched = await self.call_thread(self._fetch, set(active), timeout)
        return fetched

    async def _fetch(self, active: set[TP], timeout: float) -> _Fetched:
        try:
            records = await self._fetch_records(bare(self._ensure_consumer()), active, timeout=timeout)
        except NoOffsetForPartitionError:
            # Of places just assigned aiokafka asks the group, which may know nothing yet; `place_at` says it at once.
            return _Fetched({}, {})
        transport: Any = self.transport
        if not transport.tuning.embedded:
            gather(self._ensure_consumer(), transport.tuning.fetch_wait_ms, bool(records))
        places = {TP(*place): found for place, found in records.items()}
        return _Fetched(
            places, {place: state.position for place in active if (state := self.standing(place)) is not None}
        )

    def standing(self, place: TP) -> Any:
        """The consumer's own record of a place, or None where it is not assigned or has no position yet."""
        subscription = self._ensure_consumer()._subscription.subscription
        assignment = None if subscription is None else subscription.assignment
        if assignment is None or place not in assignment.tps:
            return None
        state = assignment.state_value(TopicPartition(*place))
        return state if state is not None and state.has_valid_position else None

    @property
    def broken(self) -> BaseException | None:
        """What the group's membership broke over, or None; nobody is told, and nothing is ever assigned again."""
        coordinator = getattr(self._consumer, "_coordinator", None)
        task = getattr(coordinator, "_coordination_task", None)
        return task.exception() if task is not None and task.done() and not task.cancelled() else None

    async def place_at(self, offsets: dict[TP, int | None]) -> dict[TP, int]:
        """Move to those offsets, None meaning the beginning, and return where that is; what expired is passed over."""
        placed: dict[TP, int] = await self.call_thread(self._place_at, offsets)
        return placed

    async def _place_at(self, offsets: dict[TP, int | None]) -> dict[TP, int]:
        consumer = self._ensure_consumer()
        begins = await consumer.beginning_offsets([TopicPartition(*place) for place in offsets]) if offsets else {}
        placed = {}
        for place, offset in offsets.items():
            begin = begins[TopicPartition(*place)]
            if offset is not None and offset < begin:
                lost = f"{begin - offset} records (offsets {offset} to {begin - 1})"
                log.warning("%s/%d: %s expired before they were read and are lost: see retention.ms", *place, lost)
            placed[place] = max(begin, offset or 0)
            consumer.seek(TopicPartition(*place), placed[place])
        return placed

    async def commit_offsets(self, offsets: dict[TP, int]) -> None:
        """Commit for show; a partition lost meanwhile is left out."""
        await self.call_thread(self._commit_offsets, offsets)

    async def _commit_offsets(self, offsets: dict[TP, int]) -> None:
        held = self.assignment()
        wanted = {TopicPartition(*tp): OffsetAndMetadata(at, "") for tp, at in offsets.items() if tp in held}
        if wanted:
            await self._ensure_consumer().commit(wanted)


class _Consumer(driver.Consumer):
    """Faust's consumer, yielding whole batches."""

    _thread: _Thread

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        self._begins: dict[TP, int] = {}
        self.epoch = self._fetch = self._brought = 0
        self.received: dict[TP, int] = {}
        self.placed: dict[TP, int] = {}
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:
        """One message per place and fetch; a batch overtaken by a rebalance is dropped, as positions are set again."""
        if not self.flow_active:
            await self.wait(self.can_resume_flow)  # type: ignore[arg-type]
        drawn, active = self._drawn, self._get_active_partitions()
        if not active:
            await self.sleep(IDLE_S)
            return
        fetched = await self._thread.fetch(active, min(timeout, POLL_S))
        ended = self._ended(fetched)
        self._fetch, self._brought = self._fetch + 1, len(fetched.records) + len(ended)
        for place, records in fetched.records.items():
            if self.should_stop or not self.flow_active:
                return
            if drawn != self._drawn:
                await self.perform_seek()
                return
            end = fetched.positions.get(place, records[-1].offset + 1)
            yield place, self._batch(place, self._begins.get(place, records[0].offset), end, records)
        for place in ended:
            if drawn == self._drawn:
                yield place, self._batch(place, self._begins[place], fetched.positions[place], ())

    def _ended(self, fetched: _Fetched) -> list[TP]:
        """Where offsets without records were passed: ends of transactions, and what is left of aborted ones."""
        places = fetched.positions.keys() - fetched.records.keys()
        begins = ((place, self._begins.get(place)) for place in places)
        return [place for place, begin in begins if begin is not None and begin < fetched.positions[place]]

    @property
    def _drawn(self) -> tuple[int, int]:
        """Changes whenever partitions are dealt out, also where the group does so under the generation it had."""
        return self.app.consumer_generation_id, self.epoch

    def _batch(self, place: TP, begin: int, end: int, records: Sequence[Any]) -> Any:
        """A message with those records; the place's next batch begins at their end."""
        self._begins[place] = end
        at = Place(place.topic, place.partition)
        return self._to_message(place, Batch(at, begin, end, records, self.epoch, self._fetch, self._brought))

    def _to_message(self, tp: TP, batch: Batch) -> Any:
        last = batch.records[-1] if batch.records else None
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            batch.end - 1 if last is None else last.offset,
            time.time() if last is None else last.timestamp / 1000,
            0 if last is None else last.timestamp_type,
            [],
            None,
            batch,  # type: ignore[arg-type]
            None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def perform_seek(self) -> None:
        """Read on from the positions of the state."""
        transport: Any = self.transport
        self.epoch += 1
        self._thread.heard_s = time.monotonic()  # the group just told what is ours
        assigned = {TP(*place) for place in self.assignment()}
        wanted = await transport.positions(
            frozenset(Place(place.topic, place.partition) for place in assigned), self.app.consumer_generation_id
        )
        offsets = {TP(place.topic, place.partition): offset for place, offset in wanted.items()}
        self._begins = await self._thread.place_at(
            {place: offset for place, offset in offsets.items() if place in assigned}
        )
        self.received, self.placed = dict(self._begins), dict(self._begins)
        self.epoch += 1
        self._read_offset.clear()

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Nothing: Faust's watch over its own acknowledgements says nothing here."""

    def at_end(self, place: TP) -> bool:
        """Whether all there is of a place has been received; batches under way make position and received differ."""
        state = self._thread.standing(place)
        if state is None or state.highwater is None:
            return False
        stable = state.lso  # where the first transaction begins that is not decided yet; -1 where nobody asks
        end = state.highwater if stable is None or stable < 0 else min(state.highwater, stable)
        return bool(self.received.get(place) == state.position >= end)

    @property
    def holds(self) -> bool:
        """Whether the session can't have timed out; the embedded broker's is too short to go by, and fences nobody."""
        transport: Any = self.transport
        tuning: Tuning = transport.tuning
        return tuning.embedded or time.monotonic() - self._thread.heard_s < tuning.session_s

    def behind(self, place: TP) -> int | None:
        """How many offsets of a place were not received yet, None where that is not known."""
        state, at = self._thread.standing(place), self.received.get(place)
        return None if state is None or state.highwater is None or at is None else max(0, state.highwater - at)


class _Transport(driver.Transport):
    """Faust's transport with our consumer."""

    Consumer: ClassVar[Any] = _Consumer
    tuning: Tuning
    positions: Positions


class _Schema(faust.Schema):  # type: ignore[type-arg]
    """Hands a batch on as it is."""

    def loads_key(self, app: Any, message: Any, **_: Any) -> Any:
        """Nothing: keys are in the records."""
        return None

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:
        """The batch."""
        return message.value


class Lane:
    """A Faust app that reads the sources in batches."""

    def __init__(self, tuning: Tuning, positions: Positions, topics: Sequence[str], standbys: int = 0) -> None:
        """`standbys`: how many other members the group has stand by for each partition."""
        urls = [URL(f"aiokafka://{address.strip()}") for address in tuning.address.split(",")]
        session_s = tuning.session_s
        self.app = faust.App(
            tuning.app_id,
            broker=[str(url) for url in urls],
            datadir=tuning.data_dir,
            store="memory://",
            autodiscover=False,
            web_enabled=False,
            canonical_url=tuning.url,
            topic_allow_declare=False,
            topic_disable_leader=True,
            table_standby_replicas=1,
            stream_wait_empty=False,
            stream_buffer_maxsize=QUEUED_BATCHES,
            broker_session_timeout=session_s,
            broker_heartbeat_interval=session_s / 4,
            broker_request_timeout=RECOVERY_WITHIN_S,
            broker_max_poll_interval=RECOVERY_WITHIN_S,
            consumer_auto_offset_reset="none",
            consumer_max_fetch_size=tuning.fetch_bytes,
            consumer_group_instance_id=tuning.member_id or None,
            producer_linger=0,
            TableManager=NoTables,
        )
        # table_standby_replicas=1 above picks Faust's assignor, which keeps partitions together.
        self.app.assignor.replicas = standbys
        transport = _Transport(urls, self.app, loop=self.app.loop)
        transport.tuning, transport.positions = tuning, positions
        self.app.transport = transport
        self.topic = self.app.topic(*topics, schema=_Schema(), acks=False)
        self._floors: dict[str, Callable[[int], int | None]] = {}

    @property
    def _consumer(self) -> _Consumer:
        consumer: Any = self.app.consumer
        return consumer  # type: ignore[no-any-return]

    def standbys(self) -> frozenset[int]:
        """The partitions that this worker stands by for, as the group dealt them out."""
        return frozenset(place.partition for place in self.app.assignor.assigned_standbys())

    def received(self, batch: Batch) -> None:
        """Note that a batch has come out of the lane: only then may its place be at its end."""
        self._consumer.received[TP(batch.place.topic, batch.place.partition)] = batch.end

    def current(self, batch: Batch) -> bool:
        """Whether a batch was fetched since positions were set last; one from before is read again."""
        return batch.epoch == self._consumer.epoch

    def placed(self, place: Place) -> int | None:
        """Where reading began after the latest assignment: later than was wanted where records had expired."""
        return self._consumer.placed.get(TP(place.topic, place.partition))

    def hold(self, topic: str, floor: Callable[[int], int | None]) -> None:
        """Have a topic's places at their end only from the offset on that `floor` gives; None means not yet."""
        self._floors[topic] = floor

    def at_end(self, place: Place) -> bool:
        """Whether all there is of a place has been received."""
        floor = self._floors[place.topic](place.partition) if place.topic in self._floors else 0
        if floor is None or self._consumer.received.get(TP(place.topic, place.partition), 0) < floor:
            return False
        return self._consumer.at_end(TP(place.topic, place.partition))

    def end(self, place: Place) -> int | None:
        """Where a place ends, None where that is not known yet."""
        state = self._consumer._thread.standing(TP(place.topic, place.partition))
        end: int | None = None if state is None else state.highwater
        return end

    @property
    def holds(self) -> bool:
        """Whether the group can't have dealt this worker's partitions out to others yet."""
        return self._consumer.holds

    async def rejoin(self) -> None:
        """Ask the group anew what is this worker's."""
        await self._consumer._thread.rejoin()

    def behind(self, place: Place) -> int | None:
        """How many offsets of a place were not received yet, None where that is not known."""
        return self._consumer.behind(TP(place.topic, place.partition))

    def pause(self, places: Iterable[Place]) -> None:
        """Leave those places unread until they are resumed."""
        self._consumer.pause_partitions(TP(place.topic, place.partition) for place in places)

    def resume(self, places: Iterable[Place]) -> None:
        """Read those places again."""
        self._consumer.resume_partitions({TP(place.topic, place.partition) for place in places})

    @property
    def crashed(self) -> BaseException | None:
        """What Faust or its membership of the group gave up over, or None."""
        if self.app.crashed:
            reason: BaseException | None = self.app.crash_reason
            return reason
        thread = getattr(self.app.consumer, "_thread", None)
        return None if thread is None else thread.broken

    async def commit(self, offsets: dict[Place, int]) -> None:
        """Commit offsets to the group, for showing lag; a failure is of no consequence."""
        wanted = {TP(place.topic, place.partition): offset for place, offset in offsets.items()}
        with contextlib.suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(COMMIT_WITHIN_S):
                await self._consumer._thread.commit_offsets(wanted)

    def on_revoked(self, call: Callable[[], Awaitable[None]]) -> None:
        """Have `call` awaited before partitions go to others."""

        async def revoked(*_: Any, **__: Any) -> None:
            await call()

        self.app.on_partitions_revoked.connect(revoked, weak=False)
