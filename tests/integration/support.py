"""What the integration tests share: a catalogue over topics of their own, a stream for it, ways to send and wait."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.partitioner import DefaultPartitioner

from schemas.catalogue import Catalogue
from schemas.loading import loads
from schemas.records import Change, SegmentChange, TagChange
from schemas.topics import Role
from streams.app import Worker, build
from streams.cluster import Admin, prepare
from streams.config import Clock, Settings
from streams.engine import plan

WITHIN_S: Final = 120.0  # the first process after a change of the kernels compiles them
POLL_S: Final = 0.01
START_MS: Final = 1_735_689_600_000  # 2025-01-01T00:00:00Z
HOUR_MS: Final = 3_600_000
EVERYTHING: Final = Path(__file__).parents[1] / "everything.yaml"
SOURCES: Final = ("pay", "look", "who")


class Sent(msgspec.Struct, frozen=True):
    """A record on its way to a source's topic; without `partition` its key decides, without `timestamp` the clock."""

    source: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    timestamp: int | None = None


class Bench(msgspec.Struct, frozen=True):
    """A broker, names of one test's own, and where its state goes."""

    address: str
    name: str
    directory: Path

    def catalogue(self, version: int = 2, replaced: Mapping[str, str] | None = None) -> Catalogue:
        """tests/everything.yaml over topics of this test; `replaced` swaps texts in it."""
        return loads(self.text(version, replaced))

    def text(self, version: int = 2, replaced: Mapping[str, str] | None = None) -> str:
        """The YAML of `catalogue`."""
        text = EVERYTHING.read_text(encoding="utf-8").replace("version: 2", f"version: {version}")
        for source in SOURCES:
            text = text.replace(f"topic: {source}", f"topic: {self.name}-{source}")
        for old, new in (replaced or {}).items():
            if old not in text:
                raise ValueError(f"{old!r} is not in {EVERYTHING}")
            text = text.replace(old, new)
        return text

    def settings(self, partitions: int = 4, worker: str = "one", **given: Any) -> Settings:
        """Settings for a worker with state of its own."""
        chosen: dict[str, Any] = {
            "broker": self.address,
            "app_id": self.name,
            "topic_prefix": f"{self.name}-",
            "data_dir": self.directory / worker,
            "partitions": partitions,
            "clock": Clock.EVENT,
            "flush_interval_s": 0.3,
        }
        return Settings(**(chosen | given))

    def topic(self, role: Role) -> str:
        """Name of an output topic."""
        return f"{self.name}-{role.value}"

    async def topics(self, settings: Settings, catalogue: Catalogue) -> None:
        """Create the topics, so that records may be there before a worker is."""
        await prepare(settings, catalogue, plan.build(catalogue).fingerprint)

    @contextlib.asynccontextmanager
    async def worker(self, settings: Settings, catalogue: Catalogue, *, rebuild: bool = False) -> AsyncIterator[Worker]:
        """A worker that has started, stopped in the end."""
        worker = build(settings, catalogue, rebuild=rebuild, file="everything.yaml")
        await worker.start()
        try:
            yield worker
        finally:
            await worker.stop()

    async def send(self, records: Iterable[Sent]) -> None:
        """Write records to the sources' topics, in batches, and wait until they are there."""
        producer = AIOKafkaProducer(bootstrap_servers=self.address, linger_ms=20, max_batch_size=262_144)
        await producer.start()
        try:
            answers = [
                await producer.send(
                    f"{self.name}-{r.source}",
                    key=r.key,
                    value=r.value,
                    partition=r.partition,
                    timestamp_ms=r.timestamp,
                )
                for r in records
            ]
            await asyncio.gather(*answers)
        finally:
            await producer.stop()

    async def read(self, topic: str, *, committed: bool = False) -> list[Any]:
        """Every record of a topic, in order within each partition; `committed` leaves out what no transaction did."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.address,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=20,
            enable_auto_commit=False,
            isolation_level="read_committed" if committed else "read_uncommitted",
        )
        await consumer.start()
        try:
            places = [TopicPartition(topic, n) for n in range(await asyncio.to_thread(self._partitions, topic))]
            consumer.assign(places)
            await consumer.seek_to_beginning(*places)
            found: list[Any] = []
            async with asyncio.timeout(WITHIN_S):
                while not all([await _at_end(consumer, place) for place in places]):
                    for records in (await consumer.getmany(timeout_ms=20)).values():
                        found += records
            return found
        finally:
            await consumer.stop()

    def topic_names(self) -> list[str]:
        """The names of all topics of the broker."""
        with Admin(self.address) as admin:
            return admin.names()

    def _partitions(self, topic: str) -> int:
        with Admin(self.address) as admin:
            return admin.describe([topic])[topic].partitions

    async def changes(self, *, committed: bool = False) -> list[Change]:
        """Every change on the topics; `committed` as of `read`."""
        tags = await self.read(self.topic(Role.TAG_CHANGES), committed=committed)
        segments = await self.read(self.topic(Role.SEGMENT_CHANGES), committed=committed)
        return [
            *(msgspec.json.decode(r.value, type=TagChange) for r in tags),
            *(msgspec.json.decode(r.value, type=SegmentChange) for r in segments),
        ]

    async def some_changes(self, number: int) -> None:
        """Wait until the topics hold so many different changes."""
        async with asyncio.timeout(WITHIN_S):
            while len({change.id for change in await self.changes()}) < number:
                await asyncio.sleep(POLL_S)


async def _at_end(consumer: AIOKafkaConsumer, place: TopicPartition) -> bool:
    end = consumer.highwater(place)
    return end is not None and bool(await consumer.position(place) >= end)


async def until(condition: Callable[[], bool], within_s: float = WITHIN_S) -> None:
    """Wait for a condition, and fail where it does not come true in time."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(POLL_S)


def handled(worker: Worker) -> int:
    """How many records went through the worker, into state or aside.

    Raises
    ------
    Failed
        It stopped by itself.
    """
    worker.check()
    counters = worker.counters
    return counters.events + counters.duplicates + counters.superseded + counters.late + counters.dead.total()


def partition_of(key: bytes, partitions: int) -> int:
    """Where Kafka puts a key."""
    number: int = DefaultPartitioner()(key, list(range(partitions)), list(range(partitions)))
    return number


def stream(count: int = 3_000, customers: int = 120, seed: int = 7) -> list[Sent]:
    """Records of all sources in the order of their times, seeded: months of a small shop, with quiet customers."""
    chance = random.Random(seed)
    made, now = [], START_MS
    for number in range(count):
        now += chance.randrange(1, HOUR_MS * 3 // 2)
        customer = f"c{int(chance.paretovariate(0.7)) % customers}"
        source = chance.choices(SOURCES, (6, 3, 1))[0]
        value: dict[str, Any] = {"customer": customer, "at": now} | _fields(chance, source, number)
        made.append(Sent(source, customer.encode(), msgspec.json.encode(value)))
    return made


def _fields(chance: random.Random, source: str, number: int) -> dict[str, Any]:
    match source:
        case "pay":
            return {
                "id": f"p{number}",
                "amount": chance.randrange(1, 90_000) / 100,
                "way": chance.choice(("in", "out")),
                "shop": chance.choice(("food", "fuel", "toys", "books")),
                "rate": chance.randrange(0, 300) / 100,
                "units": chance.randrange(0, 4),
            }
        case "look":
            return {"page": chance.choice(("home", "help"))}
        case _:
            return {
                "vip": chance.random() < 0.5,
                "born": chance.choice((1980, 1999)),
                "town": chance.choice(("east", "west")),
            }


def by_customer(changes: Sequence[Change]) -> dict[str, set[str]]:
    """The changes of each customer as JSON, ids included."""
    found: dict[str, set[str]] = defaultdict(set)
    for change in changes:
        found[change.customer_id].add(msgspec.json.encode(change).decode())
    return dict(found)


def in_order(changes: Sequence[Change]) -> dict[str, list[str]]:
    """The ids of each customer's tag changes, and of its segment changes, in the order they came."""
    found: dict[str, list[str]] = defaultdict(list)
    for change in changes:
        found[f"{change.customer_id} {type(change).__name__}"].append(change.id)
    return dict(found)
