"""A worker that stands still for longer than its session, as processes do in the field: it loses and writes nothing."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from schemas.catalogue import Catalogue
from schemas.records import Change
from schemas.topics import Role
from streams.engine import plan
from streams.replay import Outcome, Record, run
from streams.tail import ends_of
from tests.integration.processes import command
from tests.integration.support import WITHIN_S, Bench, Sent, by_customer, stream

pytestmark = pytest.mark.anyio

SESSION_S = 4
PARTITIONS = 2
LOOK_EVERY_S = 0.5
PUBLISHED = (Role.TAG_CHANGES, Role.SEGMENT_CHANGES, Role.CUSTOMER_TAGS, Role.DEAD_LETTERS, Role.LATE_EVENTS)


@pytest.fixture
def catalogue(kafka_bench: Bench) -> Path:
    """The test's catalogue as a file."""
    path = kafka_bench.directory / "everything.yaml"
    path.write_text(kafka_bench.text(), encoding="utf-8")
    return path


async def compact_soon(bench: Bench, topic: str) -> None:
    """Have Kafka compact a topic whenever it can."""
    soon = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.0", "segment.ms": "300"}
    admin = AIOKafkaAdminClient(bootstrap_servers=bench.address)
    await admin.start()
    try:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=soon)])
    finally:
        await admin.close()


async def offsets(bench: Bench, topic: str) -> set[tuple[int, int]]:
    return {(record.partition, record.offset) for record in await bench.read(topic)}


async def ends(bench: Bench) -> dict[TopicPartition, int]:
    """Where everything that workers write ends."""
    topics = [*(bench.topic(role) for role in PUBLISHED), changelog(bench)]
    return await ends_of(bench.address, [TopicPartition(topic, n) for topic in topics for n in range(PARTITIONS)])


def changelog(bench: Bench) -> str:
    return f"{bench.name}-changelog-1-{plan.build(bench.catalogue()).fingerprint[:8]}"


async def joined(bench: Bench, members: int) -> None:
    """Wait until the group has so many members, each with its partitions."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bench.address)
    await admin.start()
    try:
        async with asyncio.timeout(WITHIN_S):
            while await _members(admin, bench.name) != ("Stable", members):
                await asyncio.sleep(LOOK_EVERY_S)
    finally:
        await admin.close()


async def _members(admin: AIOKafkaAdminClient, group: str) -> tuple[str, int]:
    (answer,) = await admin.describe_consumer_groups([group])
    ((_error, _group, state, _kind, _protocol, members, *_),) = answer.groups
    return state, len(members)


def last_words(changes: Iterable[Change]) -> dict[tuple[str, str], object]:
    return {(change.customer_id, change.name): change.new for change in changes}


async def test_p6_p7_a_worker_that_is_paused_past_its_session_loses_nothing_and_writes_nothing(
    kafka_bench: Bench, catalogue: Path
) -> None:
    bench, loaded, whole = kafka_bench, kafka_bench.catalogue(), stream()
    # While workers run records come of one source alone: their order is then the merge's.
    records = [*whole[:2_600], *(record for record in whole[2_600:] if record.source == "pay")]
    given = {"session_timeout_s": str(SESSION_S), "flush_interval_s": "0.5"}
    await bench.topics(bench.settings(PARTITIONS, worker="other"), loaded)
    await compact_soon(bench, changelog(bench))
    await bench.send(records[:1_000])
    async with command(bench, "worker", catalogue, **given) as paused:
        assert (await paused.report())["state"] == "running"
        await published(bench, 100)
        flushed = await offsets(bench, changelog(bench))
        paused.process.send_signal(signal.SIGSTOP)
        await bench.send(records[1_000:2_600])
        own = {"data_dir": str(bench.directory / "second")}
        async with command(bench, "worker", catalogue, **given, **own) as second:
            # What is newest is never compacted, so what is to go has to be overwritten by a flush before the last.
            for sent in (2_650, 2_700, 2_750):
                await bench.send(records[sent - 50 : sent])
                await published(bench, _changes(loaded, records[:sent]))
                await still(bench)
            async with asyncio.timeout(WITHIN_S):
                while flushed <= await offsets(bench, changelog(bench)):
                    await asyncio.sleep(LOOK_EVERY_S)  # compaction runs when Kafka likes
            await still(bench)
            before = await ends(bench)
            paused.process.send_signal(signal.SIGCONT)
            await joined(bench, 2)
            await still(bench)
            assert await ends(bench) == before
            await bench.send(records[2_750:])
            await published(bench, _changes(loaded, records))
            for worker in (paused, second):
                worker.process.send_signal(signal.SIGTERM)
                assert await worker.ends() == 0
    expected = _run(loaded, records)
    changes = await bench.changes()
    assert by_customer(changes) == by_customer(expected.changes)
    assert last_words(changes) == last_words(expected.changes)


def _run(catalogue: Catalogue, records: Sequence[Sent]) -> Outcome:
    return run(catalogue, [Record(r.source, r.value, r.key.decode()) for r in records], partitions=PARTITIONS)


def _changes(catalogue: Catalogue, records: Sequence[Sent]) -> int:
    return len(_run(catalogue, records).changes)


async def published(bench: Bench, number: int) -> None:
    """Wait until there are so many different changes; looking at them all the time would keep the workers from it."""
    async with asyncio.timeout(WITHIN_S):
        while len({change.id for change in await bench.changes()}) < number:
            await asyncio.sleep(LOOK_EVERY_S)


async def still(bench: Bench) -> None:
    """Wait until nothing has been written for longer than flushes wait."""
    before: dict[TopicPartition, int] = {}
    while before != (before := await ends(bench)):
        await asyncio.sleep(2 * LOOK_EVERY_S)
