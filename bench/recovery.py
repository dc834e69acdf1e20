"""`python -m bench.recovery`: how fast state is rebuilt from the changelog alone, and with the local state intact.

Rows are those of the simulated bank after its load, written to the changelog under as many customers' names as asked
for, as flushes write them. Then the shipped worker starts twice, as a process of its own: once with an empty directory
and once with what the first one left.
"""

from __future__ import annotations

import asyncio
import functools
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
from aiokafka import AIOKafkaProducer
from rich.console import Console
from rich.table import Table

from bench.brokers import running
from bench.job import CATALOGUE, Job, comparable
from bench.load import LoadError, events, partition_of
from bench.measure import Moment, moment, peak_mb
from schemas.loading import load
from schemas.sources import Incoming
from schemas.topics import Role
from streams.app import build
from streams.cluster import Cluster, prepare
from streams.config import Settings
from streams.emit import Writer, producer
from streams.engine import plan
from streams.output import Dirty
from streams.processor import Partition
from streams.record_batch import plain
from streams.store import MARKER, ROW, Marker
from streams.tables import Tables
from streams.warm import warm

ROWS_A_FLUSH = 10_000
RUN = 4_096
WITHIN_S = 1_800.0


class Started(msgspec.Struct, frozen=True):
    """A worker's start.

    Attributes
    ----------
    rows
        How many it had in the end.
    read
        Records of the changelog it read.
    tables_s, tables_cpu_s
        Until the state on disk was at the changelog's end and its rows were read.
    start_s
        From `Worker.start` until it is at work: the group joined, rows taken in; kernels are loaded meanwhile.
    whole_cpu_s
        CPU of the process, imports included.
    disk_bytes
        Of its state when it stopped.
    """

    rows: int
    read: int
    tables_s: float
    tables_cpu_s: float
    start_s: float
    start_cpu_s: float
    whole_cpu_s: float
    peak_mb: float
    disk_bytes: int


class Found(msgspec.Struct, frozen=True):
    """What one run of the bench found; `row_bytes` in the changelog, `memory_bytes` in the arena, of one row."""

    rows: int
    partitions: int
    broker: str
    row_bytes: float
    memory_bytes: int
    rebuilt: Started
    again: Started


@click.command("recovery")
@click.option("--rows", type=click.IntRange(1), default=1_000_000, show_default=True, help="Customers to rebuild.")
@click.option("--partitions", type=click.IntRange(1, 64), default=8, show_default=True, help="They are spread over.")
@click.option("--broker", metavar="HOST:PORT", default="", help="`kafka`: Apache Kafka's jars; default: embedded.")
@click.option("--events", "count", type=click.IntRange(1_000), default=100_000, show_default=True, help="Of the rows.")
@click.option("--lives", type=click.IntRange(1), default=2_000, show_default=True, help="Different rows.")
@click.option("--cache", type=click.Path(path_type=Path), default=None, help="Where the simulated bank is kept.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def main(rows: int, partitions: int, broker: str, count: int, lives: int, cache: Path | None, as_json: bool) -> None:
    """Measure a worker's start from the changelog alone, and with its state intact.

    Exit codes: 0 measured, 1 a worker failed, 2 wrong use.
    """
    console = Console(stderr=as_json)
    try:
        with console.status("rows of the simulated bank"):
            dirty = _lives(cache or Settings().data_dir / "demo", count, lives)
    except LoadError as error:
        raise click.UsageError(str(error)) from None
    with tempfile.TemporaryDirectory(prefix="livetags-recovery-") as kept, running(broker) as at:
        job = Job(at.address, f"recovery-{uuid.uuid4().hex[:8]}", str(Path(kept) / "state"), 0, partitions)
        with console.status(f"writing {rows:,} rows to the changelog"):
            asyncio.run(_fill(job, dirty, rows))
        starts = []
        for what in ("from the changelog alone", "with its state intact"):
            with console.status(f"a worker starts {what}"):
                starts.append(_start(job))
    row_bytes = sum(map(len, dirty.rows)) / len(dirty.rows)
    width = plan.build(job.loaded()).width * 8
    found = Found(rows, partitions, broker or "embedded", row_bytes, width, *starts)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        _show(found, console)


def _lives(cache: Path, count: int, lives: int) -> Dirty:
    """The rows of so many customers after so many records, each customer as busy as the others."""
    catalogue = comparable(load(CATALOGUE))
    part = Partition(plan.build(catalogue), keyed=False)
    given = events(catalogue, cache, count, lives, 0.0)
    for start in range(0, count, RUN):
        part.feed([(event.source, Incoming(event.value, None)) for event in given[start : start + RUN]])
    return part.take_dirty()


async def _fill(job: Job, dirty: Dirty, rows: int) -> None:
    """Write the changelog as flushes do: rows, then their marker."""
    catalogue = job.loaded()
    elsewhere = job.settings().model_copy(update={"data_dir": Path(job.directory).with_name("fill")})
    cluster = await prepare(elsewhere, catalogue, plan.build(catalogue).fingerprint)
    sender = producer(cluster.address, idempotent=not cluster.embedded)
    await sender.start()
    try:
        places: list[list[int]] = [[] for _ in range(job.partitions)]
        for number in range(rows):
            places[partition_of(f"c{number:07d}", job.partitions)].append(number)
        for partition, numbers in enumerate(places):
            await _fill_partition(sender, cluster, partition, numbers, dirty)
    finally:
        await sender.stop()


async def _fill_partition(
    sender: AIOKafkaProducer, cluster: Cluster, partition: int, numbers: list[int], dirty: Dirty
) -> None:
    built = plan.build(comparable(load(CATALOGUE)))
    clock = Partition(built, partition, cluster.partitions).clock_state()
    marker = Marker(
        positions={},
        clock=clock,
        fingerprint=built.fingerprint,
        cluster=cluster.id,
        topics=dict(cluster.topic_ids),
        partitions=cluster.partitions,
        outputs={},
    )
    writer = Writer(sender, cluster.named(Role.CHANGELOG), partition)
    for start in range(0, len(numbers), ROWS_A_FLUSH):
        some = numbers[start : start + ROWS_A_FLUSH]
        keys = (ROW + f"c{number:07d}".encode() for number in some)
        writer.add_parcel(plain(keys, (dirty.rows[number % len(dirty.rows)] for number in some)))
        await writer.acknowledged(writer.cut())
        writer.add(MARKER, msgspec.json.encode(marker))
        await writer.acknowledged(writer.cut())


def _start(job: Job) -> Started:
    done = subprocess.run(
        [sys.executable, "-m", "bench.recovery", "--measure", job.text],
        capture_output=True,
        timeout=WITHIN_S,
        check=False,
    )
    if done.returncode:
        click.echo(f"Error: the worker failed: {done.stderr.decode(errors='replace')[-2000:]}", err=True)
        raise SystemExit(1)
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Started)


class _Watch:
    """Notes when the tables' recovery began and ended."""

    def __init__(self) -> None:
        self.took: list[tuple[Moment, Moment]] = []
        recover: Any = Tables.recover

        @functools.wraps(recover)
        async def watched(*args: Any) -> Any:
            begin = moment()
            found = await recover(*args)
            self.took.append((begin, moment()))
            return found

        setattr(Tables, "recover", watched)  # noqa: B010 - a replaced method, which assignment hides from no reader


async def measure(job: Job) -> Started:
    """What it took the shipped worker to be at work."""
    catalogue = job.loaded()
    warm(plan.build(catalogue))  # compiled code is loaded in a second; that is no part of recovery
    watch = _Watch()
    worker = build(job.settings(), catalogue, file=job.catalogue)
    begin = moment()
    await worker.start()
    end = moment()
    rows = sum(len(part.arena) for part in worker.partitions.values())
    read = worker.counters.recovery.records
    await worker.stop()
    return Started(
        rows=rows,
        read=read,
        tables_s=sum(after.wall_s - before.wall_s for before, after in watch.took),
        tables_cpu_s=sum(after.cpu_s - before.cpu_s for before, after in watch.took),
        start_s=end.wall_s - begin.wall_s,
        start_cpu_s=end.cpu_s - begin.cpu_s,
        whole_cpu_s=time.process_time(),
        peak_mb=peak_mb(),
        disk_bytes=sum(_sizes(Path(job.directory))),
    )


def _sizes(directory: Path) -> Iterator[int]:
    return (path.stat().st_size for path in directory.rglob("*") if path.is_file())


def _show(found: Found, console: Console) -> None:
    table = Table(title=f"{found.rows:,} bank rows over {found.partitions} partitions, broker: {found.broker}")
    table.add_column("")
    for name in ("from the changelog alone", "with its state intact"):
        table.add_column(name, justify="right")
    both = (found.rebuilt, found.again)
    table.add_row("state at the changelog's end, s", *(f"{one.tables_s:.1f}" for one in both))
    table.add_row("the same, rows a second", *(f"{one.rows / one.tables_s:,.0f}" for one in both))
    table.add_row("the same, rows a CPU second", *(f"{one.rows / one.tables_cpu_s:,.0f}" for one in both))
    table.add_row("worker at work, s", *(f"{one.start_s:.1f}" for one in both))
    table.add_row("CPU s until then", *(f"{one.start_cpu_s:.1f}" for one in both))
    table.add_row("rows a CPU second until then", *(f"{one.rows / one.start_cpu_s:,.0f}" for one in both))
    table.add_row("records of the changelog read", *(f"{one.read:,}" for one in both))
    table.add_row("peak memory, MB", *(f"{one.peak_mb:,.0f}" for one in both))
    table.add_row("on disk, B a row", *(f"{one.disk_bytes / max(1, one.rows):,.0f}" for one in both))
    table.caption = f"a row: {found.row_bytes:,.0f} B in the changelog, {found.memory_bytes:,} B in memory"
    console.print(table)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(msgspec.json.encode(asyncio.run(measure(Job.read(sys.argv[2])))).decode())
    else:
        main()
