"""The ends of topics, read in raw batches from given offsets to where they end now."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from streams.fetching import bare

FETCH_WAIT_MS: Final = 20
FETCH_BYTES: Final = 2_097_152  # larger answers are copied into memory that is not warm
STUCK_AFTER_S: Final = 60.0


Take = Callable[[TopicPartition, list[Any]], Awaitable[None]]
Told = Callable[[TopicPartition, int, int, int], None]
"""How far a partition is read, where it ends, and how many records were handed on."""


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
    address: str,
    offsets: dict[TopicPartition, int],
    take: Take,
    *,
    committed: bool,
    whole_if_shorter: bool = False,
    told: Told | None = None,
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
    reader = await started(address, committed=committed, reset="earliest" if whole_if_shorter else "none")
    try:
        await place_at(reader, offsets)
        return await _read(reader, offsets, take, told, refuse_shorter=not whole_if_shorter)
    except OffsetOutOfRangeError as error:
        raise TailShorter(str(error)) from None
    finally:
        await reader.stop()


async def started(address: str, *, committed: bool, reset: str = "none") -> AIOKafkaConsumer:
    """A consumer of no group that hands out bare records; to be stopped by who asked for it."""
    reader = AIOKafkaConsumer(
        bootstrap_servers=address,
        enable_auto_commit=False,
        auto_offset_reset=reset,
        isolation_level="read_committed" if committed else "read_uncommitted",
        fetch_max_wait_ms=FETCH_WAIT_MS,
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    await reader.start()
    return bare(reader)


async def place_at(reader: AIOKafkaConsumer, offsets: dict[TopicPartition, int]) -> None:
    """Have a consumer read on from those offsets; what expired or was compacted away before is passed over."""
    reader.assign(list(offsets))
    first = await reader.beginning_offsets(list(offsets))
    for place, offset in offsets.items():
        reader.seek(place, max(offset, first[place]))


def end_of(reader: AIOKafkaConsumer, place: TopicPartition) -> int | None:
    """Where what can be read of a partition ends, as the last fetch told; None before that."""
    end: int | None = reader.highwater(place)
    stable = reader.last_stable_offset(place)
    if end is not None and stable is not None and stable >= 0:  # -1 where all is read, committed or not
        end = min(end, stable)
    return end


async def _read(
    reader: Any, places: Iterable[TopicPartition], take: Take, told: Told | None, *, refuse_shorter: bool
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
            written, position = reader.highwater(place), await reader.position(place)
            if written is not None and position > written and refuse_shorter:
                raise TailShorter(f"{place.topic}/{place.partition} ends at {written}, before {position}")
            end = end_of(reader, place)
            if end is not None and told is not None:
                told(place, position, end, len(got.get(place, ())))
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
