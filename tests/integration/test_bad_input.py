"""P3 and P9 through a worker: hostile, late and early records, over restarts, and letters too large for their topic."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from functools import partial
from itertools import groupby

import msgspec
import pytest

from schemas.loading import loads
from schemas.records import DeadLetter, LateEvent
from schemas.sources import Reason
from schemas.topics import LARGE_RECORDS, Role
from streams.app import Worker
from streams.cluster import Admin
from streams.emit import producer
from streams.parting import raw
from streams.replay import Record, run
from tests.hostile_mix import GOOD, HOSTILE, TEXT, good, hostile
from tests.integration.support import HOUR_MS, START_MS, Bench, Sent, by_customer, in_order, until

pytestmark = pytest.mark.anyio

SMALL = 100_000


def dealt_with(worker: Worker, records: int) -> bool:
    worker.check()
    counters = worker.counters
    return counters.events + counters.late + counters.dead.total() >= records


async def letters(bench: Bench) -> list[DeadLetter]:
    return [msgspec.json.decode(r.value, type=DeadLetter) for r in await bench.read(bench.topic(Role.DEAD_LETTERS))]


def whole(found: Iterable[DeadLetter]) -> list[tuple[bytes | None, bytes | None]]:
    """Key and value of every record set aside, its parts joined, in the order of their places."""

    def place(one: DeadLetter) -> tuple[str, int, int]:
        return one.topic, one.partition, one.offset

    records = []
    for _, parts in groupby(sorted(found, key=lambda one: (place(one), one.part)), key=place):
        some = list(parts)
        assert [one.part for one in some] == list(range(1, some[0].parts + 1))
        keys = [raw(one.key, one.key_encoding) for one in some]
        values = [raw(one.value, one.encoding) for one in some]
        key = None if None in keys else b"".join(one or b"" for one in keys)
        records.append((key, None if None in values else b"".join(one or b"" for one in values)))
    return records


async def test_p9_hostile_records_among_good_ones_change_nothing_and_are_not_logged(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    text = TEXT.replace("topic: pay", f"topic: {bench.name}-pay")
    catalogue, chance = loads(text), random.Random(5)
    fine, bad = good(chance)[: GOOD // 10], hostile()[: HOSTILE // 10]
    spots = set(chance.sample(range(len(fine) + len(bad)), len(bad)))
    left, broken = iter(fine), iter(bad)
    mixed = [next(broken if place in spots else left) for place in range(len(fine) + len(bad))]
    settings = bench.settings(2)
    await bench.topics(settings, catalogue)
    half = len(mixed) // 2
    with caplog.at_level("INFO"):
        for some in (mixed[:half], mixed[half:]):
            await bench.send(Sent("pay", key, value) for key, value in some)
            async with bench.worker(settings, catalogue) as worker:
                await until(partial(dealt_with, worker, len(some)))
                assert worker.counters.events == len(some) - sum(map(bad.__contains__, some))
                assert len(worker.counters.dead) >= 10
    expected = run(catalogue, [Record("pay", value, key.decode()) for key, value in fine], partitions=2)
    found = await bench.changes()
    assert by_customer(found) == by_customer(expected.changes)
    assert in_order(found) == in_order(expected.changes)
    assert Counter(whole(await letters(bench))) == Counter(bad)
    assert "customer" not in caplog.text


@pytest.mark.parametrize("most", [None, SMALL], ids=["a topic of ours", "a topic of small records"])
async def test_p9_a_record_too_large_for_dead_letters_comes_in_parts(
    bench: Bench, most: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue, settings = bench.catalogue(), bench.settings(1)
    with Admin(bench.address) as admin:
        for name, size in ((f"{bench.name}-pay", LARGE_RECORDS), (bench.topic(Role.DEAD_LETTERS), most)):
            if size is not None:
                config = {"num_partitions": 1, "replication_factor": 1, "configs": {"max.message.bytes": str(size)}}
                admin._client.create_topics({name: config}, wait_for_metadata=True)
        if most is not None and admin.embedded():  # it takes all, and says nothing
            monkeypatch.setattr(Admin, "largest", lambda *_: most)
    large = [
        (b"ann", b'{"customer":"' + b"x" * 10_000_000 + b'"}'),
        (b"ann", b"\x00" * 9_000_000),  # six times as long in JSON
        (b"ann", b"\xff" * 3_000_000),
        (b"\xfe" * 300_000, b"{}"),
    ]
    last = b'{"customer":"ann","at":1735689600000,"id":"1","amount":5,"way":"in"}'
    await bench.topics(settings, catalogue)
    sender = producer(bench.address, idempotent=False)
    await sender.start()
    try:
        for key, value in [*large, (b"ann", last)]:
            await sender.send_and_wait(f"{bench.name}-pay", key=key, value=value)
    finally:
        await sender.stop()
    async with bench.worker(settings, catalogue) as worker:
        await until(partial(dealt_with, worker, len(large) + 1))
        assert (worker.counters.events, worker.counters.dead.total()) == (1, len(large))
    records = await bench.read(bench.topic(Role.DEAD_LETTERS))
    assert whole(msgspec.json.decode(r.value, type=DeadLetter) for r in records) == large
    assert max(len(r.value) for r in records) <= (most or LARGE_RECORDS)
    ids = [dict(r.headers)["ce_id"] for r in records]
    assert len(set(ids)) == len(ids)
    in_parts = {msgspec.json.decode(r.value, type=DeadLetter).offset for r in records if b'"parts":1}' not in r.value}
    assert in_parts == ({0, 1, 2, 3} if most else {1})  # control characters are six times as long in JSON


async def test_p3_p9_late_and_early_are_judged_alike_by_a_worker_that_starts_again(bench: Bench) -> None:
    catalogue, settings = bench.catalogue(), bench.settings(1)

    def look(customer: str, at: int, stamp: int | None = None) -> Sent:
        value = msgspec.json.encode({"customer": customer, "at": at, "page": "home"})
        return Sent("look", customer.encode(), value, timestamp=stamp)

    newest = START_MS + 10 * HOUR_MS
    ahead = newest + 1_000 * HOUR_MS
    shares = [
        [look("ann", START_MS), look("ann", newest), look("bob", newest), look("eve", ahead, ahead)],
        [look("ann", newest - HOUR_MS), look("ann", newest - HOUR_MS - 1)],
        [look("ann", newest + 300_000, newest), look("ann", newest + 300_001, newest), look("bob", newest + 60_000)],
    ]
    await bench.topics(settings, catalogue)
    for share in shares:
        await bench.send(share)
        async with bench.worker(settings, catalogue) as worker:
            await until(partial(dealt_with, worker, len(share)))
            now = worker.partitions[0].event_now()
            assert START_MS <= now < newest + HOUR_MS  # eve's clock moves nobody's time
    late = [msgspec.json.decode(r.value, type=LateEvent) for r in await bench.read(bench.topic(Role.LATE_EVENTS))]
    assert [(one.customer_id, one.offset) for one in late] == [("ann", 5)]
    assert [(one.reason, one.offset) for one in await letters(bench)] == [(Reason.TIME_AHEAD, 7)]
