"""Records that came and wait for the next step, and when that is due: with a whole fetch, or a source's end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Final

from schemas.sources import Incoming
from streams.places import Batch

IDLE_S: Final = 0.1
MERGE_WAIT_S: Final = 0.003


class Inbox:
    """Records by source, in their order; live they come a few at a time, and a step takes all of them as one lot."""

    def __init__(self) -> None:
        self._records: dict[str, list[Sequence[Incoming]]] = {}

    def __bool__(self) -> bool:
        return bool(self._records)

    def add(self, source: str, records: Sequence[Incoming]) -> None:
        """A source's next records; there may be none, and the source has a turn nonetheless."""
        self._records.setdefault(source, []).append(records)

    def waiting(self, source: str) -> int:
        """How many of a source's records wait."""
        return sum(map(len, self._records.get(source, ())))

    def take(self) -> dict[str, Sequence[Incoming]]:
        """All of it."""
        taken, self._records = self._records, {}
        return {
            source: lots[0] if len(lots) == 1 else [one for lot in lots for one in lot]
            for source, lots in taken.items()
        }


class Arrivals:
    """Wakes who has records of a fetch once all of it is here: it comes place by place, and each step has its price."""

    def __init__(self) -> None:
        self._fetch, self._left = 0, 0
        self._waking: set[asyncio.Event] = set()

    def came(self, batch: Batch, arrived: asyncio.Event | None) -> None:
        """A batch came, for who waits for that event."""
        if batch.fetch != self._fetch:
            self._wake()
            self._fetch, self._left = batch.fetch, batch.batches
        if arrived is not None:
            self._waking.add(arrived)
        self._left -= 1
        if self._left <= 0:
            self._wake()

    def _wake(self) -> None:
        for arrived in self._waking:
            arrived.set()
        self._waking.clear()


async def rest_until(arrived: asyncio.Event, waits: Callable[[], bool], moved: Callable[[], bool]) -> None:
    """Wait until records have come, or a tenth of a second at most.

    While records wait (`waits`) for another source, it is looked every few milliseconds whether any was read to its end
    meanwhile (`moved`): no record tells that.
    """
    until_s = time.monotonic() + IDLE_S
    while not arrived.is_set() and (left_s := until_s - time.monotonic()) > 0:
        waiting = waits()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(MERGE_WAIT_S, left_s) if waiting else left_s):
                await arrived.wait()
        if waiting and moved():
            return
