"""Closing what may hang on a broker that is gone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

WITHIN_S = 1.0


async def within(close: Callable[[], Awaitable[None]]) -> None:
    """Close something, or leave it."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(WITHIN_S):
            await close()
