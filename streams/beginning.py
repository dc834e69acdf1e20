"""A worker's lane and tasks as settings and recovered state begin them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import Executor

from aiokafka import AIOKafkaProducer

from schemas.definitions import definition
from streams.cluster import Cluster
from streams.config import Clock, Settings, wall_ms
from streams.counters import Counters
from streams.cuts import Merger
from streams.emit import Emitter
from streams.engine.plan import Plan
from streams.processor import Partition
from streams.reaching import Reaching, Said
from streams.residence import Cold, rows_within
from streams.store import LABELS, TRIGGERS
from streams.tables import Recovered, Tables
from streams.task import Task


class Beginning:
    """What all tasks of a worker share."""

    def __init__(
        self,
        settings: Settings,
        plan: Plan,
        cluster: Cluster,
        sender: AIOKafkaProducer,
        counters: Counters,
        engine: Executor,
        clock: Callable[[], int] = wall_ms,
    ) -> None:
        """`engine` runs one thing at a time: partitions are touched there only, once they are at work.

        `clock` is the wall's, UTC ms.
        """
        self._clock = clock
        self._settings, self._plan, self._cluster = settings, plan, cluster
        self._sender, self._counters, self._engine = sender, counters, engine

    def rows_each(self, partitions: int) -> int:
        """How many rows each of so many partitions may have in memory, if there is a limit."""
        return rows_within(self._settings.arena_bytes, self._plan.width, partitions)

    def task(self, number: int, recovered: Recovered, behind: list[Said], rows: int, tables: Tables) -> Task:
        """The task of a partition.

        Parameters
        ----------
        behind
            What its triggers said behind the marker.
        rows
            How many of its rows may be in memory, if there is a limit; the others are in `tables`.
        """
        catalogue, marker = self._plan.catalogue, recovered.marker
        read, done = functools.partial(tables.some_rows, number), self._counters.cold
        cold = Cold(read, rows, done) if self._settings.arena_bytes else None
        part = Partition(self._plan, number, self._cluster.partitions, cold=cold)
        if marker is not None:
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
        emitter = Emitter(self._sender, self._cluster, number, f"/livetags/{catalogue.name}", ends, definitions)
        reaching = Reaching(catalogue, part, self._clock if self._settings.clock is Clock.WALL else None)
        task = Task(
            part, number, catalogue.sources, emitter, self._counters, self._settings.run_records, reaching,
            self._engine, self._clock, self._settings.topic_prefix,
        )  # fmt: skip
        task.resume(reaching.resume(recovered.kept[TRIGGERS], behind))
        return task
