"""The livetags worker, measured: `python -m bench.livetags JOB` prints a `Measured` as JSON.

The shipped worker as `livetags worker` runs it. The clock starts when the first batch is handed to a partition (or when
the state is filled, where the job says so) and stops when every record is applied and the last flush has been
acknowledged and written.
"""

from __future__ import annotations

import asyncio
import cProfile
import sys
from pathlib import Path
from typing import Any

import msgspec

from bench.job import Job
from bench.load import Event
from bench.measure import Measured, Moment, Stopwatch, moment, peak_mb
from bench.stages import watch_worker
from schemas.sources import Incoming
from streams.app import Worker, build
from streams.engine import plan
from streams.processor import Partition
from streams.tables import Tables

LOOK_EVERY_S = 0.005
STUCK_AFTER_S = 600.0


class _Marks:
    """When work began and when the last flush ended."""

    def __init__(self) -> None:
        self.begin: Moment | None = None
        self.end: Moment | None = None
        self._push: Any = Partition.push
        self._flush: Any = Tables.flush

    def set(self) -> None:
        """Have the worker's own steps note the time."""
        marks = self

        def push(part: Partition, *args: Any) -> None:
            if marks.begin is None:
                marks.begin = moment()
            marks._push(part, *args)

        async def flush(tables: Tables, *args: Any) -> None:
            await marks._flush(tables, *args)
            marks.end = moment()

        setattr(Partition, "push", push)  # noqa: B010 - a replaced method, which assignment hides from no reader
        setattr(Tables, "flush", flush)  # noqa: B010


def _done(worker: Worker) -> int:
    """Records dealt with, whatever became of them."""
    counts = worker.counters
    return counts.events + counts.duplicates + counts.superseded + counts.late + counts.dead.total()


def _said(worker: Worker) -> tuple[int, int]:
    """Changes so far; questions, answers, outreach requests and decisions so far."""
    counts = worker.counters
    rest = (counts.questions, counts.answers, counts.outreach, counts.decisions)
    return counts.changes.total(), sum(counted.total() for counted in rest)


def _all_done(job: Job, done: int) -> int:
    """Records dealt with by all workers of the run."""
    if not job.progress:
        return done
    mine = Path(job.progress) / str(job.worker)
    mine.with_suffix(".part").write_text(str(done), encoding="utf-8")
    mine.with_suffix(".part").replace(mine)
    return sum(int(path.read_text(encoding="utf-8")) for path in Path(job.progress).iterdir() if not path.suffix)


async def measure(job: Job) -> Measured:
    """What it took to apply and write all records."""
    catalogue = job.loaded()
    _load_kernel(job)
    watch, marks = Stopwatch(), _Marks()
    if job.stages:
        watch_worker(watch)
    marks.set()
    worker = build(job.settings(), catalogue, file=job.catalogue)
    profiler = cProfile.Profile() if job.profile else None
    await worker.start()
    if profiler is not None:
        profiler.enable()
    async with asyncio.timeout(STUCK_AFTER_S):
        while _all_done(job, _done(worker)) < job.filled:
            worker.check()
            await asyncio.sleep(LOOK_EVERY_S)
        filled = _said(worker)
        if job.filled:
            marks.begin = moment()
        while _all_done(job, _done(worker)) < job.events:
            worker.check()
            await asyncio.sleep(LOOK_EVERY_S)
    await worker.stop()
    if profiler is not None:
        profiler.disable()
        profiler.dump_stats(job.profile)
    flips, others = _said(worker)
    if marks.begin is None or marks.end is None:
        raise RuntimeError("nothing was measured: the topics are empty")
    return Measured(
        peer="livetags",
        events=job.events - job.filled,
        seconds=marks.end.wall_s - marks.begin.wall_s,
        cpu_s=marks.end.cpu_s - marks.begin.cpu_s,
        whole_cpu_s=moment().cpu_s,
        peak_mb=peak_mb(),
        flips=flips - filled[0],
        others=others - filled[1],
        stages=dict(watch.seconds),
        begin_s=marks.begin.wall_s,
        end_s=marks.end.wall_s,
    )


def _load_kernel(job: Job) -> None:
    """Have compiled code loaded before the clock starts, as in a worker that has run for a while."""
    part = Partition(plan.build(job.loaded()), keyed=False)
    if job.warm:
        events = msgspec.json.decode(Path(job.warm).read_bytes(), type=list[Event])
        part.feed((event.source, Incoming(event.value, None, at)) for at, event in enumerate(events))
    part.take_dirty()


if __name__ == "__main__":
    print(msgspec.json.encode(asyncio.run(measure(Job.read(sys.argv[1])))).decode())
