"""Workers that come, go, and come back as who they were, on Apache Kafka: nothing lost, nothing counted twice."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence
from functools import partial

import pytest

from schemas.records import Cause
from streams.app import Worker
from streams.replay import Outcome, Record, run
from tests.integration.support import (
    Bench,
    Sent,
    by_customer,
    handled,
    in_order,
    partition_of,
    stream,
    until,
)

pytestmark = pytest.mark.anyio

PARTITIONS = 8
LONG_SESSION_S = 60.0  # were a worker that is back to wait for its session to end, the test would not end in time


def replayed(bench: Bench, records: Sequence[Sent], partitions: int) -> Outcome:
    """What the same records give from files."""
    given = [Record(r.source, r.value, r.key.decode()) for r in records if r.key is not None]
    return run(bench.catalogue(), given, partitions=partitions)


def spread(workers: Sequence[Worker]) -> bool:
    """Whether those workers, and they alone, have all partitions, each once."""
    for worker in workers:
        worker.check()
    held = sorted(number for worker in workers for number in worker.partitions)
    return all(worker.ready for worker in workers) and held == list(range(PARTITIONS))


async def test_a_static_member_that_is_back_within_its_session_goes_on_at_once(kafka_bench: Bench) -> None:
    bench, catalogue, records = kafka_bench, kafka_bench.catalogue(), stream(600)
    chosen = {"session_timeout_s": LONG_SESSION_S}
    one, two = (bench.settings(4, worker=name, member_id=name, **chosen) for name in ("one", "two"))
    await bench.topics(one, catalogue)
    await bench.send(records[:300])
    async with bench.worker(two, catalogue) as other:
        async with bench.worker(one, catalogue) as worker:
            await until(lambda: worker.ready and len(worker.partitions) == len(other.partitions) == 2)
            held = set(worker.partitions)
        assert set(other.partitions) == {0, 1, 2, 3} - held  # they wait for who is about to be back
        later = [record for record in records[300:] if record.source == "pay"]
        await bench.send(later)
        async with bench.worker(one, catalogue) as back:
            assert set(back.partitions) == held
            await until(lambda: handled(other) + handled(back) + handled(worker) >= 300 + len(later))
    expected = replayed(bench, records[:300] + later, 4)
    assert by_customer(await bench.changes()) == by_customer(expected.changes)


async def test_p1_p6_workers_join_and_leave_under_load_and_it_shows_nowhere(kafka_bench: Bench) -> None:
    bench, catalogue = kafka_bench, kafka_bench.catalogue()
    whole = stream(4_000, customers=200)
    before, after = whole[:1_000], [record for record in whole[1_000:] if record.source == "pay"]
    cuts = [len(after) * share // 4 for share in range(5)]
    settings = [bench.settings(PARTITIONS, worker=f"w{number}") for number in range(5)]
    await bench.topics(settings[0], catalogue)
    await bench.send(before)
    async with contextlib.AsyncExitStack() as stays, contextlib.AsyncExitStack() as goes:
        workers = [await stays.enter_async_context(bench.worker(one, catalogue)) for one in settings[:2]]
        await until(partial(spread, workers))
        sending = asyncio.create_task(bench.send(after[cuts[0] : cuts[1]]))
        for one in settings[2:]:  # two become five
            workers.append(await goes.enter_async_context(bench.worker(one, catalogue)))
        await sending
        await until(partial(spread, workers))
        await bench.send(after[cuts[1] : cuts[2]])
        sending = asyncio.create_task(bench.send(after[cuts[2] : cuts[3]]))
        await goes.aclose()  # five become two
        await sending
        await bench.send(after[cuts[3] :])
        await until(partial(spread, workers[:2]))
        await until(lambda: sum(map(handled, workers)) >= len(before) + len(after))
        expected = replayed(bench, before + after, PARTITIONS)
        held = {number: part for worker in workers[:2] for number, part in worker.partitions.items()}
        for name, tags in expected.customers.items():
            assert held[partition_of(name.encode(), PARTITIONS)].customer_tags(name) == tags
    found = await bench.changes()
    assert by_customer(found) == by_customer(expected.changes)
    assert in_order(found) == in_order(expected.changes)
    assert Counter(change.id for change in found).most_common(1)[0][1] == 1
    assert sum(change.cause is Cause.TIME for change in found) > 100  # timers that a later owner let fire
