"""A worker's lane and tasks as settings and recovered state begin them."""

from __future__ import annotations

from concurrent.futures import Executor

from aiokafka import AIOKafkaProducer

from schemas.catalogue import Catalogue
from schemas.definitions import definition
from streams.cluster import Cluster
from streams.config import Clock, Settings, wall_ms
from streams.counters import Counters
from streams.emit import Emitter
from streams.engine.plan import Plan
from streams.lane import Tuning
from streams.processor import Partition
from streams.reaching import Reaching, Said
from streams.store import LABELS, TRIGGERS
from streams.tables import Recovered
from streams.task import Task


def tuning(settings: Settings, catalogue: Catalogue, cluster: Cluster) -> Tuning:
    """How a worker's lane reads and holds its membership."""
    return Tuning(
        app_id=settings.group(catalogue.name),
        address=cluster.address,
        embedded=cluster.embedded,
        fetch_wait_ms=settings.fetch_wait_ms,
        fetch_bytes=settings.fetch_bytes,
        session_timeout_s=settings.session_timeout_s,
        member_id=settings.member_id,
        data_dir=str(cluster.state_dir / "faust"),
    )


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
    ) -> None:
        """`engine` runs one thing at a time: partitions are touched there only, once they are at work."""
        self._settings, self._plan, self._cluster = settings, plan, cluster
        self._sender, self._counters, self._engine = sender, counters, engine

    def task(self, number: int, recovered: Recovered, behind: list[Said]) -> Task:
        """The task of a partition; `behind` is what its triggers said behind the marker."""
        catalogue, marker = self._plan.catalogue, recovered.marker
        part = Partition(self._plan, partition=number, partitions=self._cluster.partitions)
        if marker is not None:
            part.load(recovered.rows.customers, recovered.rows.rows)
            part.restore(marker.positions, marker.clock)
            part.asker.load(recovered.kept[LABELS])
        ends = {} if marker is None else marker.outputs
        definitions = {target.name: definition(catalogue, target) for target in catalogue.targets}
        emitter = Emitter(self._sender, self._cluster, number, f"/livetags/{catalogue.name}", ends, definitions)
        reaching = Reaching(catalogue, part, wall_ms if self._settings.clock is Clock.WALL else None)
        records, prefix = self._settings.run_records, self._settings.topic_prefix
        task = Task(part, number, catalogue.sources, emitter, self._counters, records, reaching, self._engine, prefix)
        task.resume(reaching.resume(recovered.kept[TRIGGERS], behind))
        return task
