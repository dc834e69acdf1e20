"""What readers of changes see of a worker that breaks in the middle of its flushes, by the delivery that is set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import pytest
from aiokafka import AIOKafkaProducer

from streams.app import Worker, build
from streams.beside import Failed
from streams.emit import Emitter, Writer, producer
from streams.store import Store
from tests.integration.support import Bench, Sent, by_customer, in_order, stream, until
from tests.integration.test_worker import replayed

pytestmark = pytest.mark.anyio

STEPS: Final[list[tuple[type, str]]] = [
    (Emitter, "acknowledged"),
    (Writer, "send"),
    (AIOKafkaProducer, "commit_transaction"),
    (Store, "write"),
]
"""What a flush calls, in its order: where workers break one after the other."""
PARTITIONS: Final = 2


class Broke(Exception):
    """A fault made by the test."""


def breaks_at(call: Callable[..., Any], number: int) -> Callable[..., Any]:
    """The same, but for an error at that call."""
    left = [number]

    def counted(*args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            raise Broke(f"call {number}")
        return call(*args, **kwargs)

    return counted


def payments() -> list[Sent]:
    """Records of one source: their order is the same whenever they come."""
    return [record for record in stream() if record.source == "pay"]


async def broken_runs(bench: Bench, monkeypatch: pytest.MonkeyPatch, delivery: str) -> None:
    """Workers that break at one step after the other, each going on where the one before was; the last one is well."""
    catalogue, records = bench.catalogue(), payments()
    settings = bench.settings(PARTITIONS, delivery=delivery, flush_bytes=20_000, run_records=50)
    await bench.topics(settings, catalogue)
    share = len(records) // len(STEPS)
    for number, (owner, name) in enumerate(STEPS):
        worker = build(settings, catalogue)
        await worker.start()
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, breaks_at(getattr(owner, name), 3))
            await bench.send(records[number * share : (number + 1) * share if number + 1 < len(STEPS) else None])
            with pytest.raises(Failed, match=r"the worker stopped: call 3"):
                await until(partial(_goes_on, worker))
            await worker.stop()
    async with bench.worker(settings, catalogue) as worker:
        await until(partial(_done, worker, len(records)))


def _goes_on(worker: Worker) -> bool:
    worker.check()
    return False


def _done(worker: Worker, records: int) -> bool:
    worker.check()
    return sum(part.positions().get("pay", 0) for part in worker.partitions.values()) == records


async def test_p6_exactly_once_a_reader_of_what_is_committed_sees_each_change_once_and_in_order(
    kafka_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await broken_runs(kafka_bench, monkeypatch, "exactly_once")
    expected = replayed(kafka_bench.catalogue(), payments(), PARTITIONS).changes
    found = await kafka_bench.changes(committed=True)
    assert Counter(change.id for change in found).most_common(1)[0][1] == 1
    assert by_customer(found) == by_customer(expected)
    assert in_order(found) == in_order(expected)
    assert len(await kafka_bench.changes()) > len(found)  # what was aborted is there for those who ask for it


async def test_p7_at_least_once_repeats_come_with_the_ids_they_had(
    kafka_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await broken_runs(kafka_bench, monkeypatch, "at_least_once")
    expected = replayed(kafka_bench.catalogue(), payments(), PARTITIONS).changes
    found = await kafka_bench.changes(committed=True)
    assert len(found) > len(expected)
    assert by_customer(found) == by_customer(expected)
    first = list({change.id: change for change in found}.values())
    assert in_order(first) == in_order(expected)


async def test_p6_a_worker_whose_partition_was_claimed_joins_anew_and_loses_nothing(kafka_bench: Bench) -> None:
    bench, catalogue, records = kafka_bench, kafka_bench.catalogue(), payments()
    settings = bench.settings(PARTITIONS)
    half = len(records) // 2
    async with bench.worker(settings, catalogue) as worker:
        await bench.send(records[:half])
        await until(partial(_done, worker, half))
        fenced = worker.partitions[0]
        other = producer(bench.address, idempotent=True, transactions=f"{bench.name}-0")
        await other.start()
        await other.stop()
        await bench.send(records[half:])
        await until(lambda: worker.partitions.get(0, fenced) is not fenced)
        await until(partial(_done, worker, len(records)))
    expected = replayed(catalogue, records, PARTITIONS).changes
    assert by_customer(await bench.changes()) == by_customer(expected)
