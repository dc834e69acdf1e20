"""Every reason for which a request is made, waits or is not made, at the edges of each span."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from schemas.catalogue import Cap, Crossing, QuietHours, Trigger
from schemas.durations import DAY, HOUR, MINUTE
from schemas.outreach import OutreachRequest, TriggerDecision, Verdict, Why, decision_id, request_id
from schemas.records import Cause
from schemas.values import iso, parse_iso
from streams.triggers import Triggers
from streams.triggers.partition import Outcome
from tests.outreach import Facts, catalogue, change, trigger

NOON = parse_iso("2026-01-10T12:00:00Z", datetime.UTC)
NIGHT = QuietHours(21 * 60, 9 * 60)
TEN_PM, NINE_AM = NOON + 10 * HOUR, NOON + 21 * HOUR
SENT, HELD, WAITING = Verdict.SENT, Verdict.HELD_BACK, Verdict.WAITING
YES = Facts()


def said(outcomes: list[Outcome]) -> list[tuple[Verdict, Why]]:
    """The decisions."""
    return [(one.verdict, one.why) for one in outcomes if isinstance(one, TriggerDecision)]


def requests(outcomes: list[Outcome]) -> list[OutreachRequest]:
    """The requests."""
    return [one for one in outcomes if isinstance(one, OutreachRequest)]


def of(**settings: Any) -> Triggers:
    """One trigger `call` with these settings."""
    return Triggers(catalogue(trigger(**settings)))


@pytest.mark.parametrize(
    ("settings", "facts", "now_ms", "verdict", "why"),
    [
        ({}, YES, NOON, SENT, Why.NONE),
        ({}, Facts(consent=None), NOON, SENT, Why.NONE),  # none needed, none asked for
        ({"consent": "has_agreed"}, YES, NOON, SENT, Why.NONE),
        ({"consent": "has_agreed"}, Facts(consent=False), NOON, HELD, Why.NO_CONSENT),
        ({"consent": "has_agreed"}, Facts(consent=None), NOON, HELD, Why.NO_CONSENT),
        ({"holdout": 1.0}, YES, NOON, HELD, Why.HOLDOUT),
        ({"holdout": 1.0, "consent": "has_agreed"}, Facts(consent=False), NOON, HELD, Why.NO_CONSENT),
        ({"quiet": QuietHours(12 * 60, 13 * 60)}, YES, NOON, WAITING, Why.QUIET),
        ({"quiet": QuietHours(12 * 60 + 1, 13 * 60)}, YES, NOON, SENT, Why.NONE),
        ({"quiet": QuietHours(11 * 60, 12 * 60)}, YES, NOON, SENT, Why.NONE),
        ({"quiet": QuietHours(11 * 60, 12 * 60), "expires_ms": 1}, YES, NOON, SENT, Why.NONE),
        ({"quiet": QuietHours(12 * 60, 13 * 60), "expires_ms": HOUR}, YES, NOON, HELD, Why.EXPIRED),
        ({"quiet": QuietHours(12 * 60, 13 * 60), "expires_ms": HOUR + 1}, YES, NOON, WAITING, Why.QUIET),
        ({"quiet": QuietHours(12 * 60, 13 * 60), "holdout": 1.0}, YES, NOON, HELD, Why.HOLDOUT),
        ({"expires_ms": HOUR}, YES, NOON + HOUR - 1, SENT, Why.NONE),
        ({"expires_ms": HOUR}, YES, NOON + HOUR, HELD, Why.EXPIRED),
        ({"expires_ms": HOUR, "consent": "has_agreed"}, Facts(consent=False), NOON + HOUR, HELD, Why.EXPIRED),
        ({}, Facts(member=False), NOON, SENT, Why.NONE),  # only what waited is asked for its place
    ],
)
def test_the_first_rule_that_says_no_gives_the_reason(
    settings: dict[str, Any], facts: Facts, now_ms: int, verdict: Verdict, why: Why
) -> None:
    outcomes = of(**settings).consider(change(NOON), now_ms, facts)
    assert said(outcomes) == [(verdict, why)]
    assert len(requests(outcomes)) == (verdict is SENT)


@pytest.mark.parametrize("cause", [Cause.DEFINITION, Cause.ERASURE, Cause.CORRECTION])
def test_what_is_not_the_customers_doing_triggers_nothing(cause: Cause) -> None:
    triggers = of()
    assert said(triggers.consider(change(NOON, cause=cause), NOON, YES)) == [(HELD, Why.CAUSE)]
    triggers.consider(change(NOON + 1), NOON + 1, YES)
    assert said(triggers.consider(change(NOON + 2, cause=cause), NOON + 2, YES)) == [(HELD, Why.CAUSE)]
    assert said(triggers.consider(change(NOON, cause=cause, change_id="older"), NOON + 3, YES)) == [(HELD, Why.CAUSE)]
    assert triggers.repeats == 0


@pytest.mark.parametrize("cause", sorted(set(Cause) - {Cause.DEFINITION, Cause.ERASURE, Cause.CORRECTION}))
def test_every_other_cause_counts(cause: Cause) -> None:
    assert said(of().consider(change(NOON, cause=cause), NOON, YES)) == [(SENT, Why.NONE)]


@pytest.mark.parametrize(("crossing", "new"), [(Crossing.ENTER, False), (Crossing.LEAVE, True)])
def test_only_the_change_that_the_trigger_names_triggers_it(crossing: Crossing, new: bool) -> None:
    triggers = of(change=crossing)
    assert triggers.consider(change(NOON, new=new), NOON, YES) == []
    assert said(triggers.consider(change(NOON + 1, new=not new), NOON + 1, YES)) == [(SENT, Why.NONE)]


def test_segments_that_no_trigger_follows_are_not_looked_at() -> None:
    triggers = of()
    assert triggers.followed == {"busy"}
    assert triggers.consider(change(NOON, segment="idle"), NOON, YES) == []


def test_the_request_comes_before_its_decision_and_says_everything() -> None:
    request, decision = of(expires_ms=2 * HOUR).consider(change(NOON, change_id="c"), NOON + 5, YES)
    assert request == OutreachRequest(
        id=request_id("call", "c"),
        trigger="call",
        channel="phone",
        customer_id="anna",
        segment="busy",
        change_id="c",
        change_at="2026-01-10T12:00:00.000Z",
        decided_at="2026-01-10T12:00:00.005Z",
        expires_at="2026-01-10T14:00:00.000Z",
        because={"looks": 4},
    )
    assert decision == TriggerDecision(
        id=decision_id("call", "c", SENT, Why.NONE),
        trigger="call",
        customer_id="anna",
        segment="busy",
        change_id="c",
        change_at="2026-01-10T12:00:00.000Z",
        decided_at="2026-01-10T12:00:00.005Z",
        verdict=SENT,
        why=Why.NONE,
    )


def test_a_now_before_the_change_counts_as_its_time() -> None:
    (request,) = requests(of().consider(change(NOON), NOON - HOUR, YES))
    assert request.decided_at == iso(NOON)


@pytest.mark.parametrize(("after_ms", "verdict"), [(1, HELD), (7 * DAY - 1, HELD), (7 * DAY, SENT)])
def test_a_cooldown_runs_from_the_last_request(after_ms: int, verdict: Verdict) -> None:
    triggers = of(cooldown_ms=7 * DAY)
    triggers.consider(change(NOON), NOON, YES)
    triggers.consider(change(NOON + 1, customer="bert"), NOON, YES)
    outcomes = triggers.consider(change(NOON + after_ms, change_id="second"), NOON + after_ms, YES)
    (decision,) = [one for one in outcomes if isinstance(one, TriggerDecision)]
    assert decision.verdict is verdict
    if verdict is HELD:
        assert (decision.why, decision.until) == (Why.COOLDOWN, iso(NOON + 7 * DAY))


def test_what_is_held_back_starts_no_cooldown() -> None:
    triggers = of(cooldown_ms=7 * DAY, consent="has_agreed")
    triggers.consider(change(NOON), NOON, Facts(consent=False))
    assert said(triggers.consider(change(NOON + 1), NOON + 1, YES)) == [(SENT, Why.NONE)]


def test_a_cap_counts_the_requests_of_any_span() -> None:
    triggers = of(cap=Cap(2, 30 * DAY))
    days = (0, 10, 20, 29, 30, 31, 40)
    outcomes = [triggers.consider(change(NOON + day * DAY), NOON + day * DAY, YES) for day in days]
    assert [said(some)[0] for some in outcomes] == [
        (SENT, Why.NONE),
        (SENT, Why.NONE),
        (HELD, Why.CAP),
        (HELD, Why.CAP),
        (SENT, Why.NONE),
        (HELD, Why.CAP),
        (SENT, Why.NONE),
    ]
    (held,) = outcomes[2]
    assert isinstance(held, TriggerDecision)
    assert held.until == iso(NOON + 30 * DAY)


def test_a_cooldown_is_asked_before_a_cap() -> None:
    triggers = of(cooldown_ms=DAY, cap=Cap(1, 30 * DAY))
    triggers.consider(change(NOON), NOON, YES)
    assert said(triggers.consider(change(NOON + HOUR), NOON + HOUR, YES)) == [(HELD, Why.COOLDOWN)]
    assert said(triggers.consider(change(NOON + DAY), NOON + DAY, YES)) == [(HELD, Why.CAP)]


def test_two_triggers_on_one_segment_decide_each_for_itself_in_the_catalogues_order() -> None:
    both = Triggers(catalogue(trigger("b", cooldown_ms=DAY), trigger("a"), trigger("c", segment="idle")))
    assert both.followed == {"busy", "idle"}
    first = both.consider(change(NOON), NOON, YES)
    assert [one.trigger for one in first] == ["b", "b", "a", "a"]
    assert said(both.consider(change(NOON + 1), NOON + 1, YES)) == [(HELD, Why.COOLDOWN), (SENT, Why.NONE)]


# ------------------------------------------------------------------------------------------------------------ waiting


def waiting(**settings: Any) -> Triggers:
    """A trigger with a request of 22:00 that waits for 09:00."""
    triggers = of(**{"quiet": NIGHT, "consent": "has_agreed"} | settings)
    (decision,) = triggers.consider(change(TEN_PM), TEN_PM, YES)
    assert isinstance(decision, TriggerDecision)
    assert (decision.verdict, decision.why, decision.until) == (WAITING, Why.QUIET, iso(NINE_AM))
    assert triggers.next_due_ms == NINE_AM
    return triggers


def test_a_request_of_the_night_is_made_as_the_quiet_hours_end() -> None:
    triggers = waiting()
    assert triggers.advance(NINE_AM - 1, YES) == []
    outcomes = triggers.advance(NINE_AM, YES)
    assert said(outcomes) == [(SENT, Why.NONE)]
    (request,) = requests(outcomes)
    assert (request.change_at, request.decided_at) == (iso(TEN_PM), iso(NINE_AM))
    assert request.because == {"looks": 4}
    assert triggers.next_due_ms is None
    assert triggers.advance(NINE_AM + DAY, YES) == []


@pytest.mark.parametrize(
    ("settings", "facts", "now_ms", "verdict", "why"),
    [
        ({}, Facts(consent=False), NINE_AM, HELD, Why.NO_CONSENT),
        ({}, Facts(member=False), NINE_AM, HELD, Why.LEFT),
        ({}, Facts(member=False), TEN_PM + DAY, HELD, Why.EXPIRED),
        ({}, YES, TEN_PM + DAY - 1, HELD, Why.EXPIRED),  # quiet again, until after it expires
        ({"expires_ms": 3 * DAY}, YES, TEN_PM + DAY, WAITING, Why.QUIET),
        ({"expires_ms": 3 * DAY}, YES, TEN_PM + 2 * DAY + 12 * HOUR, SENT, Why.NONE),
        ({}, YES, TEN_PM + DAY, HELD, Why.EXPIRED),
        ({}, YES, NINE_AM + 11 * HOUR, SENT, Why.NONE),
    ],
)
def test_everything_is_decided_again_when_the_waiting_ends(
    settings: dict[str, Any], facts: Facts, now_ms: int, verdict: Verdict, why: Why
) -> None:
    triggers = waiting(**settings)
    assert said(triggers.advance(now_ms, facts)) == [(verdict, why)]
    assert (triggers.next_due_ms is None) == (verdict is not WAITING)


def test_who_waits_to_be_asked_about_leaving_must_not_be_back() -> None:
    triggers = of(change=Crossing.LEAVE, quiet=NIGHT)
    triggers.consider(change(TEN_PM, new=False), TEN_PM, Facts(member=False))
    assert said(triggers.advance(NINE_AM, Facts(member=True))) == [(HELD, Why.RETURNED)]


@pytest.mark.parametrize("cause", [Cause.EVENT, Cause.TIME, Cause.DEFINITION, Cause.ERASURE])
def test_leaving_the_segment_calls_a_waiting_request_off(cause: Cause) -> None:
    triggers = waiting()
    called_off = triggers.consider(change(TEN_PM + HOUR, new=False, cause=cause), TEN_PM + HOUR, YES)
    assert said(called_off) == [(HELD, Why.LEFT)]
    assert called_off[0].change_id == change(TEN_PM).id
    assert triggers.next_due_ms is None
    assert triggers.advance(NINE_AM, YES) == []


def test_returning_calls_it_off_where_leaving_was_meant() -> None:
    triggers = of(change=Crossing.LEAVE, quiet=NIGHT)
    triggers.consider(change(TEN_PM, new=False), TEN_PM, YES)
    assert said(triggers.consider(change(TEN_PM + 1), TEN_PM + 1, YES)) == [(HELD, Why.RETURNED)]


def test_who_comes_back_in_the_same_night_waits_with_the_newer_change() -> None:
    triggers = waiting()
    triggers.consider(change(TEN_PM + MINUTE, new=False), TEN_PM + MINUTE, YES)
    assert said(triggers.consider(change(TEN_PM + HOUR), TEN_PM + HOUR, YES)) == [(WAITING, Why.QUIET)]
    (request,) = requests(triggers.advance(NINE_AM, YES))
    assert request.change_at == iso(TEN_PM + HOUR)
    assert triggers.advance(NINE_AM + 1, YES) == []


def test_one_request_waits_for_a_trigger_and_a_customer() -> None:
    triggers = waiting()
    newer = triggers.consider(change(TEN_PM + HOUR), TEN_PM + HOUR, YES)
    assert said(newer) == [(HELD, Why.SUPERSEDED), (WAITING, Why.QUIET)]
    assert newer[0].change_id == change(TEN_PM).id
    assert len(requests(triggers.advance(NINE_AM, YES))) == 1


def test_a_waiting_request_is_not_made_within_a_cooldown_that_began_meanwhile() -> None:
    triggers = of(quiet=NIGHT, cooldown_ms=DAY)
    triggers.consider(change(TEN_PM), TEN_PM, YES)
    sent = OutreachRequest("r", "call", "phone", "anna", "busy", "x", iso(NOON), iso(TEN_PM), iso(NOON + DAY), {})
    triggers.remember([sent])
    assert said(triggers.advance(NINE_AM, YES)) == [(HELD, Why.COOLDOWN)]


def test_waiting_requests_are_made_in_the_order_of_their_moments() -> None:
    triggers = Triggers(catalogue(trigger("late", quiet=NIGHT), trigger("early", quiet=QuietHours(21 * 60, 7 * 60))))
    for customer in ("bert", "anna"):
        triggers.consider(change(TEN_PM, customer=customer), TEN_PM, YES)
    assert triggers.next_due_ms == NINE_AM - 2 * HOUR
    made = requests(triggers.advance(NINE_AM, YES))
    assert [(one.trigger, one.customer_id) for one in made] == [
        ("early", "anna"),
        ("early", "bert"),
        ("late", "anna"),
        ("late", "bert"),
    ]


@pytest.mark.parametrize(
    ("at", "made"),
    [("2026-03-28T22:00:00Z", "2026-03-29T07:00:00.000Z"), ("2026-10-24T22:00:00Z", "2026-10-25T08:00:00.000Z")],
)
def test_nine_in_berlin_is_nine_on_the_days_the_clock_is_switched(at: str, made: str) -> None:
    triggers = Triggers(catalogue(trigger(quiet=NIGHT), timezone="Europe/Berlin"))
    start = parse_iso(at, datetime.UTC)
    triggers.consider(change(start), start, YES)
    due = triggers.next_due_ms
    assert due is not None
    assert iso(due) == made
    assert said(triggers.advance(due, YES)) == [(SENT, Why.NONE)]


def test_a_trigger_is_asked_for_what_it_names() -> None:
    asked: list[Trigger] = []

    class Noting(Facts):
        def consented(self, trigger: Trigger, customer: str) -> bool | None:
            asked.append(trigger)
            return True

    one = trigger(consent="contactable")
    Triggers(catalogue(one)).consider(change(NOON), NOON, Noting())
    assert asked == [one]
