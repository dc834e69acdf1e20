"""`livetags feed`: a simulated bank of today, from its history to what happens now, into a catalogue's topics."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from schemas.catalogue import Catalogue
from schemas.topics import Changelog, Role, topics_of
from streams.broker import BrokerError
from streams.commands.running import given, signalled, unless
from streams.config import Settings

if TYPE_CHECKING:
    from streams.cluster import Found
    from streams.demo.dataset import Dataset

READY: Final = "history-sent"
"""A file in the data directory while the history is on the broker: what a health check looks for."""


@click.command("feed")
@click.argument("catalogue", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--broker", metavar="HOST:PORT", help="A broker of the Kafka cluster  [LIVETAGS_BROKER]")
@click.option("--data-dir", type=click.Path(file_okay=False, path_type=Path), help="Kept here  [LIVETAGS_DATA_DIR]")
@click.option("--customers", type=click.IntRange(10, 1_000_000), default=20_000, show_default=True)
def feed(catalogue: Path, broker: str | None, data_dir: Path | None, customers: int) -> None:
    """Send a simulated bank's records to CATALOGUE's topics: a year until now at once, then the rest as it happens.

    For trying livetags on a cluster; CATALOGUE needs the sources of schemas/bank.yaml. Started again, it goes on where
    it was. Exit codes: 0 through or stopped, 1 failed, 2 wrong use.
    """
    found = given(catalogue, {"broker": broker, "data_dir": data_dir})
    settings, loaded = found.settings, found.catalogue
    from streams.demo.dataset import bank_of  # late: the bank takes seconds to make
    from streams.demo.live import ForeignRecords

    ready = settings.data_dir / READY
    try:
        ready.unlink(missing_ok=True)
        click.echo(f"Preparing the bank's year in {settings.data_dir}, where it is not there yet ...")
        dataset = bank_of(customers, settings.data_dir)
        topics = _topics(settings, loaded, dataset)
        asyncio.run(_run(settings, loaded, dataset, topics, ready))
    except (BrokerError, ForeignRecords, OSError) as error:
        raise click.ClickException(str(error)) from None
    finally:
        ready.unlink(missing_ok=True)


def _topics(settings: Settings, catalogue: Catalogue, dataset: Dataset) -> dict[str, Found]:
    """The sources' topics, created where they are missing."""
    from streams.cluster import Admin, shared_partitions  # late: the Kafka client

    names = {source.name: source.topic for source in catalogue.sources}
    missing = dataset.sources.keys() - names.keys()
    if missing:
        raise click.UsageError(
            f"the catalogue has no source {sorted(missing)[0]!r}; the bank's are in schemas/bank.yaml"
        )
    fed = {names[name] for name in dataset.sources}
    with Admin(settings.broker) as admin:
        wanted = topics_of(catalogue, Changelog(1, "", ""), settings.topic_prefix)
        sources = tuple(topic for topic in wanted if topic.role is Role.SOURCE)
        found = admin.describe([topic.name for topic in sources])
        partitions = shared_partitions(sources, found, settings.partitions)
        admin.create([topic for topic in sources if topic.name not in found], partitions, settings.replication)
        return {name: topic for name, topic in admin.describe([t.name for t in sources]).items() if name in fed}


async def _run(
    settings: Settings, catalogue: Catalogue, dataset: Dataset, found: dict[str, Found], ready: Path
) -> None:
    """Send until all is sent or a signal comes."""
    from aiokafka.errors import KafkaError

    from streams.demo.live import LiveFeed

    def caught_up() -> None:
        ready.touch()
        click.echo("The history is on the broker; from now on records are sent as they happen.")

    stopped = signalled()
    live = LiveFeed(dataset, catalogue, settings.broker, found, settings.data_dir)
    click.echo(f"Sending the history of {sum(dataset.events.values()):,} records, less what the broker has of it ...")
    try:
        through = await unless(stopped, live.run(caught_up))
    except KafkaError as error:
        raise BrokerError(f"the broker at {settings.broker} did not take the records: {error!r}") from error
    click.echo("The year is through." if through else "Stopped.")
