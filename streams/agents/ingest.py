"""The one agent over all event and profile topics: each batch goes to its partition's task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from faust.types.streams import StreamT

from streams.lane import Batch, Lane


def define(lane: Lane, receive: Callable[[Batch], None], fail: Callable[[BaseException], None]) -> Any:
    """The agent, registered with the lane's app.

    Parameters
    ----------
    receive
        Takes a batch in.
    fail
        Called with an error, after which nothing more is taken in: Faust would go on with the next batch.
    """

    @lane.app.agent(lane.topic, name="ingest")
    async def ingest(batches: StreamT[Batch]) -> None:
        async for batch in batches:
            try:
                receive(batch)
                lane.received(batch)
            except Exception as error:  # whatever it is, the worker must stop
                fail(error)
                return

    return ingest
