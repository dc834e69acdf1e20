"""The checker of outreach can fail: a history that keeps every promise, broken in one way at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from schemas.catalogue import Cap, QuietHours
from schemas.durations import DAY, HOUR
from schemas.outreach import OutreachRequest, TriggerDecision, Verdict, Why
from schemas.records import Cause, SegmentChange
from schemas.values import iso
from tests.outreach import catalogue, change, trigger
from tests.outreach_checker import Broken, Profile, Violation, consent_field, held_out, ms, profile, violations

NOON = ms("2026-01-10T11:00:00Z")  # in Berlin
TEN_PM, NINE_AM = NOON + 10 * HOUR, NOON + 21 * HOUR
# Held out is bert, and neither anna nor carl.
CALL = trigger(
    "sms",
    consent="contactable",
    cooldown_ms=DAY,
    cap=Cap(2, 7 * DAY),
    quiet=QuietHours(21 * 60, 9 * 60),
    holdout=0.3,
    expires_ms=12 * HOUR,
)
SERVED = catalogue(CALL, timezone="Europe/Berlin")


class History(msgspec.Struct):
    """The topics."""

    changes: list[SegmentChange]
    profiles: list[Profile]
    requests: list[OutreachRequest]
    decisions: list[TriggerDecision]
    until_ms: int = NOON + 60 * DAY

    def found(self, lag_ms: int = 0) -> list[Violation]:
        """What the checker finds."""
        topics = self.changes, self.profiles, self.requests, self.decisions
        return violations(SERVED, *topics, self.until_ms, lag_ms)

    def send(self, of: SegmentChange, at_ms: int) -> None:
        """A request and its decision."""
        expires_at = iso(ms(of.at) + CALL.expires_ms)
        names = "sms", "phone", of.customer_id, of.segment, of.id, of.at
        self.requests.append(OutreachRequest(f"r {of.id}", *names, iso(at_ms), expires_at, {}))
        self.tell(of, at_ms, Verdict.SENT, Why.NONE)

    def tell(self, of: SegmentChange, at_ms: int, verdict: Verdict, why: Why, until_ms: int | None = None) -> None:
        """A decision."""
        until = None if until_ms is None else iso(until_ms)
        names = "sms", of.customer_id, of.segment, of.id, of.at
        self.decisions.append(TriggerDecision(f"d {of.id} {why}", *names, iso(at_ms), verdict, why, until))

    def happen(self, at_ms: int, **settings: Any) -> SegmentChange:
        """A change."""
        one = change(at_ms, **settings)
        self.changes.append(one)
        return one

    def alter(self, number: int, **settings: Any) -> None:
        """Another request in the place of one."""
        self.requests[number] = msgspec.structs.replace(self.requests[number], **settings)


def agreed(customer: str, at_ms: int, said: bool | None) -> Profile:
    """A profile record."""
    return Profile("who", customer, at_ms, {"agreed": said})


def sound() -> History:
    """A change at noon that was sent, one the cooldown held back, one of the night that waited, and one of bert."""
    history = History([], [agreed(name, NOON - DAY, True) for name in ("anna", "bert", "carl")], [], [])
    history.send(history.happen(NOON), NOON + 5)
    history.happen(NOON + HOUR, new=False)
    history.tell(history.happen(NOON + 2 * HOUR), NOON + 2 * HOUR, Verdict.HELD_BACK, Why.COOLDOWN, NOON + DAY + 5)
    night = history.happen(TEN_PM, customer="carl")
    history.tell(night, TEN_PM, Verdict.WAITING, Why.QUIET, NINE_AM)
    history.send(night, NINE_AM)
    history.tell(history.happen(NOON, customer="bert"), NOON, Verdict.HELD_BACK, Why.HOLDOUT)
    return history


def test_a_sound_history_has_no_violations() -> None:
    assert held_out(CALL, "bert")
    assert not held_out(CALL, "anna")
    assert sound().found() == []


def withdrawn(history: History) -> None:
    history.profiles.append(agreed("anna", NOON + 5, False))


def removed(history: History) -> None:
    history.profiles.append(Profile("who", "anna", NOON, None))


def never_asked(history: History) -> None:
    del history.profiles[0]


def at_night(history: History) -> None:
    history.alter(1, decided_at=iso(NINE_AM - 1))


def too_soon(history: History) -> None:
    history.send(history.happen(NOON + DAY, change_id="soon"), NOON + DAY + 4)


def too_many(history: History) -> None:
    for day in (1, 2):
        history.send(history.happen(NOON + day * DAY + 5), NOON + day * DAY + 5)


def too_late(history: History) -> None:
    of = history.happen(NOON + 3 * DAY)
    history.send(of, NOON + 3 * DAY + 12 * HOUR)
    history.alter(-1, decided_at=iso(NOON + 3 * DAY + 22 * HOUR))


def longer_than_allowed(history: History) -> None:
    history.alter(0, expires_at=iso(NOON + DAY))


def twice(history: History) -> None:
    history.alter(0, decided_at=iso(NOON))
    history.requests.append(msgspec.structs.replace(history.requests[0], decided_at=iso(NOON + DAY)))
    history.alter(-1, decided_at=iso(NOON + HOUR))


def to_bert(history: History) -> None:
    history.decisions.pop()
    history.send(history.changes[-1], NOON)


def for_a_definition(history: History) -> None:
    history.send(history.happen(NOON + 3 * DAY, cause=Cause.DEFINITION), NOON + 3 * DAY)


def gone_meanwhile(history: History) -> None:
    history.happen(NINE_AM, customer="carl", new=False)


def before_it_happened(history: History) -> None:
    history.alter(0, decided_at=iso(NOON - 1))


def without_its_decision(history: History) -> None:
    history.decisions.pop(0)


def without_its_request(history: History) -> None:
    history.requests.pop(0)
    history.decisions.pop(1)  # or the cooldown would be unfounded too
    del history.changes[2]


def sent_and_held_back(history: History) -> None:
    history.tell(history.changes[0], NOON + 12 * HOUR, Verdict.HELD_BACK, Why.EXPIRED)


def forgotten(history: History) -> None:
    history.happen(NOON + 3 * DAY)


def forgotten_while_it_waited(history: History) -> None:
    night = history.happen(TEN_PM + 3 * DAY)
    history.tell(night, TEN_PM + 3 * DAY, Verdict.WAITING, Why.QUIET, NINE_AM + 3 * DAY)


def of_no_change(history: History) -> None:
    of = change(NOON + 3 * DAY)
    history.send(of, NOON + 3 * DAY)


def of_another_segment(history: History) -> None:
    history.send(history.happen(NOON + 3 * DAY, segment="idle"), NOON + 3 * DAY)


def of_the_wrong_direction(history: History) -> None:
    history.tell(history.happen(NOON + 3 * DAY, new=False), NOON + 3 * DAY, Verdict.HELD_BACK, Why.NO_CONSENT)


@pytest.mark.parametrize(
    ("harm", "broken"),
    [
        (withdrawn, {Broken.CONSENT}),
        (removed, {Broken.CONSENT}),
        (never_asked, {Broken.CONSENT}),
        (at_night, {Broken.QUIET}),
        (too_soon, {Broken.COOLDOWN}),
        (too_many, {Broken.CAP}),
        (too_late, {Broken.EXPIRED}),
        (longer_than_allowed, {Broken.EXPIRED}),
        (twice, {Broken.TWICE}),
        (to_bert, {Broken.HOLDOUT}),
        (for_a_definition, {Broken.CAUSE}),
        (gone_meanwhile, {Broken.GONE}),
        (before_it_happened, {Broken.EARLY}),
        (without_its_decision, {Broken.UNTOLD}),
        (without_its_request, {Broken.UNSENT}),
        (sent_and_held_back, {Broken.CONTRADICTED}),
        (forgotten, {Broken.FORGOTTEN}),
        (forgotten_while_it_waited, {Broken.FORGOTTEN}),
        (of_no_change, {Broken.STRANGE}),
        (of_another_segment, {Broken.STRANGE}),
        (of_the_wrong_direction, {Broken.STRANGE}),
    ],
)
def test_a_broken_promise_is_found_and_named(harm: Callable[[History], None], broken: set[Broken]) -> None:
    history = sound()
    harm(history)
    assert {one.broken for one in history.found()} == broken


@pytest.mark.parametrize(
    ("verdict", "why"),
    [
        (Verdict.HELD_BACK, Why.NO_CONSENT),
        (Verdict.HELD_BACK, Why.HOLDOUT),
        (Verdict.HELD_BACK, Why.COOLDOWN),
        (Verdict.HELD_BACK, Why.CAP),
        (Verdict.HELD_BACK, Why.EXPIRED),
        (Verdict.HELD_BACK, Why.CAUSE),
        (Verdict.HELD_BACK, Why.LEFT),
        (Verdict.HELD_BACK, Why.RETURNED),
        (Verdict.HELD_BACK, Why.SUPERSEDED),
        (Verdict.HELD_BACK, Why.NONE),
        (Verdict.WAITING, Why.QUIET),
    ],
)
def test_a_reason_that_did_not_hold_is_found(verdict: Verdict, why: Why) -> None:
    history = sound()
    at_ms = NOON + 20 * DAY
    history.tell(history.happen(at_ms, customer="carl"), at_ms, verdict, why, at_ms + HOUR)
    assert Broken.UNFOUNDED in {one.broken for one in history.found()}


def test_every_kind_of_violation_is_tried() -> None:
    marks: Any = test_a_broken_promise_is_found_and_named
    (cases,) = (mark.args[1] for mark in marks.pytestmark)
    tried = set().union(*(broken for _, broken in cases))
    assert set(Broken) - tried == {Broken.UNFOUNDED}  # tried above, reason by reason


def test_a_trigger_that_is_not_declared_is_strange() -> None:
    history = sound()
    history.alter(0, trigger="other")
    assert Broken.STRANGE in {one.broken for one in history.found()}


def test_repeated_decisions_and_changes_are_no_violation() -> None:
    history = sound()
    history.decisions += history.decisions
    history.changes += history.changes
    assert history.found() == []


def test_what_has_not_expired_may_be_undecided() -> None:
    history = sound()
    history.happen(NOON + 3 * DAY)
    history.until_ms = NOON + 3 * DAY + 12 * HOUR - 1
    assert history.found() == []


def test_within_the_lag_a_worker_need_not_know() -> None:
    history = sound()
    withdrawn(history)
    gone_meanwhile(history)
    assert {one.broken for one in history.found(lag_ms=1)} == set()
    history.profiles.append(agreed("anna", NOON - HOUR, False))
    assert {one.broken for one in history.found(lag_ms=1)} == {Broken.CONSENT}


def test_profiles_are_read_from_their_topic_as_the_catalogue_says() -> None:
    record = {"customer": 7, "updated_at": "2026-01-10T12:00:00+01:00", "agreed": True, "may": {"call": False}}
    assert profile(SERVED, "who", record) == Profile("who", "7", NOON, {"agreed": True, "calls": False})
    assert profile(SERVED, "who", {"customer": "x", "updated_at": NOON}).fields == {"agreed": None, "calls": None}
    assert consent_field(SERVED, "contactable") == ("who", "agreed")
    assert consent_field(SERVED, "may_call") == ("who", "calls")
