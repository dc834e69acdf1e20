"""P4: rows whose timers are not due cost nothing, and many that are due at once let records have their turn."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, cast

import msgspec
import pytest

from schemas.durations import DAY, MINUTE
from schemas.loading import loads
from schemas.records import Change
from schemas.sources import Incoming
from streams.counters import Counters
from streams.emit import Emitter
from streams.engine.plan import Plan, build
from streams.lane import Batch, Lane, Place
from streams.processor import Partition
from streams.reaching import Reaching
from streams.task import TIMERS_AT_ONCE, Task
from streams.written import Changes

MIDNIGHT: Final = 1_772_323_200_000
ROWS: Final = 20_000
TEXT: Final = """
catalogue: days
timezone: UTC
sources:
  look: {topic: look, key: customer, time: at, allowed_skew: 0s, accept_late: 1d, fields: {page: [home, help]}}
features:
  days: {source: look, days: true, window: 2d}
  looks: {source: look, count: true}
tags:
  regular: {when: days >= 1}
  keen: {when: looks >= 2}
"""


@pytest.fixture(scope="module")
def plan() -> Plan:
    return build(loads(TEXT))


def look(customer: int, at: int, offset: int = 0) -> Incoming:
    name = f"c{customer}"
    return Incoming(msgspec.json.encode({"customer": name, "at": at, "page": "home"}), name.encode(), offset, at)


def filled(plan: Plan, rows: int = ROWS) -> Partition:
    """Customers who looked within the first minute of a day: all are regular until the second midnight from there."""
    part = Partition(plan)
    part.push("look", [look(n, MIDNIGHT + n % MINUTE, n) for n in range(rows)])
    part.run(rows)
    return part


def fired(part: Partition) -> int:
    return int(part.arena.state.due.size[1])


def test_p4_timers_that_are_not_due_are_not_looked_at(plan: Plan) -> None:
    part = filled(plan)
    assert part.arena.timers() == ROWS
    for moment in (MIDNIGHT + MINUTE, MIDNIGHT + DAY, MIDNIGHT + 2 * DAY - 1):
        assert not part.advance(moment).written
    assert fired(part) == 0
    part.push("look", [look(1, MIDNIGHT + 2 * DAY - 1, ROWS)])
    part.run()
    assert fired(part) == 0
    part.advance(MIDNIGHT + 2 * DAY)
    assert fired(part) == ROWS  # the one who looked again too: the tile of the first day leaves for it as well


def test_p4_one_timer_of_many_is_found_without_the_others(plan: Plan) -> None:
    part = filled(plan)
    part.push("look", [look(ROWS, MIDNIGHT - 1, ROWS)])
    part.run()
    changes = part.advance(MIDNIGHT + DAY).changes()
    assert [(change.customer_id, change.new) for change in changes] == [(f"c{ROWS}", False)]
    assert fired(part) == 1


def test_p4_slices_are_bounded_and_records_have_their_turn_between_them(plan: Plan) -> None:
    most, at = 1_000, MIDNIGHT + 2 * DAY
    part, changes, slices = filled(plan), list[Change](), list[int]()
    changes += part.advance(at, most).changes()
    slices.append(fired(part))
    for offset, customer in enumerate((5, ROWS - 5), ROWS):
        part.push("look", [look(customer, at, offset)])
        before = fired(part)
        changes += part.run(timers=most).changes()
        slices.append(fired(part) - before)
        keen = [change.customer_id for change in changes if change.name == "keen"]
        assert keen[-1] == f"c{customer}"
    assert part.overdue
    while part.overdue:
        before = fired(part)
        changes += part.run(timers=most).changes()
        slices.append(fired(part) - before)
    assert max(slices) <= most + 1  # a customer's own timer fires with its record
    at_once = filled(plan)
    expected = at_once.advance(at).changes()
    at_once.push("look", [look(customer, at, offset) for offset, customer in enumerate((5, ROWS - 5), ROWS)])
    expected += at_once.run().changes()
    assert by_customer(changes) == by_customer(expected)
    assert fired(part) == fired(at_once)


def by_customer(changes: list[Change]) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for change in changes:
        found.setdefault(change.customer_id, []).append(msgspec.json.encode(change))
    return found


class Topics:
    """Takes what a task emits."""

    def __init__(self) -> None:
        self.pages: list[Changes] = []

    def add_changes(self, changes: Changes) -> None:
        self.pages.append(changes)

    def add(self, records: list[Any]) -> None:
        assert not records

    add_examples = add


class AtEnd:
    """A lane that has read everything."""

    def at_end(self, place: Place) -> bool:
        return True


def test_p4_a_worker_takes_records_between_slices_of_what_midnight_makes_due(plan: Plan) -> None:
    part, topics, lane, at = filled(plan), Topics(), cast(Lane, AtEnd()), MIDNIGHT + 2 * DAY
    sources = plan.catalogue.sources
    reaching = Reaching(plan.catalogue, part, lambda: at)

    async def live() -> None:
        with ThreadPoolExecutor(1) as engine:
            counters = Counters(["look"], 10, None)
            task = Task(part, 0, sources, cast(Emitter, topics), counters, 4_096, reaching, engine)
            await task.advance(at, lane)
            assert fired(part) == TIMERS_AT_ONCE
            assert task.more
            task.receive(Batch(Place("look", 0), ROWS, ROWS + 1, [look(ROWS - 1, at, ROWS)]))
            assert await task.step(lane)
            assert "keen" in [change.name for page in topics.pages for change in page]
            assert TIMERS_AT_ONCE < fired(part) <= 2 * TIMERS_AT_ONCE + 1
            steps = 2
            while task.more:
                await task.step(lane)
                steps += 1
            assert fired(part) == ROWS
            assert steps >= ROWS // TIMERS_AT_ONCE

    asyncio.run(live())
    changes = [change for page in topics.pages for change in page]
    assert sum(change.name == "regular" and not change.new for change in changes) == ROWS
