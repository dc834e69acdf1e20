"""A data set on its way into the sources' topics: whole batches, in the order of event time.

What a worker says depends on the order in which it merges the sources of a partition, and a source that it has read to
its end is waited for no longer. So all is on the broker before a worker starts: were it to catch up with the feed, it
would apply what has come of one source before what is about to come of another and is older.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2

from schemas.catalogue import Catalogue
from streams.demo.dataset import Chunk, Dataset, merged_chunks

CHUNK: Final = 65_536
BATCH_BYTES: Final = 524_288
REQUEST_BYTES: Final = 16_777_216


class _Home(msgspec.Struct, frozen=True):
    """Where a customer's records go."""

    key: bytes
    partition: int


class _Route(msgspec.Struct, frozen=True):
    """A source: its topic, and a decoder of which only `key` is read, the customer."""

    topic: str
    decode: Callable[[bytes], Any]


class Feed:
    """Sends a data set; `sent` records of `total` are on the broker.

    Parameters
    ----------
    limit
        Send no more than so many records; None sends all.
    there
        By topic, how many records of each partition were sent before: so many of the first are passed over.
    """

    def __init__(
        self,
        dataset: Dataset,
        catalogue: Catalogue,
        address: str,
        partitions: int,
        limit: int | None = None,
        there: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        self.total = min(sum(dataset.events.values()), limit or sum(dataset.events.values()))
        self.sent = 0
        self._dataset, self._address, self._partitions = dataset, address, partitions
        self._routes = [_route(catalogue, name) for name in dataset.sources]
        self._homes: dict[str, _Home] = {}
        self._there = {route.topic: list((there or {}).get(route.topic, [0] * partitions)) for route in self._routes}

    async def run(self) -> None:
        """Send all."""
        sender = AIOKafkaProducer(
            bootstrap_servers=self._address, max_batch_size=BATCH_BYTES, max_request_size=REQUEST_BYTES, linger_ms=0
        )
        await sender.start()
        try:
            for chunk in merged_chunks(self._dataset, CHUNK):
                await self.send(sender, _cut(chunk, self.total - self.sent))
                self.sent += min(len(chunk.lines), self.total - self.sent)
                if self.sent == self.total:
                    break
        finally:
            await sender.stop()

    async def send(self, sender: AIOKafkaProducer, chunk: Chunk, stamp_ms: int | None = None) -> None:
        """Send a chunk and wait for the broker to have it.

        Parameters
        ----------
        stamp_ms
            The Kafka timestamp of its records; None: the time of each.
        """
        rows: dict[int, list[int]] = {}
        for row, source in enumerate(chunk.sources):
            rows.setdefault(source, []).append(row)
        answers = [
            await self._send_source(sender, self._routes[number], chunk, rows[number], stamp_ms) for number in rows
        ]
        await asyncio.gather(*(answer for each in answers for answer in each))

    async def _send_source(
        self, sender: AIOKafkaProducer, route: _Route, chunk: Chunk, rows: Sequence[int], stamp_ms: int | None
    ) -> list[asyncio.Future[Any]]:
        """Hand over the batches of one source; what comes back are the broker's answers."""
        open_ = [sender.create_batch() for _ in range(self._partitions)]
        answers: list[asyncio.Future[Any]] = []
        homes, decode, there = self._homes, route.decode, self._there[route.topic]
        for row in rows:
            line = chunk.lines[row]
            customer = decode(line).key
            home = homes.get(customer) or self._home(customer)
            number, at = home.partition, chunk.times_ms[row] if stamp_ms is None else stamp_ms
            if there[number]:
                there[number] -= 1
                continue
            if open_[number].append(key=home.key, value=line, timestamp=at) is None:
                answers.append(await sender.send_batch(open_[number], route.topic, partition=number))
                open_[number] = sender.create_batch()
                open_[number].append(key=home.key, value=line, timestamp=at)
        for number, batch in enumerate(open_):
            batch.close()
            if batch.record_count():
                answers.append(await sender.send_batch(batch, route.topic, partition=number))
        return answers

    def _home(self, customer: str) -> _Home:
        """Where Kafka's own partitioner puts a customer."""
        key = customer.encode()
        home = self._homes[customer] = _Home(key, (murmur2(key) & 0x7FFFFFFF) % self._partitions)
        return home


def _route(catalogue: Catalogue, name: str) -> _Route:
    source = catalogue.source(name)
    shape = msgspec.defstruct("Keyed", [("key", str)], rename={"key": source.key})
    return _Route(source.topic, msgspec.json.Decoder(shape).decode)


def _cut(chunk: Chunk, most: int) -> Chunk:
    """The chunk's first records, at most so many."""
    if len(chunk.lines) <= most:
        return chunk
    return Chunk(chunk.sources[:most], chunk.times_ms[:most], chunk.lines[:most])
