"""What readers of changes see of a worker that breaks in the middle of its flushes, by the delivery that is set."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import pytest
from aiokafka import AIOKafkaProducer

from streams.app import Worker, build
from streams.beside import Failed
from streams.emit import Emitter, Writer
from streams.store import Store
from tests.integration.support import Bench, by_customer, in_order, stream, until
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


async def broken_runs(bench: Bench, monkeypatch: pytest.MonkeyPatch, delivery: str) -> Worker:
    """Workers that break at one step after the other, each going on where the one before was; the last one is well."""
    catalogue, records = bench.catalogue(), stream()
    settings = bench.settings(PARTITIONS, delivery=delivery, flush_bytes=60_000, run_records=200)
    await bench.topics(settings, catalogue)
    await bench.send(records)
    for owner, name in STEPS:
        with monkeypatch.context() as patched:
            worker = build(settings, catalogue)
            await worker.start()
            patched.setattr(owner, name, breaks_at(getattr(owner, name), 3))
            with pytest.raises(Failed, match=r"the worker stopped: call 3"):
                await until(partial(_goes_on, worker))
            with contextlib.suppress(Failed):
                await worker.stop()
    worker = build(settings, catalogue)
    await worker.start()
    ends = {source.name: len([one for one in records if one.source == source.name]) for source in catalogue.sources}
    await until(partial(_done, worker, ends))
    await worker.stop()
    return worker


def _goes_on(worker: Worker) -> bool:
    worker.check()
    return False


def _done(worker: Worker, ends: dict[str, int]) -> bool:
    worker.check()
    positions = [part.positions() for part in worker.partitions.values()]
    return {name: sum(found.get(name, 0) for found in positions) for name in ends} == ends


async def test_p6_exactly_once_a_reader_of_what_is_committed_sees_each_change_once_and_in_order(
    kafka_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await broken_runs(kafka_bench, monkeypatch, "exactly_once")
    expected = replayed(kafka_bench.catalogue(), stream(), PARTITIONS).changes
    found = await kafka_bench.changes(committed=True)
    assert Counter(change.id for change in found).most_common(1)[0][1] == 1
    assert by_customer(found) == by_customer(expected)
    assert in_order(found) == in_order(expected)
    assert len(await kafka_bench.changes()) > len(found)  # what was aborted is there for those who ask for it


async def test_p7_at_least_once_repeats_come_with_the_ids_they_had(
    kafka_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await broken_runs(kafka_bench, monkeypatch, "at_least_once")
    expected = replayed(kafka_bench.catalogue(), stream(), PARTITIONS).changes
    found = await kafka_bench.changes(committed=True)
    assert len(found) > len(expected)
    assert by_customer(found) == by_customer(expected)
    first = list({change.id: change for change in found}.values())
    assert in_order(first) == in_order(expected)
