"""The control topic on a broker: read whole, then followed, in one order; a broker that is away is waited for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer

from schemas.topics import Changelog, Role, topics_of
from streams.broker import free_port
from streams.cluster import Admin
from streams.control import Control, read_whole
from tests.integration.support import Bench, until

pytestmark = pytest.mark.anyio
WITHIN_S = 30.0


class Seen:
    """What a follower was told: keys and values, and the offsets."""

    def __init__(self) -> None:
        self.records: list[tuple[str, bytes | None]] = []
        self.offsets: list[int] = []

    def __call__(self, key: str, value: bytes | None, offset: int) -> None:
        self.records.append((key, value))
        self.offsets.append(offset)


@pytest.fixture
def topic(bench: Bench) -> str:
    """A control topic of this test's own."""
    wanted = next(
        topic
        for topic in topics_of(bench.catalogue(), Changelog(1, "0", bench.name), f"{bench.name}-")
        if topic.role is Role.CONTROL
    )
    with Admin(bench.address) as admin:
        admin.create([wanted], 4, 1)
    return wanted.name


def embedded(bench: Bench) -> bool:
    with Admin(bench.address) as admin:
        return admin.embedded()


@contextlib.asynccontextmanager
async def opened(bench: Bench, topic: str, seen: Seen) -> AsyncIterator[Control]:
    """A control that is caught up, stopped in the end."""
    control = Control(bench.address, topic, await asyncio.to_thread(embedded, bench))
    control.follow(seen)
    await control.start()
    try:
        async with asyncio.timeout(WITHIN_S):
            await control.caught_up()
        yield control
    finally:
        await control.stop()


async def drained(control: Control) -> None:
    async with asyncio.timeout(WITHIN_S):
        await control.drained()


async def test_an_empty_topic_is_read_to_its_end_at_once(bench: Bench, topic: str) -> None:
    seen = Seen()
    async with opened(bench, topic, seen) as control:
        assert control.is_caught_up
    assert seen.records == []


async def test_what_was_put_is_there_for_who_comes_later_in_its_order(bench: Bench, topic: str) -> None:
    put = [(f"worker/{number % 3}", f"{number}".encode()) for number in range(40)]
    async with opened(bench, topic, Seen()) as control:
        for key, value in put:
            control.put(key, value)
            await drained(control)
    seen = Seen()
    async with opened(bench, topic, seen):
        assert seen.records == put
    assert seen.offsets == list(range(40))


async def test_who_is_there_follows_what_others_put(bench: Bench, topic: str) -> None:
    here, there = Seen(), Seen()
    async with opened(bench, topic, here) as one, opened(bench, topic, there) as other:
        one.put("model/deposit", b"1")
        await until(lambda: bool(there.records))
        other.put("model/deposit", None)
        await until(lambda: len(here.records) == len(there.records) == 2)
    assert here.records == there.records == [("model/deposit", b"1"), ("model/deposit", None)]


async def test_of_values_that_wait_under_a_key_only_the_newest_is_written(bench: Bench, topic: str) -> None:
    seen = Seen()
    async with opened(bench, topic, seen) as control:
        control.put("a", b"1")
        control.put("b", b"1")
        control.put("a", b"2")
        await drained(control)
        await until(lambda: len(seen.records) == 2)
    assert seen.records == [("b", b"1"), ("a", b"2")]


async def test_records_without_a_key_are_passed_over(bench: Bench, topic: str) -> None:
    if not await asyncio.to_thread(embedded, bench):
        pytest.skip("Apache Kafka takes no record without a key into a compacted topic")
    producer = AIOKafkaProducer(bootstrap_servers=bench.address)
    await producer.start()
    await producer.send_and_wait(topic, value=b"whose?", partition=0)
    await producer.send_and_wait(topic, value=b"mine", key=b"me", partition=0)
    await producer.stop()
    seen = Seen()
    async with opened(bench, topic, seen):
        assert seen.records == [("me", b"mine")]


async def test_the_whole_is_read_by_key_without_following(bench: Bench, topic: str) -> None:
    async with opened(bench, topic, Seen()) as control:
        for key, value in (("a", b"1"), ("b", b"1"), ("a", b"2"), ("b", None)):
            control.put(key, value)
            await drained(control)
    assert await read_whole(bench.address, topic, await asyncio.to_thread(embedded, bench), WITHIN_S) == {"a": b"2"}


async def test_what_a_follower_raises_is_handed_on(bench: Bench, topic: str) -> None:
    faults: list[BaseException] = []

    def broken(key: str, value: bytes | None, offset: int) -> None:
        raise KeyError(key)

    control = Control(bench.address, topic, True, faults.append)
    control.follow(broken)
    await control.start()
    control.put("a", b"1")
    await until(lambda: bool(faults))
    await control.stop()
    assert [str(fault) for fault in faults] == ["'a'"]


class Proxy:
    """Another address of the broker, which can be away."""

    def __init__(self, bench: Bench) -> None:
        self._host, self._port = bench.address.split(",")[0].split(":")
        self.address = f"127.0.0.1:{free_port()}"

    async def serve(self) -> asyncio.Server:
        """Be there."""
        return await asyncio.start_server(self._pass_on, "127.0.0.1", int(self.address.split(":")[1]))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward = await asyncio.open_connection(self._host, int(self._port))
        await asyncio.gather(_copy(reader, onward[1]), _copy(onward[0], writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def test_a_broker_that_is_not_there_yet_is_waited_for(bench: Bench, topic: str) -> None:
    proxy, seen, faults = Proxy(bench), Seen(), list[BaseException]()
    control = Control(proxy.address, topic, True, faults.append)
    control.follow(seen)
    await control.start()
    control.put("worker/one", b"1")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await control.drained()
    assert not control.is_caught_up
    async with await proxy.serve():
        await until(lambda: seen.records == [("worker/one", b"1")] and control.is_caught_up)
        await drained(control)
        await control.stop()
    assert faults == []


async def test_stopping_while_the_broker_is_away_does_not_wait_for_it(bench: Bench) -> None:
    control = Control(f"127.0.0.1:{free_port()}", "control", True)
    await control.start()
    control.put("worker/one", b"1")
    async with asyncio.timeout(WITHIN_S):
        await control.stop()
    assert not control.is_caught_up
