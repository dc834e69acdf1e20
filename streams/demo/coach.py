"""The demo's trainer: a process of its own, and how far it is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NoReturn

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.topics import Role
from streams.config import Settings
from streams.demo.child import Child

LOOK_EVERY_S: Final = 0.25


class Coach:
    """`livetags trainer` as a child process.

    Parameters
    ----------
    catalogue
        The catalogue's file.
    settings
        As of a `Child`.
    group
        The trainers' consumer group, which commits what has been learned from and is written down.
    """

    def __init__(self, catalogue: Path, settings: Settings, group: str) -> None:
        self._child = Child("trainer", ["trainer", str(catalogue)], settings)
        self._address, self._group = settings.broker, group
        self._topic = settings.topic_prefix + Role.TRAINING_EXAMPLES

    async def start(self) -> None:
        """Start it."""
        await self._child.start()

    async def stop(self) -> None:
        """End it; what it has learned by then is published."""
        await self._child.stop()

    async def wait(self) -> NoReturn:
        """Wait until it ends, which it never should by itself.

        Raises
        ------
        DemoFailed
            Always in the end, unless cancelled.
        """
        await self._child.wait()

    async def learned_all(self, ends: Mapping[int, int], within_s: float) -> bool:
        """Wait until it has learned from all before those offsets of its partitions; False where that takes too long.

        Raises
        ------
        DemoFailed
            It ended meanwhile.
        """
        looking = asyncio.create_task(committed(self._address, self._group, self._topic, ends))
        ended = asyncio.create_task(self.wait())
        try:
            await asyncio.wait([looking, ended], timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
            if looking.done():
                looking.result()
                return True
            if ended.done():
                ended.result()
            return False
        finally:
            for task in (looking, ended):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task


async def committed(address: str, group: str, topic: str, ends: Mapping[int, int]) -> None:
    """Wait until a group has committed those offsets of a topic's partitions."""
    watcher = AIOKafkaConsumer(bootstrap_servers=address, group_id=group, enable_auto_commit=False)
    await watcher.start()
    try:
        left = {TopicPartition(topic, number): end for number, end in ends.items() if end}
        while left:
            at = {place: await watcher.committed(place) for place in left}
            left = {place: end for place, end in left.items() if (at[place] or 0) < end}
            if left:
                await asyncio.sleep(LOOK_EVERY_S)
    finally:
        await watcher.stop()
