"""The one agent over all topics that a process reads: each batch goes to its partition's task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from faust.types.streams import StreamT

from streams.lane import Batch, Lane


def define(
    lane: Lane, receive: Callable[[Batch], None], fail: Callable[[BaseException], None], name: str = "ingest"
) -> Any:
    """The agent, registered with the lane's app.

    Parameters
    ----------
    receive
        Takes a batch in, at once: an agent that keeps Faust waiting while partitions move may wait for ever, as Faust
        empties its full queue then and does not tell whoever waits to put something in.
    fail
        Called with an error, after which nothing more is taken in: Faust would go on with the next batch.
    """

    @lane.app.agent(lane.topic, name=name)
    async def ingest(batches: StreamT[Batch]) -> None:
        async for batch in batches:
            if not lane.current(batch):
                continue
            try:
                receive(batch)
                lane.received(batch)
            except Exception as error:  # whatever it is, the process must stop
                fail(error)
                return

    return ingest
