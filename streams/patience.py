"""Patience with a broker that is away: aiokafka asks for it again without a pause, which takes a whole core."""

from __future__ import annotations

import asyncio
from typing import Any, Final

AGAIN_AFTER_S: Final = 0.1


def patient(client: Any) -> None:
    """Have a client of aiokafka pause after every connection that could not be made."""
    connect = client._get_conn

    async def patiently(*args: Any, **kwargs: Any) -> Any:
        connection = await connect(*args, **kwargs)
        if connection is None:
            await asyncio.sleep(AGAIN_AFTER_S)
        return connection

    client._get_conn = patiently
