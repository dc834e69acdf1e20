"""What topics hold when a demo ends: their records in raw batches, each partition in its own order.

The end is what fetches say it is: the embedded broker tells it wrongly any other way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from typing import Final

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaTimeoutError

FETCH_WAIT_MS: Final = 20
FETCH_BYTES: Final = 8_388_608
SILENT_S: Final = 20.0


class Batch(msgspec.Struct, frozen=True):
    """Consecutive records of one partition."""

    partition: int
    records: list[ConsumerRecord[bytes, bytes]]

    @property
    def values(self) -> list[bytes]:
        """What stands in them; removals are left out."""
        return [record.value for record in self.records if record.value is not None]


async def read_to_end(address: str, topic: str, partitions: Collection[int]) -> AsyncIterator[Batch]:
    """Every record that stands in those partitions of a topic.

    Raises
    ------
    KafkaTimeoutError
        The broker does not give them.
    """
    reader = AIOKafkaConsumer(
        bootstrap_servers=address,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=FETCH_WAIT_MS,
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    await reader.start()
    try:
        left = {TopicPartition(topic, number) for number in partitions}
        reader.assign(list(left))
        await reader.seek_to_beginning(*left)
        heard_s = _now_s()
        while left:
            got = await reader.getmany(*left, timeout_ms=FETCH_WAIT_MS)
            for place, records in got.items():
                yield Batch(place.partition, records)
            for place in [place for place in left if await _at_end(reader, place)]:
                left.discard(place)
                reader.pause(place)
            if got:
                heard_s = _now_s()
            elif _now_s() - heard_s > SILENT_S:
                raise KafkaTimeoutError(f"topic {topic!r} can't be read to its end")
    finally:
        await reader.stop()


async def _at_end(reader: AIOKafkaConsumer, place: TopicPartition) -> bool:
    end = reader.highwater(place)
    return end is not None and bool(await reader.position(place) >= end)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
