"""A worker's lane and tasks as settings and recovered state begin them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import Executor

from schemas.definitions import definition
from streams.cluster import Cluster
from streams.config import Clock, Settings, wall_ms
from streams.correcting import Correcting
from streams.counters import Counters
from streams.cuts import Merger
from streams.emit import Emitter, Outlet
from streams.engine.plan import Plan
from streams.processor import Partition
from streams.reaching import Reaching
from streams.residence import Cold, rows_within
from streams.resuming import Resumed
from streams.store import LABELS, TRIGGERS
from streams.tables import Tables
from streams.task import Task


class Beginning:
    """What all tasks of a worker share."""

    def __init__(
        self,
        settings: Settings,
        plan: Plan,
        cluster: Cluster,
        outlet: Callable[[int], Outlet],
        counters: Counters,
        engine: Executor,
        clock: Callable[[], int] = wall_ms,
    ) -> None:
        """`engine` runs one thing at a time: partitions are touched there only, once they are at work.

        `outlet` is what a partition's output goes through, `clock` is the wall's, UTC ms.
        """
        self._clock = clock
        self._settings, self._plan, self._cluster = settings, plan, cluster
        self._outlet, self._counters, self._engine = outlet, counters, engine

    def rows_each(self, partitions: int) -> int:
        """How many rows each of so many partitions may have in memory, if there is a limit."""
        return rows_within(self._settings.arena_bytes, self._plan.width, partitions)

    def task(self, number: int, resumed: Resumed, rows: int, tables: Tables) -> Task:
        """The task of a partition.

        Parameters
        ----------
        rows
            How many of its rows may be in memory, if there is a limit; the others are in `tables`.
        """
        catalogue, recovered, behind = self._plan.catalogue, resumed.state, resumed.behind
        marker = recovered.marker
        read, done = functools.partial(tables.some_rows, number), self._counters.cold
        cold = Cold(read, rows, done, functools.partial(tables.condemn, number)) if self._settings.arena_bytes else None
        part = Partition(self._plan, number, self._cluster.partitions, cold=cold)
        if marker is not None and marker.clock:
            part.restore_cuts(marker.clock)
            part.load(recovered.rows.customers, recovered.rows.rows)
            part.restore(marker.positions, marker.clock)
            part.asker.load(recovered.kept[LABELS])
        if self._settings.clock is Clock.EVENT and self._cluster.partitions == 1:
            # All customers are here, and time is their records': so cut-points are those of a replay.
            merger = Merger(catalogue)
            for points in part.census.held.values():
                merger.know(points)
            part.merger = merger.at_once
        ends = {} if marker is None else marker.outputs
        definitions = {target.name: definition(catalogue, target) for target in catalogue.targets}
        outlet = self._outlet(number)
        emitter = Emitter(outlet, self._cluster, number, f"/livetags/{catalogue.name}", ends, definitions)
        reaching = Reaching(catalogue, part, self._clock if self._settings.clock is Clock.WALL else None)
        task = Task(
            part, number, catalogue.sources, emitter, self._counters, self._settings.run_records, reaching,
            self._engine, self._clock, self._settings.topic_prefix,
            Correcting(part, behind.changes, behind.customers),
        )  # fmt: skip
        task.resume(reaching.resume(recovered.kept[TRIGGERS], behind.said))
        return task
