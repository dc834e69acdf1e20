"""Sources with `rekey: true`: whatever their keys and partitioner, what comes out is what Kafka's keys would give."""

from __future__ import annotations

import zlib
from collections import Counter
from functools import partial

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer

from schemas.catalogue import Catalogue
from schemas.records import DeadLetter
from schemas.sources import Reason
from schemas.topics import Role
from streams.cluster import Admin, StateRefused
from streams.replay import Record, run
from tests.integration.support import Bench, Sent, by_customer, in_order, partition_of, stream, until

pytestmark = pytest.mark.anyio

RAW_PARTITIONS = 3
PARTITIONS = 4
REKEYED = {"key: customer\n    time: at\n    id: id": "key: customer\n    time: at\n    id: id\n    rekey: true"}
WITHOUT_IDS = {"key: customer\n    time: at\n    id: id": "key: customer\n    time: at\n    rekey: true"}


def crc32(sent: Sent, partitions: int) -> Sent:
    """The record where librdkafka's default partitioner puts it, sent when it happened."""
    at = msgspec.json.decode(sent.value or b"")["at"]
    return msgspec.structs.replace(sent, partition=zlib.crc32(sent.key or b"") % partitions, timestamp=at)


def purchases(count: int = 1_500, customers: int = 60) -> list[Sent]:
    """Records of the source that is re-keyed, by their times."""
    return [record for record in stream(count, customers) if record.source == "pay"]


async def opened(bench: Bench, catalogue: Catalogue) -> None:
    """The topics, the re-keyed source's with a number of partitions of its own."""
    with Admin(bench.address) as admin:
        admin._client.create_topics(
            {f"{bench.name}-pay": {"num_partitions": RAW_PARTITIONS, "replication_factor": 1}}, wait_for_metadata=True
        )
    await bench.topics(bench.settings(PARTITIONS), catalogue)


def done(worker: object, records: int) -> bool:
    worker.check()  # type: ignore[attr-defined]
    counters = worker.counters  # type: ignore[attr-defined]
    return bool(counters.events + counters.late + counters.dead.total() >= records)


async def forgotten(*_: object) -> None:
    """A commit that is lost."""


async def test_p9_records_of_another_partitioner_count_as_if_kafka_had_placed_them(bench: Bench) -> None:
    catalogue, records = bench.catalogue(replaced=REKEYED), purchases()
    await opened(bench, catalogue)
    await bench.send([crc32(record, RAW_PARTITIONS) for record in records])
    async with bench.worker(bench.settings(PARTITIONS), catalogue) as worker:
        await until(partial(done, worker, len(records)))
        assert worker.counters.rekeyed == {"pay": len(records)}
        assert not worker.counters.dead
    expected = run(catalogue, [Record(r.source, r.value, r.key.decode()) for r in records], partitions=PARTITIONS)
    found = await bench.changes()
    assert len(found) > 200
    assert by_customer(found) == by_customer(expected.changes)
    assert in_order(found) == in_order(expected.changes)
    for record in await bench.read(f"{bench.name}-{bench.name}-pay-rekeyed"):
        assert record.partition == partition_of(record.key, PARTITIONS)


async def test_p9_null_and_foreign_keys_are_rekeyed_by_the_customer_in_the_record(bench: Bench) -> None:
    catalogue, records = bench.catalogue(replaced=REKEYED), purchases(300)
    await opened(bench, catalogue)
    keyless = [msgspec.structs.replace(record, key=None, partition=0) for record in records[::2]]
    foreign = [msgspec.structs.replace(record, key=b"branch-7", partition=1) for record in records[1::2]]
    mixed = [record for pair in zip(keyless, foreign, strict=False) for record in pair]
    async with bench.worker(bench.settings(PARTITIONS), catalogue) as worker:
        await bench.send(mixed)
        await until(partial(done, worker, len(mixed)))
        assert not worker.counters.dead
        parts = worker.partitions
        for record in records[: len(mixed)]:
            assert parts[partition_of(record.key, PARTITIONS)].customer_tags(record.key.decode()) is not None


async def test_p6_what_is_rekeyed_again_after_a_restart_counts_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue, records = bench.catalogue(replaced=WITHOUT_IDS), purchases(800, customers=8)  # no ids tell them apart
    await opened(bench, catalogue)
    half = len(records) // 2
    await bench.send([crc32(record, RAW_PARTITIONS) for record in records[:half]])
    with monkeypatch.context() as patched:
        patched.setattr(AIOKafkaConsumer, "commit", forgotten)  # as a worker that died before it committed
        async with bench.worker(bench.settings(PARTITIONS), catalogue) as worker:
            await until(partial(done, worker, half))
    await bench.send([crc32(record, RAW_PARTITIONS) for record in records[half:]])
    async with bench.worker(bench.settings(PARTITIONS), catalogue) as worker:
        await until(partial(done, worker, len(records) - half))
        await until(lambda: worker.counters.duplicates == half)  # all that was there is written on again, and dropped
        assert worker.counters.events == len(records) - half
        held = {name: part.customer_tags(name) for part in worker.partitions.values() for name in part.arena.customers}
    expected = run(catalogue, [Record(r.source, r.value, r.key.decode()) for r in records], partitions=PARTITIONS)
    assert held == expected.customers
    found = await bench.changes()
    assert by_customer(found) == by_customer(expected.changes)
    assert Counter(change.id for change in found).most_common(1)[0][1] == 1


async def test_p9_bad_records_of_a_rekeyed_source_name_where_they_came_from(bench: Bench) -> None:
    catalogue = bench.catalogue(replaced=REKEYED)
    await opened(bench, catalogue)
    bad = [
        Sent("pay", b"ann", b"not JSON", partition=2),
        Sent(
            "pay", b"\xff\x00", b'{"customer":"ann","at":1735689600000,"id":"1","amount":"5","way":"in"}', partition=2
        ),
        Sent("pay", None, b'{"customer":"","at":1735689600000,"id":"1","amount":5,"way":"in"}', partition=1),
        Sent("pay", b"ann", None, partition=0),
    ]
    async with bench.worker(bench.settings(PARTITIONS), catalogue) as worker:
        await bench.send(bad)
        await until(partial(done, worker, len(bad)))
    found = [msgspec.json.decode(r.value, type=DeadLetter) for r in await bench.read(bench.topic(Role.DEAD_LETTERS))]
    assert {one.topic for one in found} == {f"{bench.name}-pay"}
    assert {(one.partition, one.offset, one.reason, one.key, one.key_encoding) for one in found} == {
        (2, 0, Reason.BAD_JSON, "ann", "utf-8"),
        (2, 1, Reason.WRONG_TYPE, "/wA=", "base64"),
        (1, 0, Reason.BAD_ID, None, "utf-8"),
        (0, 0, Reason.NULL_VALUE, "ann", "utf-8"),
    }


async def test_p9_a_catalogue_that_begins_to_rekey_is_refused_over_old_state(bench: Bench) -> None:
    records = purchases(60)
    async with bench.worker(bench.settings(PARTITIONS), bench.catalogue()) as worker:
        await bench.send(records)
        await until(partial(done, worker, len(records)))
    with pytest.raises(StateRefused, match="--rebuild"):
        async with bench.worker(bench.settings(PARTITIONS), bench.catalogue(replaced=REKEYED)):
            pass
