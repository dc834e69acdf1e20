"""`python -m bench.standstill`: how long a partition stands still when a worker joins, leaves, is killed or comes back.

Every record flips a tag, so that each partition's changes tell by their timestamps when it was worked on: a standstill
is the longest time between two of them, counted from the moment when something happened. Needs an Apache Kafka
(tests/brokers says how one is found).
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import click
import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from schemas.loading import loads
from streams.cluster import prepare
from streams.compiled import keep_compiled
from streams.config import Settings
from streams.engine import plan
from streams.logs import quiet
from tests.brokers import finding, java
from tests.brokers.interface import Kafka
from tests.chaos.members import Member
from tests.integration.support import partition_of

CATALOGUE: Final = """
catalogue: standstill
version: 1
timezone: UTC
currency: EUR
sources:
  pay: {topic: pay, key: customer, time: at, fields: {amount: money}}
features:
  amount: {source: pay, last: amount}
tags:
  high: {when: amount >= 5}
"""
BEAT_S: Final = 0.05
SETTLES_S: Final = 12.0
"""How long a group is left alone before something happens to it, and after."""
LONGEST_S: Final = 40.0


class Standstill(msgspec.Struct, frozen=True):
    """The longest standstill of any partition, and how many stood still for more than a second."""

    longest_s: float
    partitions: int
    resumed_s: float
    """From when it happened to when the last of those was worked on again."""


class Changes:
    """When each partition's changes were made, as they come."""

    def __init__(self) -> None:
        self.at_s: dict[int, list[float]] = defaultdict(list)

    async def follow(self, address: str) -> None:
        """Read on until cancelled."""
        reader = AIOKafkaConsumer("tag-changes", bootstrap_servers=address, fetch_max_wait_ms=50)
        await reader.start()
        try:
            async for record in reader:
                self.at_s[record.partition].append(record.timestamp / 1000)
        finally:
            await reader.stop()

    def stood_still(self, since_s: float) -> Standstill:
        """The gaps after a moment (seconds since 1970)."""
        gaps: list[float] = []
        resumed = since_s
        for moments in self.at_s.values():
            before = [moment for moment in moments if moment < since_s][-1:]
            after = [moment for moment in moments if moment >= since_s]
            between = list(zip([*before, *after], after, strict=False)) if before else []
            longest = max((later - earlier for earlier, later in between), default=0.0)
            gaps.append(longest)
            if longest > 1:
                resumed = max(resumed, *(later for earlier, later in between if later - earlier > 1))
        return Standstill(max(gaps, default=0.0), sum(gap > 1 for gap in gaps), resumed - since_s)


async def _beat(address: str, keys: list[bytes], records: int) -> None:
    """So many records for each partition twenty times a second, each of which flips its customer's tag."""
    sender = AIOKafkaProducer(bootstrap_servers=address, linger_ms=0)
    await sender.start()
    try:
        number = 0
        while True:
            now = time.time_ns() // 1_000_000
            for of_beat in range(records):
                number += 1
                for key in keys:
                    value = {"customer": key.decode(), "at": now - records + of_beat, "amount": 10 * (number % 2)}
                    await sender.send("pay", msgspec.json.encode(value), key=key)
            await asyncio.sleep(BEAT_S)
    finally:
        await sender.stop()


class Group:
    """Workers over one broker, and what happens to them."""

    def __init__(self, kafka: Kafka, directory: Path, partitions: int, session_s: float) -> None:
        self._file = directory / "standstill.yaml"
        self._file.write_text(CATALOGUE, encoding="utf-8")
        self._settings = Settings(broker=kafka.address, partitions=partitions, data_dir=directory / "none")
        self._directory, self._session_s, self.changes = directory, session_s, Changes()
        self._partitions = partitions
        self.members: dict[str, Member] = {}

    async def prepare(self) -> list[bytes]:
        """Create the topics; a customer of each partition."""
        catalogue = loads(CATALOGUE)
        await prepare(self._settings, catalogue, plan.build(catalogue).fingerprint)
        found: dict[int, bytes] = {}
        number = 0
        while len(found) < self._partitions:
            key = f"c{number}".encode()
            found.setdefault(partition_of(key, self._partitions), key)
            number += 1
        return list(found.values())

    async def start(self, name: str, *, static: bool = False) -> None:
        """Start a worker, or one that was killed again."""
        environment = {
            "LIVETAGS_BROKER": self._settings.broker,
            "LIVETAGS_PARTITIONS": str(self._partitions),
            "LIVETAGS_SESSION_TIMEOUT_S": str(self._session_s),
            "LIVETAGS_MEMBER_ID": name if static else "",
        }
        self.members[name] = self.members.get(name) or Member(name, self._file, self._directory, environment)
        await self.members[name].start()

    async def measure(self, what: str, happens: Callable[[], Awaitable[None]]) -> None:
        """Let something happen to a group at rest, and print what stood still."""
        await asyncio.sleep(SETTLES_S)
        began = time.time()
        await happens()
        await asyncio.sleep(SETTLES_S + self._session_s)
        found = self.changes.stood_still(began)
        click.echo(
            f"{what:52} longest {found.longest_s:5.1f} s; {found.partitions} of {self._partitions} partitions stood "
            f"still for more than a second; all at work after {found.resumed_s:.1f} s"
        )


async def _run(partitions: int, session_s: float, records: int, directory: Path) -> None:
    kafka = java.JavaKafka(flags=()) if finding.way() is finding.Way.JAVA else finding.kafka()
    works: list[asyncio.Task[None]] = []
    group = Group(kafka, directory, partitions, session_s)
    try:
        await asyncio.to_thread(kafka.start)
        keys = await group.prepare()
        works += [
            asyncio.create_task(_beat(kafka.address, keys, records)),
            asyncio.create_task(group.changes.follow(kafka.address)),
        ]
        await group.start("one")
        await group.start("two", static=True)
        async with asyncio.timeout(120):
            while len(group.changes.at_s) < partitions:
                await asyncio.sleep(0.1)
        await group.measure("a third worker joins", lambda: group.start("three"))
        await group.measure("it is stopped (SIGTERM)", lambda: group.members["three"].leave())
        await group.start("three")
        await group.measure("it is killed and does not come back", lambda: group.members["three"].kill())

        async def again() -> None:
            await group.members["two"].kill()
            await group.start("two", static=True)

        await group.measure("a static member is killed and started again at once", again)
    finally:
        for work in works:
            work.cancel()
        for member in group.members.values():
            await member.kill()
        await asyncio.to_thread(kafka.remove)


@click.command()
@click.option("--partitions", default=8, show_default=True)
@click.option("--session", "session_s", default=10.0, show_default=True, help="Session timeout, seconds.")
@click.option("--records", default=1, show_default=True, help="Of a partition, twenty times a second.")
def main(partitions: int, session_s: float, records: int) -> None:
    """How long a partition stands still when workers come and go."""
    keep_compiled(Path(".livetags"))
    quiet()
    asyncio.run(_run(partitions, session_s, records, Path(tempfile.mkdtemp(prefix="livetags-standstill-"))))


if __name__ == "__main__":
    main()
