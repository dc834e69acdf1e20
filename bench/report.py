"""The bench's results: as a table, and as `bench/results/latest.json`."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from bench.kernel import Stages
from bench.measure import Measured

LATEST = Path(__file__).parent / "results" / "latest.json"
PACKAGES = ("faust-streaming", "aiokafka", "numba", "numpy", "msgspec", "rocksdict")


class Machine(msgspec.Struct, frozen=True):
    """What it was measured on; `load` is the machine's load average over a minute before it began."""

    cores: int
    processor: str
    system: str
    python: str
    packages: dict[str, str]
    load: float


class Middle(msgspec.Struct, frozen=True):
    """Medians over the runs of one worker."""

    peer: str
    runs: int
    events: int
    events_per_s: float
    cpu_s_per_million: float
    whole_cpu_s_per_million: float
    peak_mb: float
    flips: int
    others: int
    runs_per_s: list[float]
    broker_cpu_s_per_million: float = 0.0


class Flips(msgspec.Struct, frozen=True):
    """Changes on the plain peer's load: the peer's, and the engine's with and without those that time alone brings."""

    events: int
    peer: int
    engine_by_events: int
    engine_by_time: int


class Report(msgspec.Struct, frozen=True):
    """Everything one run of the bench found.

    `slowed_by` are options that slow the livetags worker alone; there is no ratio then.
    """

    machine: Machine
    load: dict[str, int | float | str]
    slowed_by: list[str]
    workers: list[Middle]
    ratio_events_per_s: float | None
    ratio_cpu: float | None
    flips: Flips | None
    stages: Stages | None


def machine(load: float) -> Machine:
    """The machine it runs on, and its load before the bench began."""
    processor = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            processor = line.partition(":")[2].strip()
            break
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    packages = {name: version(name) for name in PACKAGES}
    return Machine(cores, processor, platform.platform(), platform.python_version(), packages, load)


def middle(runs: Sequence[Measured]) -> Middle:
    """The medians of a worker's runs."""

    def median(of: Callable[[Measured], float]) -> float:
        return statistics.median(of(run) for run in runs)

    return Middle(
        peer=runs[0].peer,
        runs=len(runs),
        events=runs[0].events,
        events_per_s=median(lambda run: run.per_second),
        cpu_s_per_million=median(lambda run: run.cpu_per_million),
        whole_cpu_s_per_million=median(lambda run: run.whole_cpu_per_million),
        peak_mb=median(lambda run: run.peak_mb),
        flips=runs[0].flips,
        others=runs[0].others,
        runs_per_s=[run.per_second for run in runs],
        broker_cpu_s_per_million=median(lambda run: run.broker_cpu_s / run.events * 1e6),
    )


def write(report: Report, path: Path = LATEST) -> None:
    """Write the report as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")


def show(report: Report, console: Console) -> None:
    """Print the report."""
    machine = report.machine
    console.print(
        f"{machine.cores} cores, {machine.processor}, Python {machine.python}; load before {machine.load:.1f}; "
        + ", ".join(f"{name} {value}" for name, value in report.load.items())
    )
    if report.slowed_by:
        console.print(f"livetags was slowed by {' and '.join(report.slowed_by)}: its figures are no measurement")
    if report.workers:
        console.print(_workers(report.workers))
    if report.ratio_events_per_s is not None and report.ratio_cpu is not None:
        console.print(
            f"livetags : plain Faust = {report.ratio_events_per_s:.1f} times the events/s, "
            f"1/{report.ratio_cpu:.1f} of the CPU an event"
        )
    if report.flips is not None:
        flips = report.flips
        console.print(
            f"Changes on plain Faust's {flips.events:,} events: plain Faust {flips.peer:,}; livetags "
            f"{flips.engine_by_events:,} by events, {flips.engine_by_time:,} by time (plain Faust: late or never)"
        )
    if report.stages is not None:
        console.print(_stages(report.stages))


def _workers(workers: list[Middle]) -> Table:
    table = Table(title="From the broker to durable state and emitted changes")
    table.add_column("")
    for one in workers:
        table.add_column(one.peer, justify="right")
    table.add_row("events", *(f"{one.events:,}" for one in workers))
    table.add_row("events/s", *(f"{one.events_per_s:,.0f}" for one in workers))
    table.add_row("CPU s per million events, running", *(f"{one.cpu_s_per_million:,.1f}" for one in workers))
    table.add_row("the same, whole process", *(f"{one.whole_cpu_s_per_million:,.1f}" for one in workers))
    table.add_row("the broker's process beside it", *(f"{one.broker_cpu_s_per_million:,.1f}" for one in workers))
    table.add_row("peak memory, MB", *(f"{one.peak_mb:,.0f}" for one in workers))
    table.add_row("changes an event", *(f"{one.flips / one.events:.2f}" for one in workers))
    table.add_row("questions, answers, outreach an event", *(f"{one.others / one.events:.2f}" for one in workers))
    table.add_row("runs (medians)", *(str(one.runs) for one in workers))
    return table


def _stages(stages: Stages) -> Table:
    table = Table(title=f"Stages alone: {stages.events:,} events, {stages.customers:,} customers")
    table.add_column("stage")
    table.add_column("CPU µs an event", justify="right")
    for name, us in stages.us.items():
        table.add_row(name, f"{us:.2f}")
    table.add_row("all", f"{stages.total_us:.2f}")
    table.add_row("kernel, at 10,000 events/s", f"{stages.live_kernel_us:.2f}")
    table.caption = (
        f"{stages.changes:,} changes, {stages.timer_changes:,} of them by time; a row takes {stages.row_bytes:,} B in "
        f"memory, {stages.stored_row_bytes:,.0f} B stored"
    )
    return table
