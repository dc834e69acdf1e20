"""How a worker takes partitions over: their state recovered, what was said behind it read, their tasks begun."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from streams.beginning import Beginning
from streams.cluster import Cluster, StateRefused, rebuild_command
from streams.counters import Counters
from streams.engine.codec import CorruptRow
from streams.patience import waited_for
from streams.resuming import Resumed, resume
from streams.standby import Standbys
from streams.tables import Tables
from streams.task import Task


class TakingOver:
    """Makes tasks of recovered partitions, and stands by for others between one taking over and the next.

    Parameters
    ----------
    fingerprint
        Of the plan.
    file
        The catalogue's, for messages.
    """

    def __init__(
        self, tables: Tables, cluster: Cluster, begin: Beginning, fingerprint: str, file: str, counters: Counters
    ) -> None:
        self._tables, self._cluster, self._begin = tables, cluster, begin
        self._fingerprint, self._file, self._recovery = fingerprint, file, counters.recovery
        self._standbys = Standbys(tables, cluster.address, committed=not cluster.embedded, lags=counters.standbys)

    async def taken_over(self, numbers: Sequence[int], had: Mapping[int, Task]) -> dict[int, Task]:
        """The tasks of those partitions, as their last markers left them; memory is shared with those it `had`.

        Raises
        ------
        StateRefused
            Their state can't be used; the message says what to do.
        """
        await self._standbys.pause()
        rows = self._begin.rows_each(len(had) + len(numbers))
        for task in had.values():
            task.part.resize(rows)
        with self._recovery.of(numbers):
            resumed = await waited_for(lambda: resume(self._tables, self._cluster, numbers, self._fingerprint))
            # One at a time: what is recovered of a partition goes as its task comes.
            return {number: await self._begun(number, resumed.pop(number), rows) for number in numbers}

    def stand_by(self, numbers: Iterable[int]) -> None:
        """Follow the changelogs of those partitions from now on."""
        self._standbys.follow(numbers)

    async def stop(self) -> None:
        """Stand by for none."""
        await self._standbys.stop()

    async def _begun(self, number: int, resumed: Resumed, rows: int) -> Task:
        """The task of a recovered partition; where its rows are none, of what the changelog alone holds."""
        try:
            return await asyncio.to_thread(self._begin.task, number, resumed, rows, self._tables)
        except CorruptRow as error:
            state = await self._tables.rebuild(number, str(error))
        try:
            resumed = msgspec.structs.replace(resumed, state=state)
            return await asyncio.to_thread(self._begin.task, number, resumed, rows, self._tables)
        except CorruptRow as error:
            raise StateRefused(
                f"the changelog {self._tables.topic!r} holds what is no row of this catalogue: {error}. "
                f"Compute the state anew with: {rebuild_command(self._file)}"
            ) from None
