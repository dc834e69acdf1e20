"""A broker that is away is waited for: nothing is given up, doubled or asked for in a tight loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, NoOffsetForPartitionError, ProducerFenced

from streams import beside, patience
from streams.beside import Beside
from streams.emit import Writer
from streams.lane import _Thread


class Sent:
    """A batch as a producer makes it."""

    def __init__(self) -> None:
        self.keys: list[bytes | None] = []

    def size(self) -> int:
        return 0

    def append(self, *, timestamp: int | None, key: bytes | None, value: bytes | None, headers: Any) -> object:
        self.keys.append(key)
        return key

    def close(self) -> None:
        """Nothing."""

    def record_count(self) -> int:
        return len(self.keys)


class Away:
    """A producer whose broker is away for so many attempts."""

    def __init__(self, attempts: int) -> None:
        self.attempts, self.taken = attempts, list[Sent]()
        self.create_batch = Sent

    async def send_batch(self, batch: Sent, topic: str, *, partition: int) -> asyncio.Future[Any]:
        if self.attempts:
            self.attempts -= 1
            raise KafkaTimeoutError
        self.taken.append(batch)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        answer.set_result(None)
        return answer


def test_a_batch_that_could_not_leave_is_handed_over_again_once_and_in_its_order() -> None:
    async def write(sender: Away) -> None:
        writer = Writer(sender, "changes", 0)  # type: ignore[arg-type]
        for key in (b"a", b"b", b"c"):
            writer.add(key, b"")
            writer.cut()
        await writer.send()

    sender = Away(3)
    asyncio.run(write(sender))
    assert [batch.keys for batch in sender.taken] == [[b"a"], [b"b"], [b"c"]]


def test_a_lost_broker_is_asked_for_with_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    found, paused = deque([None, None, "a connection"]), list[float]()

    async def pause(seconds: float) -> None:
        paused.append(seconds)

    class Client:
        async def _get_conn(self, _node: int) -> str | None:
            return found.popleft()

    async def connect() -> list[str | None]:
        client = Client()
        patience.patient(client)
        return [await client._get_conn(1) for _ in range(3)]

    monkeypatch.setattr(patience.asyncio, "sleep", pause)
    assert asyncio.run(connect()) == [None, None, "a connection"]
    assert paused == [patience.AGAIN_AFTER_S] * 2


def test_a_place_the_group_knows_no_offset_of_is_no_failure_as_its_position_is_about_to_be_set() -> None:
    class Thread(_Thread):
        def __init__(self) -> None:  # without Faust
            """Nothing."""

        def _ensure_consumer(self) -> Any:
            return SimpleNamespace(_fetcher=SimpleNamespace(_records={}))

        async def _fetch_records(self, *_: Any, **__: Any) -> Any:
            raise NoOffsetForPartitionError

    fetched = asyncio.run(Thread()._fetch(set(), 0.0))
    assert not fetched.records
    assert not fetched.positions


def test_what_broke_without_telling_anybody_ends_the_whole() -> None:
    async def watched() -> BaseException | None:
        beside = Beside("worker", lambda: None)
        beside.begin()
        beside.spawn(beside.watch(lambda: ValueError("the group's membership is over")))
        try:
            await beside.wait()
        except Exception as error:
            beside.halt.set()
            await beside.ended()
            return error
        return None

    assert str(asyncio.run(watched())) == "the worker stopped: the group's membership is over"


def test_what_a_lost_broker_ended_is_done_again_and_what_it_refuses_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = deque[Exception | str](
        [KafkaConnectionError("away"), KafkaTimeoutError("away"), "a state", ProducerFenced()]
    )

    async def call() -> str:
        found = asked.popleft()
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(patience, "RETRY_S", 0)
    assert asyncio.run(patience.waited_for(call)) == "a state"
    with pytest.raises(ProducerFenced):
        asyncio.run(patience.waited_for(call))


def test_what_hangs_on_a_broker_that_is_gone_is_left_after_one_time_for_all_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(beside, "CLOSE_ALL_WITHIN_S", 0.01)
    begun: list[str] = []

    def hanging(name: str) -> Callable[[], Awaitable[None]]:
        async def close() -> None:
            begun.append(name)
            await asyncio.Event().wait()

        return close

    async def close_all() -> None:
        async with beside.Opened() as opened:
            for name in ("sender", "tables", "group"):
                opened.connected(hanging(name))

    asyncio.run(close_all())
    assert begun == ["group", "tables", "sender"]
