"""`python -m bench`: livetags and plain Faust on the same job in one run, and the engine's stages alone."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path

import click
import msgspec
from rich.console import Console

from bench import kernel, lite
from bench.job import CATALOGUE, comparable
from bench.load import Event, LoadError, as_live, events
from bench.measure import Measured
from bench.report import LATEST, Flips, Middle, Report, machine, middle, show, write
from bench.run import Peer, Setting, WorkerFailed, run
from schemas.catalogue import Catalogue
from schemas.loading import load
from streams import replay
from streams.config import Settings

EVENTS = 300_000
CUSTOMERS = 20_000


class Load(StrEnum):
    """The jobs: the bank's catalogue, and the small one that peers are measured with."""

    BANK, TAGS_LITE = "bank", "tags_lite"


@click.command("bench")
@click.option("--job", type=click.Choice([one.value for one in Load]), default=Load.BANK.value, show_default=True)
@click.option("--events", "count", type=click.IntRange(1_000), default=None, help="For livetags  [300,000; 500,000]")
@click.option("--plain-events", type=click.IntRange(1_000), default=30_000, show_default=True, help="For plain Faust.")
@click.option("--customers", type=click.IntRange(1), default=None, help="To draw from  [20,000; 50,000]")
@click.option("--zipf", type=click.FloatRange(0), default=None, help="Exponent; 0: uniform keys  [1.0; 1.1]")
@click.option("--partitions", type=click.IntRange(1, 64), default=4, show_default=True, help="Of every topic.")
@click.option("--workers", type=click.IntRange(1, 16), default=1, show_default=True, help="Of livetags, on one load.")
@click.option("--repeat", type=click.IntRange(1), default=1, show_default=True, help="Runs of each worker (median).")
@click.option("--broker", metavar="HOST:PORT", default="", help="A Kafka broker, or `kafka`; default: embedded.")
@click.option("--cache", type=click.Path(path_type=Path), default=None, help="Where the simulated bank is kept.")
@click.option("--kernel", "only_kernel", is_flag=True, help="Only the engine's stages, without a broker.")
@click.option("--no-plain", is_flag=True, help="Without plain Faust.")
@click.option("--stages", is_flag=True, help="Also say where the livetags worker's time goes.")
@click.option("--profile", metavar="FILE", default="", help="Write the livetags worker's cProfile there (slower).")
@click.option("--live", is_flag=True, help="Measure the last third, come live: 10,000 records a second of their time.")
@click.option("--rfm", is_flag=True, help="With tags by population too, which plain Faust can't say.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def main(
    job: str,
    count: int | None,
    plain_events: int,
    customers: int | None,
    zipf: float | None,
    partitions: int,
    workers: int,
    repeat: int,
    broker: str,
    cache: Path | None,
    only_kernel: bool,
    no_plain: bool,
    stages: bool,
    profile: str,
    live: bool,
    rfm: bool,
    as_json: bool,
) -> None:
    """Measure livetags with the bank catalogue at full load, beside the same job in plain Faust.

    Or with the small job of bench/tags_lite.yaml, which is alone: --events, --customers and --zipf have other defaults.

    Writes bench/results/latest.json. Exit codes: 0 measured, 1 a worker failed, 2 wrong use.
    """
    load_before = os.getloadavg()[0]
    console = Console(stderr=as_json)
    small, kept = Load(job) is Load.TAGS_LITE, cache or Settings().data_dir / "demo"
    rfm, no_plain = rfm or small, no_plain or small or live or workers > 1
    count, customers = (
        count or (lite.EVENTS if small else EVENTS),
        customers or (lite.CUSTOMERS if small else CUSTOMERS),
    )
    zipf = (lite.ZIPF if small else 1.0) if zipf is None else zipf
    file = lite.CATALOGUE if small else CATALOGUE
    catalogue = load(file) if rfm else comparable(load(file))
    try:
        given = lite.lite_events(count, customers, zipf) if small else events(catalogue, kept, count, customers, zipf)
        filled = len(given) - len(given) // 3 if live and not small else 0
        given = as_live(given, catalogue, filled) if filled else given
        plain_given = [] if only_kernel or no_plain else _smaller(catalogue, kept, count, plain_events, customers, zipf)
    except LoadError as error:
        raise click.UsageError(str(error)) from None
    setting = Setting(file, partitions, broker, stages, profile, populations=rfm, workers=workers, filled=filled)
    loads = {} if only_kernel else {Peer.LIVETAGS: given} | ({} if no_plain else {Peer.PLAIN_FAUST: plain_given})
    try:
        found = _measured(loads, setting, repeat, console)
    except WorkerFailed as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(1) from None
    with console.status("the stages alone"):
        alone = kernel.measure(catalogue, given)
        flips = _flips(catalogue, plain_given, found[Peer.PLAIN_FAUST][0]) if Peer.PLAIN_FAUST in found else None
    slowed_by = [
        name
        for name, used in (("--stages", stages), ("--profile", bool(profile)), ("--rfm", rfm and not small))
        if used
    ]
    medians = {peer: middle(runs) for peer, runs in found.items()}
    report = Report(
        machine(load_before),
        {
            "job": job,
            "customers": customers,
            "zipf": zipf,
            "partitions": partitions,
            "workers": workers,
            "live": live,
            "broker": broker or "embedded",
        },
        slowed_by,
        list(medians.values()),
        *(_ratios(medians) if not slowed_by else (None, None)),
        flips,
        alone,
    )
    write(report)
    if as_json:
        click.echo(msgspec.json.encode(report).decode())
    else:
        _say_where(found, console)
        show(report, console)
        console.print(f"Written to {os.path.relpath(LATEST)}")


def _smaller(
    catalogue: Catalogue, kept: Path, count: int, plain_events: int, customers: int, zipf: float
) -> list[Event]:
    """Plain Faust's load: as many records a customer over the same time, of fewer customers, as it is slower.

    The beginning of the full load would not do: it holds customers' first records mostly, and those bring most changes.
    """
    share = max(1, count // plain_events)
    return events(catalogue, kept, min(plain_events, count), max(1, customers // share), zipf, share)


def _measured(
    loads: dict[Peer, list[Event]], setting: Setting, repeat: int, console: Console
) -> dict[Peer, list[Measured]]:
    """Every worker's runs, the workers taking turns so that the machine's moods meet them alike."""
    found: dict[Peer, list[Measured]] = {peer: [] for peer in loads}
    for number in range(repeat):
        for peer, given in loads.items():
            with console.status(f"{peer.name.lower().replace('_', ' ')}, run {number + 1} of {repeat}"):
                found[peer].append(run(peer, setting, given))
    return found


def _ratios(medians: dict[Peer, Middle]) -> tuple[float | None, float | None]:
    """Events/s of livetags over plain Faust's, and CPU an event of plain Faust over livetags'."""
    if not {Peer.LIVETAGS, Peer.PLAIN_FAUST} <= medians.keys():
        return None, None
    ours, plain = medians[Peer.LIVETAGS], medians[Peer.PLAIN_FAUST]
    return ours.events_per_s / plain.events_per_s, plain.cpu_s_per_million / ours.cpu_s_per_million


def _flips(catalogue: Catalogue, given: list[Event], plain: Measured) -> Flips:
    """The engine's changes on the plain peer's load, for comparison."""
    outcome = replay.run(catalogue, [replay.Record(event.source, event.value) for event in given])
    by_time = sum(change.cause.value == "time" for change in outcome.changes)
    return Flips(len(given), plain.flips, len(outcome.changes) - by_time, by_time)


def _say_where(found: dict[Peer, list[Measured]], console: Console) -> None:
    """Where the worker's time went, if that was asked for."""
    for one in found.get(Peer.LIVETAGS, [])[-1:]:
        for name, seconds in sorted(one.stages.items(), key=lambda item: -item[1]):
            console.print(f"  {name:<30}{seconds / one.events * 1e6:8.2f} µs an event in the worker")


if __name__ == "__main__":
    main()
