"""Starting what may fail meanwhile, and closing what hangs on a broker."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

CLOSE_WITHIN_S = 1.0


async def within(close: Callable[[], Awaitable[None]]) -> None:
    """Close something, or leave it where it hangs on a broker that is gone."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_WITHIN_S):
            await close()


async def unless_failed(started: asyncio.Future[Any], failure: asyncio.Future[None]) -> None:
    """Wait for a start, or raise what failed before it."""
    await asyncio.wait([started, failure], return_when=asyncio.FIRST_COMPLETED)
    if failure.done():
        started.cancel()
        with contextlib.suppress(BaseException):
            await started
        failure.result()
    await started
