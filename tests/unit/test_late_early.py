"""P3 and P9 to the millisecond: what is too late, what waits for the allowed skew, and whose clock is too far ahead."""

from __future__ import annotations

import msgspec
import pytest

from schemas.loading import loads
from schemas.records import Cause
from schemas.sources import Incoming, Reason
from streams.engine.plan import build
from streams.processor import Partition
from tests.live import Kept, Seen, note

PLAN = build(
    loads("""
catalogue: visits
timezone: UTC
currency: CNY
sources:
  web: {topic: web, key: customer, time: at, allowed_skew: 10m, accept_late: 2h, max_ahead: 7m, fields: {}}
  shop: {topic: shop, key: customer, time: at, allowed_skew: 1m, accept_late: 30m, fields: {}}
features:
  web_1d: {source: web, count: true, window: 1d}
  idle: {source: [web, shop], since: last}
tags:
  quiet: {when: idle >= 30m, title: {en: Quiet}}
""")
)
AT, MINUTE, HOUR = 1_735_689_600_000, 60_000, 3_600_000
SKEW = 10 * MINUTE  # the larger of the two


class Bench:
    """A partition, the offsets of its topics, and what came out."""

    def __init__(self) -> None:
        self.part, self.seen, self.kept = Partition(PLAN), Seen(), Kept()
        self.topics: dict[str, list[Incoming]] = {"web": [], "shop": []}

    def send(self, customer: str, at: int, source: str = "web", stamp: int | None = None) -> None:
        raw = msgspec.json.encode({"customer": customer, "at": at})
        record = Incoming(raw, customer.encode(), len(self.topics[source]), stamp)
        self.topics[source].append(record)
        self.part.push(source, [record])
        note(self.part, 100, self.seen)

    def restart(self) -> None:
        """Go on from a marker written now."""
        self.kept.flush(self.part)
        self.part = self.kept.part(PLAN)

    def crash(self) -> None:
        """Go on from the marker before; what came since is read again."""
        self.part = self.kept.part(PLAN)
        positions = self.part.positions()
        for source, records in self.topics.items():
            if records[positions.get(source, 0) :]:
                self.part.push(source, records[positions.get(source, 0) :])
        note(self.part, 100, self.seen)

    @property
    def quiet(self) -> list[tuple[str, str, Cause]]:
        return [(one.customer_id, one.at, one.cause) for one in self.seen.changes if one.new is True]


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(("source", "accept_late"), [("web", 2 * HOUR), ("shop", 30 * MINUTE)])
def test_p3_a_record_is_too_late_a_millisecond_beyond_accept_late(source: str, accept_late: int, restart: bool) -> None:
    bench = Bench()
    bench.send("ann", AT, source)
    if restart:
        bench.restart()
    bench.send("ann", AT - accept_late, source)
    assert (bench.seen.applied, bench.seen.late) == (2, [])
    if restart:
        bench.restart()
    bench.send("ann", AT - accept_late - 1, source)
    assert bench.seen.applied == 2
    (late,) = bench.seen.late
    assert (late.source, late.offset, late.newest) == (source, 2, "2025-01-01T00:00:00.000Z")


def test_p3_lateness_is_measured_by_the_customers_own_newest_of_that_source() -> None:
    bench = Bench()
    bench.send("bob", AT)
    bench.send("ann", AT, "shop")
    bench.send("ann", AT - 5 * HOUR)  # late for bob's web and for ann's shop, not for ann's web
    assert (bench.seen.applied, bench.seen.late) == (3, [])


def test_p3_a_record_is_judged_the_same_on_its_second_reading() -> None:
    bench = Bench()
    bench.send("ann", AT)
    bench.kept.flush(bench.part)
    bench.send("ann", AT - 2 * HOUR)
    bench.send("ann", AT - 2 * HOUR - 1)
    bench.send("ann", AT + MINUTE)
    bench.send("ann", AT + MINUTE - 2 * HOUR - 1)
    bench.send("ann", AT + MINUTE - 2 * HOUR)
    first, bench.seen = bench.seen, Seen()
    bench.crash()
    assert bench.seen.late == first.late
    assert [one.offset for one in first.late] == [2, 4]
    assert bench.seen.applied == first.applied - 1  # what the marker holds is not read again


@pytest.mark.parametrize("restart", [False, True])
def test_p4_time_passes_for_others_when_the_watermark_reaches_the_due_time_and_not_before(restart: bool) -> None:
    bench = Bench()
    bench.send("ann", AT)
    bench.send("bob", AT + 30 * MINUTE + SKEW - 1)
    if restart:
        bench.restart()
    assert bench.quiet == []
    bench.send("bob", AT + 30 * MINUTE + SKEW)
    assert bench.quiet == [("ann", "2025-01-01T00:30:00.000Z", Cause.TIME)]


@pytest.mark.parametrize("restart", [False, True])
def test_p9_a_jump_of_more_than_an_hour_waits_for_a_second_customer(restart: bool) -> None:
    bench = Bench()
    bench.send("ann", AT)
    bench.send("bob", AT + HOUR + 1)
    for hours in (2, 30, 500):
        bench.send("bob", AT + hours * HOUR)  # one customer's clock, however often it says so
    if restart:
        bench.restart()
    assert bench.part.event_now() == AT
    assert ("bob", "2025-01-01T01:30:00.001Z", Cause.TIME) in bench.quiet
    assert not any(customer == "ann" for customer, *_ in bench.quiet)
    bench.send("cy", AT + 3 * HOUR)
    assert bench.part.event_now() == AT + 3 * HOUR  # the smaller of the two is confirmed, the larger waits on
    assert ("ann", "2025-01-01T00:30:00.000Z", Cause.TIME) in bench.quiet


def test_p9_a_step_of_an_hour_needs_no_second_customer() -> None:
    bench = Bench()
    bench.send("ann", AT)
    bench.send("bob", AT + HOUR)
    assert bench.part.event_now() == AT + HOUR
    bench.send("bob", AT + 2 * HOUR + 1)
    assert bench.part.event_now() == AT + HOUR


def test_p9_a_clock_far_ahead_never_makes_others_late() -> None:
    bench = Bench()
    bench.send("bob", AT)
    bench.send("eve", AT + 10_000 * HOUR)
    bench.send("bob", AT + MINUTE)
    bench.send("ann", AT + 2 * MINUTE)
    assert (bench.seen.applied, bench.seen.late, bench.part.event_now()) == (4, [], AT + 2 * MINUTE)


@pytest.mark.parametrize(("ahead", "good"), [(7 * MINUTE, True), (7 * MINUTE + 1, False)])
def test_p9_a_record_more_than_max_ahead_of_its_timestamp_moves_nothing(ahead: int, good: bool) -> None:
    bench = Bench()
    bench.send("ann", AT, stamp=AT)
    bench.send("bob", AT + ahead, stamp=AT)
    assert [one.reason for one in bench.seen.dead] == ([] if good else [Reason.TIME_AHEAD])
    assert bench.part.event_now() == (AT + ahead if good else AT)


def test_p3_sources_that_merge_by_time_merge_alike_after_a_restart() -> None:
    def fill(bench: Bench) -> None:
        bench.part.ended("shop", False)
        bench.send("ann", AT + 5 * MINUTE)
        bench.send("ann", AT + MINUTE)  # behind the one before it, so merged at that one's time
        bench.send("ann", AT + 3 * MINUTE, "shop")

    whole = Bench()
    fill(whole)
    whole.part.ended("shop", True)
    note(whole.part, 100, whole.seen)
    for applied in (1, 2):
        bench = Bench()
        fill(bench)
        bench.part, bench.seen = Partition(PLAN), Seen()
        for source in ("web", "shop"):
            bench.part.push(source, bench.topics[source])
        note(bench.part, applied, bench.seen)
        bench.kept.flush(bench.part)
        bench.crash()
        assert bench.part.positions() == {"web": 2, "shop": 1}
        assert [one.id for one in bench.seen.changes] == [one.id for one in whole.seen.changes]


def test_p3_a_record_behind_another_may_not_pass_it_after_a_restart_either() -> None:
    bench = Bench()
    bench.send("ann", AT + 5 * MINUTE)
    bench.restart()
    for source, at, offset in (("web", AT + MINUTE, 1), ("shop", AT + 3 * MINUTE, 0)):
        raw = msgspec.json.encode({"customer": "ann", "at": at})
        bench.part.push(source, [Incoming(raw, b"ann", offset)])
    assert bench.part.run(1).applied == 1
    assert bench.part.positions() == {"web": 1, "shop": 1}  # the web's waits for its elder's time, as it would have
