"""The engine's thread as one partition uses it: one thing at a time, and the event loop goes on meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, Final, TypeVar

FEW_RECORDS: Final = 256
"""A step of so few is done at once in the event loop: to hand it to the engine's thread and back takes longer."""
T = TypeVar("T")


class EngineThread:
    """Calls of one partition, in their order, and whether there are any."""

    def __init__(self, engine: Executor) -> None:
        """`engine` has one thread."""
        self._engine, self._under_way = engine, 0

    @property
    def at_work(self) -> bool:
        """Whether the engine is at the partition, or soon will be."""
        return bool(self._under_way)

    async def call(self, call: Callable[..., T], *args: Any) -> T:
        """Call something that touches the partition, while nothing else does."""
        self._under_way += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._engine, call, *args)
        finally:
            self._under_way -= 1
