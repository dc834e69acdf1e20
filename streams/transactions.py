"""Transactional producers, one for each partition in use: what a flush writes becomes visible at once, or never.

A partition's transactions have an id that is always the same. Who claims it ends what an earlier owner left open, and
nothing of what that one still sends can be committed from then on: it is fenced.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

STOP_WITHIN_S: Final = 1.0


class Lost(Exception):
    """A partition may be another worker's by now; nothing of it that is not committed counts."""

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}; what was not flushed is read again by whoever has it")


class Fenced(Lost):
    """Kafka takes no more transactions of a partition from here: another worker has claimed it, or its id expired."""


class Leased:
    """A producer without transactions that sends only while its worker can't have lost its partitions."""

    def __init__(self, producer: AIOKafkaProducer, holds: Callable[[], bool]) -> None:
        self._producer, self._holds = producer, holds
        self.create_batch = producer.create_batch

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> Any:
        """As the producer's own.

        Raises
        ------
        Lost
            The group has not answered for as long as it waits for a member.
        """
        if not self._holds():
            raise Lost(f"the group may have given partition {partition} to another worker: it has not answered in time")
        return await self._producer.send_batch(batch, topic, partition=partition)


class Transactions:
    """The producers of a group's partitions."""

    def __init__(self, group: str, producer: Callable[[str], AIOKafkaProducer]) -> None:
        """`producer` makes one for an id of transactions."""
        self.group, self._make = group, producer
        self._producers: dict[int, Any] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    def id_of(self, partition: int) -> str:
        """The id of a partition's transactions."""
        return f"{self.group}-{partition}"

    async def claim(self, partitions: Iterable[int]) -> None:
        """Be those partitions' only owner from now on, with no transaction of theirs open."""
        await asyncio.gather(*(self._claim(partition) for partition in partitions))

    async def _claim(self, partition: int) -> None:
        self.release([partition])
        producer = self._make(self.id_of(partition))
        try:
            await producer.start()
        except BaseException:
            await _stopped(producer)
            raise
        self._producers[partition] = producer

    def producer(self, partition: int) -> Any:
        """The producer of a claimed partition."""
        return self._producers[partition]

    def release(self, partitions: Iterable[int]) -> None:
        """Let go of those partitions; their producers are closed in the background."""
        for partition in partitions:
            producer = self._producers.pop(partition, None)
            if producer is not None:
                leaving = asyncio.create_task(_stopped(producer))
                self._leaving.add(leaving)
                leaving.add_done_callback(self._leaving.discard)

    async def stop(self) -> None:
        """Let go of all."""
        self.release(list(self._producers))
        await asyncio.gather(*self._leaving)

    @contextlib.asynccontextmanager
    async def transaction(self, partition: int) -> AsyncIterator[Any]:
        """A transaction of a claimed partition, committed in the end; of an error nothing is left.

        One that is cancelled stays open until the partition is claimed again, so that nobody waits for a broker.

        Raises
        ------
        Fenced
            It did not count.
        KafkaError
            It did not count, for another reason.
        """
        producer = self._producers[partition]
        if _is_over(producer):
            raise Fenced(_fenced(partition))
        try:
            await producer.begin_transaction()
            try:
                yield producer
            except Exception:
                if not _is_over(producer):
                    await producer.abort_transaction()
                raise
            await producer.commit_transaction()
        except KafkaError as error:
            if _is_over(producer):
                raise Fenced(_fenced(partition)) from error
            raise


def _fenced(partition: int) -> str:
    return f"partition {partition} was claimed by another worker, or its transactions expired"


def _is_over(producer: Any) -> bool:
    """Whether a producer can have no more transactions; aiokafka tells in no other way."""
    return bool(producer._txn_manager.is_fatal_error())


async def _stopped(producer: Any) -> None:
    with contextlib.suppress(Exception):
        async with asyncio.timeout(STOP_WITHIN_S):
            await producer.stop()
    # What a fenced one ended with was raised to whoever flushed; nobody asks its own tasks, and asyncio would complain.
    unsent = [batch._drain_waiter for some in producer._message_accumulator._batches.values() for batch in some]
    for left in (producer._sender.sender_task, producer._txn_manager.wait_for_transaction_end(), *unsent):
        if left is not None and left.done() and not left.cancelled():
            left.exception()
