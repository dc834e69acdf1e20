"""The ends of topics, read in raw batches from given offsets to where they end now."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

FETCH_WAIT_MS: Final = 20
FETCH_BYTES: Final = 8_388_608
STUCK_AFTER_S: Final = 60.0


Take = Callable[[TopicPartition, list[Any]], Awaitable[None]]


class TailStuck(Exception):
    """The broker did not tell the end of a topic."""


class TailShorter(Exception):
    """A topic ends before the offset to read from: it was created anew, or the broker forgot it."""


async def read_from(
    address: str, offsets: dict[TopicPartition, int], *, committed: bool
) -> dict[TopicPartition, list[Any]]:
    """The records from those offsets on; what expired before is passed over, a topic made anew is read whole.

    Parameters
    ----------
    committed
        Leave out what no transaction has committed; not for the embedded broker.

    Raises
    ------
    TailStuck
        The end is not reached, with nothing read for a minute.
    """
    found: dict[TopicPartition, list[Any]] = {place: [] for place in offsets}

    async def take(place: TopicPartition, records: list[Any]) -> None:
        found[place] += records

    await read_to_end(address, offsets, take, committed=committed, whole_if_shorter=True)
    return found


async def read_to_end(
    address: str, offsets: dict[TopicPartition, int], take: Take, *, committed: bool, whole_if_shorter: bool = False
) -> dict[TopicPartition, int]:
    """Hand the records from those offsets on to `take`, fetch by fetch; where each partition ends.

    Parameters
    ----------
    committed
        As of `read_from`; the end is then where the first open transaction begins.

    Raises
    ------
    TailStuck
        The end is not reached, with nothing read for a minute.
    TailShorter
        A topic ends before its offset, and is not to be read whole then.
    """
    if not offsets:
        return {}
    reader = AIOKafkaConsumer(
        bootstrap_servers=address,
        enable_auto_commit=False,
        auto_offset_reset="earliest" if whole_if_shorter else "none",
        isolation_level="read_committed" if committed else "read_uncommitted",
        fetch_max_wait_ms=FETCH_WAIT_MS,
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    await reader.start()
    try:
        reader.assign(list(offsets))
        first = await reader.beginning_offsets(list(offsets))
        for place, offset in offsets.items():
            reader.seek(place, max(offset, first[place]))
        return await _read(reader, offsets, take, refuse_shorter=not whole_if_shorter)
    except OffsetOutOfRangeError as error:
        raise TailShorter(str(error)) from None
    finally:
        await reader.stop()


async def _read(
    reader: Any, places: Iterable[TopicPartition], take: Take, *, refuse_shorter: bool
) -> dict[TopicPartition, int]:
    """Read until every partition stands at the end that fetches tell; the embedded broker says it no other way."""
    left, ends = set(places), {}
    clock = asyncio.get_running_loop().time
    deadline = clock() + STUCK_AFTER_S
    while left:
        got = await reader.getmany(*left, timeout_ms=FETCH_WAIT_MS)
        for place in list(left):
            if records := got.get(place):
                await take(place, records)
                deadline = clock() + STUCK_AFTER_S
            end, position = reader.highwater(place), await reader.position(place)
            if end is not None and position > end and refuse_shorter:
                raise TailShorter(f"{place.topic}/{place.partition} ends at {end}, before {position}")
            stable = reader.last_stable_offset(place)
            if end is not None and stable is not None and stable >= 0:  # -1 where all is read, committed or not
                end = min(end, stable)
            if end is not None and position >= end:
                ends[place] = position
                left.discard(place)
                reader.pause(place)
        if clock() > deadline:
            raise TailStuck(f"the end of {', '.join(sorted(f'{p.topic}/{p.partition}' for p in left))} is not told")
    return ends


async def ends_of(address: str, places: list[TopicPartition]) -> dict[TopicPartition, int]:
    """Where those partitions end now; not for the embedded broker, which does not say it."""
    if not places:
        return {}
    reader = AIOKafkaConsumer(bootstrap_servers=address, enable_auto_commit=False)
    await reader.start()
    try:
        ends: dict[TopicPartition, int] = await reader.end_offsets(places)
        return ends
    finally:
        await reader.stop()
