"""`python -m bench.outage`: a broker that is away for minutes: the worker's memory meanwhile, and that nothing is lost.

Every record flips a tag, so that each must have made one change in the end. The broker is killed while the worker has
changes to send, and comes back with what it had. Needs an Apache Kafka (tests/brokers says how one is found).
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Final

import click
import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from bench.measure import resident_mb
from bench.standstill import Group
from streams.compiled import keep_compiled
from streams.logs import quiet
from tests.brokers import finding, java
from tests.brokers.interface import Kafka

LOOK_EVERY_S: Final = 10.0
WITHIN_S: Final = 120.0
PARTITIONS: Final = 4
AGO_S: Final = 600.0


class Identified(msgspec.Struct):
    """A change, as far as it matters here."""

    id: str


async def _send(address: str, keys: list[bytes], first: int, count: int) -> None:
    """So many records of each customer, acknowledged; each has a millisecond of its own, up to a while ago."""
    sender = AIOKafkaProducer(bootstrap_servers=address, acks="all")
    await sender.start()
    begin_ms = int((time.time() - AGO_S) * 1_000)
    try:
        answers = []
        for number in range(first, first + count):
            for key in keys:
                value = {"customer": key.decode(), "at": begin_ms + number, "amount": 10 * (1 - number % 2)}
                answers.append(await sender.send("pay", msgspec.json.encode(value), key=key))
        await asyncio.gather(*answers)
    finally:
        await sender.stop()


async def _changes(address: str, wanted: int) -> tuple[int, int]:
    """Changes by their ids, once there are as many as wanted; and how many were repeated."""
    reader = AIOKafkaConsumer("tag-changes", bootstrap_servers=address, auto_offset_reset="earliest")
    await reader.start()
    found, all_of_them = set[str](), 0
    try:
        until_s = time.monotonic() + WITHIN_S
        while len(found) < wanted and time.monotonic() < until_s:
            for records in (await reader.getmany(timeout_ms=500)).values():
                found |= {msgspec.json.decode(record.value, type=Identified).id for record in records}
                all_of_them += len(records)
    finally:
        await reader.stop()
    return len(found), all_of_them - len(found)


async def _run(minutes: float, count: int, directory: Path) -> None:
    kafka: Kafka = java.JavaKafka(flags=()) if finding.way() is finding.Way.JAVA else finding.kafka()
    group = Group(kafka, directory, PARTITIONS, session_s=10.0)
    try:
        await asyncio.to_thread(kafka.start)
        keys = await group.prepare()
        await group.start("one")
        await _send(kafka.address, keys, 0, count)
        await _changes(kafka.address, count * len(keys))
        member = group.members["one"]
        await _send(kafka.address, keys, count, count)
        await asyncio.to_thread(kafka.kill)
        before = resident_mb(member.pid)
        gone = time.monotonic()
        most = before
        while time.monotonic() - gone < minutes * 60:
            await asyncio.sleep(min(LOOK_EVERY_S, minutes * 60))
            most = max(most, resident_mb(member.pid)) if member.pid is not None else most
        click.echo(f"broker away for {minutes:g} min: {before:.0f} MB at its death, {most:.0f} MB at most meanwhile")
        await asyncio.to_thread(kafka.start)
        back = time.monotonic()
        found, repeated = await _changes(kafka.address, 2 * count * len(keys))
        took = time.monotonic() - back
        await _send(kafka.address, keys, 2 * count, count)
        found, repeated = await _changes(kafka.address, 3 * count * len(keys))
        click.echo(
            f"all changes of before {took:.1f} s after its return; of {3 * count * len(keys):,} records {found:,} "
            f"changes, {repeated} repeated under the same id; the worker was started {member.starts} time(s)"
        )
    finally:
        for member in group.members.values():
            await member.kill()
        await asyncio.to_thread(kafka.remove)


@click.command("outage")
@click.option("--minutes", type=click.FloatRange(0.05), default=5.0, show_default=True, help="The broker is away for.")
@click.option("--records", "count", type=click.IntRange(2), default=5_000, show_default=True, help="Of each partition.")
def main(minutes: float, count: int) -> None:
    """Kill the broker under a worker, wait, start it again, and count the changes."""
    keep_compiled(Path(".livetags"))
    quiet()
    asyncio.run(_run(minutes, count, Path(tempfile.mkdtemp(prefix="livetags-outage-"))))


if __name__ == "__main__":
    main()
