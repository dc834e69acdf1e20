"""What is kept over a restart, what comes again, and what is forgotten."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from schemas.catalogue import Cap, Catalogue, Crossing, QuietHours
from schemas.durations import DAY, HOUR
from schemas.outreach import OutreachRequest, TriggerDecision, Verdict, Why
from schemas.records import Cause
from schemas.values import parse_iso
from streams.triggers import CorruptEntry, Triggers
from streams.triggers.partition import Outcome
from tests.outreach import Facts, catalogue, change, trigger

NOON = parse_iso("2026-01-10T12:00:00Z", datetime.UTC)
TEN_PM, NINE_AM = NOON + 10 * HOUR, NOON + 21 * HOUR
NIGHT = QuietHours(21 * 60, 9 * 60)
YES = Facts()
Table = dict[bytes, bytes]


def whys(outcomes: list[Outcome]) -> list[Why]:
    """The reasons of the decisions."""
    return [one.why for one in outcomes if isinstance(one, TriggerDecision)]


def requests(outcomes: list[Outcome]) -> list[OutreachRequest]:
    """The requests."""
    return [one for one in outcomes if isinstance(one, OutreachRequest)]


def flush(triggers: Triggers, table: Table) -> None:
    """Write what changed into the table."""
    for key, value in triggers.take_entries():
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value


def restarted(served: Catalogue, table: Table) -> Triggers:
    """The triggers as the table knows them."""
    triggers = Triggers(served)
    triggers.load(table.items())
    return triggers


def test_cooldown_cap_and_what_waits_outlive_a_restart() -> None:
    served = catalogue(
        trigger("cool", cooldown_ms=7 * DAY), trigger("capped", cap=Cap(1, 7 * DAY)), trigger("late", quiet=NIGHT)
    )
    first, table = Triggers(served), Table()
    first.consider(change(TEN_PM), TEN_PM, YES)
    flush(first, table)
    assert len(table) == 3
    second = restarted(served, table)
    assert second.take_entries() == []
    assert second.next_due_ms == NINE_AM
    (made,) = requests(second.advance(NINE_AM, YES))
    assert (made.trigger, made.because) == ("late", {"looks": 4})
    assert whys(second.consider(change(NINE_AM + 1), NINE_AM + 1, YES)) == [Why.COOLDOWN, Why.CAP, Why.NONE]


def test_only_what_changed_is_written() -> None:
    triggers = Triggers(catalogue(trigger()))
    triggers.consider(change(NOON), NOON, YES)
    assert len(triggers.take_entries()) == 1
    assert triggers.take_entries() == []
    triggers.consider(change(NOON + 1, customer="bert"), NOON + 1, YES)
    assert [key for key, _ in triggers.take_entries()] == [b"call\x1fbert"]


def test_a_customer_may_have_any_name() -> None:
    served, table = catalogue(trigger(cooldown_ms=DAY)), Table()
    for name in ("", "a\x1fb", "客户", "call\x1fanna"):
        first = restarted(served, table)
        first.consider(change(NOON, customer=name), NOON, YES)
        flush(first, table)
        again = restarted(served, table).consider(change(NOON + 1, customer=name), NOON + 1, YES)
        assert whys(again) == [Why.COOLDOWN]
    assert len(table) == 4


# ------------------------------------------------------------------------------------------------------------ repeats


def test_a_change_that_comes_again_is_dropped_and_counted() -> None:
    triggers = Triggers(catalogue(trigger()))
    changes = [change(NOON), change(NOON, change_id="same moment"), change(NOON + 1), change(NOON + 2, new=False)]
    first = [triggers.consider(one, NOON + 5, YES) for one in changes]
    assert [len(some) for some in first] == [2, 2, 2, 0]
    assert [triggers.consider(one, NOON + 6, YES) for one in changes] == [[], [], [], []]
    assert triggers.repeats == 4


def test_a_change_that_waits_is_not_decided_again_when_it_comes_again() -> None:
    triggers = Triggers(catalogue(trigger(quiet=NIGHT)))
    triggers.consider(change(TEN_PM), TEN_PM, YES)
    assert triggers.consider(change(TEN_PM), TEN_PM + 1, YES) == []
    assert triggers.next_due_ms == NINE_AM


def test_leaving_that_comes_again_calls_nothing_newer_off() -> None:
    triggers = Triggers(catalogue(trigger(quiet=NIGHT)))
    triggers.consider(change(TEN_PM - 1), TEN_PM - 1, YES)
    left = change(TEN_PM, new=False)
    triggers.consider(left, TEN_PM, YES)
    triggers.consider(change(TEN_PM), TEN_PM, YES)
    assert triggers.consider(left, TEN_PM, YES) == []
    assert triggers.next_due_ms == NINE_AM


def test_a_request_found_after_a_crash_is_not_made_again_and_holds_its_cooldown() -> None:
    served = catalogue(trigger(cooldown_ms=DAY))
    (made,) = requests(Triggers(served).consider(change(NOON), NOON, YES))
    triggers = Triggers(served)
    (told,) = triggers.remember([made])
    assert (told.verdict, told.change_id, told.decided_at) == (Verdict.SENT, made.change_id, made.decided_at)
    assert triggers.consider(change(NOON), NOON, YES) == []
    assert whys(triggers.consider(change(NOON + HOUR), NOON + HOUR, YES)) == [Why.COOLDOWN]
    assert whys(triggers.consider(change(NOON + DAY), NOON + DAY, YES)) == [Why.NONE]


def test_a_decision_that_was_told_is_not_told_again() -> None:
    served = catalogue(trigger())
    made, told = Triggers(served).consider(change(NOON), NOON, YES)
    assert isinstance(made, OutreachRequest)
    assert isinstance(told, TriggerDecision)
    assert Triggers(served).remember([made], [told]) == []
    assert Triggers(served).remember([made, made]) == [told]


def test_changes_before_a_request_that_was_found_are_still_decided() -> None:
    served = catalogue(trigger())
    before = Triggers(served)
    before.consider(change(NOON), NOON, YES)
    (made,) = requests(before.consider(change(NOON + 1), NOON + 1, YES))
    triggers = Triggers(served)
    triggers.remember([made])
    assert len(requests(triggers.consider(change(NOON), NOON + 2, YES))) == 1
    assert triggers.consider(change(NOON + 1), NOON + 2, YES) == []


def test_a_request_that_waited_and_was_made_before_the_crash_waits_no_more() -> None:
    served, table = catalogue(trigger(quiet=NIGHT, cap=Cap(1, 30 * DAY))), Table()
    first = Triggers(served)
    first.consider(change(TEN_PM), TEN_PM, YES)
    flush(first, table)
    made = requests(first.advance(NINE_AM, YES))
    second = restarted(served, table)
    second.remember(made)
    second.remember(made)
    assert second.next_due_ms is None
    assert second.advance(NINE_AM, YES) == []
    assert whys(second.consider(change(NINE_AM + 1), NINE_AM + 1, YES)) == [Why.CAP]


def test_what_was_held_back_before_the_crash_stays_held_back() -> None:
    served = catalogue(trigger(consent="has_agreed"))
    (held,) = Triggers(served).consider(change(NOON), NOON, Facts(consent=False))
    assert isinstance(held, TriggerDecision)
    triggers = Triggers(served)
    assert triggers.remember([], [held]) == []
    assert triggers.consider(change(NOON), NOON + 1, YES) == []


def test_a_change_that_only_waited_before_the_crash_is_decided_again() -> None:
    served = catalogue(trigger(quiet=NIGHT))
    (waits,) = Triggers(served).consider(change(TEN_PM), TEN_PM, YES)
    assert isinstance(waits, TriggerDecision)
    for member, why in ((True, Why.NONE), (False, Why.LEFT)):  # as is any other that has waited
        triggers = Triggers(served)
        triggers.remember([], [waits])
        assert whys(triggers.consider(change(TEN_PM), NINE_AM + 1, Facts(member=member))) == [why]


def test_what_was_remembered_is_itself_kept_over_the_next_restart() -> None:
    served, table = catalogue(trigger(cooldown_ms=DAY)), Table()
    (made,) = requests(Triggers(served).consider(change(NOON), NOON, YES))
    first = Triggers(served)
    first.remember([made])
    first.advance(NOON + 40 * DAY, YES)
    flush(first, table)
    assert restarted(served, table).consider(change(NOON), NOON, YES) == []


def test_requests_of_triggers_that_are_gone_are_of_no_concern() -> None:
    (made,) = requests(Triggers(catalogue(trigger("old"))).consider(change(NOON), NOON, YES))
    triggers = Triggers(catalogue(trigger("new")))
    assert len(triggers.remember([made])) == 1
    assert triggers.take_entries() == []


# --------------------------------------------------------------------------------------------------------- forgetting


@pytest.mark.parametrize(
    ("settings", "kept_ms"),
    [
        ({"expires_ms": DAY}, DAY),
        ({"expires_ms": DAY, "cooldown_ms": 7 * DAY}, 7 * DAY),
        ({"expires_ms": DAY, "cooldown_ms": 7 * DAY, "cap": Cap(3, 30 * DAY)}, 30 * DAY),
        ({"expires_ms": 9 * DAY, "cooldown_ms": 7 * DAY}, 9 * DAY),
    ],
)
def test_old_requests_are_forgotten_when_nothing_can_ask_for_them(settings: dict[str, Any], kept_ms: int) -> None:
    triggers, table = Triggers(catalogue(trigger(**settings))), Table()
    triggers.consider(change(NOON), NOON, YES)
    flush(triggers, table)
    triggers.advance(NOON + kept_ms - 1, YES)
    assert triggers.take_entries() == []
    triggers.advance(NOON + kept_ms, YES)
    assert triggers.take_entries() == [(b"call\x1fanna", None)]
    assert whys(triggers.consider(change(NOON + kept_ms), NOON + kept_ms, YES)) == [Why.NONE]


def test_an_entry_stays_small_however_many_requests_are_made() -> None:
    triggers = Triggers(catalogue(trigger(cap=Cap(3, 10 * DAY), cooldown_ms=DAY)))
    sizes = []
    for day in range(200):
        at_ms = NOON + day * DAY
        triggers.consider(change(at_ms), at_ms, YES)
        triggers.consider(change(at_ms + 1, new=False), at_ms + 1, YES)
        ((_, value),) = triggers.take_entries()
        assert value is not None
        sizes.append(len(value))
    assert max(sizes) < 150


def test_what_waits_is_not_forgotten() -> None:
    triggers = Triggers(catalogue(trigger(quiet=NIGHT, expires_ms=3 * DAY)))
    triggers.consider(change(TEN_PM), TEN_PM, YES)
    triggers.take_entries()
    triggers.consider(change(TEN_PM + 30 * DAY, customer="bert"), TEN_PM + 30 * DAY, YES)
    assert [key for key, _ in triggers.take_entries()] == [b"call\x1fbert"]
    assert whys(triggers.advance(TEN_PM + 30 * DAY, YES)) == [Why.EXPIRED]


def test_an_erased_customer_leaves_nothing_behind() -> None:
    triggers = Triggers(catalogue(trigger(quiet=NIGHT), trigger("other")))
    triggers.consider(change(TEN_PM), TEN_PM, YES)
    triggers.take_entries()
    triggers.consider(change(TEN_PM + 1, new=False, cause=Cause.ERASURE), TEN_PM + 1, YES)
    triggers.forget("anna")
    assert sorted(triggers.take_entries()) == [(b"call\x1fanna", None), (b"other\x1fanna", None)]
    assert triggers.advance(NINE_AM, YES) == []
    assert triggers.take_entries() == []


# --------------------------------------------------------------------------------------------------- other catalogues


@pytest.mark.parametrize(
    "served",
    [
        catalogue(),
        catalogue(trigger("other")),
        catalogue(trigger(segment="idle")),
        catalogue(trigger(change=Crossing.LEAVE)),
    ],
)
def test_what_waits_for_a_trigger_that_changed_is_held_back_and_says_so(served: Catalogue) -> None:
    first, table = Triggers(catalogue(trigger(quiet=NIGHT))), Table()
    first.consider(change(TEN_PM), TEN_PM, YES)
    flush(first, table)
    second = restarted(served, table)
    assert second.next_due_ms == TEN_PM
    flush(second, table)
    assert len(table) == 1  # as long as it has not been said
    (held,) = second.advance(TEN_PM + 1, YES)
    assert isinstance(held, TriggerDecision)
    assert (held.trigger, held.why, held.change_id) == ("call", Why.WITHDRAWN, change(TEN_PM).id)
    flush(second, table)
    third = restarted(served, table)
    assert third.next_due_ms is None
    assert third.advance(NINE_AM, YES) == []


def test_what_a_trigger_that_is_gone_remembered_is_deleted() -> None:
    first, table = Triggers(catalogue(trigger(cooldown_ms=DAY))), Table()
    first.consider(change(NOON), NOON, YES)
    flush(first, table)
    second = restarted(catalogue(trigger("other")), table)
    assert second.next_due_ms is None
    flush(second, table)
    assert table == {}


@pytest.mark.parametrize("entry", [(b"call\x1fanna", b"\x00"), (b"call\x1fanna", b""), (b"\xff", b"\x80")])
def test_bytes_that_are_no_entry_are_refused(entry: tuple[bytes, bytes]) -> None:
    with pytest.raises(CorruptEntry, match="can't be read"):
        Triggers(catalogue(trigger())).load([entry])
