"""Patience with a broker that is away: aiokafka asks for it again without a pause, which takes a whole core."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from aiokafka.errors import KafkaError, KafkaTimeoutError

AGAIN_AFTER_S: Final = 0.1
RETRY_S: Final = 1.0
T = TypeVar("T")

log = logging.getLogger("livetags")


async def waited_for(call: Callable[[], Awaitable[T]]) -> T:
    """What a call gives, made again for as long as it fails because the broker is away.

    Raises
    ------
    KafkaError
        The broker is there, and refuses.
    """
    while True:
        try:
            return await call()
        except KafkaError as error:
            if not (error.retriable or isinstance(error, KafkaTimeoutError)):
                raise
            log.warning("the broker is away, and is waited for: %s", error)
            await asyncio.sleep(RETRY_S)


def patient(client: Any) -> None:
    """Have a client of aiokafka pause after every connection that could not be made."""
    connect = client._get_conn

    async def patiently(*args: Any, **kwargs: Any) -> Any:
        connection = await connect(*args, **kwargs)
        if connection is None:
            await asyncio.sleep(AGAIN_AFTER_S)
        return connection

    client._get_conn = patiently
