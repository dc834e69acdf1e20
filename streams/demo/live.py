"""The simulated bank as a bank of today: its year is moved so that most of it lies behind now and the rest ahead.

What happened until now is sent at once, and the rest as it happens. Whole weeks are moved, so that hours and days of
the week stay what they were. The records and their order are the same every time: a feed that is started again passes
over as many of each partition as the broker has, and goes on with the next.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

import msgspec
import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.catalogue import Catalogue
from streams.cluster import Found
from streams.config import wall_ms
from streams.demo import DAY_MS
from streams.demo.bank import zoned
from streams.demo.dataset import Chunk, Dataset, merged_chunks
from streams.demo.feed import CHUNK, Feed
from streams.emit import producer

WEEK_MS: Final = 7 * DAY_MS
AHEAD_MS: Final = 2 * WEEK_MS
"""At least so much of the year lies ahead when a feed begins."""
LOOK_EVERY_S: Final = 1.0
BEGUN: Final = "feed.json"


class ForeignRecords(Exception):
    """The topics hold records that this feed did not send."""


class Begun(msgspec.Struct, frozen=True):
    """What a feed is bound to: how far the year is moved, and by topic its id."""

    shift_ms: int
    topics: dict[str, str]

    @classmethod
    def load(cls, directory: Path, topics: dict[str, str]) -> Self | None:
        """What was begun with those very topics, if anything."""
        path = directory / BEGUN
        found = msgspec.json.decode(path.read_bytes(), type=cls) if path.exists() else None
        return found if found is not None and found.topics == topics else None

    def save(self, directory: Path) -> None:
        """Keep it for the next start."""
        part = directory / f"{BEGUN}.part"
        part.write_bytes(msgspec.json.encode(self))
        part.replace(directory / BEGUN)


def shift_ms(last_ms: int, now_ms: int) -> int:
    """By how much a year that ends at `last_ms` is moved: whole weeks, so that two to three lie ahead of now."""
    return -((last_ms - now_ms - AHEAD_MS) // WEEK_MS) * WEEK_MS


def moved(chunk: Chunk, by_ms: int) -> Chunk:
    """The chunk's records as of other times."""
    times = np.array(chunk.times_ms, np.int64)
    texts = zip(zoned(times), zoned(times + by_ms), strict=True)
    lines = [
        line.replace(f'"{old}"'.encode(), f'"{new}"'.encode(), 1)
        for line, (old, new) in zip(chunk.lines, texts, strict=True)
    ]
    return Chunk(chunk.sources, (times + by_ms).tolist(), lines)


class LiveFeed:
    """Sends the bank's records.

    Parameters
    ----------
    found
        The sources' topics, all with the same number of partitions.
    directory
        Where it keeps what it began with.
    """

    def __init__(
        self,
        dataset: Dataset,
        catalogue: Catalogue,
        address: str,
        found: dict[str, Found],
        directory: Path,
        clock: Callable[[], int] = wall_ms,
    ) -> None:
        self._dataset, self._catalogue, self._address = dataset, catalogue, address
        self._found, self._directory, self._clock = found, directory, clock

    async def run(self, caught_up: Callable[[], None]) -> None:
        """Send all; `caught_up` is called once what happened until now is on the broker.

        Raises
        ------
        ForeignRecords
            The topics held others before it began.
        """
        there = await self._there()
        by_ms = self.begin(there)
        partitions = len(next(iter(there.values())))
        feed = Feed(self._dataset, self._catalogue, self._address, partitions, there=there)
        sender, told = producer(self._address, idempotent=True), False
        await sender.start()
        try:
            for each in merged_chunks(self._dataset, CHUNK):
                chunk, at = moved(each, by_ms), 0
                while at < len(chunk.lines):
                    now = self._clock()
                    end = bisect_right(chunk.times_ms, now, lo=at)
                    if end > at:
                        await feed.send(sender, _part(chunk, at, end), stamp_ms=now)
                        at = end
                    else:
                        if not told:
                            caught_up()
                            told = True
                        await asyncio.sleep(min(LOOK_EVERY_S, (chunk.times_ms[at] - now) / 1000))
        finally:
            await sender.stop()
        if not told:
            caught_up()

    async def _there(self) -> dict[str, list[int]]:
        """By topic, how many records each partition has had."""
        places = [TopicPartition(topic.name, n) for topic in self._found.values() for n in range(topic.partitions)]
        consumer = AIOKafkaConsumer(bootstrap_servers=self._address, enable_auto_commit=False)
        await consumer.start()
        try:
            ends = await consumer.end_offsets(places)
        finally:
            await consumer.stop()
        return {
            topic.name: [ends[TopicPartition(topic.name, n)] for n in range(topic.partitions)]
            for topic in self._found.values()
        }

    def begin(self, there: dict[str, list[int]]) -> int:
        """By how many milliseconds the year is moved, the same at every start with these topics.

        Parameters
        ----------
        there
            By topic, how many records each partition has had.

        Raises
        ------
        ForeignRecords
            There are some and this is the first start.
        """
        ids = {topic.name: topic.id for topic in self._found.values()}
        begun = Begun.load(self._directory, ids)
        if begun is None:
            full = [name for name, counts in there.items() if any(counts)]
            if full:
                raise ForeignRecords(
                    f"topic {full[0]!r} holds records that were not sent from {self._directory}, and the bank's would "
                    "be mixed into them. Feed empty topics, or go on with the data directory that they were fed from"
                )
            last_ms = max(int(np.load(path.with_suffix(".index.npy"))["time_ms"][-1]) for path in self._sources())
            begun = Begun(shift_ms(last_ms, self._clock()), ids)
            begun.save(self._directory)
        return begun.shift_ms

    def _sources(self) -> list[Path]:
        return [path for name, path in self._dataset.sources.items() if self._dataset.events[name]]


def _part(chunk: Chunk, start: int, end: int) -> Chunk:
    return Chunk(chunk.sources[start:end], chunk.times_ms[start:end], chunk.lines[start:end])
