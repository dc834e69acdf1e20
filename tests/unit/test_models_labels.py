"""Questions wait for their outcome: what answers them, when, and that saving and loading can't be seen.

Times are small numbers here; a horizon is 10 ms and what comes of it may be 3 ms late:

    asked at 20      |----------- within -----------|-- late --|
                     20  21                         30         33
    counts as its outcome: 21 to 30, as long as the watermark is below 33
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.labels import Labels
from schemas.durations import HOUR
from schemas.learning import Answer, question_id
from tests.generators_learning import target

OUTCOME, ABSENCE = target("deposit", 10, 3), target("churn", 10, 0, absent=True)
TARGETS = (OUTCOME, ABSENCE)


def asked(at: int = 20, index: int = 0) -> Labels:
    """One question of customer `c`."""
    labels = Labels(TARGETS)
    labels.ask(index, "c", at)
    return labels


def brief(answers: list[Answer]) -> list[tuple[bool, int]]:
    return [(answer.label, answer.known_at) for answer in answers]


@pytest.mark.parametrize("time", [19, 20])
def test_an_outcome_before_or_at_its_question_is_no_positive(time: int) -> None:
    labels = asked()
    assert labels.happened(0, "c", time, 21) == []
    assert brief(labels.advance(33)) == [(False, 33)]


@pytest.mark.parametrize("time", [21, 30])
def test_an_outcome_within_the_horizon_is_a_positive_known_when_applied(time: int) -> None:
    assert brief(asked().happened(0, "c", time, 32)) == [(True, 32)]


def test_an_outcome_within_the_horizon_that_comes_within_its_lag_is_a_positive() -> None:
    labels = asked()
    assert labels.advance(32) == []
    assert brief(labels.happened(0, "c", 30, 34)) == [(True, 34)]
    assert labels.advance(99) == []


def test_an_outcome_that_comes_after_its_lag_or_after_the_horizon_is_none() -> None:
    labels = asked()
    assert brief(labels.advance(40)) == [(False, 33)]
    assert labels.happened(0, "c", 30, 41) == []
    assert asked().happened(0, "c", 31, 31) == []


def test_a_record_ends_an_absence_and_its_deadline_confirms_it() -> None:
    assert brief(asked(index=1).happened(1, "c", 25, 26)) == [(False, 26)]
    labels = asked(index=1)
    assert labels.advance(29) == []
    assert brief(labels.advance(30)) == [(True, 30)]


def test_one_outcome_answers_all_questions_that_it_falls_within_in_the_order_of_their_ids() -> None:
    labels = Labels(TARGETS)
    for at in (10, 14, 18, 30):
        labels.ask(0, "c", at)
    answers = labels.happened(0, "c", 25, 26)
    assert sorted(answer.at for answer in answers) == [18]
    answers = labels.happened(0, "c", 20, 27)
    assert {answer.at for answer in answers} == {10, 14}
    assert [answer.id for answer in answers] == sorted(question_id("c", "deposit", at) for at in (10, 14))
    assert len(labels) == 1


def test_an_outcome_of_another_customer_or_target_answers_nothing() -> None:
    labels = asked()
    assert labels.happened(0, "d", 25, 25) == []
    assert labels.happened(1, "c", 25, 25) == []


def test_asking_again_changes_nothing() -> None:
    labels = asked()
    labels.ask(0, "c", 20)
    assert len(labels) == 1
    assert len(labels.take_entries()) == 1
    assert len(labels.advance(33)) == 1


def test_a_question_answered_before_its_entry_was_taken_leaves_nothing() -> None:
    labels = asked()
    labels.happened(0, "c", 25, 25)
    assert labels.take_entries() == []
    labels.ask(0, "c", 40)
    (key, value), *others = labels.take_entries()
    assert value is not None
    assert others == []
    labels.happened(0, "c", 45, 45)
    assert labels.take_entries() == [(key, None)]
    assert labels.take_entries() == []


def test_a_question_asked_once_more_after_its_answer_and_answered_again_is_gone_from_the_table() -> None:
    labels = asked()
    ((key, _),) = labels.take_entries()
    labels.happened(0, "c", 25, 25)
    labels.ask(0, "c", 20)
    labels.happened(0, "c", 25, 26)
    assert labels.take_entries() == [(key, None)]


def test_a_table_of_another_catalogue_is_refused() -> None:
    labels = Labels((ABSENCE,))
    entries = [(key, value) for key, value in asked().take_entries() if value is not None]
    with pytest.raises(ValueError, match="of other targets than these 1"):
        labels.load(entries)


def test_a_source_that_stands_still_holds_the_answers_of_time_back_until_it_flows_again() -> None:
    labels = Labels(TARGETS)
    for index in (0, 1):
        labels.ask(index, "c", 20)
    assert brief(labels.advance(99, [32, None])) == [(True, 30)]  # the absence, of other sources
    assert brief(labels.happened(0, "c", 25, 99, 32)) == [(True, 99)]  # what it brings counts at its own time
    labels.ask(0, "c", 21)
    assert labels.advance(99, [33, None]) == []
    assert brief(labels.advance(99)) == [(False, 34)]


def test_an_answer_tells_since_when_a_source_of_its_outcomes_stands_still() -> None:
    (answer,) = asked().happened(0, "c", 25, 40, 32)
    assert (answer.known_at, answer.held_at, answer.reached) == (40, 32, 32)
    (later,) = asked().happened(0, "c", 25, 40)
    assert (later.held_at, later.reached) == (None, 40)


def test_questions_of_many_hours_come_up_by_their_deadlines_those_of_one_moment_by_customer() -> None:
    labels = Labels((OUTCOME,))
    moments = [(hour * HOUR + ms, customer) for hour in (7, 0, 300, 2) for ms in (5, 0) for customer in "ba"]
    for at, customer in moments:
        labels.ask(0, customer, at)
    assert labels.advance(12) == []
    first = labels.advance(2 * HOUR + 13)
    labels.ask(0, "c", 1)  # so late that its hour is over
    later = labels.advance(301 * HOUR)
    found = [(answer.at, answer.customer_id) for answer in (*first, *later)]
    assert found == [*sorted(moments)[:6], (1, "c"), *sorted(moments)[6:]]
    assert len(labels) == 0


HEADER = 4 * len(TARGETS)
CUSTOMERS = st.sampled_from(["c", "d", "e\x1ff", ""])
TIMES, INDICES = st.integers(0, 40), st.integers(0, 1)
ASK = st.tuples(st.just("ask"), INDICES, CUSTOMERS, TIMES, st.just(0))
HAPPENED = st.tuples(st.just("happened"), INDICES, CUSTOMERS, TIMES, TIMES)
ADVANCE = st.tuples(st.just("advance"), st.just(0), st.just(""), TIMES, st.just(0))
Step = tuple[str, int, str, int, int]


def closing(step: Step, index: int, customer: str, at: int) -> tuple[bool, int] | None:
    """Label and moment that a step gives to an open question, from the words of the promise alone."""
    what, of, who, time, known = step
    absent = index == 1
    if what == "happened" and (of, who) == (index, customer) and at < time <= at + 10:
        return not absent, known
    deadline = at + (10 if absent else 13)
    return (absent, deadline) if what == "advance" and time >= deadline else None


def naive(steps: list[Step]) -> list[list[Answer]]:
    """The answers of every step: each question looks through all steps after it for the first that closes it."""
    answers: list[list[Answer]] = [[] for _ in steps]
    open_until: dict[tuple[int, str, int], int] = {}
    for start, (what, index, customer, at, _) in enumerate(steps):
        if what != "ask" or open_until.get((index, customer, at), -1) > start:
            continue
        open_until[index, customer, at] = len(steps)
        for number in range(start + 1, len(steps)):
            closed = closing(steps[number], index, customer, at)
            if closed:
                name = TARGETS[index].name
                answers[number].append(Answer(question_id(customer, name, at), customer, name, at, *closed))
                open_until[index, customer, at] = number
                break
    return [sorted(found, key=lambda answer: (answer.known_at, answer.id)) for found in answers]


@given(steps=st.lists(ASK | HAPPENED | ADVANCE, max_size=40), cuts=st.sets(st.integers(0, 40), max_size=8))
def test_labels_are_what_a_search_of_the_whole_history_finds_wherever_it_is_cut(
    steps: list[Step], cuts: set[int]
) -> None:
    labels, table, found = Labels(TARGETS), dict[bytes, bytes](), list[list[Answer]]()
    for number, (what, index, customer, time, known) in enumerate(steps):
        if number in cuts:
            keep(labels, table)
            labels = Labels(TARGETS)
            labels.load(reversed(table.items()))
        answers: list[Answer] = []
        if what == "ask":
            labels.ask(index, customer, time)
        elif what == "happened":
            answers = labels.happened(index, customer, time, known)
        else:
            answers = labels.advance(time)
        found.append(answers)
    assert found == naive(steps)
    keep(labels, table)
    assert sum(len(value) - HEADER for value in table.values()) == 8 * len(labels)


def keep(labels: Labels, table: dict[bytes, bytes]) -> None:
    """Apply what has changed to a table: nothing is removed that is not there."""
    for key, value in labels.take_entries():
        if value is None:
            del table[key]
        else:
            table[key] = value
