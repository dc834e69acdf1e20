"""What the demo tells of triggers: each change counted once, by its last decision, and said in plain words."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

import schemas
from schemas.catalogue import Catalogue
from schemas.loading import load
from schemas.outreach import OutreachRequest, TriggerDecision, Verdict, Why
from schemas.records import Cause, SegmentChange, TagChange
from schemas.values import iso
from streams.demo.ending import TOLD
from streams.demo.moments import Moment, Moments
from streams.demo.outreach import Case, Outreach, Picked, Tally, pick, tally
from streams.demo.outreach_story import SHORT, OutreachTeller, triggers_table
from streams.demo.topics import Batch

WIDTH = 160
SECOND, HOUR, DAY = 1_000, 3_600_000, 86_400_000
NOON = 1_741_147_200_000  # 2025-03-05T12:00:00+08:00
CALL = "call_on_inflow"
BANK: Catalogue = load(Path(schemas.__file__).parent / "bank.yaml")


def decision(
    change: str,
    verdict: Verdict = Verdict.SENT,
    why: Why = Why.NONE,
    after_ms: int = 0,
    at_ms: int = NOON,
    until_ms: int | None = None,
) -> TriggerDecision:
    return TriggerDecision(
        id=f"{change}/{verdict}/{why}",
        trigger=CALL,
        customer_id=f"c-{change}",
        segment="inflow_to_call",
        change_id=change,
        change_at=iso(at_ms),
        decided_at=iso(at_ms + after_ms),
        verdict=verdict,
        why=why,
        until=None if until_ms is None else iso(until_ms),
    )


def request(made: TriggerDecision, channel: str = "phone") -> OutreachRequest:
    return OutreachRequest(
        id=f"request-{made.change_id}",
        trigger=made.trigger,
        channel=channel,
        customer_id=made.customer_id,
        segment=made.segment,
        change_id=made.change_id,
        change_at=made.change_at,
        decided_at=made.decided_at,
        expires_at=iso(NOON + 12 * HOUR),
        because={},
    )


def cases(*decisions: TriggerDecision) -> list[Case]:
    """The cases of the topics that hold these decisions, and the requests that belong to them."""
    outreach = Outreach()
    outreach.take_decisions([msgspec.json.encode(one) for one in decisions])
    sent = [request(one) for one in decisions if one.verdict is Verdict.SENT]
    outreach.take_requests([msgspec.json.encode(one) for one in sent])
    return outreach.cases(CALL)


def text(shown: RenderableType) -> str:
    out = io.StringIO()
    Console(file=out, width=WIDTH, color_system=None).print(shown)
    return out.getvalue()


def held(change: str, why: Why, at_ms: int = NOON) -> TriggerDecision:
    return decision(change, Verdict.HELD_BACK, why, at_ms=at_ms)


def test_each_change_counts_once_by_its_last_decision() -> None:
    waits = decision("a", Verdict.WAITING, Why.QUIET)
    found = tally(
        cases(
            waits,
            decision("a", after_ms=9 * HOUR),
            waits,
            decision("a", after_ms=9 * HOUR),
            decision("b"),
            decision("c", Verdict.WAITING, Why.QUIET),
            decision("c", Verdict.HELD_BACK, Why.LEFT),
            decision("d", Verdict.WAITING, Why.QUIET),
            held("e", Why.NO_CONSENT),
        )
    )
    assert found == Tally(changes=5, sent=2, at_once=1, waiting=1, held_back={Why.NO_CONSENT: 1, Why.LEFT: 1})


@pytest.mark.parametrize(("after_ms", "at_once"), [(0, 1), (60 * SECOND, 1), (60 * SECOND + 1, 0)])
def test_at_once_is_within_a_minute(after_ms: int, at_once: int) -> None:
    assert tally(cases(decision("a", after_ms=after_ms))).at_once == at_once


def test_decisions_cut_anywhere_into_batches_tell_the_same() -> None:
    decisions = [decision("a", Verdict.WAITING, Why.QUIET), decision("a", after_ms=HOUR), held("b", Why.CAP)]
    one_by_one = Outreach()
    for each in decisions:
        one_by_one.take_decisions([msgspec.json.encode(each)])
    one_by_one.take_requests([msgspec.json.encode(request(decisions[1]))])
    assert one_by_one.cases(CALL) == cases(*decisions)


def test_another_triggers_decisions_are_not_counted() -> None:
    other = msgspec.structs.replace(decision("a"), trigger="keep_funds")
    assert tally(cases(other)).changes == 0


def test_the_newest_of_each_kind_are_picked_and_one_for_each_reason() -> None:
    many = [decision(f"s{n}", at_ms=NOON + n * HOUR) for n in range(5)]
    late = [decision(f"l{n}", at_ms=NOON + n * HOUR, after_ms=2 * HOUR) for n in range(3)]
    back = [held(f"h{n}", (Why.COOLDOWN, Why.CAP)[n % 3 == 0], NOON + n * HOUR) for n in range(6)]
    picked = pick(cases(*many, *late, *back), 2)
    assert [one.decision.change_id for one in picked.at_once] == ["s4", "s3"]
    assert [one.decision.change_id for one in picked.later] == ["l2"]
    assert [(one.decision.change_id, one.decision.why) for one in picked.held_back] == [
        ("h5", Why.COOLDOWN),
        ("h3", Why.CAP),
    ]


def test_a_line_for_each_trigger_with_a_column_for_each_reason_met() -> None:
    found = tally(cases(decision("a"), held("b", Why.HOLDOUT), held("c", Why.HOLDOUT)))
    none = tally([])
    told = text(triggers_table(BANK.triggers, {one.name: found if one.name == CALL else none for one in BANK.triggers}))
    assert "Held out" in told
    assert "No consent" not in told
    row = next(line for line in told.splitlines() if "Call on a large inflow" in line)
    assert row.split()[-5:] == ["3", "1", "1", "0", "2"]
    assert sum("流" in line or "沉睡" in line for line in told.splitlines()) == len(BANK.triggers)


def test_every_reason_at_once_fits_the_width() -> None:
    reasons = [why for why in Why if why not in (Why.NONE, Why.QUIET)]
    full = Tally(123_456, 12_345, 12_345, 1_234, dict.fromkeys(reasons, 12_345))
    told = text(triggers_table(BANK.triggers, {one.name: full for one in BANK.triggers}))
    assert max(map(cell_len, told.splitlines())) <= WIDTH
    assert told.count("123,456") == len(BANK.triggers)


def test_every_reason_for_holding_back_has_a_heading_and_words_of_its_own() -> None:
    reasons = [why for why in Why if why not in (Why.NONE, Why.QUIET)]
    assert set(SHORT) == set(reasons)
    teller, call = OutreachTeller(BANK), BANK.trigger(CALL)
    words = {teller.reason(call, held("a", why)) for why in reasons}
    assert len(words) == len(reasons)
    assert not words & {why.value for why in Why}


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (decision("a", after_ms=0), "Request by phone within 1 s of that, to be made by 2025-03-06 00:00"),
        (decision("a", after_ms=41_500), "Request by phone within 42 s of that, to be made by 2025-03-06 00:00"),
        (
            decision("a", after_ms=2 * HOUR),
            "Request by phone 2025-03-05 14:00, 2 h later, to be made by 2025-03-06 00:00",
        ),
        (held("a", Why.HOLDOUT), "None: one of the 10% left alone, so that the effect can be measured"),
        (
            decision("a", Verdict.HELD_BACK, Why.COOLDOWN, until_ms=NOON + DAY),
            "None: a request was made lately; no other before 2025-03-06 12:00",
        ),
        (
            decision("a", Verdict.HELD_BACK, Why.EXPIRED, until_ms=NOON + 21 * HOUR),
            "None: it would expire before the quiet hours end, 2025-03-06 09:00",
        ),
        (held("a", Why.EXPIRED), "None: it expired before it could be made"),
        (
            decision("a", Verdict.WAITING, Why.QUIET, until_ms=NOON + 21 * HOUR),
            "Waits for the quiet hours to end, 2025-03-06 09:00",
        ),
    ],
)
def test_a_decision_is_said_in_plain_words_in_the_catalogues_zone(made: TriggerDecision, words: str) -> None:
    (case,) = cases(made)
    assert OutreachTeller(BANK).decided(BANK.trigger(CALL), case) == words


def test_a_request_that_waited_says_what_for() -> None:
    (case,) = cases(decision("a", Verdict.WAITING, Why.QUIET), decision("a", after_ms=2 * HOUR))
    said = OutreachTeller(BANK).decided(BANK.trigger(CALL), case)
    assert "2025-03-05 14:00, when the quiet hours ended, 2 h later" in said


def segment_change(change: str, customer: str, at_ms: int = NOON) -> SegmentChange:
    because = {"large_inflow": True, "inflow_surge": False, "contactable": True, "complained": False}
    return SegmentChange(change, customer, "inflow_to_call", False, True, iso(at_ms), Cause.EVENT, 1, {**because})


def tag_change(name: str, customer: str, at_ms: int = NOON) -> TagChange:
    because = {"inflow_1h": "61000.50", "inflow_30d": "70000.00"}
    return TagChange(f"{name}-{customer}-{at_ms}", customer, name, False, True, iso(at_ms), Cause.EVENT, 1, {**because})


def batch(changes: Sequence[SegmentChange | TagChange]) -> Batch:
    keys: list[bytes | None] = [change.customer_id.encode() for change in changes]
    return Batch(0, len(keys), keys, [msgspec.json.encode(change) for change in changes])


def moments(*decisions: TriggerDecision) -> Moments:
    """Those of a topic with a change of customers c-a and c-b, and tags before, then and after."""
    found = Moments(decisions)
    found.take_segments(batch([segment_change(name, f"c-{name}") for name in "ab"]))
    names = ("large_inflow", "net_saver")
    when = (NOON - SECOND, NOON, NOON + SECOND)
    found.take_tags(batch([tag_change(name, f"c-{c}", at) for name in names for c in "ab" for at in when]))
    return found


def test_behind_a_change_are_the_tags_of_its_rule_that_changed_in_the_same_moment() -> None:
    found = moments(decision("a")).of(decision("a"))
    assert found == Moment(segment_change("a", "c-a"), [tag_change("large_inflow", "c-a")])
    assert moments(decision("a")).of(decision("z")) == Moment(None, [])


def test_what_happened_is_told_with_titles_and_values() -> None:
    teller = OutreachTeller(BANK)
    assert teller.happened(moments(decision("a")).of(decision("a"))) == (
        "Large inflow: on (Inflow of the last hour 61,000.50 CNY; Inflow of 30 days 70,000.00 CNY)"
    )
    assert teller.happened(Moment(segment_change("a", "c-a"), [])) == (
        "Large inflow yes; Inflow surging no; May be contacted yes; Complained lately no"
    )
    assert teller.happened(Moment(None, [])) == "–"


def test_examples_name_the_customer_the_moment_what_happened_and_what_was_decided() -> None:
    picked = pick(cases(decision("a"), held("b", Why.NO_CONSENT)), 3)
    known = moments(*(case.decision for case in picked.cases))
    told = text(OutreachTeller(BANK).examples(BANK.trigger(CALL), picked, known.of))
    said = " ".join(told.split())
    for words in ("c-a", "2025-03-05 12:00:00", "61,000.50 CNY", "within 1 s of that", "c-b", "has not agreed"):
        assert words in said
    assert "Entered" in said
    assert max(map(cell_len, told.splitlines())) <= WIDTH


def test_of_a_trigger_that_waits_for_customers_to_leave_it_says_left() -> None:
    retail = load(Path(schemas.__file__).parent / "retail.yaml")
    leaving = next(one for one in retail.triggers if one.change.value == "leave")
    told = text(OutreachTeller(retail).examples(leaving, Picked([], [], []), lambda _: Moment(None, [])))
    assert "Left" in told


def test_the_triggers_that_are_told_are_those_of_the_shipped_catalogues() -> None:
    for name, told in TOLD.items():
        catalogue = load(Path(schemas.__file__).parent / f"{name}.yaml")
        assert set(told) <= {trigger.name for trigger in catalogue.triggers}
        assert told
