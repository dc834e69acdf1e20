"""Closing what hangs on a broker that may be gone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

CLOSE_WITHIN_S = 1.0


async def within(close: Callable[[], Awaitable[Any]]) -> None:
    """Close something, or leave it where it hangs on a broker that is gone."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_WITHIN_S):
            await close()
