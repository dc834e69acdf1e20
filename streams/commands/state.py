"""`livetags state`: what a data directory holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from streams.config import SettingsError, read

if TYPE_CHECKING:
    from streams.holdings import GroupHeld, PartitionHeld

_UNITS: Final = ("B", "kB", "MB", "GB", "TB")


@click.group("state")
def state() -> None:
    """Look at the state that workers and trainers keep on this machine."""


@state.command("inspect")
@click.option("--data-dir", type=click.Path(file_okay=False, path_type=Path), help="Local state  [LIVETAGS_DATA_DIR]")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of the groups.")
def inspect(data_dir: Path | None, as_json: bool) -> None:
    """Say what a data directory holds: which cluster and topics it belongs to, how far it is, and how much there is.

    Reads only, and prints no customer. Worker and trainer must be stopped. Exit codes: 0 all could be read, 1 something
    could not or there is nothing, 2 wrong use.
    """
    try:
        directory = read({"data_dir": data_dir}).data_dir
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
    from streams.holdings import groups  # late: RocksDB and the Kafka client

    found = groups(directory)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        click.echo("\n\n".join("\n".join(_told(group)) for group in found), nl=bool(found))
    if not found:
        click.echo(f"Error: no state in {directory}: no worker or trainer has kept any there", err=True)
    if not found or any(_troubles(group) for group in found):
        raise SystemExit(1)


def _troubles(group: GroupHeld) -> list[str]:
    """What could not be read of a group."""
    said = [group.trouble, *(partition.trouble for partition in group.partitions)]
    return [trouble for trouble in said if trouble]


def _told(group: GroupHeld) -> list[str]:
    """A group in lines."""
    lines = [f"{group.app_id}, in {group.directory}"]
    if group.stamp is None:
        lines.append(f"  Error: {group.trouble}")
    else:
        lines += [
            f"  cluster      {group.stamp.cluster}",
            f"  changelog    {group.stamp.changelog}",
            f"  fingerprint  {group.stamp.fingerprint}",
        ]
    known = [partition for partition in group.partitions if partition.marker is not None]
    if known and known[0].marker is not None:
        lines.append(f"  spread over  {known[0].marker.partitions} partitions")
        lines += [f"  topic        {topic}  {number or '-'}" for topic, number in known[0].marker.topics.items()]
    totals: dict[str, int] = {}
    for partition in group.partitions:
        lines += _partition(partition)
        for name, count in partition.entries.items():
            totals[name] = totals.get(name, 0) + count
    size = sum(partition.bytes for partition in group.partitions)
    return [*lines, f"  in all: {len(group.partitions)} partitions, {_counts(totals)}, {_size(size)}"]


def _partition(one: PartitionHeld) -> list[str]:
    """A partition in lines."""
    if one.trouble:
        return [f"  partition {one.number}: Error: {one.trouble}"]
    head = f"  partition {one.number}: {_counts(one.entries)}, {_size(one.bytes)}"
    if one.marker is None:
        return [f"{head}; nothing was flushed yet, changelog read to {one.changelog_position:,}"]
    lines = [f"{head}; changelog written to {one.changelog_position:,}"]
    for name, offsets in (("reads on at", one.marker.positions), ("wrote to", one.marker.outputs)):
        if offsets:
            lines.append(f"    {name} " + ", ".join(f"{topic} {offset:,}" for topic, offset in offsets.items()))
    return lines


def _counts(entries: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in entries.items()) or "no entries"


def _size(size: int) -> str:
    """A size as one reads it, `1.2 MB`."""
    amount, unit = float(size), 0
    while amount >= 1000 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.1f} {_UNITS[unit]}" if unit else f"{size} B"
