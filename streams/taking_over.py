"""How a worker takes partitions over: their state recovered, what was said behind it read, their tasks begun."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from streams.beginning import Beginning
from streams.cluster import Cluster, StateRefused, rebuild_command
from streams.engine.codec import CorruptRow
from streams.reaching import Said
from streams.resuming import said_behind
from streams.tables import Recovered, Tables
from streams.task import Task


class TakingOver:
    """Makes tasks of recovered partitions.

    Parameters
    ----------
    file
        The catalogue's, for messages.
    """

    def __init__(self, tables: Tables, cluster: Cluster, begin: Beginning, file: str) -> None:
        self._tables, self._cluster, self._begin, self._file = tables, cluster, begin, file

    async def tasks(self, numbers: Sequence[int]) -> dict[int, Task]:
        """The tasks of those partitions, as their last markers left them.

        Raises
        ------
        StateRefused
            Their state can't be used; the message says what to do.
        """
        recovered = await self._tables.recover(numbers)
        behind = await said_behind(self._cluster, {number: one.marker for number, one in recovered.items()})
        # One at a time: what is recovered of a partition goes as its task comes.
        return {number: await self._begun(number, recovered.pop(number), behind[number]) for number in numbers}

    async def _begun(self, number: int, recovered: Recovered, behind: list[Said]) -> Task:
        """The task of a recovered partition; where its rows are none, of what the changelog alone holds."""
        try:
            return await asyncio.to_thread(self._begin.task, number, recovered, behind)
        except CorruptRow as error:
            recovered = await self._tables.rebuild(number, str(error))
        try:
            return await asyncio.to_thread(self._begin.task, number, recovered, behind)
        except CorruptRow as error:
            raise StateRefused(
                f"the changelog {self._tables.topic!r} holds what is no row of this catalogue: {error}. "
                f"Compute the state anew with: {rebuild_command(self._file)}"
            ) from None
