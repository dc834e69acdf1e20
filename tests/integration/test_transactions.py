"""P6 on Apache Kafka: a flush is there whole or not at all, wherever it is cut off, and only its owner can write it."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Callable
from typing import Any, Final

import pytest
from aiokafka import AIOKafkaProducer

from schemas.topics import Role
from streams.cluster import StateRefused
from streams.emit import Writer
from streams.store import MARKER, Rows, Store
from streams.transactions import Fenced
from tests.integration.support import Bench
from tests.integration.test_tables import kept, marker, opened, rows

pytestmark = pytest.mark.anyio

CUSTOMERS: Final = 5_000  # more than two slices
END_WITHIN_S: Final = 60.0


def everybody(value: str) -> Rows:
    return rows(**{f"c{number}": value * 100 for number in range(CUSTOMERS)})


def kill(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _after(calls: int, call: Callable[..., Any]) -> Callable[..., Any]:
    """The same, but for a kill once it was called so often."""
    left = [calls]

    async def counted(*args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            kill()
        return await call(*args, **kwargs)

    return counted


def _commit_cut_off(producer: Any) -> Any:
    asyncio.get_running_loop().call_later(0.001, kill)
    return COMMIT(producer)


def _write_cut_off(*args: Any) -> None:
    threading.Timer(0.001, kill).start()
    WRITE(*args)
    threading.Event().wait()


COMMIT, WRITE = AIOKafkaProducer.commit_transaction, Store.write
STEPS: Final[dict[str, tuple[type, str, Callable[[], Any], set[str]]]] = {
    "before the transaction": (AIOKafkaProducer, "begin_transaction", lambda: kill, {"1"}),
    "between slices": (Writer, "send", lambda: _after(1, Writer.send), {"1"}),
    "before the commit": (AIOKafkaProducer, "commit_transaction", lambda: kill, {"1"}),
    "while it commits": (AIOKafkaProducer, "commit_transaction", lambda: _commit_cut_off, {"1", "2"}),
    "before the database": (Store, "write", lambda: kill, {"2"}),
    "while the database is written": (Store, "write", lambda: _write_cut_off, {"2"}),
}
"""Where a flush is cut off: what is called there, by what it is replaced, and what may be the state then."""


def flush_and_die(bench: Bench, step: str, at: int) -> None:
    """In a process of its own: one flush, then one that is cut off."""

    async def run() -> None:
        async with opened(bench) as one:
            await one.tables.recover([0])
            await one.tables.flush(0, everybody("1"), marker(one.cluster, at + 1))
            owner, name, replaced, _ = STEPS[step]
            setattr(owner, name, replaced())
            await one.tables.flush(0, everybody("2"), marker(one.cluster, at + 2))

    asyncio.run(run())


@pytest.fixture(scope="module")
def processes() -> Any:
    """Processes that start quickly: they are forked from one that has imported all of this and runs nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


async def test_p6_a_flush_that_is_killed_counts_whole_or_not_at_all(kafka_bench: Bench, processes: Any) -> None:
    bench = kafka_bench
    for number, (step, (*_, expected)) in enumerate(STEPS.items()):
        at = 10 * number
        dying = processes.Process(target=flush_and_die, args=(bench, step, at))
        dying.start()
        await asyncio.to_thread(dying.join, END_WITHIN_S)
        assert dying.exitcode == -signal.SIGKILL, step
        async with opened(bench) as one:
            found = (await one.tables.recover([0]))[0]
        shutil.rmtree(bench.directory / "one")
        async with opened(bench) as one:
            again = (await one.tables.recover([0]))[0]
        assert again == found, step
        (value,) = set(kept(found).values())
        assert len(kept(found)) == CUSTOMERS, step
        assert value[0] in expected, step
        assert found.marker == marker(one.cluster, at + int(value[0])), step


async def test_p6_a_former_owner_is_fenced_and_writes_nothing(kafka_bench: Bench) -> None:
    async with opened(kafka_bench) as zombie:
        await zombie.tables.recover([0, 1])
        await zombie.tables.flush(0, rows(ann="1"), marker(zombie.cluster, 10))
        async with opened(kafka_bench, "two") as owner:
            recovered = (await owner.tables.recover([0]))[0]
            assert kept(recovered) == {"ann": "1"}
            with pytest.raises(Fenced, match="partition 0 was claimed by another worker"):
                await zombie.tables.flush(0, rows(ann="zombie", bob="zombie"), marker(zombie.cluster, 11))
            with pytest.raises(Fenced):
                await zombie.tables.flush(0, rows(ann="zombie"), marker(zombie.cluster, 12))
            assert zombie.tables.row(0, b"ann") == b"1"
            assert zombie.tables.row(0, b"bob") is None
            await owner.tables.flush(0, rows(ann="2"), marker(owner.cluster, 20))
        await zombie.tables.flush(1, rows(zoe="1"), marker(zombie.cluster, 5))  # which nobody has claimed since
    async with opened(kafka_bench, "three") as third:
        found = await third.tables.recover([0, 1])
    assert [kept(one) for one in found.values()] == [{"ann": "2"}, {"zoe": "1"}]


async def test_p6_what_an_owner_left_open_is_ended_before_the_next_one_reads(kafka_bench: Bench) -> None:
    async with opened(kafka_bench, whole=True) as one:
        await one.tables.recover([0])
        await one.tables.flush(0, rows(ann="1"), marker(one.cluster, 10))
        producer = one.tables.outlet(0).sender
        await producer.begin_transaction()
        left = Writer(producer, one.cluster.named(Role.CHANGELOG), 0, transactional=True)
        left.add(b"rann", b"open")
        left.add(MARKER, b"{}")
        await left.acknowledged(left.cut())
        async with opened(kafka_bench, "two") as two:
            found = (await two.tables.recover([0]))[0]
            assert (kept(found), found.marker) == ({"ann": "1"}, marker(two.cluster, 10))


async def test_p6_exactly_once_is_refused_where_there_are_no_transactions(bench: Bench) -> None:
    async with opened(bench) as one:
        if not one.cluster.embedded:
            pytest.skip("this broker has transactions")
    from streams.app import build
    from streams.broker import BrokerError

    worker = build(bench.settings(2, delivery="exactly_once"), bench.catalogue())
    with pytest.raises((BrokerError, StateRefused), match="LIVETAGS_DELIVERY=exactly_once needs Apache Kafka"):
        await worker.start()
