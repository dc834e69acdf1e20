"""The control topic of a cluster: what all workers agree on, by key, in one order.

Every worker reads it whole when it starts and follows it from then on, without a group. What is put under a key
replaces what was there before, so that a put that waits for a broker is replaced by a later one of the same key. A
broker that is away is waited for; what followers raise is handed to `on_fault`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

FETCH_WAIT_MS: Final = 500
CATCH_UP_WAIT_MS: Final = 20
EMBEDDED_WAIT_MS: Final = 100  # its fetches sleep so long whatever comes meanwhile, and tell the end only when they do
RETRY_S: Final = 0.5
REQUEST_WITHIN_MS: Final = 15_000
CLOSE_WITHIN_S: Final = 0.5
AWAY: Final = (KafkaError, OSError, TimeoutError)

OnRecord = Callable[[str, bytes | None, int], None]
"""Called with a key, its value (None: removed) and the record's offset."""

log = logging.getLogger("livetags")


class _Put(msgspec.Struct, frozen=True):
    """A value on its way."""

    value: bytes | None


class Control:
    """The control topic, read and written.

    Parameters
    ----------
    embedded
        Whether it is the embedded broker, which has no idempotent producers.
    on_fault
        Called with what a follower raised; the topic is not followed any further then.
    """

    def __init__(
        self, address: str, topic: str, embedded: bool, on_fault: Callable[[BaseException], None] | None = None
    ) -> None:
        self.topic = topic
        self._address, self._embedded, self._on_fault = address, embedded, on_fault
        self._place = TopicPartition(topic, 0)
        self._position: int | None = None
        self._followers: list[OnRecord] = []
        self._caught_up = asyncio.Event()
        self._outbox: dict[str, _Put] = {}
        self._wanted, self._empty = asyncio.Event(), asyncio.Event()
        self._empty.set()
        self._tasks: set[asyncio.Task[None]] = set()

    def follow(self, on_record: OnRecord) -> None:
        """Have `on_record` called for every record, in order, on the loop; before `start`.

        The topic may be read anew where it was created anew, so that keys come again.
        """
        self._followers.append(on_record)

    async def start(self) -> None:
        """Begin to read and write; a broker is not waited for."""
        for work in (self._read_on(), self._write_on()):
            task = asyncio.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and self._on_fault is not None:
            self._on_fault(error)

    async def caught_up(self) -> None:
        """Wait until all that was there has been read."""
        await self._caught_up.wait()

    @property
    def is_caught_up(self) -> bool:
        """Whether all that was there at the start has been read."""
        return self._caught_up.is_set()

    def put(self, key: str, value: bytes | None) -> None:
        """Have that value under that key, None removes it; it is written in the background, newest value only."""
        self._outbox.pop(key, None)  # goes behind what others put since
        self._outbox[key] = _Put(value)
        self._empty.clear()
        self._wanted.set()

    async def drained(self) -> None:
        """Wait until the broker has all that was put."""
        await self._empty.wait()

    async def stop(self) -> None:
        """Stop reading and writing; what was not written by now is not."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ------------------------------------------------------------------------------------------------ reading

    async def _read_on(self) -> None:
        """Read and follow; begin anew where the broker went away."""
        while True:
            try:
                async with self._reader() as reader:
                    await self._read(reader)
            except AWAY as error:
                log.debug("the control topic %s can't be read now: %s", self.topic, error)
            await asyncio.sleep(RETRY_S)

    @contextlib.asynccontextmanager
    async def _reader(self) -> AsyncIterator[Any]:
        reader = AIOKafkaConsumer(
            bootstrap_servers=self._address,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=EMBEDDED_WAIT_MS if self._embedded else FETCH_WAIT_MS,
            request_timeout_ms=REQUEST_WITHIN_MS,
        )
        try:
            await _started(reader)
            reader.assign([self._place])
            begin = (await reader.beginning_offsets([self._place]))[self._place]
            reader.seek(self._place, max(begin, self._position or 0))
            yield reader
        finally:
            await _within(reader.stop())

    async def _read(self, reader: Any) -> None:
        """Hand on what comes; the end is what fetches say it is, as the embedded broker tells it no other way."""
        while True:
            wait_ms = FETCH_WAIT_MS if self.is_caught_up else CATCH_UP_WAIT_MS  # an end without records wakes nobody
            got = await reader.getmany(self._place, timeout_ms=wait_ms)
            for record in got.get(self._place, ()):
                self._position = record.offset + 1
                if record.key is not None:
                    for on_record in self._followers:
                        on_record(record.key.decode(errors="replace"), record.value, record.offset)
            self._position, end = await reader.position(self._place), reader.highwater(self._place)
            if end is None:
                continue
            if self._position > end:  # created anew, and the embedded broker does not tell
                reader.seek(self._place, 0)
            elif self._position == end:
                self._caught_up.set()

    # ------------------------------------------------------------------------------------------------ writing

    async def _write_on(self) -> None:
        """Write what is put; begin anew where the broker went away."""
        while True:
            await self._wanted.wait()
            try:
                async with self._writer() as writer:
                    await self._write(writer)
            except AWAY as error:
                log.debug("the control topic %s can't be written now: %s", self.topic, error)
            await asyncio.sleep(RETRY_S)

    @contextlib.asynccontextmanager
    async def _writer(self) -> AsyncIterator[Any]:
        writer = AIOKafkaProducer(
            bootstrap_servers=self._address,
            acks="all",
            enable_idempotence=not self._embedded,
            request_timeout_ms=REQUEST_WITHIN_MS,
        )
        try:
            await _started(writer)
            yield writer
        finally:
            await _within(writer.stop())

    async def _write(self, writer: Any) -> None:
        while True:
            while self._outbox:
                key, put = next(iter(self._outbox.items()))
                await writer.send_and_wait(self.topic, key=key.encode(), value=put.value, partition=0)
                if self._outbox.get(key) is put:
                    del self._outbox[key]
            self._wanted.clear()
            self._empty.set()
            await self._wanted.wait()


async def _started(client: Any) -> None:
    """Start a client of the broker; one that is told to stop meanwhile gets up first, as only then it can be closed."""
    starting = asyncio.ensure_future(client.start())
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:
        await _within(starting)
        raise


async def _within(closing: Any) -> None:
    """Close something, or leave it where it hangs on a broker that is gone."""
    with contextlib.suppress(*AWAY):
        async with asyncio.timeout(CLOSE_WITHIN_S):
            await closing


async def read_whole(address: str, topic: str, embedded: bool, within_s: float) -> dict[str, bytes]:
    """What stands on the control topic now, by key.

    Raises
    ------
    TimeoutError
        The broker did not give it in time.
    """
    found: dict[str, bytes] = {}

    def take(key: str, value: bytes | None, _offset: int) -> None:
        if value is None:
            found.pop(key, None)
        else:
            found[key] = value

    control = Control(address, topic, embedded)
    control.follow(take)
    await control.start()
    try:
        async with asyncio.timeout(within_s):
            await control.caught_up()
    finally:
        await control.stop()
    return found
