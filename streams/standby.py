"""The partitions that a worker stands by for: their changelogs are followed into its own databases.

When their worker is gone and this one gets them, recovery finds all but the last moments in the database and reads only
the changelog's tail. Nothing here is needed to be right: what fails is tried again, and a partition that was not
followed is recovered as if nobody had stood by.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, MutableMapping
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from streams.cluster import StateRefused
from streams.store import NewerFormat, Store
from streams.tables import Tables, Tail
from streams.tail import end_of, place_at, started
from streams.torn import StoreError

WAIT_MS: Final = 100
AGAIN_AFTER_S: Final = 2.0

log = logging.getLogger("livetags")


class Standbys:
    """Follows the changelogs of other workers' partitions.

    Parameters
    ----------
    lags
        By partition, how many offsets of its changelog are not taken in yet; kept up to date here.
    """

    def __init__(self, tables: Tables, address: str, *, committed: bool, lags: MutableMapping[int, int | None]) -> None:
        self._tables, self._address, self._committed, self._lags = tables, address, committed, lags
        self._halt = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._numbers: frozenset[int] = frozenset()

    @property
    def numbers(self) -> frozenset[int]:
        """The partitions that are followed."""
        return self._numbers

    async def pause(self) -> None:
        """Follow none; what is being written is written to its end, and the databases stay open."""
        self._halt.set()
        if self._task is not None:
            await self._task
            self._task = None

    def follow(self, numbers: Iterable[int]) -> None:
        """Follow those from now on, after `pause`; the databases of others are closed."""
        self._numbers = frozenset(numbers)
        self._tables.stand_down(self._tables.standing - self._numbers)
        for number in set(self._lags) - self._numbers:
            del self._lags[number]
        self._lags.update({number: self._lags.get(number) for number in self._numbers})
        self._halt = asyncio.Event()
        if self._numbers:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Follow none, and close their databases."""
        await self.pause()
        self._tables.stand_down()

    async def _run(self) -> None:
        """Follow until halted; what fails is told and tried again a little later."""
        while not self._halt.is_set():
            try:
                await self._follow(self._halt)
            except (KafkaError, StoreError, StateRefused, NewerFormat, OSError) as error:
                log.warning("standing by for partitions %s goes on later: %s", sorted(self._numbers), error)
                self._tables.stand_down()  # a damaged database is moved aside as it is opened again
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._halt.wait(), AGAIN_AFTER_S)

    async def _follow(self, halt: asyncio.Event) -> None:
        tails = {number: Tail(await asyncio.to_thread(self._tables.stand_by, number)) for number in self._numbers}
        places = {TopicPartition(self._tables.topic, number): tail for number, tail in tails.items()}
        reader = await started(self._address, committed=self._committed)
        try:
            await place_at(reader, {place: tail.store.changelog_position for place, tail in places.items()})
            while not halt.is_set():
                for place, records in (await reader.getmany(timeout_ms=WAIT_MS)).items():
                    await asyncio.to_thread(places[place].take, records)
                for place in places:
                    await self._measure(reader, place)
        finally:
            await reader.stop()
            await asyncio.to_thread(_settle, [tail.store for tail in tails.values()])

    async def _measure(self, reader: Any, place: TopicPartition) -> None:
        end = end_of(reader, place)
        if end is not None:
            self._lags[place.partition] = max(0, end - await reader.position(place))


def _settle(stores: list[Store]) -> None:
    for store in stores:
        with contextlib.suppress(StoreError):  # whoever uses it next is told
            store.settle()
