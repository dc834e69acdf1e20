"""`python -m bench.memory`: many more customers than memory has room for, against all of them in memory.

A million customers of the bank catalogue lie in a store, with rows as a simulated bank of 10,000 leaves them after most
of a year, each row given to many. Then records come at 10,000 a second of event time, to customers drawn by Zipf's law
and to all alike; once with all rows in memory and once with room for a tenth of them. One partition in a process of its
own, with its flushes and without a broker.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import click
import msgspec
import numpy as np

from bench.job import CATALOGUE
from bench.kernel import RUN, Live
from bench.load import Event, LoadError, events, zipf
from bench.measure import moment, peak_mb
from schemas.catalogue import Catalogue
from schemas.loading import load
from schemas.sources import Incoming
from streams.config import Settings
from streams.engine.plan import Plan, build
from streams.processor import Partition
from streams.residence import Cold
from streams.store import ROW, Entry, Marker, Store
from streams.task import TIMERS_AT_ONCE
from streams.warm import warm

SAMPLE: Final = 10_000
SAMPLE_RECORDS: Final = 300_000
FLUSH_EVERY_RUNS: Final = 40
SLICE: Final = 10_000
_BEGIN: Final = "begin.json"


class Way(msgspec.Struct, frozen=True):
    """How one process runs: rows in memory (0: all), and Zipf's exponent (0: all customers alike)."""

    rows: int
    zipf: float


class Found(msgspec.Struct, frozen=True):
    """What one process measured; bytes a row are those in memory, `peak_mb` the whole process's."""

    way: Way
    start_s: float
    per_s: float
    cpu_us: float
    reads: int
    rows_read: int
    evicted: int
    in_memory: int
    row_bytes: int
    stored_row_bytes: float
    peak_mb: float


class Begin(msgspec.Struct, frozen=True):
    """Where the store stands: positions, clock, bytes a row as stored."""

    positions: dict[str, int]
    clock: dict[str, Any]
    row_bytes: float


def prepare(catalogue: Catalogue, given: list[Event], directory: Path, customers: int) -> None:
    """A store of that many customers with the rows that the sample's have after these records."""
    part = Partition(build(catalogue), keyed=False)
    for first in range(0, len(given), RUN):
        part.feed([(event.source, Incoming(event.value, None)) for event in given[first : first + RUN]])
    dirty, clock = part.take_dirty(), part.clock_state()
    clock["said"] = (np.array(clock["said"]) * (customers // len(dirty.rows))).tolist()
    clock["taken"] = [max(clock["taken"])] * len(clock["taken"])
    store = Store(directory / "store")
    for first in range(0, customers, SLICE):
        some = range(first, min(first + SLICE, customers))
        entries = [Entry(ROW + _name(number), dirty.rows[number % len(dirty.rows)]) for number in some]
        store.write(entries, None, 0)
    store.close()
    begin = Begin({}, clock, sum(map(len, dirty.rows)) / len(dirty.rows))
    (directory / _BEGIN).write_bytes(msgspec.json.encode(begin))


def measure(catalogue: Catalogue, given: list[Event], directory: Path, way: Way) -> Found:
    """The records applied to the store's customers, from its opening on."""
    plan = build(catalogue)
    warm(plan)
    begin = msgspec.json.decode((directory / _BEGIN).read_bytes(), type=Begin)
    before = moment()
    store = Store(directory / "store")
    part = _opened(plan, store, begin, way)
    start_s = moment().wall_s - before.wall_s
    part.hurry = True
    before = moment()
    _run(part, store, given)
    after = moment()
    residence, arena = part.residence, part.arena
    store.close()
    return Found(
        way,
        start_s,
        len(given) / (after.wall_s - before.wall_s),
        (after.cpu_s - before.cpu_s) / len(given) * 1e6,
        residence.done.reads if residence is not None else 0,
        residence.done.rows if residence is not None else 0,
        residence.done.evicted if residence is not None else 0,
        arena.rows,
        8 * plan.width,
        begin.row_bytes,
        peak_mb(),
    )


def _opened(plan: Plan, store: Store, begin: Begin, way: Way) -> Live:
    """A partition that goes on from the store."""
    part = Live(plan, keyed=False, cold=Cold(store.some_rows, way.rows) if way.rows else None)
    rows = store.rows(part.arena.heads.most_bytes if way.rows else None)
    part.load(rows.customers, rows.rows)
    part.restore(begin.positions, begin.clock)
    return part


def _run(part: Live, store: Store, given: list[Event]) -> None:
    """Push, run, and flush every so often and when it is asked for."""
    part.reached_us = part.event_now() * 1_000
    for number, first in enumerate(range(0, len(given), RUN)):
        runs: defaultdict[str, list[Incoming]] = defaultdict(list)
        for offset, event in enumerate(given[first : first + RUN], first):
            runs[event.source].append(Incoming(event.value, None, offset))
        for source, records in runs.items():
            part.push(source, records)
        for each in part.plan.catalogue.sources:
            part.ended(each.name, True)
        more = True
        while more:
            more = part.run(RUN // 2, timers=TIMERS_AT_ONCE).more
            if part.crowded:
                _flush(part, store)
        if number % FLUSH_EVERY_RUNS == FLUSH_EVERY_RUNS - 1:
            _flush(part, store)
    _flush(part, store)


def _flush(part: Partition, store: Store) -> None:
    marker = Marker(part.positions(), part.clock_state(), "", "", {}, 1, {})
    dirty = part.take_dirty()
    entries = [Entry(ROW + customer, row) for customer, row in zip(dirty.customers, dirty.rows, strict=True)]
    store.write(entries, marker, 0)
    part.written()


def redrawn(given: list[Event], customers: int, exponent: float) -> Iterator[Event]:
    """The same records, of customers drawn from that many."""
    for event, number in zip(given, zipf(customers, exponent, len(given)).tolist(), strict=True):
        name = _name(number).decode()
        yield Event(event.source, name, event.value.replace(event.customer.encode(), name.encode()))


def _name(number: int) -> bytes:
    return b"c%07d" % number


@click.command("memory")
@click.option("--customers", type=click.IntRange(SAMPLE), default=1_000_000, show_default=True, help="That there are.")
@click.option("--rows", type=click.IntRange(1_000), default=100_000, show_default=True, help="That have room.")
@click.option("--events", "count", type=click.IntRange(10_000), default=200_000, show_default=True, help="Each time.")
@click.option("--cache", type=click.Path(path_type=Path), default=None, help="Where the simulated bank is kept.")
@click.option("--one", nargs=3, default=None, hidden=True)
def main(customers: int, rows: int, count: int, cache: Path | None, one: tuple[str, int, float] | None) -> None:
    """Measure what it costs that rows are not in memory; takes a few minutes, and 5 GB for all rows in memory."""
    catalogue, kept = load(CATALOGUE), cache or Settings().data_dir / "demo"
    try:
        given = events(catalogue, kept, SAMPLE_RECORDS + count, SAMPLE, 0.0)
    except LoadError as error:
        raise click.UsageError(str(error)) from None
    if one is not None:
        way = Way(int(one[1]), float(one[2]))
        drawn = list(redrawn(given[SAMPLE_RECORDS:], customers, way.zipf))
        sys.stdout.buffer.write(msgspec.json.encode(measure(catalogue, drawn, Path(one[0]), way)))
        return
    with tempfile.TemporaryDirectory(prefix="livetags-memory-") as made:
        began = time.perf_counter()
        prepare(catalogue, list(islice(given, SAMPLE_RECORDS)), Path(made), customers)
        click.echo(f"{customers:,} rows written in {time.perf_counter() - began:.0f} s; room for {rows:,} of them")
        for way in (Way(0, 1.0), Way(rows, 1.0), Way(0, 0.0), Way(rows, 0.0)):
            click.echo(said(_process(Path(made), way, customers, count, kept)))


def _process(made: Path, way: Way, customers: int, count: int, kept: Path) -> Found:
    """One way, in a process and on a copy of the store of its own."""
    with tempfile.TemporaryDirectory(prefix="livetags-memory-") as own:
        shutil.copytree(made, own, dirs_exist_ok=True)
        options = ["--customers", str(customers), "--events", str(count), "--cache", str(kept)]
        command = [sys.executable, "-m", "bench.memory", *options, "--one", own, str(way.rows), str(way.zipf)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return msgspec.json.decode(done.stdout, type=Found)


def said(found: Found) -> str:
    """One line for people."""
    keys = "uniform" if found.way.zipf == 0 else f"Zipf {found.way.zipf:g}"
    room = f"{found.way.rows:,} rows" if found.way.rows else "no limit"
    return (
        f"{keys}, {room}: {found.per_s:,.0f} events/s, {found.cpu_us:.1f} µs CPU an event; "
        f"{found.rows_read:,} rows in {found.reads:,} reads, {found.evicted:,} evicted; "
        f"started in {found.start_s:.1f} s; "
        f"{found.row_bytes:,} B a row in memory ({found.in_memory:,}), {found.stored_row_bytes:.0f} B stored; "
        f"peak {found.peak_mb:,.0f} MB"
    )


if __name__ == "__main__":
    main()
