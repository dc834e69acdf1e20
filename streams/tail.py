"""The ends of topics, read in raw batches from given offsets to where they end now."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

FETCH_WAIT_MS: Final = 20
FETCH_BYTES: Final = 8_388_608
STUCK_AFTER_S: Final = 60.0


class TailStuck(Exception):
    """The broker did not tell the end of a topic."""


async def read_from(address: str, offsets: dict[TopicPartition, int]) -> dict[TopicPartition, list[Any]]:
    """The records from those offsets on; what expired before is passed over.

    The end is what fetches tell: the embedded broker says it no other way.

    Raises
    ------
    TailStuck
        The end is not reached, with nothing read for a minute.
    """
    found: dict[TopicPartition, list[Any]] = {place: [] for place in offsets}
    if not offsets:
        return found
    reader = AIOKafkaConsumer(
        bootstrap_servers=address,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=FETCH_WAIT_MS,
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    await reader.start()
    try:
        reader.assign(list(offsets))
        first = await reader.beginning_offsets(list(offsets))
        for place, offset in offsets.items():
            reader.seek(place, max(offset, first[place]))
        await _read(reader, found)
    finally:
        await reader.stop()
    return found


async def _read(reader: Any, found: dict[TopicPartition, list[Any]]) -> None:
    left = set(found)
    clock = asyncio.get_running_loop().time
    deadline = clock() + STUCK_AFTER_S
    while left:
        got = await reader.getmany(*left, timeout_ms=FETCH_WAIT_MS)
        for place in list(left):
            if records := got.get(place):
                found[place] += records
                deadline = clock() + STUCK_AFTER_S
            end = reader.highwater(place)
            if end is not None and await reader.position(place) >= end:
                left.discard(place)
                reader.pause(place)
        if clock() > deadline:
            raise TailStuck(f"the end of {', '.join(sorted(f'{p.topic}/{p.partition}' for p in left))} is not told")
