"""When a target asks, what becomes of outcomes that are too many or too late, and that a replay asks the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import pytest

from schemas.durations import DAY, HOUR
from schemas.learning import Answer, Example, Question
from schemas.loading import loads
from schemas.sources import Incoming
from streams.engine.plan import Plan, build
from streams.output import Fate, Met, Output
from streams.processor import Partition

MIDNIGHT: Final = 1_735_660_800_000  # 2025-01-01T00:00:00+08:00
TEXT: Final = (Path(__file__).parents[1] / "lessons.yaml").read_text(encoding="utf-8")
Fed = tuple[str, Incoming]


def plan_of(on: str) -> Plan:
    """The lessons, where the deposit target asks after these records only."""
    return build(loads(TEXT.replace("    example_every: 7d\n", f"    example_every: 7d\n    example_on: {on}\n")))


@pytest.fixture(scope="module")
def plan() -> Plan:
    return build(loads(TEXT))


def buy(at: int | str, kind: str, name: str = "") -> Fed:
    value = {"customer": "c", "at": at, "id": name or f"{kind}{at}", "amount": 10.0, "kind": kind}
    return "buys", Incoming(msgspec.json.encode(value))


def look(at: int, page: str = "home", customer: str = "c") -> Fed:
    return "looks", Incoming(msgspec.json.encode({"customer": customer, "at": at, "page": page}))


def hours(first: int, last: int) -> list[Fed]:
    """Others who keep time moving."""
    return [look(MIDNIGHT + hour * HOUR, customer=f"o{hour % 3}") for hour in range(first, last)]


def run(plan: Plan, records: Sequence[Fed]) -> Output:
    """All that comes out of them."""
    return Partition(plan, keyed=False).feed(records)


def asked(examples: Sequence[Example], target: str = "deposit", customer: str = "c") -> list[int]:
    """The hours at which the customer was asked about."""
    return [
        (one.at - MIDNIGHT) // HOUR
        for one in examples
        if isinstance(one, Question) and (one.target, one.customer_id) == (target, customer)
    ]


def questions(output: Output) -> list[bytes]:
    """The questions with all they hold."""
    return [msgspec.json.encode(one) for one in output.examples if isinstance(one, Question)]


def answered(examples: Sequence[Example], customer: str = "c") -> list[tuple[int, bool]]:
    """The hours of the deposit questions of the customer that were answered, and how."""
    return [
        ((one.at - MIDNIGHT) // HOUR, one.label)
        for one in examples
        if isinstance(one, Answer) and (one.target, one.customer_id) == ("deposit", customer)
    ]


# ------------------------------------------------------------------------------------------------------------- asking


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        ("{source: looks}", [1, 169]),
        ("{source: looks, where: page == 'help'}", [2, 170]),
        ("{source: buys, where: amount >= 10}", [0]),
        ("{source: buys, where: kind == 'deposit'}", []),
    ],
)
def test_a_target_asks_after_the_records_it_names_only(on: str, expected: list[int]) -> None:
    at = [MIDNIGHT + hour * HOUR for hour in (0, 1, 2, 169)]
    records = [buy(at[0], "card"), look(at[1]), look(at[2], "help"), look(at[3]), look(at[3] + HOUR, "help")]
    assert asked(run(plan_of(on), records).examples) == expected


def test_a_declared_event_that_comes_again_too_soon_or_late_asks_nothing() -> None:
    at = [MIDNIGHT + hour * HOUR for hour in (0, 167, 168, 400, 399)]
    examples = run(plan_of("{source: looks, where: page == 'help'}"), [look(moment, "help") for moment in at]).examples
    assert asked(examples) == [0, 168, 400]
    late = [look(at[3]), look(at[4], "help")]
    assert asked(run(plan_of("{source: looks, where: page == 'help'}"), late).examples) == []


def test_what_was_applied_since_the_last_flush_asks_the_same_again(plan: Plan) -> None:
    records = [look(MIDNIGHT + hour * HOUR, customer=f"c{hour % 5}") for hour in range(24 * 40)]
    once = questions(run(plan, records))
    part = Partition(plan, keyed=False)
    part.feed(records[:300])
    kept, entries, clock = part.take_dirty(), part.asker.take_entries(), part.clock_state()
    lost = questions(part.feed(records[300:500]))
    again = Partition(plan, keyed=False)
    again.load(kept.customers, kept.rows)
    again.restore({}, clock)
    again.asker.load([(key, value) for key, value in entries if value is not None])
    repeated = questions(again.feed(records[300:]))
    assert lost == repeated[: len(lost)]
    assert once[-len(repeated) :] == repeated


# ------------------------------------------------------------------------------------------------------------ outcomes


def test_outcomes_that_are_too_many_or_too_late_are_counted_and_answer_nothing(plan: Plan) -> None:
    """A question at hour 0; its horizon ends at hour 720, and what comes of it may come until hour 744."""
    first = [look(MIDNIGHT), buy(MIDNIGHT + HOUR, "deposit"), buy(MIDNIGHT + 2 * HOUR, "deposit", "other")]
    output = run(plan, [*first, first[1]])
    assert answered(output.examples) == [(0, True)]
    assert (output.outcomes, output.duplicates) == (
        {Met("deposit", Fate.ANSWERED): 1, Met("deposit", Fate.SPARE): 1},
        1,
    )
    part = Partition(plan, keyed=False)
    part.feed([look(MIDNIGHT), *hours(1, 747)])
    late = part.feed([buy(MIDNIGHT + 719 * HOUR, "deposit")])
    assert answered(late.examples) == []
    assert late.outcomes == {Met("deposit", Fate.LATE): 1}


def test_one_outcome_answers_all_the_questions_it_falls_within(plan: Plan) -> None:
    weekly = [look(MIDNIGHT + week * 7 * DAY) for week in range(6)]
    filled = sorted([*weekly, *hours(1, 6 * 168)], key=lambda fed: msgspec.json.decode(fed[1].value or b"")["at"])
    output = run(plan, [*filled, buy(MIDNIGHT + 6 * 7 * DAY, "deposit")])
    assert sorted(answered(output.examples)) == [
        (0, False),
        (168, False),
        *((168 * week, True) for week in (2, 3, 4, 5)),
    ]
    assert output.outcomes == {Met("deposit", Fate.ANSWERED): 1}


@pytest.mark.parametrize(("date", "label"), [("2025-01-01", True), ("2024-12-31", False)])
def test_an_outcome_dated_without_a_time_is_of_the_end_of_that_day(plan: Plan, date: str, label: bool) -> None:
    """Asked at noon on the first of January; the day of an outcome ends after that, or ended before."""
    noon = MIDNIGHT + 12 * HOUR
    output = run(plan, [look(noon), buy(date, "deposit")])
    assert answered(output.examples) == ([(12, True)] if label else [])


def test_the_silence_of_a_target_that_waits_for_an_absence_counts_no_outcomes(plan: Plan) -> None:
    output = run(plan, [look(MIDNIGHT), look(MIDNIGHT + HOUR)])
    assert [one.label for one in output.examples if isinstance(one, Answer)] == [False]
    assert not output.outcomes
