"""`livetags freshness`: how fresh sources and tags are, from the broker alone."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from typing import Final

import click
import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from schemas.catalogue import Catalogue
from schemas.freshness import Freshness, Promise, SourceFreshness, SourceState, TagFreshness, WorkerFreshness
from schemas.loading import load
from schemas.problems import CatalogueError
from schemas.topics import Role
from streams.broker import BrokerError
from streams.cluster import Found
from streams.config import Settings, SettingsError, read, wall_ms
from streams.control import read_whole
from streams.freshness import Lags, report
from streams.group import GroupAdmin
from streams.silence import Silence
from streams.statuses import Statuses

READ_WITHIN_S: Final = 20.0
PLAIN_WIDTH: Final = 140
STEPS: Final = (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0), ("s", 1.0))
STYLES: Final[dict[str, str]] = {
    SourceState.FLOWING: "green", SourceState.SILENT: "yellow", SourceState.FROZEN: "yellow",
    SourceState.BEHIND: "red", SourceState.UNREAD: "red",
    Promise.KEPT: "green", Promise.MISSED: "red", Promise.NOBODY: "red", "working": "green", "lost": "red",
}  # fmt: skip


class _Found(msgspec.Struct, frozen=True):
    """What is on the cluster; `control` None where no worker ever was, `lags` empty where they can't be told."""

    control: str | None
    embedded: bool
    partitions: int | None
    lags: Lags


@click.command("freshness")
@click.argument("catalogue", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--broker", metavar="HOST:PORT", help="A broker of the Kafka cluster  [LIVETAGS_BROKER]")
@click.option("--app-id", metavar="NAME", help="The workers' consumer group  [LIVETAGS_APP_ID]")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def freshness(catalogue: Path, broker: str | None, app_id: str | None, as_json: bool) -> None:
    """Say how fresh the sources and tags of CATALOGUE are, with or without workers running.

    Exit codes: 0 every source is read and every promise kept; 1 one is not, or the cluster or catalogue is at fault;
    2 wrong use.
    """
    for name in ("aiokafka", "kafka"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        settings = read({"broker": broker, "app_id": app_id})
        loaded = load(catalogue)
        found = _report(settings, loaded)
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
    except CatalogueError as error:
        click.echo(str(error), err=True)
        raise SystemExit(1) from None
    except BrokerError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(1) from None
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        _print(Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH, color_system=None), found)
    raise SystemExit(0 if found.good else 1)


def _report(settings: Settings, catalogue: Catalogue) -> Freshness:
    """The report of what the cluster has; blocking."""
    there = _look(settings, catalogue)
    group = settings.group(catalogue.name)
    statuses, silence = Statuses(group), Silence(catalogue, group)
    if there.control is not None:
        try:
            whole = asyncio.run(read_whole(settings.broker, there.control, there.embedded, READ_WITHIN_S))
        except TimeoutError:
            raise BrokerError(f"topic {there.control!r} could not be read within {READ_WITHIN_S:.0f} s") from None
        for key, value in whole.items():
            statuses.on_record(key, value)
            silence.on_record(key, value)
    return report(statuses.latest(), catalogue, wall_ms(), there.partitions, there.lags, silence.frozen)


def _look(settings: Settings, catalogue: Catalogue) -> _Found:
    control = settings.topic_prefix + Role.CONTROL.value
    topics = {source.name: source.topic for source in catalogue.sources}
    with GroupAdmin(settings.broker) as admin:
        found, embedded = admin.describe([control, *topics.values()]), admin.embedded()
        partitions = _partitions(found, list(topics.values()))
        lags: Lags = {}
        if partitions is not None and not embedded:
            there = {name: topic for name, topic in topics.items() if topic in found}
            lags = admin.lags(settings.group(catalogue.name), there, partitions)
    return _Found(control if control in found else None, embedded, partitions, lags)


def _partitions(found: dict[str, Found], topics: list[str]) -> int | None:
    """How many partitions the sources have, which is the same for all; None where none is there.

    Raises
    ------
    BrokerError
        They don't agree.
    """
    numbers = {found[topic].partitions for topic in topics if topic in found}
    if len(numbers) > 1:
        listed = ", ".join(f"{topic} {found[topic].partitions}" for topic in topics if topic in found)
        raise BrokerError(f"the sources' topics must have the same number of partitions, but they have: {listed}")
    return numbers.pop() if numbers else None


# -------------------------------------------------------------------------------------------------------- printing


def _print(console: Console, found: Freshness) -> None:
    if not found.workers:
        console.print("No worker of this app has said anything within a day.\n")
    console.print(_sources(found.sources))
    console.print(_tags(found.tags, {source.name: source.state for source in found.sources}))
    if found.workers:
        console.print(_workers(found.workers))


def _table(title: str, *columns: str) -> Table:
    """A table whose columns after `>` stand right."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left")
    return table


def _sources(sources: list[SourceFreshness]) -> Table:
    table = _table("Sources", "source", "state", "newest event", ">age", ">behind", ">waited", ">silent for", "note")
    for one in sources:
        table.add_row(
            one.name,
            _styled(one.state),
            one.newest or "",
            _for(one.age_s),
            "?" if one.lag is None else f"{one.lag:,}",
            _for(one.lag_s),
            _for(one.silence_s),
            _note(one),
        )
    return table


def _note(source: SourceFreshness) -> str:
    """What is the matter beside its state."""
    if source.unread:
        return f"{len(source.unread)} of {source.partitions} partitions unread"
    return f"read as of {source.frozen_at}" if source.frozen_at else ""


def _tags(tags: list[TagFreshness], states: dict[str, SourceState]) -> Table:
    table = _table("Tags", "tag", "promise", ">within", ">age", ">median", ">p99", ">changes", "rests on")
    for one in tags:
        rests = ", ".join(f"{name} ({states[name]})" if name in one.waits_for else name for name in one.sources)
        times = (_for(seconds) for seconds in (one.promise_s, one.age_s, one.p50_s, one.p99_s))
        table.add_row(one.name, _styled(one.promise), *times, f"{one.published:,}", rests)
    return table


def _workers(workers: list[WorkerFreshness]) -> Table:
    table = _table("Workers", "worker", "state", "since", ">heard of", "partitions")
    for one in workers:
        numbers = ", ".join(map(str, one.partitions)) or "none"
        table.add_row(one.name, _styled(one.state), one.started, f"{_for(one.heard_s)} ago", numbers)
    return table


def _styled(word: str) -> str:
    style = STYLES.get(word)
    return f"[{style}]{word}[/{style}]" if style else word


def _for(seconds: float | None) -> str:
    """`2.5 min`: one unit, as exact as one reads; empty where it is not known."""
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    unit, size = next(step for step in STEPS if seconds >= step[1])
    value = seconds / size
    return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
