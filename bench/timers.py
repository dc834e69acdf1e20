"""`python -m bench.timers`: what time costs (P4): rows that wait, and many that are due at the same moment.

First a million customers whose timers are not due: how many timers fire as time passes, and how long that takes. Then a
hundred thousand who are due at one midnight: how long one slice of them takes, which is how long a record that comes in
between waits at most, and how long all of them take together with a record before every slice.
"""

from __future__ import annotations

import itertools
import time
from typing import Final

import click
import msgspec

from schemas.catalogue import Catalogue
from schemas.durations import DAY, MINUTE
from schemas.loading import loads
from schemas.sources import Incoming
from streams.engine.plan import build
from streams.processor import Partition
from streams.task import TIMERS_AT_ONCE
from streams.warm import warm

MIDNIGHT: Final = 1_772_323_200_000
FED_AT_ONCE: Final = 10_000
LOOKS: Final = 1_000
TEXT: Final = """
catalogue: days
timezone: UTC
sources:
  look: {topic: look, key: customer, time: at, allowed_skew: 0s, accept_late: 1d, fields: {page: [home, help]}}
features:
  days: {source: look, days: true, window: 2d}
  looks_1d: {source: look, count: true, window: 1d}
  looks_30d: {source: look, count: true, window: 30d}
  idle: {source: look, since: last}
tags:
  regular: {when: days >= 1}
  busy: {when: looks_1d >= 1 and looks_30d >= 1}
  life: {levels: {active: idle < 2d, quiet: idle < 30d, lost: otherwise}}
segments:
  present: {when: regular and life == 'active'}
"""


class Waiting(msgspec.Struct, frozen=True):
    """Rows with timers that are not due: timers that fired and microseconds a look, over so many looks."""

    rows: int
    fired: int
    us: float


class Due(msgspec.Struct, frozen=True):
    """Rows due at one moment: slices, seconds for all, the longest slice, its CPU, and the longest wait of a record."""

    rows: int
    slices: int
    changes: int
    seconds: float
    slice_ms: float
    slice_cpu_ms: float
    hold_up_ms: float


def waiting(catalogue: Catalogue, rows: int) -> Waiting:
    """What it costs that time passes and nothing is due."""
    part = _filled(catalogue, rows)
    began = time.perf_counter()
    for look in range(LOOKS):
        part.advance(MIDNIGHT + MINUTE + look)
    seconds = time.perf_counter() - began
    return Waiting(part.arena.timers(), _fired(part), seconds / LOOKS * 1e6)


def due(catalogue: Catalogue, rows: int) -> Due:
    """What a record meets that comes while rows are due, slice by slice as in a worker."""
    part, at, changes, ends, cpu = _filled(catalogue, rows), MIDNIGHT + 2 * DAY, 0, list[float](), list[float]()
    part.advance(at - 1)
    began, used = time.perf_counter(), time.process_time()
    output = part.advance(at, TIMERS_AT_ONCE)
    while True:
        changes += sum(map(len, output.written))
        ends.append(time.perf_counter())
        cpu.append(time.process_time() - used)
        used = time.process_time()
        if not part.overdue:
            break
        part.push("look", [_look(len(ends), at, rows + len(ends))])
        output = part.run(timers=TIMERS_AT_ONCE)
    slices = [end - before for before, end in itertools.pairwise([began, *ends])]
    # A record that comes as a slice begins is applied with the next one, and what it changes goes out after that.
    held = max(map(sum, itertools.pairwise(slices)), default=slices[0])
    return Due(rows, len(slices), changes, ends[-1] - began, max(slices) * 1e3, max(cpu) * 1e3, held * 1e3)


def _filled(catalogue: Catalogue, rows: int) -> Partition:
    """A partition whose customers all looked within a day's first minute."""
    part = Partition(build(catalogue))
    for first in range(0, rows, FED_AT_ONCE):
        some = range(first, min(first + FED_AT_ONCE, rows))
        part.push("look", [_look(n, MIDNIGHT + n * MINUTE // rows, n) for n in some])
        part.run(FED_AT_ONCE)
    part.take_dirty()
    return part


def _look(customer: int, at_ms: int, offset: int) -> Incoming:
    key = f"customer-{customer}"
    return Incoming(msgspec.json.encode({"customer": key, "at": at_ms, "page": "home"}), key.encode(), offset, at_ms)


def _fired(part: Partition) -> int:
    return int(part.arena.state.due.size[1])


@click.command("timers")
@click.option("--rows", type=click.IntRange(1), default=1_000_000, show_default=True, help="That wait.")
@click.option("--due", "due_rows", type=click.IntRange(1), default=100_000, show_default=True, help="At one midnight.")
def main(rows: int, due_rows: int) -> None:
    """Measure what time costs; nothing is written."""
    catalogue = loads(TEXT)
    warm(build(catalogue))
    wait = waiting(catalogue, rows)
    click.echo(f"{wait.rows:,} rows with timers, none due: {wait.fired} timers fired, {wait.us:.1f} µs each time")
    found = due(catalogue, due_rows)
    click.echo(
        f"{found.rows:,} rows due at one midnight: {found.changes:,} changes in {found.seconds:.2f} s, "
        f"{found.slices} slices of up to {TIMERS_AT_ONCE:,}"
    )
    click.echo(
        f"longest slice {found.slice_ms:.1f} ms ({found.slice_cpu_ms:.1f} ms of CPU), "
        f"longest a record was held up {found.hold_up_ms:.1f} ms"
    )


if __name__ == "__main__":
    main()
