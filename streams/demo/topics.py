"""What topics hold when a demo ends: whole fetches, each partition in its own order.

Fetches are sent and taken apart here, below aiokafka's consumer, which makes an object of every record: a year's
millions of them take seconds this way, not a minute. The end is what fetches say it is; the embedded broker tells it
wrongly any other way.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

import msgspec
from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaTimeoutError, LeaderNotAvailableError, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.memory_records import MemoryRecords

FETCH_WAIT_MS: Final = 20
FETCH_BYTES: Final = 8_388_608
READ_UNCOMMITTED: Final = 0
EMPTY_FETCHES: Final = 500


class Batch(msgspec.Struct, frozen=True):
    """Consecutive records of one partition, as columns; those without a value, which remove a key, are left out.

    Attributes
    ----------
    end
        The offset after the last of them.
    """

    partition: int
    end: int
    keys: list[bytes | None]
    values: list[bytes]


async def read_to_end(address: str, topic: str, partitions: Iterable[int]) -> AsyncIterator[Batch]:
    """Every record that stands in those partitions of a topic, one partition after the other.

    Raises
    ------
    aiokafka.errors.KafkaError
        The broker does not give them.
    """
    client = AIOKafkaClient(bootstrap_servers=address)
    try:
        await client.bootstrap()
        await client.set_topics([topic])
        for number in partitions:
            async for batch in _partition(client, topic, number):
                yield batch
    finally:
        await client.close()


async def _partition(client: Any, topic: str, number: int) -> AsyncIterator[Batch]:
    """A partition from offset 0, as nothing of a demo's topics expires."""
    node = client.cluster.leader_for_partition(TopicPartition(topic, number))
    if node is None or node < 0:
        raise LeaderNotAvailableError(f"nobody answers for {topic}/{number}")
    position, highwater, empty = 0, 1, 0
    while position < highwater:
        wanted = [(topic, [(number, position, FETCH_BYTES)])]
        answer = await client.send(node, FetchRequest(FETCH_WAIT_MS, 1, FETCH_BYTES, READ_UNCOMMITTED, wanted))
        ((_, ((_, error, highwater, *rest),)),) = answer.topics
        if error:
            raise for_code(error)(f"{topic}/{number} at offset {position}")
        batch = _unpacked(number, position, rest[-1])
        if batch.end > position:
            yield batch
        elif (empty := empty + 1) > EMPTY_FETCHES:
            raise KafkaTimeoutError(f"{topic}/{number} ends at {highwater}, but brings nothing from {position} on")
        position = batch.end


def _unpacked(number: int, position: int, fetched: bytes | None) -> Batch:
    """What a fetch from that position brought; it may begin before it, within a batch."""
    keys: list[bytes | None] = []
    values: list[bytes] = []
    end, records = position, MemoryRecords(fetched or b"")
    while records.has_next():
        batch = records.next_batch()
        for record in batch:
            if record.offset >= position and (value := record.value) is not None:
                keys.append(record.key)
                values.append(value)
        end = max(end, batch.next_offset)
    return Batch(number, end, keys, values)
