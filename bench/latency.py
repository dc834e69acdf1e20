"""`python -m bench.latency`: from an event to the change it makes, as a consumer of the changes' topics sees it.

The shipped worker runs on the wall clock as a process of its own; another process sends events at a steady rate, each
with the moment it is sent as its time; this one reads the changes as they come. A change that an event made bears the
event's time, in whole milliseconds, so that each latency is up to 1 ms too long.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any, Final

import click
import msgspec
import numpy as np
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from rich.console import Console
from rich.table import Table

from bench import lite
from bench.brokers import Running, cpu_of, running
from bench.job import CATALOGUE, Job
from bench.load import Event, events, partition_of
from schemas.records import Cause, Change, SegmentChange, TagChange
from schemas.topics import Role
from schemas.values import parse_iso
from streams.cluster import prepare
from streams.config import Clock, Settings
from streams.engine import plan

SLICE_S: Final = 0.005
SETTLE_S: Final = 20.0
"""Of each run are left out: first rows, and batches of a worker and of a broker that are not warm yet."""
READY_WITHIN_S: Final = 180.0
TIME: Final = b'"livetags-now"'
"""Stands in a prepared event where its time goes."""


class Pace(msgspec.Struct, frozen=True):
    """What the feeder does: events of a file, so many a second."""

    broker: str
    file: str
    rate: int
    partitions: int


class Prepared(msgspec.Struct, frozen=True):
    """An event whose time is not known yet; `value` holds `TIME` in its place."""

    topic: str
    customer: str
    value: bytes


class Latencies(msgspec.Struct, frozen=True):
    """What one rate gave; times in ms."""

    rate: int
    changes: int
    p50: float
    p99: float
    longest: float
    worker_cpu: float
    broker_cpu: float


@click.command("latency")
@click.option("--job", "small", type=click.Choice(["bank", "tags_lite"]), default="bank", show_default=True)
@click.option("--rate", "rates", type=int, multiple=True, default=(2_000, 10_000), show_default=True, help="Events/s.")
@click.option("--seconds", type=click.IntRange(10), default=30, show_default=True, help="Of each rate.")
@click.option("--partitions", type=click.IntRange(1, 64), default=4, show_default=True, help="Of every topic.")
@click.option("--broker", metavar="HOST:PORT", default="", help="A Kafka broker, or `kafka`; default: embedded.")
@click.option("--cache", type=click.Path(path_type=Path), default=None, help="Where the simulated bank is kept.")
def main(small: str, rates: tuple[int, ...], seconds: int, partitions: int, broker: str, cache: Path | None) -> None:
    """Measure the time from events to their changes at steady rates."""
    console, found = Console(), []
    for rate in rates:
        with (
            tempfile.TemporaryDirectory(prefix="livetags-latency-") as kept,
            running(broker) as at,
            console.status(f"{rate:,} events/s for {seconds} s"),
        ):
            file = lite.CATALOGUE if small == "tags_lite" else CATALOGUE
            job = Job(
                at.address, f"latency-{uuid.uuid4().hex[:8]}", str(Path(kept) / "state"), 0, partitions, str(file)
            )
            given = _load(small, rate * (seconds + int(SETTLE_S)), cache or Settings().data_dir / "demo")
            found.append(asyncio.run(_measure(job, _prepared(job, given), rate, seconds, at)))
    table = Table(title=f"From an event to its change, {small} on {broker or 'the embedded broker'}")
    for name in ("events/s", "changes", "p50, ms", "p99, ms", "longest, ms", "worker's CPU", "broker's CPU"):
        table.add_column(name, justify="right")
    for one in found:
        figures = f"{one.p50:.1f}", f"{one.p99:.1f}", f"{one.longest:.0f}"
        table.add_row(f"{one.rate:,}", f"{one.changes:,}", *figures, f"{one.worker_cpu:.0%}", f"{one.broker_cpu:.0%}")
    console.print(table)


def _load(small: str, count: int, cache: Path) -> list[Event]:
    if small == "tags_lite":
        return lite.lite_events(count)
    return events(Job("", "", "", 0, 1).loaded(), cache, count, 20_000, 1.0)


def _prepared(job: Job, given: list[Event]) -> list[Prepared]:
    catalogue = job.loaded()
    times = {source.name: source.time for source in catalogue.sources}
    topics = {source.name: source.topic for source in catalogue.sources}
    made = []
    for event in given:
        record: dict[str, Any] = msgspec.json.decode(event.value)
        record[times[event.source]] = "livetags-now"
        made.append(Prepared(topics[event.source], event.customer, msgspec.json.encode(record)))
    return made


async def _measure(job: Job, given: list[Prepared], rate: int, seconds: int, broker: Running) -> Latencies:
    settings = job.settings().model_copy(update={"clock": Clock.WALL})
    catalogue = job.loaded()
    await prepare(
        settings.model_copy(update={"data_dir": Path(job.directory).with_name("fill")}),
        catalogue,
        plan.build(catalogue).fingerprint,
    )
    file = Path(job.directory).with_name("load.json")
    file.write_bytes(msgspec.json.encode(given))
    with _process("--work", job.text) as worker:
        await asyncio.to_thread(_ready, worker)
        begun = time.time()
        before = cpu_of(worker.pid), broker.cpu_s()
        with _process("--feed", msgspec.json.encode(Pace(job.broker, str(file), rate, job.partitions)).decode()):
            ages = await _ages(job, begun + SETTLE_S, begun + SETTLE_S + seconds)
        took = time.time() - begun
        cpu = (cpu_of(worker.pid) - before[0]) / took, (broker.cpu_s() - before[1]) / took
    p50, p99, longest = np.percentile(ages, [50, 99, 100]).tolist() if ages else (0.0, 0.0, 0.0)
    return Latencies(rate, len(ages), p50, p99, longest, *cpu)


def _ready(worker: subprocess.Popen[bytes]) -> None:
    if worker.stdout is None or b"running" not in worker.stdout.readline():
        raise RuntimeError("the worker did not start")


@contextlib.contextmanager
def _process(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-m", "bench.latency", *arguments], stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def _ages(job: Job, since_s: float, until_s: float) -> list[float]:
    """How old changes were when they came, ms: those that events made between those moments."""
    topics = {
        f"{job.name}-{Role.TAG_CHANGES.value}": TagChange,
        f"{job.name}-{Role.SEGMENT_CHANGES.value}": SegmentChange,
    }
    decoders: dict[str, Any] = {topic: msgspec.json.Decoder(kind).decode for topic, kind in topics.items()}
    consumer = AIOKafkaConsumer(
        *topics, bootstrap_servers=job.broker, fetch_max_wait_ms=5, auto_offset_reset="earliest"
    )
    await consumer.start()
    ages: list[float] = []
    try:
        while (now := time.time()) < until_s:
            for place, records in (await consumer.getmany(timeout_ms=5)).items():
                came = time.time()
                if now >= since_s:
                    ages += _of(map(decoders[place.topic], (record.value for record in records)), came)
    finally:
        await consumer.stop()
    return ages


def _of(changes: Iterator[Change], came_s: float) -> Iterator[float]:
    for change in changes:
        if change.cause is Cause.EVENT:
            yield came_s * 1000 - parse_iso(change.at, UTC)


async def feed(pace: Pace) -> None:
    """Send the events of a file at a steady rate, each with its moment."""
    given = msgspec.json.decode(Path(pace.file).read_bytes(), type=list[Prepared])
    producer = AIOKafkaProducer(bootstrap_servers=pace.broker, linger_ms=0)
    await producer.start()
    begun, at = time.monotonic(), 0
    while at < len(given):
        upto = min(len(given), int((time.monotonic() - begun) * pace.rate))
        lots: defaultdict[tuple[str, int], Any] = defaultdict(producer.create_batch)
        for event in given[at:upto]:
            value = event.value.replace(TIME, b"%d" % (time.time_ns() // 1_000_000))
            lot = lots[event.topic, partition_of(event.customer, pace.partitions)]
            lot.append(key=event.customer.encode(), value=value, timestamp=None)
        for (topic, partition), lot in lots.items():
            await producer.send_batch(lot, topic, partition=partition)
        at = max(at, upto)
        await asyncio.sleep(SLICE_S)
    await producer.stop()


async def work(job: Job) -> None:
    """The shipped worker on the wall clock, until it is killed."""
    from streams.app import build

    settings = job.settings().model_copy(update={"clock": Clock.WALL})
    worker = build(settings, job.loaded(), file=job.catalogue)
    await worker.start()
    os.write(1, b"running\n")
    await worker.wait()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--feed", text]:
            asyncio.run(feed(msgspec.json.decode(text, type=Pace)))
        case ["--work", text]:
            asyncio.run(work(Job.read(text)))
        case _:
            main()
