"""A worker's lane and tasks as settings and recovered state begin them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor

from aiokafka import AIOKafkaProducer

from schemas.definitions import definition
from streams.cluster import Cluster
from streams.config import Clock, Settings, wall_ms
from streams.counters import Counters
from streams.emit import Emitter
from streams.engine.plan import Plan
from streams.measures import Makers
from streams.processor import Partition
from streams.reaching import Reaching, Said
from streams.store import LABELS, TRIGGERS
from streams.tables import Recovered
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

    def task(self, number: int, recovered: Recovered, behind: list[Said]) -> Task:
        """The task of a partition; `behind` is what its triggers said behind the marker."""
        catalogue, marker = self._plan.catalogue, recovered.marker
        part = Partition(self._plan, partition=number, partitions=self._cluster.partitions)
        if marker is not None:
            part.restore_cuts(marker.clock)
            part.load(recovered.rows.customers, recovered.rows.rows)
            part.restore(marker.positions, marker.clock)
            part.asker.load(recovered.kept[LABELS])
        if self._settings.clock is Clock.EVENT and self._cluster.partitions == 1:
            # All customers are here, and time is their records': so cut-points are those of a replay.
            merger = Makers(catalogue)
            for points in part.census.in_force():
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
