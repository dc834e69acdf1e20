"""CPU microseconds an event of each stage alone, in one process and without a broker.

One partition takes the load in runs as a worker does: decode, merge, columns, the compiled kernel, timers, words
for the changes, records into batches; state is taken every so often, as a flush does.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from pathlib import Path

import msgspec
import numpy as np

from bench import stages
from bench.load import LIVE_EVERY_US, Event
from bench.measure import Stopwatch
from schemas.catalogue import Catalogue
from schemas.sources import Incoming
from schemas.topics import Changelog, topics_of
from streams.cluster import Cluster
from streams.emit import Emitter, Outlet, producer
from streams.engine import plan
from streams.engine.apply import Batch
from streams.merge import Piece
from streams.processor import Partition

RUN = 4_096
FLUSH_EVERY_RUNS = 40
WARM = 2_000
ORDER = (
    stages.DECODE, stages.MERGE, stages.COLUMNS, stages.KERNEL, stages.TIMERS, stages.SAY, stages.EMIT, stages.PUBLISH,
    stages.ROWS, stages.REST,
)  # fmt: skip


class Stages(msgspec.Struct, frozen=True):
    """CPU microseconds an event per stage, and what else came of the load."""

    events: int
    customers: int
    changes: int
    timer_changes: int
    row_bytes: int
    stored_row_bytes: float
    us: dict[str, float]
    live_kernel_us: float

    @property
    def total_us(self) -> float:
        """All stages together."""
        return sum(self.us.values())


def measure(catalogue: Catalogue, events: list[Event]) -> Stages:
    """Each stage's CPU microseconds an event over the load; compiled code is loaded before."""
    built = plan.build(catalogue)
    asyncio.run(_through(built, events[:WARM], Stopwatch()))
    watch = Stopwatch()
    stages.watch_partition(watch)
    found = asyncio.run(_through(built, events, watch))
    return msgspec.structs.replace(found, live_kernel_us=_live(built, events, watch))


class Live(Partition):
    """A partition whose records come at 10,000 a second from the moment `hurry` is set; before, at their own times."""

    hurry = False
    reached_us = 0

    def _batch(self, piece: Piece) -> Batch:
        batch = super()._batch(piece)
        if self.hurry:
            steps = self.reached_us + LIVE_EVERY_US * np.arange(len(batch.time))
            self.reached_us = int(steps[-1]) + LIVE_EVERY_US
            batch.time[:] = steps // 1_000
        else:
            self.reached_us = max(self.reached_us, int(batch.time.max()) * 1_000)
        return batch


def _live(built: plan.Plan, events: list[Event], watch: Stopwatch) -> float:
    """CPU microseconds an event of the kernel at 10,000 events/s: rows are filled first by all but the last events.

    In a year of few events a customer most of the kernel's work is time that passes; here it is the events.
    """
    part = Live(built)
    last = len(events) - len(events) // 3
    for start in (*range(0, last, RUN), last):
        part.hurry = start == last
        if part.hurry:
            watch.clear()
        some = events[start:] if part.hurry else events[start : min(start + RUN, last)]
        part.feed([(event.source, Incoming(event.value, event.customer.encode())) for event in some])
    return watch.seconds[stages.KERNEL] / (len(events) - last) * 1e6


async def _through(built: plan.Plan, events: list[Event], watch: Stopwatch) -> Stages:
    catalogue = built.catalogue
    part = Partition(built)
    sender = producer("127.0.0.1:9", idempotent=False)  # never started: it only makes batches
    emitter = Emitter(Outlet(sender), _cluster(catalogue), 0, "/bench", {})
    changes = timers = rows = stored = 0
    watch.clear()
    for number, start in enumerate(range(0, len(events), RUN)):
        runs: defaultdict[str, list[Incoming]] = defaultdict(list)
        for offset, event in enumerate(events[start : start + RUN], start):
            runs[event.source].append(Incoming(event.value, event.customer.encode(), offset))
        for source, records in runs.items():
            part.push(source, records)
        more = True
        while more:
            output = part.run(RUN)
            more = output.more
            for page in output.written:
                emitter.add_changes(page)
                changes += len(page)
                timers += page.by_cause().get("time", 0)
        if number % FLUSH_EVERY_RUNS == FLUSH_EVERY_RUNS - 1 or start + RUN >= len(events):
            dirty = part.take_dirty()
            for published in part.take_published():
                emitter.add_customers(published)
            rows, stored = rows + len(dirty.rows), stored + sum(map(len, dirty.rows))
            emitter.cut()
    await sender.stop()
    us = {name: watch.seconds[name] / len(events) * 1e6 for name in ORDER}
    customers = part.overview().customers
    return Stages(len(events), customers, changes, timers, built.width * 8, stored / max(rows, 1), us, 0.0)


def _cluster(catalogue: Catalogue) -> Cluster:
    topics = topics_of(catalogue, Changelog(1, "bench", "bench"))
    return Cluster("", "", False, 1, Changelog(1, "bench", "bench"), topics, {}, Path())
