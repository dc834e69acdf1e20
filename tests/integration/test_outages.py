"""What a worker makes of a death, of a broker that is away and of a full disk, on Apache Kafka: nothing is lost."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from schemas.topics import Role
from streams import emit
from streams.app import Worker
from streams.replay import Outcome, Record, run
from streams.store import MARKER, Marker
from tests.brokers.interface import Kafka
from tests.integration.processes import command
from tests.integration.support import WITHIN_S, Bench, Sent, by_customer, handled, partition_of, stream, until

pytestmark = pytest.mark.anyio

PARTITIONS = 2
SHARE = 800
SMALL_DISK = "16m"
LEFT_BYTES = 1_500_000


class Identified(msgspec.Struct):
    """A change, as far as it matters here."""

    id: str


@pytest.fixture
def catalogue(kafka_bench: Bench) -> Path:
    """The test's catalogue as a file."""
    path = kafka_bench.directory / "everything.yaml"
    path.write_text(kafka_bench.text(), encoding="utf-8")
    return path


def replayed(bench: Bench, records: Sequence[Sent]) -> Outcome:
    """What the same records give from files."""
    given = [Record(r.source, r.value, r.key.decode()) for r in records if r.key is not None]
    return run(bench.catalogue(), given, partitions=PARTITIONS)


def in_time(records: Sequence[Sent], first: int) -> list[Sent]:
    """The first records, and then those of one source: their order is the same whenever they arrive."""
    return [*records[:first], *(record for record in records[first:] if record.source == "pay")]


def read(worker: Worker) -> int:
    """How many records are in the state, which a partition that was lost and given back reads again."""
    worker.check()
    return sum(sum(part.positions().values()) for part in worker.partitions.values())


async def committed(bench: Bench) -> dict[int, Marker]:
    """The last marker of each partition that a flush has committed, also while another one is open."""
    topics = await asyncio.to_thread(bench.topic_names)
    changelog = next(name for name in topics if name.startswith(f"{bench.name}-changelog"))
    reader = AIOKafkaConsumer(
        bootstrap_servers=bench.address, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    await reader.start()
    try:
        places = [TopicPartition(changelog, number) for number in range(PARTITIONS)]
        reader.assign(places)
        await reader.seek_to_beginning(*places)
        found: dict[int, Marker] = {}
        async with asyncio.timeout(WITHIN_S):
            for place in places:
                while (stable := reader.last_stable_offset(place)) is None or await reader.position(place) < stable:
                    for record in (await reader.getmany(place, timeout_ms=20)).get(place, ()):
                        if record.key == MARKER:
                            found[place.partition] = msgspec.json.decode(record.value, type=Marker)
        return found
    finally:
        await reader.stop()


async def behind(bench: Bench, markers: dict[int, Marker]) -> set[str]:
    """The ids of the changes that were published behind those markers."""
    found = set()
    for role in (Role.TAG_CHANGES, Role.SEGMENT_CHANGES):
        topic = bench.topic(role)
        for record in await bench.read(topic):
            marker = markers.get(record.partition)
            if marker is None or record.offset >= marker.outputs.get(topic, 0):
                found.add(msgspec.json.decode(record.value, type=Identified).id)
    return found


async def test_p6_p7_stopped_it_repeats_nothing_and_killed_no_more_than_what_no_flush_held(
    kafka_bench: Bench, catalogue: Path
) -> None:
    bench, records = kafka_bench, in_time(stream(6_000), 800)
    shares = [records[start : start + SHARE] for start in range(800, len(records), SHARE)]
    await bench.topics(bench.settings(PARTITIONS, worker="other"), bench.catalogue())
    await bench.send(records[:800])
    chosen = {"member_id": "one", "flush_interval_s": "1"}
    async with command(bench, "worker", catalogue, **chosen) as worker:
        assert (await worker.report())["state"] == "running"
        await bench.some_changes(300)
        await bench.send(shares[0])
        worker.process.send_signal(signal.SIGTERM)
        assert await worker.ends() == 0  # within ten seconds, under load
    stopped = await bench.changes()
    async with command(bench, "worker", catalogue, **chosen) as worker:
        assert (await worker.report())["state"] == "running"
        await bench.send(shares[1])
        await bench.some_changes(len(stopped) + 50)
        sending = asyncio.create_task(bench.send(shares[2]))
        worker.process.send_signal(signal.SIGKILL)
        await worker.ends()
        await sending
    before = await bench.changes()
    loose = await behind(bench, await committed(bench))
    assert Counter(change.id for change in before).most_common(1)[0][1] == 1
    for share in shares[3:]:
        await bench.send(share)
    expected = replayed(bench, records)
    async with command(bench, "worker", catalogue, **chosen) as worker:
        assert (await worker.report())["state"] == "running"
        await bench.some_changes(len(expected.changes))
        worker.process.send_signal(signal.SIGTERM)
        assert await worker.ends() == 0
    found = await bench.changes()
    assert {name for name, count in Counter(change.id for change in found).items() if count > 1} <= loose
    assert by_customer(found) == by_customer(expected.changes)


async def test_a_broker_that_is_away_is_waited_for_and_no_event_is_lost(
    own_kafka: Kafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What may take 40 seconds takes one: the broker is away for several times what aiokafka waits for anything.
    impatient = partial(AIOKafkaProducer, request_timeout_ms=1_000)
    monkeypatch.setattr(emit, "AIOKafkaProducer", impatient)
    bench, records = Bench(own_kafka.address, "away", tmp_path), in_time(stream(3_000), 1_000)
    settings = bench.settings(PARTITIONS, flush_interval_s=0.2)
    await bench.topics(settings, bench.catalogue())
    await bench.send(records[:1_000])
    async with bench.worker(settings, bench.catalogue()) as worker:
        await until(lambda: handled(worker) >= 200)
        own_kafka.kill()
        await asyncio.to_thread(own_kafka.start)
        await bench.send(records[1_000:])
        await until(lambda: read(worker) == len(records))
        held = dict(worker.partitions)
        expected = replayed(bench, records)
        for name, tags in expected.customers.items():
            assert held[partition_of(name.encode(), PARTITIONS)].customer_tags(name) == tags
    assert by_customer(await bench.changes()) == by_customer(expected.changes)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A directory on a disk of a few megabytes, on machines where this may be made."""
    directory = tmp_path / "disk"
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", str(directory)]
    if (
        os.geteuid()
        or shutil.which("mount") is None
        or subprocess.run(mount, capture_output=True, check=False).returncode
    ):
        pytest.skip("a small disk can be mounted by root only")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def fill(ballast: Path, leave: int = 0) -> None:
    """Leave only so many bytes of the disk on which the file is to be."""
    free = os.statvfs(ballast.parent)
    with ballast.open("wb") as file:
        if (size := free.f_bavail * free.f_frsize - leave) > 0:
            os.posix_fallocate(file.fileno(), 0, size)


async def test_a_full_disk_stops_it_with_a_clear_error_and_with_room_it_goes_on(
    kafka_bench: Bench, catalogue: Path, small_disk: Path
) -> None:
    bench, records = kafka_bench, in_time(stream(2_000), 500)
    await bench.topics(bench.settings(PARTITIONS, worker="other"), bench.catalogue())
    await bench.send(records[:500])
    chosen, ballast = {"data_dir": str(small_disk), "member_id": "one"}, [small_disk / "some", small_disk / "rest"]
    fill(ballast[0], LEFT_BYTES)  # too little for a database to reserve what it will write later
    async with command(bench, "worker", catalogue, **chosen) as worker:
        assert (await worker.report())["state"] == "running"
        await bench.some_changes(100)
        fill(ballast[1])
        await bench.send(records[500:])
        assert await worker.ends(WITHIN_S) == 1
        assert worker.process.stderr is not None
        said = (await worker.process.stderr.read()).decode()
    assert "No space left on device" in said
    assert "Traceback" not in said
    for file in ballast:
        file.unlink()
    expected = replayed(bench, records)
    async with command(bench, "worker", catalogue, **chosen) as worker:
        assert (await worker.report())["state"] == "running"
        await bench.some_changes(len(expected.changes))
        worker.process.send_signal(signal.SIGTERM)
        assert await worker.ends() == 0
    assert by_customer(await bench.changes()) == by_customer(expected.changes)
