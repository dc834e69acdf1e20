"""P5 in one partition: what stands still while a source is frozen, what goes on, what wakes, what a restart keeps."""

from __future__ import annotations

import json

import pytest

from schemas.durations import DAY, HOUR, MINUTE
from schemas.loading import loads
from schemas.records import Cause, Change
from schemas.sources import Incoming
from schemas.values import iso
from streams.engine.plan import build
from streams.output import Output
from streams.processor import Partition

START = 1_772_366_400_000
SHOP = loads("""
catalogue: quiet
timezone: UTC
sources:
  look: {topic: look, key: customer, time: at, allowed_skew: 0s, accept_late: 7d, fields: {page: [home, help]}}
  pay: {topic: pay, key: customer, time: at, allowed_skew: 0s, fields: {amount: count}}
features:
  idle: {source: look, since: last}
  seen: {source: look, count: true, window: 1h}
  paid: {source: pay, count: true, window: 1h}
  both: {source: [look, pay], since: last}
  share: {compute: seen / paid}
tags:
  life: {levels: {active: idle < 1d, dormant: otherwise}}
  busy: {when: seen >= 1}
  buyer: {when: paid >= 1}
  here: {when: both < 2h}
  keen: {when: share >= 1}
  warm: {when: seen >= 2, hold: 3h}
segments:
  lively: {when: busy and buyer}
  buyers: {when: buyer}
""")
PLAN = build(SHOP)
ON_LOOK = {"life", "busy", "here", "keen", "warm", "lively"}


class Row:
    """One customer's partition, and what it said."""

    def __init__(self) -> None:
        self.part = Partition(PLAN, keyed=False)
        self.changes: list[Change] = []

    def note(self, output: Output) -> None:
        self.changes += output.changes()

    def take(self, source: str, *times_ms: int, customer: str = "ann") -> None:
        rest = {"page": "home"} if source == "look" else {"amount": 1}
        values = [json.dumps({"customer": customer, "at": START + at} | rest).encode() for at in times_ms]
        self.note(self.part.feed([(source, Incoming(value)) for value in values]))

    def advance(self, to_ms: int) -> None:
        self.note(self.part.advance(START + to_ms))

    def freeze(self, source: str, since_ms: int) -> None:
        self.part.freeze(source, START + since_ms)

    def thaw(self, source: str) -> None:
        self.part.thaw(source)
        while self.part.sleeps:
            self.note(self.part.wake(1))

    def said(self, name: str) -> list[tuple[object, int, Cause]]:
        """The changes of a tag or segment: its value, when (ms after the start), and why."""
        found = [one for one in self.changes if one.name == name]
        return [(one.new, int(_ms(one.at)), one.cause) for one in found]

    def feature(self, name: str) -> object:
        tags = self.part.customer_tags("ann")
        assert tags is not None
        return tags.features[name]

    def status(self) -> dict[str, str]:
        tags = self.part.customer_tags("ann")
        assert tags is not None
        return tags.status


def _ms(text: str) -> float:
    import datetime

    return datetime.datetime.fromisoformat(text).timestamp() * 1000 - START


@pytest.fixture
def row() -> Row:
    found = Row()
    found.take("look", 0)
    return found


def test_freezing_changes_no_tag_and_what_rests_on_the_source_says_so(row: Row) -> None:
    before = len(row.changes)
    row.freeze("look", HOUR)
    row.advance(30 * MINUTE)
    assert (len(row.changes), row.part.frozen) == (before, {"look": START + HOUR})
    assert row.status() == dict.fromkeys(sorted(ON_LOOK), "frozen") == dict(sorted(row.status().items()))
    assert "buyers" not in row.status()


def test_what_its_time_would_bring_waits_and_happens_at_its_own_time_afterwards(row: Row) -> None:
    row.freeze("look", 30 * MINUTE)
    row.advance(3 * DAY)
    assert row.said("life") == [("active", 0, Cause.EVENT)]
    assert row.said("busy") == [(True, 0, Cause.EVENT)]
    row.thaw("look")
    row.advance(3 * DAY)
    assert row.said("life")[1:] == [("dormant", DAY, Cause.TIME)]
    assert row.said("busy")[1:] == [(False, HOUR, Cause.TIME)]
    assert row.status() == {}


def test_what_is_due_before_the_freeze_still_happens(row: Row) -> None:
    row.freeze("look", HOUR)
    row.advance(3 * DAY)
    assert row.said("busy")[1:] == [(False, HOUR, Cause.TIME)]
    assert row.said("life") == [("active", 0, Cause.EVENT)]


def test_other_sources_go_on_and_what_waited_happens_at_the_rows_now(row: Row) -> None:
    row.freeze("look", 30 * MINUTE)
    row.take("pay", 2 * DAY)
    row.advance(3 * DAY)
    assert row.said("buyer") == [(True, 2 * DAY, Cause.EVENT), (False, 2 * DAY + HOUR, Cause.TIME)]
    assert row.feature("idle") == 30 * MINUTE
    assert (row.feature("seen"), row.feature("paid")) == (1, 0)
    row.thaw("look")
    # The row's now is the last thing that happened to it: the payment leaving its window.
    assert row.said("life")[1:] == [("dormant", 2 * DAY + HOUR, Cause.TIME)]


def test_a_hold_on_a_frozen_tag_ends_and_its_rule_reads_what_stands_still(row: Row) -> None:
    row.take("look", MINUTE)
    row.freeze("look", 30 * MINUTE)
    row.advance(DAY)
    assert row.said("warm") == [(True, MINUTE, Cause.EVENT)]
    row.thaw("look")
    row.advance(DAY)
    assert row.said("warm")[1:] == [(False, 3 * HOUR + MINUTE, Cause.TIME)]


def test_a_backlog_counts_at_its_own_times_and_nobody_is_dormant_in_between(row: Row) -> None:
    row.freeze("look", 30 * MINUTE)
    row.take("pay", 5 * DAY)
    row.take("look", DAY - 1, 2 * DAY - 2, 3 * DAY - 3, 4 * DAY - 4, 5 * DAY - 5)
    assert row.feature("idle") == 0
    assert row.feature("seen") == 1
    row.thaw("look")
    assert row.feature("idle") == 5
    assert row.said("life") == [("active", 0, Cause.EVENT)]


def test_a_change_by_a_backlog_bears_the_rows_now_and_the_cause_late(row: Row) -> None:
    row.freeze("look", 30 * MINUTE)
    row.take("pay", 5 * HOUR)
    row.take("look", 2 * HOUR, 2 * HOUR + MINUTE)
    assert row.said("warm") == [(True, 5 * HOUR, Cause.LATE)]


def test_a_feature_over_several_sources_stands_at_the_newest_record_of_any(row: Row) -> None:
    row.freeze("look", 30 * MINUTE)
    row.advance(DAY)
    assert row.said("here") == [(True, 0, Cause.EVENT)]
    row.take("pay", 2 * DAY)
    assert row.feature("both") == 0
    row.advance(3 * DAY)
    assert row.said("here") == [(True, 0, Cause.EVENT)]
    row.thaw("look")
    row.advance(3 * DAY)
    assert row.said("here")[1:] == [(False, 2 * DAY + 2 * HOUR, Cause.TIME)]


def test_a_row_that_went_on_before_the_freeze_does_not_go_back(row: Row) -> None:
    row.take("pay", 2 * DAY)
    assert row.said("life")[1:] == [("dormant", DAY, Cause.TIME)]
    row.freeze("look", HOUR)
    row.take("pay", 2 * DAY + MINUTE)
    assert row.feature("idle") == 2 * DAY
    assert row.said("life")[1:] == [("dormant", DAY, Cause.TIME)]


def test_a_restart_keeps_where_a_row_stands(row: Row) -> None:
    row.freeze("look", 30 * MINUTE)
    row.take("pay", 2 * DAY)
    again, dirty = Row(), row.part.take_dirty()
    again.part.load(dirty.customers, dirty.rows)
    again.freeze("look", 30 * MINUTE)
    while again.part.sleeps:
        again.note(again.part.wake())
    again.advance(3 * DAY)
    assert (again.said("life"), again.feature("idle"), again.feature("seen")) == ([], 30 * MINUTE, 1)
    again.thaw("look")
    assert again.said("life") == [("dormant", 2 * DAY + HOUR, Cause.TIME)]


def test_a_source_that_came_back_while_no_worker_ran_wakes_the_rows_that_were_read_back(row: Row) -> None:
    row.freeze("look", 30 * MINUTE)
    row.take("pay", 2 * DAY)
    again, dirty = Row(), row.part.take_dirty()
    again.part.load(dirty.customers, dirty.rows)
    assert again.part.sleeps
    again.note(again.part.wake())
    assert again.said("life") == [("dormant", 2 * DAY, Cause.TIME)]
    assert not again.part.sleeps


def test_rows_wake_in_slices_and_one_that_is_needed_wakes_first(row: Row) -> None:
    for number in range(5):
        row.take("look", 1, customer=f"c{number}")
        row.take("pay", 2, customer=f"c{number}")
    row.freeze("look", 30 * MINUTE)
    for number in range(5):
        row.take("pay", 2 * DAY, customer=f"c{number}")
    row.part.thaw("look")
    row.take("pay", 2 * DAY + 1, customer="c4")
    dormant = [one.customer_id for one in row.changes if one.new == "dormant"]
    assert "c4" in dormant
    row.note(row.part.wake(3))
    assert row.part.sleeps
    row.note(row.part.wake(3))
    assert not row.part.sleeps
    found = [one.customer_id for one in row.changes if one.new == "dormant" and one.customer_id != "ann"]
    assert sorted(found) == [f"c{number}" for number in range(5)]


def test_who_was_published_as_frozen_is_published_again(row: Row) -> None:
    list(row.part.take_published())
    row.freeze("look", 30 * MINUTE)
    row.take("pay", 45 * MINUTE)
    frozen = [one for page in row.part.take_published() for one in page]
    assert [one.status["life"] for one in frozen] == ["frozen"]
    row.thaw("look")
    again = [one for page in row.part.take_published() for one in page]
    assert [one.status for one in again] == [{}]


def test_an_explanation_does_not_foretell_what_waits(row: Row) -> None:
    def flips(name: str) -> str:
        found = row.part.explain("ann")
        assert found is not None
        return next(one.flips for one in found if one.name == name)

    assert f"turns dormant at {iso(START + DAY)}" in flips("life")
    row.freeze("look", 30 * MINUTE)
    assert "turns" not in flips("life")


def test_two_sources_freeze_and_thaw_apart(row: Row) -> None:
    row.take("pay", 0)
    row.freeze("look", 30 * MINUTE)
    row.freeze("pay", 40 * MINUTE)
    row.advance(DAY)
    assert [row.said("buyer"), row.said("busy")] == [[(True, 0, Cause.EVENT)]] * 2
    row.thaw("pay")
    row.advance(DAY)
    assert row.said("buyer")[1:] == [(False, HOUR, Cause.TIME)]
    assert row.said("busy")[1:] == []
    assert set(row.status()) == ON_LOOK
