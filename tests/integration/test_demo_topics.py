"""What the demo sends to and reads from a broker: all of it, in its order, to an end that it does not ask for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from schemas.loading import load
from schemas.topics import Changelog, Cleanup, Role, Spread, Topic, topics_of
from streams.broker import Embedded
from streams.cluster import Admin
from streams.demo import bank
from streams.demo.coach import committed
from streams.demo.dataset import Dataset, merged, opened, write
from streams.demo.feed import Feed
from streams.demo.topics import read_to_end
from tests.integration.support import WITHIN_S, Bench, partition_of

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
PARTITIONS = 3
PER_BATCH = 500


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    directory = tmp_path_factory.mktemp("bank")
    write(bank.simulate(customers=150).streams, directory)
    return opened("bank", directory)


async def _topic(bench: Bench, name: str) -> str:
    topic = Topic(f"{bench.name}-{name}", Role.OUTREACH, "", "", Spread.SHARED, Cleanup.DELETE, "")
    with Admin(bench.address) as admin:
        await asyncio.to_thread(admin.create, [topic], PARTITIONS, 1)
    return topic.name


async def _write(address: str, topic: str, partition: int, values: list[bytes]) -> None:
    """Write values in batches, as a worker does."""
    producer = AIOKafkaProducer(bootstrap_servers=address)
    await producer.start()
    try:
        for first in range(0, len(values), PER_BATCH):
            batch = producer.create_batch()
            for value in values[first : first + PER_BATCH]:
                batch.append(key=b"k", value=value, timestamp=None)
            await (await producer.send_batch(batch, topic, partition=partition))
    finally:
        await producer.stop()


async def test_every_partition_is_read_in_its_order_to_its_end_and_an_empty_one_too(bench: Bench) -> None:
    topic = await _topic(bench, "whole")
    sent = {0: [b"a%d" % n for n in range(5_000)], 2: [b"c0"]}
    for partition, values in sent.items():
        await _write(bench.address, topic, partition, values)
    found: dict[int, list[bytes]] = {}
    async with asyncio.timeout(WITHIN_S):
        async for batch in read_to_end(bench.address, topic, range(PARTITIONS)):
            found.setdefault(batch.partition, []).extend(batch.values)
    assert found == sent


async def test_what_a_group_has_committed_is_waited_for(bench: Bench) -> None:
    topic = await _topic(bench, "committed")
    group = f"{bench.name}-group"
    member = AIOKafkaConsumer(bootstrap_servers=bench.address, group_id=group, enable_auto_commit=False)
    await member.start()
    try:
        places = [TopicPartition(topic, number) for number in range(2)]
        member.assign(places)
        await member.commit({places[0]: 7})
        await asyncio.wait_for(committed(bench.address, group, topic, {0: 7, 1: 0, 2: 0}), WITHIN_S)
        waiting = asyncio.create_task(committed(bench.address, group, topic, {0: 7, 1: 3}))
        await member.commit({places[1]: 2})
        assert not waiting.done()
        await member.commit({places[1]: 3})
        await asyncio.wait_for(waiting, WITHIN_S)
    finally:
        await member.stop()


@pytest.mark.parametrize("limit", [None, 1_000])
async def test_the_feed_sends_every_record_to_its_customers_partition_in_the_order_of_time(
    dataset: Dataset, limit: int | None
) -> None:
    catalogue = load(ROOT / "schemas" / "bank.yaml")
    topics = [one for one in topics_of(catalogue, Changelog(1, "", "")) if one.role is Role.SOURCE]
    expected: dict[tuple[str, int], list[bytes]] = {}
    for (source, line), _ in zip(merged(dataset), range(limit or sum(dataset.events.values())), strict=False):
        customer = msgspec.json.decode(line)["customer_id"]
        place = catalogue.source(source).topic, partition_of(customer.encode(), PARTITIONS)
        expected.setdefault(place, []).append(line)
    with Embedded() as broker:
        with Admin(broker.address) as admin:
            await asyncio.to_thread(admin.create, topics, PARTITIONS, 1)
        feed = Feed(dataset, catalogue, broker.address, PARTITIONS, limit)
        await feed.run()
        found: dict[tuple[str, int], list[bytes]] = {}
        for topic in topics:
            async for batch in read_to_end(broker.address, topic.name, range(PARTITIONS)):
                found.setdefault((topic.name, batch.partition), []).extend(batch.values)
    assert feed.sent == feed.total == sum(map(len, expected.values()))
    assert found == expected
