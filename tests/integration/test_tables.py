"""The customer table on a broker: what a flush makes last, and what recovery makes of any way it may be cut off."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from schemas.topics import Role
from streams.cluster import Cluster, StateRefused, prepare
from streams.emit import Writer, producer
from streams.store import LABELS, LEARNED, MARKER, ROW, SIDES, STATE_FORMAT, TRIGGERS, Entry, Marker, Rows
from streams.tables import Recovered, Tables
from tests.integration.support import Bench

pytestmark = pytest.mark.anyio

FINGERPRINT = "0123456789abcdef"


class Opened(msgspec.Struct, frozen=True):
    """Tables on a cluster, and a writer into their changelog's first partition."""

    tables: Tables
    cluster: Cluster
    changelog: Writer


@asynccontextmanager
async def opened(
    bench: Bench, worker: str = "one", *, rebuild: bool = False, whole: bool = False
) -> AsyncIterator[Opened]:
    """Tables of a worker, closed in the end."""
    settings = bench.settings(partitions=2, worker=worker)
    cluster = await prepare(settings, bench.catalogue(), FINGERPRINT, rebuild=rebuild, file="shop.yaml")
    sender = producer(cluster.address, idempotent=not cluster.embedded)
    await sender.start()
    tables = Tables(cluster, sender, "shop.yaml", whole=whole)
    try:
        yield Opened(tables, cluster, Writer(sender, cluster.named(Role.CHANGELOG), 0))
    finally:
        await tables.stop()
        await sender.stop()


def marker(cluster: Cluster, position: int) -> Marker:
    """A marker of that cluster with `pay` at a position."""
    return Marker(
        positions={"pay": position},
        clock={"wm": position},
        fingerprint=FINGERPRINT,
        cluster=cluster.id,
        topics=dict(cluster.topic_ids),
        partitions=cluster.partitions,
        outputs={},
    )


def rows(**given: str) -> Rows:
    """Rows by customer."""
    return Rows([name.encode() for name in given], [row.encode() for row in given.values()])


def kept(recovered: Recovered) -> dict[str, str]:
    """Recovered rows by customer."""
    pairs = zip(recovered.rows.customers, recovered.rows.rows, strict=True)
    return {customer.decode(): row.decode() for customer, row in pairs}


async def test_nothing_flushed_is_an_empty_state(bench: Bench) -> None:
    async with opened(bench) as one:
        recovered = await one.tables.recover([0, 1])
    assert [(kept(r), r.marker) for r in recovered.values()] == [({}, None), ({}, None)]


async def test_what_was_flushed_is_there_after_a_restart(bench: Bench) -> None:
    async with opened(bench) as one:
        await one.tables.recover([0])
        await one.tables.flush(0, rows(ann="1", bob="1"), marker(one.cluster, 10))
        await one.tables.flush(0, rows(ann="2"), marker(one.cluster, 20))
    async with opened(bench) as one:
        recovered = (await one.tables.recover([0]))[0]
    assert kept(recovered) == {"ann": "2", "bob": "1"}
    assert recovered.marker == marker(one.cluster, 20)


async def test_state_lost_on_disk_is_fetched_from_the_changelog(bench: Bench) -> None:
    async with opened(bench) as one:
        await one.tables.recover([0, 1])
        await one.tables.flush(0, rows(**{f"c{n}": "1" for n in range(3_000)}), marker(one.cluster, 10))
        await one.tables.flush(0, rows(c7="2"), marker(one.cluster, 20))
        await one.tables.flush(1, rows(zoe="1"), marker(one.cluster, 5))
    shutil.rmtree(bench.directory / "one")
    async with opened(bench) as one:
        recovered = await one.tables.recover([0, 1])
    assert len(kept(recovered[0])) == 3_000
    assert kept(recovered[0])["c7"] == "2"
    assert kept(recovered[1]) == {"zoe": "1"}


async def test_state_that_moved_on_elsewhere_is_brought_up_from_the_tail(bench: Bench) -> None:
    async with opened(bench) as one:
        await one.tables.recover([0])
        await one.tables.flush(0, rows(ann="1", bob="1"), marker(one.cluster, 10))
    async with opened(bench, "two") as two:
        await two.tables.recover([0])
        await two.tables.flush(0, rows(bob="2", cy="1"), marker(two.cluster, 20))
    async with opened(bench) as one:
        recovered = (await one.tables.recover([0]))[0]
    assert kept(recovered) == {"ann": "1", "bob": "2", "cy": "1"}
    assert recovered.marker == marker(one.cluster, 20)


@pytest.mark.parametrize("disk", ["kept", "lost"])
async def test_p6_rows_of_an_unfinished_flush_count_neither_now_nor_later(bench: Bench, disk: str) -> None:
    async with opened(bench) as one:
        await one.tables.recover([0])
        await one.tables.flush(0, rows(ann="1"), marker(one.cluster, 10))
        for customer in (b"ann", b"bob"):
            one.changelog.add(ROW + customer, b"cut off")
        await one.changelog.acknowledged(one.changelog.cut())
    if disk == "lost":
        shutil.rmtree(bench.directory / "one")
    async with opened(bench) as one:
        assert kept((await one.tables.recover([0]))[0]) == {"ann": "1"}
        await one.tables.flush(0, rows(cy="1"), marker(one.cluster, 12))
    async with opened(bench, "two") as two:
        recovered = (await two.tables.recover([0]))[0]
    assert kept(recovered) == {"ann": "1", "cy": "1"}
    assert recovered.marker == marker(one.cluster, 12)


async def test_a_crash_between_changelog_and_disk_loses_nothing(bench: Bench) -> None:
    async with opened(bench) as one:
        await one.tables.recover([0])
        one.changelog.add(ROW + b"ann", b"1")
        one.changelog.add(MARKER, msgspec.json.encode(marker(one.cluster, 10)))
        await one.changelog.acknowledged(one.changelog.cut())
    async with opened(bench) as one:
        recovered = (await one.tables.recover([0]))[0]
    assert (kept(recovered), recovered.marker) == ({"ann": "1"}, marker(one.cluster, 10))


async def test_what_is_kept_beside_the_rows_is_there_after_a_restart_and_none_removes_it(bench: Bench) -> None:
    async with opened(bench) as one:
        await one.tables.recover([0])
        first = [
            Entry(LABELS + b"ann/1", b"1"),
            Entry(LABELS + b"bob/1", b"1"),
            Entry(TRIGGERS, b"1"),  # a table may use the empty key
            Entry(LEARNED + b"model", b"1"),
        ]
        await one.tables.flush(0, rows(ann="1"), marker(one.cluster, 10), first)
        second = [Entry(LABELS + b"ann/1", None), Entry(LEARNED + b"model", b"2")]
        await one.tables.flush(0, rows(), marker(one.cluster, 20), second)
    wanted = {LABELS: [(b"bob/1", b"1")], TRIGGERS: [(b"", b"1")], LEARNED: [(b"model", b"2")]}
    for worker in ("one", "two"):  # from the database, and from the changelog alone
        async with opened(bench, worker) as again:
            recovered = (await again.tables.recover([0]))[0]
        assert (kept(recovered), recovered.kept) == ({"ann": "1"}, wanted)
        assert recovered.marker == marker(again.cluster, 20)


async def test_every_side_table_is_recovered_if_only_as_empty(bench: Bench) -> None:
    async with opened(bench) as one:
        assert (await one.tables.recover([1]))[1].kept == {prefix: [] for prefix in SIDES}


async def test_p6_side_entries_of_an_unfinished_flush_count_neither_now_nor_later(bench: Bench) -> None:
    async with opened(bench) as one:
        await one.tables.recover([0])
        flushed = [Entry(LABELS + b"ann/1", b"1"), Entry(TRIGGERS + b"ann", b"1")]
        await one.tables.flush(0, rows(), marker(one.cluster, 10), flushed)
        for key, value in ((LABELS + b"ann/1", None), (TRIGGERS + b"ann", b"cut off"), (LEARNED + b"x", b"cut off")):
            one.changelog.add(key, value)
        await one.changelog.acknowledged(one.changelog.cut())
    wanted = {LABELS: [(b"ann/1", b"1")], TRIGGERS: [(b"ann", b"1")], LEARNED: []}
    async with opened(bench) as one:
        assert (await one.tables.recover([0]))[0].kept == wanted
        await one.tables.flush(0, rows(), marker(one.cluster, 12))
    async with opened(bench, "two") as two:
        assert (await two.tables.recover([0]))[0].kept == wanted


async def test_state_ahead_of_its_changelog_is_refused(bench: Bench) -> None:
    async with opened(bench) as one:
        await one.tables.recover([0])
        await one.tables.flush(0, rows(ann="1"), marker(one.cluster, 10))
        store = one.tables.stores[0]
        store.write([], store.marker, store.changelog_position + 100)
    async with opened(bench) as one:
        with pytest.raises(StateRefused, match=r"ends before the state.*livetags worker shop.yaml --rebuild"):
            await one.tables.recover([0])


async def test_p6_state_of_a_recreated_topic_is_refused(bench: Bench) -> None:
    async with opened(bench) as one:
        await one.tables.recover([0])
        before = marker(one.cluster, 10)
        topics = before.topics | {f"{bench.name}-pay": "another"}
        await one.tables.flush(0, rows(ann="1"), msgspec.structs.replace(before, topics=topics))
    async with opened(bench) as one:
        with pytest.raises(StateRefused, match=r"'t\w+-pay' was created anew.*--rebuild"):
            await one.tables.recover([0])


async def test_p6_state_over_another_number_of_partitions_is_refused(bench: Bench) -> None:
    async with opened(bench) as one:
        await one.tables.recover([0])
        await one.tables.flush(0, rows(ann="1"), msgspec.structs.replace(marker(one.cluster, 10), partitions=3))
    async with opened(bench) as one:
        with pytest.raises(StateRefused, match=r"kept over 3 partitions, the topics have 2 now"):
            await one.tables.recover([0])


@pytest.mark.parametrize("disk", ["kept", "lost"])
async def test_p6_state_of_a_newer_format_is_refused_and_not_touched(bench: Bench, disk: str) -> None:
    async with opened(bench) as one:
        await one.tables.recover([0])
        newer = msgspec.structs.replace(marker(one.cluster, 10), format=STATE_FORMAT + 1)
        await one.tables.flush(0, rows(ann="1"), newer)
    if disk == "lost":
        shutil.rmtree(bench.directory / "one")
    async with opened(bench) as one:
        with pytest.raises(StateRefused, match=r"written by a newer livetags \(state format 2.*--rebuild"):
            await one.tables.recover([0])


async def test_a_rebuild_starts_from_nothing_under_a_changelog_of_its_own(bench: Bench) -> None:
    async with opened(bench) as one:
        await one.tables.recover([0])
        await one.tables.flush(0, rows(ann="1"), marker(one.cluster, 10))
        before = one.cluster.changelog
    async with opened(bench, rebuild=True) as one:
        assert one.cluster.changelog.generation == before.generation + 1
        assert (await one.tables.recover([0]))[0].marker is None
    async with opened(bench) as one:
        assert one.cluster.changelog.generation == before.generation + 1


async def test_state_of_an_older_changelog_is_refused_after_a_rebuild_elsewhere(bench: Bench) -> None:
    async with opened(bench) as one:
        await one.tables.recover([0])
    async with opened(bench, "two", rebuild=True):
        pass
    with pytest.raises(StateRefused, match=r"belongs to changelog .*-1-01234567.*in force is .*-2-01234567"):
        async with opened(bench):
            pass
