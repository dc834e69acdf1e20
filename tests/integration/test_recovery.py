"""A killed worker's partitions go to who stood by for them; a local state that is no good is fetched anew."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from streams.app import Worker
from streams.beside import Failed
from streams.cluster import StateRefused
from streams.emit import Writer, producer
from streams.replay import Record, run
from streams.store import MARKER, ROW, Entry, Marker, Store
from streams.torn import ASIDE
from tests.integration.processes import command
from tests.integration.support import Bench, Sent, by_customer, partition_of, stream, until
from tests.integration.test_tables import kept, marker, opened, rows

pytestmark = pytest.mark.anyio

PARTITIONS = 4
SESSION_S = 6.0  # the embedded broker has 2 at most; less is too short for a busy machine
NOTHING = Marker({}, {}, "", "", {}, 0, {})


def ends(records: list[Sent]) -> dict[int, dict[str, int]]:
    """Per partition and source, how many of those records there are."""
    counts = Counter((partition_of(record.key or b"", PARTITIONS), record.source) for record in records)
    found: dict[int, dict[str, int]] = {number: {} for number in range(PARTITIONS)}
    for (number, source), count in counts.items():
        found[number][source] = count
    return found


def stands(worker: Worker, wanted: dict[int, dict[str, int]]) -> bool:
    """Whether the worker stands by for what it has not, with all in the stores that came of those records."""
    worker.check()
    standing = worker._tables._standing
    stores = {number: store.marker.positions for number, store in standing.items() if store.marker is not None}
    left = PARTITIONS - len(worker.partitions)
    return 0 < left == len(stores) and all(positions == wanted[number] for number, positions in stores.items())


@pytest.mark.parametrize("where", ["bench", "kafka_bench"])
async def test_a_standby_takes_over_a_killed_workers_partitions_and_reads_only_the_tail(
    request: pytest.FixtureRequest, where: str
) -> None:
    bench: Bench = request.getfixturevalue(where)
    # Of one source: how several merge depends on when their records come.
    catalogue, records = bench.catalogue(), [record for record in stream(2_400) if record.source == "pay"]
    settings = bench.settings(PARTITIONS, "two", standbys=1, session_timeout_s=SESSION_S, flush_interval_s=0.1)
    await bench.topics(settings, catalogue)
    await bench.send(records[:1_000])
    file = bench.directory / "shop.yaml"
    file.write_text(bench.text(), encoding="utf-8")
    given = {"partitions": str(PARTITIONS), "standbys": "1", "session_timeout_s": str(SESSION_S)}
    async with command(bench, "worker", file, **given) as first:
        assert (await first.report())["state"] == "running"
        async with bench.worker(settings, catalogue) as second:
            await until(lambda: stands(second, ends(records[:1_000])))
            await until(lambda: set(second.counters.standbys.values()) == {0})
            stood_by, before = set(second.counters.standbys), second.counters.recovery.records
            assert stood_by == set(range(PARTITIONS)) - set(second.partitions)
            first.process.kill()
            await until(lambda: second.ready and len(second.partitions) == PARTITIONS)
            read = second.counters.recovery.records - before
            changelog = [one for one in await bench.read(second._tables.topic) if one.partition in stood_by]
            assert len({one.key for one in changelog if one.key[:1] == ROW}) > 30
            assert read <= 2 * len(stood_by) < len(changelog)  # a marker or two that were under way
            await bench.send(records[1_000:])
            await until(lambda: {n: p.positions() for n, p in second.partitions.items()} == ends(records))
            assert second.counters.standbys == {}
    replayed = run(
        catalogue, [Record(r.source, r.value, (r.key or b"").decode()) for r in records], partitions=PARTITIONS
    )
    assert len(replayed.changes) > 300
    assert by_customer(await bench.changes()) == by_customer(replayed.changes)


async def test_a_torn_database_is_fetched_from_the_changelog_and_the_operator_told(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    given = {f"c{number}": "1" * 300 for number in range(3_000)}
    async with opened(bench) as one:
        await one.tables.recover([0, 1])
        await one.tables.flush(0, rows(**given), marker(one.cluster, 10))
        await one.tables.flush(1, rows(zoe="1"), marker(one.cluster, 5))
        directory = one.tables.stores[0].path
        one.tables.stores[0]._rocks.flush()
    file = max(directory.glob("*.sst"), key=lambda found: found.stat().st_size)
    with file.open("r+b") as torn:  # of incompressible bytes, so that a block's checksum fails wherever they land
        torn.seek(file.stat().st_size // 3)
        torn.write(os.urandom(48))
    async with opened(bench) as one:
        recovered = await one.tables.recover([0, 1])
    assert kept(recovered[0]) == given
    assert kept(recovered[1]) == {"zoe": "1"}
    (aside,) = directory.parent.glob(f"0{ASIDE}*")
    assert "the state of partition 0 was damaged (Corruption: block checksum mismatch" in caplog.text
    assert f"it is moved to {aside} and fetched anew from the changelog" in caplog.text


async def test_rows_that_are_none_are_fetched_from_the_changelog_or_refused_where_it_holds_them(bench: Bench) -> None:
    catalogue, records, settings = bench.catalogue(), stream(300), bench.settings(1)
    await bench.topics(settings, catalogue)
    await bench.send(records)
    async with bench.worker(settings, catalogue) as worker:
        await until(lambda: worker.counters.events > 200)
        await until(lambda: worker.partitions[0].positions() == (worker._tables.stores[0].marker or NOTHING).positions)
        said = {name: worker.partitions[0].customer_tags(name) for name in worker.partitions[0].arena.slots}
        changelog, path = worker._tables.topic, worker._tables.stores[0].path
    name = next(iter(said)).encode()
    store = Store(path)
    store.write([Entry(ROW + name, b"\xff\xff")], store.marker, store.changelog_position)
    text = (await bench.read(changelog))[-1].value
    store.close()
    async with bench.worker(settings, catalogue) as worker:
        again = {name: worker.partitions[0].customer_tags(name) for name in worker.partitions[0].arena.slots}
    assert again == said
    sender = producer(bench.address, idempotent=False)
    await sender.start()
    writer = Writer(sender, changelog, 0)
    writer.add(ROW + name, b"\xff\xff")
    writer.add(MARKER, text)
    await writer.acknowledged(writer.cut())
    await sender.stop()
    with pytest.raises(StateRefused, match=r"holds what is no row of this catalogue.*--rebuild"):
        async with bench.worker(settings, catalogue):
            pass


async def test_damage_found_while_at_work_stops_the_worker_and_the_next_start_mends_it(bench: Bench) -> None:
    catalogue, whole, settings = bench.catalogue(), stream(400), bench.settings(1)
    # What comes while the worker is at work is of one source alone: its order is then the merge's.
    records = [*whole[:200], *(record for record in whole[200:] if record.source == "pay")]
    await bench.topics(settings, catalogue)
    await bench.send(records[:200])
    async with bench.worker(settings, catalogue) as worker:
        await until(lambda: worker.counters.flushes > 0)
        store = worker._tables.stores[0]
        sound, store._db = store._rocks, Failing()
        await bench.send(records[200:])
        with pytest.raises(Failed, match=r"is damaged \(Corruption: block checksum.*Start again: it is moved aside"):
            await worker.wait()
        store._db = sound
    async with bench.worker(settings, catalogue) as worker:
        await until(lambda: worker.partitions[0].positions() == ends_of_one(records))
        (aside,) = worker._tables.stores[0].path.parent.glob(f"0{ASIDE}*")
    assert isinstance(aside, Path)
    replayed = run(catalogue, [Record(r.source, r.value, (r.key or b"").decode()) for r in records])
    assert by_customer(await bench.changes()) == by_customer(replayed.changes)


class Failing:
    """A database that finds its own bytes damaged as it writes."""

    def write(self, *_: Any) -> None:
        raise Exception("Corruption: block checksum mismatch in 000009.sst")

    def close(self) -> None:
        """Nothing."""


def ends_of_one(records: list[Sent]) -> dict[str, int]:
    """How many records of each source there are."""
    return dict(Counter(record.source for record in records))
