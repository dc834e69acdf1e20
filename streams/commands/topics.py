"""`livetags topics`: every topic of a catalogue, what is there of them, and their creation."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click
import msgspec
from rich.console import Console
from rich.table import Table

from schemas.catalogue import Catalogue
from schemas.loading import load
from schemas.problems import CatalogueError
from schemas.topics import Changelog, Role, Topic, newest_changelog, topics_of, trainer_topics
from streams.broker import BrokerError
from streams.cluster import Admin, Found, shared_partitions
from streams.config import Settings, SettingsError, read

CHANGELOGS: Final = (Role.CHANGELOG, Role.TRAINER_CHANGELOG)
UNKNOWN: Final = "FINGERPRINT"


class Line(msgspec.Struct, frozen=True):
    """A topic as the command prints it; `found` is None where it is missing, or the cluster was not asked."""

    name: str
    role: Role
    key: str
    value: str
    partitions: int
    cleanup: str
    about: str
    found: int | None


@click.command("topics")
@click.argument("catalogue", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--broker", metavar="HOST:PORT", help="A broker of the Kafka cluster  [LIVETAGS_BROKER]")
@click.option("--create", is_flag=True, help="Create those that are missing.")
@click.option("--offline", is_flag=True, help="Only say what the catalogue needs; ask no cluster.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def topics(catalogue: Path, broker: str | None, create: bool, offline: bool, as_json: bool) -> None:
    """Say which topics CATALOGUE needs and which of them are there.

    The changelogs of the state are created by the first worker and trainer. Exit codes: 0 good, 1 the cluster or
    catalogue is at fault, 2 wrong use.
    """
    if create and offline:
        raise click.UsageError("--create needs the cluster, --offline does not ask it")
    try:
        lines = _lines(read({"broker": broker}), catalogue, create=create, offline=offline)
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
    except (CatalogueError, BrokerError) as error:
        click.echo(f"Error: {error}" if isinstance(error, BrokerError) else str(error), err=True)
        raise SystemExit(1) from None
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(lines)).decode())
    else:
        _print(lines, offline)


def _lines(settings: Settings, file: Path, *, create: bool, offline: bool) -> list[Line]:
    catalogue = load(file)
    if offline:
        return [_line(topic, settings.partitions, None) for topic in _wanted(settings, catalogue, [])]
    with Admin(settings.broker) as admin:
        wanted = _wanted(settings, catalogue, admin.names())
        found = admin.describe([topic.name for topic in wanted])
        partitions = shared_partitions(wanted, found, settings.partitions)
        missing = [topic for topic in wanted if topic.name not in found and topic.role not in CHANGELOGS]
        if create and missing:
            admin.create(missing, partitions, settings.replication)
            found = admin.describe([topic.name for topic in wanted])
    return [_line(topic, partitions, found.get(topic.name)) for topic in wanted]


def _wanted(settings: Settings, catalogue: Catalogue, there: list[str]) -> tuple[Topic, ...]:
    """The topics of the workers and, where there is something to learn, of the trainers."""
    app_id, trainers = settings.group(catalogue.name), settings.trainer_group(catalogue.name)
    rows = newest_changelog(app_id, there) or Changelog(1, UNKNOWN, app_id)
    wanted = topics_of(catalogue, rows, settings.topic_prefix)
    if catalogue.targets:
        learned = newest_changelog(trainers, there) or Changelog(1, UNKNOWN, trainers)
        own = trainer_topics(catalogue, learned, settings.topic_prefix)
        wanted += tuple(topic for topic in own if topic.role is Role.TRAINER_CHANGELOG)
    return wanted


def _line(topic: Topic, partitions: int, found: Found | None) -> Line:
    return Line(
        topic.name,
        topic.role,
        topic.key,
        topic.value,
        topic.partitions(partitions),
        topic.cleanup.value,
        topic.about,
        found.partitions if found else None,
    )


def _print(lines: list[Line], offline: bool) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("topic", "partitions", "cleanup", "key", "value", "" if offline else "there"):
        table.add_column(title, justify="right" if title == "partitions" else "left", overflow="fold")
    for line in lines:
        there = "" if offline else "yes" if line.found is not None else "missing"
        table.add_row(line.name, str(line.partitions), line.cleanup, line.key, line.value, there)
    Console().print(table)
