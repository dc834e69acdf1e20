"""What comes of a fetch is worked on at once: each step has its price, and live records come a few at a time."""

from __future__ import annotations

import asyncio

from schemas.sources import Incoming
from streams.inbox import Arrivals, Inbox, rest_until
from streams.lane import Batch, Place


def record(offset: int) -> Incoming:
    return Incoming(b"{}", b"c", offset)


def batch(fetch: int, of: int, partition: int = 0) -> Batch:
    return Batch(Place("pay", partition), 0, 1, (), 0, fetch, of)


def test_a_step_takes_all_of_a_source_as_one_lot_in_its_order() -> None:
    inbox = Inbox()
    assert not inbox
    inbox.add("pay", [record(0), record(1)])
    inbox.add("web", [record(7)])
    inbox.add("pay", [record(2)])
    assert inbox
    assert (inbox.waiting("pay"), inbox.waiting("web"), inbox.waiting("none")) == (3, 1, 0)
    taken = inbox.take()
    assert {source: [one.offset for one in records] for source, records in taken.items()} == {
        "pay": [0, 1, 2],
        "web": [7],
    }
    assert not inbox
    assert inbox.take() == {}


def test_nobody_is_woken_before_the_whole_fetch_is_here() -> None:
    arrivals, first, second = Arrivals(), asyncio.Event(), asyncio.Event()
    arrivals.came(batch(1, 3), first)
    arrivals.came(batch(1, 3), None)
    assert not first.is_set()
    arrivals.came(batch(1, 3), second)
    assert first.is_set()
    assert second.is_set()


def test_a_fetch_that_never_was_whole_wakes_with_the_next() -> None:
    arrivals, first, second = Arrivals(), asyncio.Event(), asyncio.Event()
    arrivals.came(batch(1, 2), first)
    arrivals.came(batch(2, 2), second)
    assert first.is_set()
    assert not second.is_set()


def test_who_waits_for_another_source_goes_on_when_that_is_read_to_its_end() -> None:
    async def rest() -> list[bool]:
        arrived, looks = asyncio.Event(), [False, False, True]
        await rest_until(arrived, lambda: True, lambda: looks.pop(0))
        return looks

    assert asyncio.run(rest()) == []


def test_records_end_a_rest() -> None:
    async def rest() -> None:
        arrived = asyncio.Event()
        resting = asyncio.create_task(rest_until(arrived, lambda: False, lambda: False))
        await asyncio.sleep(0)
        arrived.set()
        await resting

    asyncio.run(rest())
