"""Random worlds for the triggers, and a worker that lives in one: it flushes, crashes and starts again at random."""

from __future__ import annotations

import bisect
import random
from collections import defaultdict
from typing import Final

import msgspec

from schemas.catalogue import Cap, Catalogue, Crossing, QuietHours, Trigger
from schemas.durations import DAY, HOUR, MINUTE, SECOND
from schemas.outreach import OutreachRequest, TriggerDecision
from schemas.records import Cause, SegmentChange
from streams.triggers import Triggers
from streams.triggers.partition import Outcome
from tests.outreach import catalogue, change
from tests.outreach_checker import Profile, ms, violations

# Zones, and when worlds begin in them: before the clock is switched, where it is.
PLACES: Final = (
    ("Europe/Berlin", "2026-03-27T20:00:00Z"),
    ("Europe/Berlin", "2026-10-23T20:00:00Z"),
    ("America/New_York", "2026-03-07T01:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-03T12:00:00Z"),
    ("Asia/Shanghai", "2026-12-30T22:00:00Z"),
    ("UTC", "2026-02-27T22:00:00Z"),
)
SEGMENTS: Final = ("busy", "idle", "first")
QUIET: Final = ((1260, 540), (1260, 150), (150, 540), (720, 840), (120, 180), (60, 0), None, None)
CAUSES: Final = (*[Cause.EVENT] * 5, Cause.TIME, Cause.PROFILE, Cause.LATE, Cause.SCORE, Cause.DEFINITION)
FIELDS: Final = {"has_agreed": "agreed", "contactable": "agreed", "may_call": "calls"}


class Step(msgspec.Struct, frozen=True):
    """What happened until `now_ms`: changes and profiles by their times."""

    now_ms: int
    changes: list[SegmentChange]
    profiles: list[Profile]


class World(msgspec.Struct, frozen=True):
    """A catalogue, and what happens under it."""

    catalogue: Catalogue
    steps: list[Step]


class Published(msgspec.Struct):
    """What stands in the topics in the end, how far time went, and how often the worker was started."""

    requests: list[OutreachRequest]
    decisions: list[TriggerDecision]
    until_ms: int
    starts: int


def world(draw: random.Random, customers: int, steps: int) -> World:
    """A world of so many customers."""
    names = [f"c{number}" for number in range(customers)]
    triggers = [_trigger(draw, f"t{number}") for number in range(draw.randint(1, 4))]
    timezone, start = draw.choice(PLACES)
    now_ms = ms(start) + draw.randint(0, DAY)
    happened = [Step(now_ms, [], [_profile(draw, name, now_ms) for name in names if draw.random() < 0.8])]
    inside: dict[tuple[str, str], bool] = defaultdict(bool)
    for number in range(steps):
        before_ms, now_ms = now_ms, _later(draw, now_ms)
        times = sorted(_moment(draw, before_ms, now_ms) for _ in range(draw.randint(0, 2 * customers)))
        changes = []
        for place, at_ms in enumerate(times):
            side = draw.choice(SEGMENTS), draw.choice(names)
            inside[side] = not inside[side]
            found = f"{number}.{place}"
            changes.append(change(at_ms, side[1], side[0], inside[side], draw.choice(CAUSES), found))
        moments = sorted(_moment(draw, before_ms, now_ms) for _ in range(draw.randint(0, 2)))
        happened.append(Step(now_ms, changes, [_profile(draw, draw.choice(names), at_ms) for at_ms in moments]))
    return World(catalogue(*triggers, timezone=timezone), happened)


def _trigger(draw: random.Random, name: str) -> Trigger:
    quiet = draw.choice(QUIET)
    return Trigger(
        name=name,
        title={},
        segment=draw.choice(SEGMENTS),
        change=draw.choice(list(Crossing)),
        channel="phone",
        consent=draw.choice((*FIELDS, None)),
        expires_ms=draw.choice((90 * SECOND, 6 * HOUR, 12 * HOUR, DAY, 3 * DAY)),
        cooldown_ms=draw.choice((0, HOUR, 5 * HOUR, 2 * DAY)),
        cap=draw.choice((None, Cap(1, DAY), Cap(2, DAY), Cap(3, 7 * DAY))),
        quiet=None if quiet is None else QuietHours(*quiet),
        holdout=draw.choice((0.0, 0.1, 0.4)),
    )


def _later(draw: random.Random, now_ms: int) -> int:
    """The next step's time: close, or far, and often on the hour or half hour, where quiet hours begin and end."""
    now_ms += draw.choice((1, SECOND, MINUTE, 20 * MINUTE, HOUR, 3 * HOUR, 3 * HOUR, 9 * HOUR, DAY)) + draw.randint(
        0, MINUTE
    )
    return now_ms + -now_ms % (30 * MINUTE) if draw.random() < 0.4 else now_ms


def _moment(draw: random.Random, before_ms: int, now_ms: int) -> int:
    """A moment after the step before and not after this one."""
    at_ms = draw.choice((now_ms, draw.randint(before_ms + 1, now_ms), draw.randint(before_ms + 1, now_ms)))
    on_the_hour = at_ms - at_ms % (30 * MINUTE)
    return on_the_hour if on_the_hour > before_ms and draw.random() < 0.3 else at_ms


def _profile(draw: random.Random, customer: str, at_ms: int) -> Profile:
    fields = {"agreed": draw.random() < 0.8, "calls": draw.choice((True, True, False, None))}
    return Profile("who", customer, at_ms, None if draw.random() < 0.05 else fields)


class View:
    """What is known in a world at a moment."""

    def __init__(self, world: World) -> None:
        self.now_ms = 0
        self._consents: dict[str, list[Profile]] = defaultdict(list)
        self._sides: dict[tuple[str, str], list[tuple[int, bool]]] = defaultdict(list)
        for step in world.steps:
            for one in step.profiles:
                self._consents[one.customer_id].append(one)
            for other in step.changes:
                self._sides[other.segment, other.customer_id].append((ms(other.at), other.new))

    def consented(self, trigger: Trigger, customer: str) -> bool | None:
        """What the newest profile says."""
        assert trigger.consent is not None
        records = self._consents[customer]
        place = bisect.bisect_right(records, self.now_ms, key=lambda record: record.at_ms)
        fields = records[place - 1].fields if place else None
        said = fields[FIELDS[trigger.consent]] if fields is not None else None
        # a tag is never missing
        return bool(said) if trigger.consent == "contactable" else said

    def member(self, segment: str, customer: str) -> bool:
        """The side of the newest change."""
        sides = self._sides[segment, customer]
        place = bisect.bisect_right(sides, self.now_ms, key=lambda side: side[0])
        return place > 0 and sides[place - 1][1]


class Worker:
    """A partition's task as it lives through a world.

    With `wall` the clock goes on while changes come again after a crash; else it is that of the changes.
    """

    def __init__(self, world: World, draw: random.Random, wall: bool) -> None:
        self.world, self.draw, self.wall = world, draw, wall
        self.view, self.topics = View(world), list[Outcome]()
        self.table: dict[bytes, bytes] = {}
        self.flushed_step = self.flushed_topics = self.starts = self.wall_ms = 0
        self.triggers = Triggers(world.catalogue)

    def run(self, flushes: float, crashes: float) -> Published:
        """Live through all steps, then until nothing waits any more."""
        number = 0
        while number < len(self.world.steps):
            taken = min(len(self.world.steps), number + self.draw.choice((1, 1, 1, 2)))
            self._steps(self.world.steps[number:taken])
            number = taken
            if self.draw.random() < flushes:
                self._flush(number)
            if self.draw.random() < crashes:
                self._crash()
                number = self.flushed_step
        end_ms = max(self.wall_ms, self.world.steps[-1].now_ms) + 4 * DAY
        while (due_ms := self.triggers.next_due_ms) is not None:
            self._at(due_ms)
            self.topics += self.triggers.advance(due_ms, self.view)
        requests = [one for one in self.topics if isinstance(one, OutreachRequest)]
        decisions = [one for one in self.topics if isinstance(one, TriggerDecision)]
        return Published(requests, decisions, end_ms, self.starts)

    def _at(self, now_ms: int) -> int:
        self.view.now_ms = now_ms
        return now_ms

    def _steps(self, steps: list[Step]) -> None:
        self.wall_ms = max(self.wall_ms, steps[-1].now_ms)
        now_ms = self._at(self.wall_ms if self.wall else steps[-1].now_ms)
        changes = [one for step in steps for one in step.changes]
        if self.draw.random() < 0.5:
            self.topics += self.triggers.advance(now_ms, self.view)
        for one in changes:
            self.topics += self.triggers.consider(one, now_ms, self.view)
        if changes and self.draw.random() < 0.2:  # some come again, which changes nothing
            for one in changes[self.draw.randrange(len(changes)) :]:
                again = self.triggers.consider(one, now_ms, self.view)
                assert all(o.why == "not the customer's doing" for o in again if isinstance(o, TriggerDecision))
                assert not any(isinstance(o, OutreachRequest) for o in again)
                self.topics += again
        due_ms = self.triggers.next_due_ms
        if due_ms is not None and due_ms <= now_ms:
            self.topics += self.triggers.advance(now_ms, self.view)

    def _flush(self, number: int) -> None:
        """State, position and the topics' ends become durable together."""
        for key, value in self.triggers.take_entries():
            if value is None:
                self.table.pop(key, None)
            else:
                self.table[key] = value
        self.flushed_step, self.flushed_topics = number, len(self.topics)

    def _crash(self) -> None:
        """Lose the state since the flush and the end of what was written: of decisions as much as of requests, or more.

        A request is written before its decision.
        """
        self.starts += 1
        kept = self.draw.randint(self.flushed_topics, len(self.topics))
        told = self.draw.randint(self.flushed_topics, kept)
        tail = [
            one
            for place, one in enumerate(self.topics[:kept])
            if place >= self.flushed_topics and (place < told or isinstance(one, OutreachRequest))
        ]
        self.topics[self.flushed_topics :] = tail
        self.triggers = Triggers(self.world.catalogue)
        self.triggers.load(self.table.items())
        self.topics += self.triggers.remember(
            [one for one in tail if isinstance(one, OutreachRequest)],
            [one for one in tail if isinstance(one, TriggerDecision)],
        )


def found_in(world: World, published: Published) -> list[object]:
    """What the checker finds in the topics."""
    changes = [one for step in world.steps for one in step.changes]
    profiles = [one for step in world.steps for one in step.profiles]
    return list(
        violations(world.catalogue, changes, profiles, published.requests, published.decisions, published.until_ms)
    )
