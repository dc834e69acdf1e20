"""A worker's lease on its partitions is as old as the last heartbeat that its group answered."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread

from streams import heard
from streams.heard import Heard
from streams.lane import _Thread


class Started:
    """A consumer's thread whose group answers as told."""

    def __init__(self, *answers: bool) -> None:
        left = list(answers)

        async def beat() -> bool:
            return left.pop(0)

        self.coordinator = SimpleNamespace(_do_heartbeat=beat)

    async def on_start(self) -> None:
        """As Faust calls it once the consumer is there."""

    def _ensure_consumer(self) -> Any:
        return SimpleNamespace(_coordinator=self.coordinator)


class Thread(Heard, Started):
    """What is tested, over that."""


def test_only_an_answered_heartbeat_renews_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    now = SimpleNamespace(monotonic=lambda: 100.0)
    monkeypatch.setattr(heard, "time", now)

    async def beats() -> list[float]:
        thread, seen = Thread(True, False, True), []
        await thread.on_start()
        for at in (100.0, 101.0, 102.0):
            now.monotonic = lambda at=at: at
            await thread.coordinator._do_heartbeat()
            seen.append(thread.heard_s)
        return seen

    assert asyncio.run(beats()) == [100.0, 100.0, 102.0]


def test_faust_starts_its_thread_by_what_the_lease_hangs_on() -> None:
    assert "on_start" in vars(AIOKafkaConsumerThread)
    assert _Thread.on_start is Heard.on_start
