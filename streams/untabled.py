"""Faust without tables: after each assignment reading goes on where the state says, and nothing is recovered.

Faust's own recovery gives an assignment up half-way when the next one comes, ends for good where a step takes longer
than it allows, and is silent about both; a worker then belongs to its group and never works.
"""

from __future__ import annotations

from typing import Any

from aiokafka.errors import IllegalStateError
from faust.tables import TableManager
from faust.tables.recovery import Recovery
from faust.types import TP
from mode import Service


class _Resumption(Recovery):
    """Has the consumer read on from its positions after each assignment, the latest one in the end."""

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Take an assignment."""
        self._generation_id = generation_id
        self.signal_recovery_start.set()

    @Service.task
    async def _restart_recovery(self) -> None:
        signal: Any = self.signal_recovery_start
        while not self.should_stop and not await self.wait_for_stopped(signal):
            signal.clear()
            await self._resume()

    async def _resume(self) -> None:
        """Read on; where another assignment came meanwhile, its own turn follows."""
        app: Any = self.app
        await app.on_rebalance_complete.send()
        try:
            await app.consumer.perform_seek()
        except IllegalStateError:  # a place was taken away while it was sought: the next assignment is under way
            return
        if self.signal_recovery_start.is_set():
            return
        app.consumer.resume_partitions(set(app.consumer.assignment()))
        self.completed.set()
        app.flow_control.resume()
        app.consumer.resume_flow()
        await app._fetcher.maybe_start()
        self.tables.on_actives_ready()
        self.tables.on_standbys_ready()
        app.on_rebalance_end()


class NoTables(TableManager):
    """Faust's table manager, without the second it waits for tables to be declared: there are none."""

    @property
    def recovery(self) -> Recovery:
        """What resumes reading."""
        if self._recovery is None:
            self._recovery = _Resumption(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery

    async def on_start(self) -> None:
        """Be ready at once."""
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()
