"""The worker over a broker says what replay says over files, through restarts, rebuilds and shared partitions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

import msgspec
import pytest

from schemas.catalogue import Catalogue
from schemas.records import Cause, CustomerTags, DeadLetter, LateEvent
from schemas.topics import Role
from schemas.values import iso
from streams.app import Worker
from streams.cluster import StateRefused
from streams.config import wall_ms
from streams.replay import Outcome, Record, run
from tests.integration.support import (
    HOUR_MS,
    START_MS,
    Bench,
    Sent,
    by_customer,
    in_order,
    partition_of,
    stream,
    until,
)

pytestmark = pytest.mark.anyio

DAY_MS = 24 * HOUR_MS
DEFAULT_SKEW_MS = 60_000


def replayed(catalogue: Catalogue, records: Sequence[Sent], partitions: int) -> Outcome:
    """What the same records give from files."""
    given = [Record(r.source, r.value, r.key.decode()) for r in records]
    return run(catalogue, given, partitions=partitions)


def dealt_with(worker: Worker, records: int) -> bool:
    """Whether so many records went through the worker, into state or aside."""
    worker.check()
    counters = worker.counters
    aside = counters.duplicates + counters.superseded + counters.late + counters.dead.total()
    return counters.events + aside >= records


@pytest.mark.parametrize("partitions", [1, 2, 8])
async def test_p11_records_through_the_broker_give_the_changes_of_replay(bench: Bench, partitions: int) -> None:
    catalogue, records = bench.catalogue(), stream()
    settings = bench.settings(partitions)
    await bench.topics(settings, catalogue)
    await bench.send(records)
    async with bench.worker(settings, catalogue) as worker:
        await until(lambda: dealt_with(worker, len(records)))
    expected, found = replayed(catalogue, records, partitions), await bench.changes()
    assert len(expected.changes) > 500
    assert by_customer(found) == by_customer(expected.changes)
    assert in_order(found) == in_order(expected.changes)


async def test_p6_p7_restarts_change_nothing_and_count_nothing_twice(bench: Bench) -> None:
    catalogue, records, settings = bench.catalogue(), stream(), bench.settings(2)
    await bench.topics(settings, catalogue)
    for share in (records[:900], records[900:2_000], records[2_000:]):
        await bench.send(share)  # before there is a worker: how sources merge must not depend on when records arrive
        async with bench.worker(settings, catalogue) as worker:
            await until(partial(dealt_with, worker, len(share)))
    expected, found = replayed(catalogue, records, 2), await bench.changes()
    assert by_customer(found) == by_customer(expected.changes)
    assert Counter(change.id for change in found).most_common(1)[0][1] == 1


async def test_customer_tags_hold_the_newest_state_of_each_customer(bench: Bench) -> None:
    catalogue, records, settings = bench.catalogue(), stream(), bench.settings(2)
    async with bench.worker(settings, catalogue) as worker:
        await bench.send(records)
        await until(lambda: dealt_with(worker, len(records)))
        live = dict(worker.partitions)
    newest = {
        tags.customer_id: tags
        for record in await bench.read(bench.topic(Role.CUSTOMER_TAGS))
        for tags in [msgspec.json.decode(record.value, type=CustomerTags)]
    }
    changed = {change.customer_id for change in await bench.changes()}
    assert set(newest) == changed
    for name, tags in newest.items():
        held = live[partition_of(name.encode(), 2)].customer_tags(name)
        assert held is not None
        assert (tags.tags, tags.segments) == (held.tags, held.segments)


async def test_changes_are_cloud_events_keyed_by_customer_in_the_customers_partition(bench: Bench) -> None:
    catalogue, records, settings = bench.catalogue(), stream(300), bench.settings(4)
    async with bench.worker(settings, catalogue) as worker:
        await bench.send(records)
        await until(lambda: dealt_with(worker, len(records)))
    for record in await bench.read(bench.topic(Role.TAG_CHANGES)):
        change, headers = msgspec.json.decode(record.value), dict(record.headers)
        assert record.key.decode() == change["customer_id"]
        assert record.partition == partition_of(record.key, 4)
        assert headers["ce_id"].decode() == change["id"]
        assert headers["ce_time"].decode() == change["at"]
        assert headers["ce_type"] == b"livetags.tag-change"
        assert headers["ce_source"] == b"/livetags/everything"
        assert headers["ce_specversion"] == b"1.0"
        assert headers["content-type"] == b"application/json"


async def test_p9_dead_letters_arrive_whole_and_stop_nothing(bench: Bench) -> None:
    catalogue, settings = bench.catalogue(), bench.settings(2)
    good = Sent("pay", b"ann", b'{"customer":"ann","at":1735689600000,"id":"1","amount":5,"way":"in"}')
    away = 1 - partition_of(b"ann", 2)
    bad = [
        Sent("pay", b"ann", b'{"customer":"ann"'),
        Sent("pay", b"ann", b"\xff\xfe\x00"),
        Sent("pay", b"ann", b'{"customer":"ann","at":1735689600000,"id":"2","amount":"much","way":"in"}'),
        Sent("pay", b"bob", b'{"customer":"ann","at":1735689600000,"id":"3","amount":5,"way":"in"}'),
        Sent("pay", b"ann", b'{"customer":"ann","at":1735689600000,"id":"4","amount":5,"way":"in"}', partition=away),
        Sent("look", b"ann", None),
    ]
    async with bench.worker(settings, catalogue) as worker:
        await bench.send([*bad, good])
        await until(lambda: dealt_with(worker, len(bad) + 1))
        assert worker.counters.events == 1
        assert worker.counters.dead.total() == len(bad)
    letters = await bench.read(bench.topic(Role.DEAD_LETTERS))
    found = [msgspec.json.decode(record.value, type=DeadLetter) for record in letters]
    assert sorted((one.value or "", one.encoding) for one in found) == sorted(
        ("//4A" if one.value == b"\xff\xfe\x00" else (one.value or b"").decode(), _encoding(one)) for one in bad
    )
    for record, one in zip(letters, found, strict=True):
        assert record.partition == one.partition
        assert one.topic == f"{bench.name}-{one.source}"
        assert one.reason
    assert any(one.partition == away for one in found if one.key == "ann")


def _encoding(sent: Sent) -> str:
    return "base64" if sent.value == b"\xff\xfe\x00" else "utf-8"


async def test_p3_a_record_too_late_goes_to_late_events(bench: Bench) -> None:
    catalogue, settings = bench.catalogue(), bench.settings(1)

    def look(hours: int) -> Sent:
        at = START_MS + hours * HOUR_MS
        return Sent("look", b"ann", msgspec.json.encode({"customer": "ann", "at": at, "page": "home"}))

    async with bench.worker(settings, catalogue) as worker:
        await bench.send([look(0)])
        await until(lambda: dealt_with(worker, 1))
        await bench.send([look(10)])
        await until(lambda: dealt_with(worker, 2))
        await bench.send([look(1)])
        await until(lambda: dealt_with(worker, 3))
    late = await bench.read(bench.topic(Role.LATE_EVENTS))
    found = [msgspec.json.decode(record.value, type=LateEvent) for record in late]
    assert [(one.customer_id, one.event_time, one.newest, one.offset) for one in found] == [
        ("ann", "2025-01-01T01:00:00.000Z", "2025-01-01T10:00:00.000Z", 2)
    ]


async def test_p4_with_the_walls_clock_time_passes_without_a_record(bench: Bench) -> None:
    catalogue = bench.catalogue(replaced={"allowed_skew: 10m": "allowed_skew: 0s"})
    settings = bench.settings(1, clock="wall")
    at = wall_ms() - DAY_MS - DEFAULT_SKEW_MS + 1_000  # a day after it is a second from now, by the watermark
    visit = Sent("look", b"ann", msgspec.json.encode({"customer": "ann", "at": at, "page": "home"}))
    async with bench.worker(settings, catalogue) as worker:
        await bench.send([visit])
        await until(lambda: any(change.cause is Cause.TIME for change in worker.counters.recent))
        change = next(change for change in worker.counters.recent if change.cause is Cause.TIME)
    assert (change.name, change.new, change.at) == ("life", "cooling", iso(at + DAY_MS))


async def test_p10_a_changed_catalogue_is_refused_until_the_state_is_rebuilt(bench: Bench) -> None:
    records, settings = stream(400), bench.settings(2)
    changed = bench.catalogue(version=3, replaced={"features:": "features:\n  visits: {source: look, count: true}"})
    async with bench.worker(settings, bench.catalogue()) as worker:
        await bench.send(records)
        await until(lambda: dealt_with(worker, len(records)))
    for fresh in ("one", "two"):  # with the old state at hand, and where only the changelog knows of it
        with pytest.raises(StateRefused, match=r"livetags worker everything.yaml --rebuild"):
            async with bench.worker(bench.settings(2, worker=fresh), changed):
                pass
    async with bench.worker(settings, changed, rebuild=True) as worker:
        await until(lambda: dealt_with(worker, len(records)))
    expected = replayed(changed, records, 2)
    again = [change for change in await bench.changes() if change.catalogue_version == 3]
    assert by_customer(again) == by_customer(expected.changes)


async def test_p1_two_workers_share_the_partitions_and_say_what_one_says(bench: Bench) -> None:
    catalogue, whole = bench.catalogue(), stream()
    half = len(whole) // 2
    later = [record for record in whole[half:] if record.source == "pay"]  # one source alone: its order is the merge's
    records = whole[:half] + later
    await bench.topics(bench.settings(4), catalogue)
    await bench.send(records[:half])
    async with bench.worker(bench.settings(4, worker="one"), catalogue) as one:
        await until(lambda: dealt_with(one, half))
        async with bench.worker(bench.settings(4, worker="two"), catalogue) as two:
            await until(lambda: one.ready and two.ready and len(one.partitions) == len(two.partitions) == 2)
            assert set(one.partitions) | set(two.partitions) == {0, 1, 2, 3}
            await bench.send(records[half:])
            await until(lambda: one.counters.events + two.counters.events >= len(records))
        await until(lambda: one.ready and len(one.partitions) == 4)
        customers = {record.key.decode() for record in records}
        expected = replayed(catalogue, records, 4)
        for name in customers:
            held = one.partitions[partition_of(name.encode(), 4)].customer_tags(name)
            assert held == expected.customers.get(name)
    assert by_customer(await bench.changes()) == by_customer(expected.changes)


async def test_a_source_far_ahead_of_another_is_held_back_and_nothing_is_lost(bench: Bench) -> None:
    catalogue, settings = bench.catalogue(), bench.settings(1, max_queued=200, run_records=50, fetch_bytes=20_000)
    await bench.topics(settings, catalogue)
    records = stream(4_000, customers=20)
    await bench.send(records)
    async with bench.worker(settings, catalogue) as worker:
        await until(lambda: dealt_with(worker, len(records)))
    assert by_customer(await bench.changes()) == by_customer(replayed(catalogue, records, 1).changes)
