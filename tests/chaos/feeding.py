"""The load on its way to the broker, which is waited for while it is away; every record arrives once, in its order."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaTimeoutError

from schemas.catalogue import Catalogue
from tests.chaos.load import Line
from tests.integration.support import partition_of

SLICE: Final = 1_000
BEAT_S: Final = 0.05


class Feeder:
    """Sends records; `sent` counts those that the broker has, `ends` where each partition of a topic ends then."""

    def __init__(self, address: str, catalogue: Catalogue, partitions: int) -> None:
        self._topics = {source.name: source.topic for source in catalogue.sources}
        self._partitions = partitions
        self._address = address
        self.sent: list[Line] = []
        self.ends: Counter[TopicPartition] = Counter()

    async def __aenter__(self) -> Feeder:
        """Connect."""
        self._sender = AIOKafkaProducer(
            bootstrap_servers=self._address, acks="all", enable_idempotence=True, linger_ms=5, max_batch_size=262_144
        )
        self._sender._message_accumulator._batch_ttl = math.inf  # a broker that is away is waited for
        await self._sender.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave."""
        await self._sender.stop()

    async def send(self, lines: Sequence[Line]) -> None:
        """Send records and wait until the broker has them."""
        for start in range(0, len(lines), SLICE):
            answers = [await self._send(line) for line in lines[start : start + SLICE]]
            await asyncio.gather(*answers)
            self.sent += lines[start : start + SLICE]

    async def _send(self, line: Line) -> Any:
        place = TopicPartition(self._topics[line.source], partition_of(line.customer.encode(), self._partitions))
        self.ends[place] += 1
        while True:
            with contextlib.suppress(KafkaTimeoutError):
                return await self._sender.send(
                    place.topic, line.value, key=line.customer.encode(), partition=place.partition
                )

    async def trickle(self, lines: Sequence[Line], per_s: float, enough: asyncio.Event) -> None:
        """Send records at about that rate until there is no more, or enough."""
        at_once = max(1, round(per_s * BEAT_S))
        for start in range(0, len(lines), at_once):
            if enough.is_set():
                return
            await self.send(lines[start : start + at_once])
            await asyncio.sleep(BEAT_S)
