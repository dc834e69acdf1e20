"""`livetags worker`: one member of the group, from the sources' topics to changes and durable state."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from rich.console import Console

from schemas.catalogue import Catalogue
from schemas.status import WorkerStatus
from streams.beside import Failed
from streams.commands.recovery_bar import in_words, show
from streams.commands.running import given, signalled, unless
from streams.compiled import keep_compiled
from streams.config import Clock, Settings
from streams.recovering import RecoveryStatus

if TYPE_CHECKING:
    from streams.app import Worker

REPORT_EVERY_S = 10.0


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """The worker in a line, as `--json` prints it; `recovering` only while it recovers partitions."""

    state: str
    partitions: list[int]
    events: int
    changes: dict[str, int]
    late: int
    duplicates: int
    dead: dict[str, int]
    lag: dict[str, int | None]
    recovering: RecoveryStatus | None = None


@click.command("worker")
@click.argument("catalogue", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--broker", metavar="HOST:PORT", help="A broker of the Kafka cluster  [LIVETAGS_BROKER]")
@click.option("--data-dir", type=click.Path(file_okay=False, path_type=Path), help="Local state  [LIVETAGS_DATA_DIR]")
@click.option("--clock", type=click.Choice([clock.value for clock in Clock]), help="What moves time  [LIVETAGS_CLOCK]")
@click.option("--web-port", type=click.IntRange(0, 65535), help="Serve the page on this port  [LIVETAGS_WEB_PORT]")
@click.option("--expect", type=click.IntRange(min=1), hidden=True, help="Records the sources will hold in the end.")
@click.option("--rebuild", is_flag=True, help="Drop the state and compute it anew from the beginning of the sources.")
@click.option("--json", "as_json", is_flag=True, help="Report as JSON lines.")
def worker(
    catalogue: Path,
    broker: str | None,
    data_dir: Path | None,
    clock: str | None,
    web_port: int | None,
    expect: int | None,
    rebuild: bool,
    as_json: bool,
) -> None:
    """Work on the sources of CATALOGUE until told to stop (Ctrl-C or SIGTERM).

    Several workers of the same catalogue share its partitions. Exit codes: 0 stopped, 1 failed, 2 wrong use.
    """
    found = given(catalogue, {"broker": broker, "data_dir": data_dir, "clock": clock, "web_port": web_port})
    keep_compiled(found.settings.data_dir)
    raise SystemExit(asyncio.run(_run(found.settings, found.catalogue, rebuild, str(catalogue), expect, as_json)))


async def _run(
    settings: Settings, catalogue: Catalogue, rebuild: bool, file: str, expect: int | None, as_json: bool
) -> int:
    """Start, run until a signal or a failure, stop; the exit code."""
    from streams.app import REFUSALS, build  # late: numba reads where its cache is when it is imported

    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # what a library leaves behind when its broker is gone
    stopped = signalled()
    member = build(settings, catalogue, rebuild=rebuild, file=file)
    try:
        async with contextlib.AsyncExitStack() as open_:
            page = await _serve(open_, settings, member, expect)
            shown = asyncio.create_task(_recoveries(member, as_json))
            open_.callback(shown.cancel)
            if not await unless(stopped, member.start()):
                return 0
            open_.push_async_callback(member.stop)
            _greet(member, settings, page, as_json)
            reports = asyncio.create_task(_report(member, as_json))
            open_.callback(reports.cancel)
            await unless(stopped, member.wait())
    except (*REFUSALS, Failed) as error:
        click.echo(f"Error: {error}", err=True)
        return 1
    _say(member, "stopped", as_json)
    return 0


async def _recoveries(member: Worker, as_json: bool) -> None:
    """Show how far recoveries are."""

    def say(status: RecoveryStatus) -> None:
        if as_json:
            _say(member, "recovering", as_json)
        else:
            click.echo(in_words(status))

    console = Console(force_terminal=False) if as_json else Console()
    await show(member.counters.recovery, console, say)


async def _serve(open_: contextlib.AsyncExitStack, settings: Settings, member: Worker, expect: int | None) -> str:
    """The address of the page, empty where no port is set; served before any work, as the port may be taken."""
    if not settings.web_port:
        return ""
    from streams.watch import WorkerView  # late: NiceGUI takes a second to import
    from streams.web.app import create_app
    from streams.web.server import ServeError, serve

    def everyone() -> list[WorkerStatus]:
        return member.heartbeat.everyone() if member.heartbeat is not None else []

    page = serve(create_app(WorkerView(member, expect, statuses=everyone)), settings.web_host, settings.web_port)
    try:
        return (await open_.enter_async_context(page)).url
    except ServeError as error:
        raise click.ClickException(str(error)) from None


def _greet(member: Worker, settings: Settings, page: str, as_json: bool) -> None:
    """Say that work began."""
    if as_json:
        _say(member, "running", as_json)
        return
    at, numbers = f", page at {page}" if page else "", _spans(sorted(member.partitions))
    click.echo(f"{member.catalogue.name} at {settings.broker}: partitions {numbers}{at}. Ctrl-C stops.")


async def _report(member: Worker, as_json: bool) -> None:
    """A line now and then, while something happens."""
    before = -1
    while True:
        if member.counters.events != before:
            before = member.counters.events
            _say(member, "running", as_json)
        await asyncio.sleep(REPORT_EVERY_S)


def _say(member: Worker, state: str, as_json: bool) -> None:
    counters = member.counters
    lags = {name: count.lag for name, count in counters.sources.items()}
    if as_json:
        report = Report(
            state,
            sorted(member.partitions),
            counters.events,
            dict(counters.changes),
            counters.late,
            counters.duplicates,
            dict(counters.dead),
            lags,
            counters.recovery.status,
        )
        click.echo(msgspec.json.encode(report).decode())
        return
    click.echo(
        f"{state}: {counters.events:,} events, {counters.changes.total():,} changes, "
        f"{counters.dead.total():,} dead letters, {counters.late:,} late, {counters.duplicates:,} duplicates; behind: "
        + ", ".join(f"{name} {'?' if lag is None else format(lag, ',')}" for name, lag in lags.items())
    )


def _spans(numbers: list[int]) -> str:
    """Numbers as spans: `0-3, 5`."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in spans) or "none yet"
