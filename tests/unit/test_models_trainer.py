"""A trainer judges and learns in the right order, when a question's time is over, and restarts without a trace."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import permutations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.kept import Known
from models.lately import Lately
from models.learner import Learner, OtherFeatures
from models.state import LearnerState, TrainerState
from models.trainer import Trainer
from models.transform import inputs
from schemas.catalogue import Promotion
from schemas.durations import DAY
from schemas.learning import Answer, Example, ModelSnapshot, Question
from tests.generators_learning import CROSSES, START, TRANSFORMS, answer, question, stream, target

TARGET = target()
FIRST_HORIZON = START + 31 * DAY
VALUES: list[float | None] = [1_000_000.0, 3.0, None, 0.5, 1.0, 4.0]
STREAM = stream(TARGET)


def trainer() -> Trainer:
    return Trainer(TARGET, TRANSFORMS)


def asked(day: int, customer: str = "c") -> Question:
    return question(TARGET, customer, START + day * DAY, VALUES)


def keep(one: Trainer, table: dict[bytes, bytes]) -> None:
    """Apply what has changed to a table."""
    for key, value in one.take_entries():
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value


def restarted(one: Trainer, table: dict[bytes, bytes]) -> Trainer:
    """A trainer that goes on from the table, which gets what has changed."""
    keep(one, table)
    made = trainer()
    made.load(reversed(table.items()))
    return made


def test_a_question_is_scored_at_once_with_what_is_known_then() -> None:
    one, learner = trainer(), Learner(TARGET.features, TARGET.prior, CROSSES)
    one.take([asked(0), asked(40), answer(asked(0), True, FIRST_HORIZON), asked(41)])
    values = inputs(TRANSFORMS, VALUES)
    before = learner.logits(values)
    learner.learn(values, True)
    early, late = one.kept(asked(40).id), one.kept(asked(41).id)
    assert early is not None
    assert late is not None
    assert (early.raw, late.raw) == (before, learner.logits(values))
    assert before != learner.logits(values)
    assert early.at == START + 40 * DAY
    assert math.isnan(early.inputs[2])
    assert early.inputs[0] == math.log1p(10_000)


def test_an_answer_is_judged_by_the_score_kept_at_its_question() -> None:
    one = trainer()
    one.take([asked(0), asked(40), answer(asked(0), True, FIRST_HORIZON), answer(asked(40), True, START + 71 * DAY)])
    assert one.champion.shown.answers == 2
    assert one.champion.shown.log_loss == pytest.approx(-math.log(0.1), abs=1e-12)


@pytest.mark.parametrize("label", [True, False])
def test_an_early_answer_waits_until_its_question_s_time_is_over_and_counts_before_anything_else_then(
    label: bool,
) -> None:
    one, learner = trainer(), Learner(TARGET.features, TARGET.prior, CROSSES)
    one.take([asked(0), answer(asked(0), label, START + DAY)])
    kept = one.kept(asked(0).id)
    assert kept is not None
    assert kept.known == (Known.POSITIVE if label else Known.NEGATIVE)
    one.take([question(TARGET, "before", FIRST_HORIZON - 1, VALUES)])
    assert counted(one) == (1, 0, 1)
    assert one.champion.shown.answers == 0
    assert not one.ready
    now = question(TARGET, "now", FIRST_HORIZON, VALUES)
    one.take([now])
    assert counted(one) == (1, 1, 0)
    assert one.champion.shown.positives == label
    assert one.ready
    assert one.kept(asked(0).id) is None
    learner.learn(inputs(TRANSFORMS, VALUES), label)
    scored = one.kept(now.id)
    assert scored is not None
    assert (scored.known, scored.raw) == (Known.NOTHING, learner.logits(inputs(TRANSFORMS, VALUES)))


def counted(one: Trainer) -> tuple[int, int, int]:
    """How many answers there were, are learned from, and wait."""
    return one.counters.answers, one.counters.learned, one.settling


@pytest.mark.parametrize("known_at", [FIRST_HORIZON, FIRST_HORIZON + 1, FIRST_HORIZON + 9 * DAY])
def test_an_answer_known_when_its_question_s_time_is_over_or_later_counts_at_once(known_at: int) -> None:
    one = trainer()
    made = one.take([asked(0), answer(asked(0), True, known_at)])
    assert counted(one) == (1, 1, 0)
    (snapshot,) = made + one.take([asked(99)])
    assert snapshot.at == known_at


def test_an_answer_that_is_told_late_counts_at_once() -> None:
    one = trainer()
    one.take([asked(0), asked(50), answer(asked(0), True, START + DAY)])
    assert counted(one) == (1, 1, 0)


SMALL: list[float | None] = [100.0, 1.0, 1_000.0, 0.1, 0.0, 4.0]
WAITING = (  # all but the last end at one moment
    (question(TARGET, "a", START, VALUES), True),
    (question(TARGET, "b", START, SMALL), False),
    (question(TARGET, "c", START, [None, 30.0, 9.0 * DAY, 0.9, 1.0, 4.0]), True),
    (question(TARGET, "0", START + 1, SMALL), True),
)


@pytest.mark.parametrize("order", list(permutations(range(len(WAITING)))))
def test_answers_that_waited_are_learned_from_by_the_end_of_their_time_and_id_however_they_came(
    order: tuple[int, ...],
) -> None:
    one, table = trainer(), dict[bytes, bytes]()
    one.take([asked for asked, _ in WAITING])
    one.take([answer(*WAITING[place], START + DAY + number) for number, place in enumerate(order)])
    one = restarted(one, table)
    one.take([asked(60)])
    assert one.learner.state() == learned(WAITING)
    assert learned(WAITING) != learned(reversed(WAITING))


def learned(judged: Iterable[tuple[Question, bool]]) -> LearnerState:
    """What a learner knows that met these in their order."""
    learner = Learner(TARGET.features, TARGET.prior, CROSSES)
    for one, label in judged:
        learner.learn(inputs(TRANSFORMS, one.features), label)
    return learner.state()


def test_no_answer_is_lost_and_none_is_learned_from_before_the_first_horizon_is_over() -> None:
    one, now, most = trainer(), 0, 0
    for example in STREAM:
        one.take([example])
        now = max(now, example.known_at if isinstance(example, Answer) else example.at)
        answers, learned_from, settling = counted(one)
        assert answers == learned_from + settling
        assert one.champion.shown.answers == learned_from
        assert not learned_from or now >= STREAM[0].at + 31 * DAY
        most = max(most, settling)
    assert most > 20
    one.take([question(TARGET, "last", now + 31 * DAY, VALUES)])
    assert counted(one) == (answers, answers, 0)
    assert one.champion.shown.positives == one.counters.positives


def test_no_snapshot_is_made_before_the_first_horizon_and_a_day_of_learning() -> None:
    one = trainer()
    day = (
        asked(0),
        asked(1, "d"),
        answer(asked(1, "d"), True, START + 2 * DAY),
        asked(2, "e"),
        answer(asked(2, "e"), True, START + 3 * DAY),
        answer(asked(0), False, FIRST_HORIZON),
        question(TARGET, "f", START + 32 * DAY - 1, VALUES),
        asked(32, "g"),
    )
    assert one.take(day[:-1]) == []
    (snapshot,) = one.take(day[-1:])
    assert (snapshot.version, snapshot.ready, snapshot.learned, snapshot.at) == (1, True, 2, START + 32 * DAY)
    assert (snapshot.questions, snapshot.answers, snapshot.positives) == (5, 3, 2)
    assert sum(decile.answers for decile in snapshot.deciles) == 2
    assert sum(decile.positives for decile in snapshot.deciles) == 1


def test_a_snapshot_is_made_once_per_refresh_if_something_was_learned_since() -> None:
    by_hand = msgspec.structs.replace(
        TARGET, promotion=Promotion(20.0, automatic=False)
    )  # one promoted is shown at once
    one = Trainer(by_hand, TRANSFORMS)
    due, now, learned, snapshots = STREAM[0].at + 32 * DAY, 0, 0, list[ModelSnapshot]()
    for example in STREAM:
        found = one.take([example])
        now = max(now, example.known_at if isinstance(example, Answer) else example.at)
        assert len(found) == (now >= due and one.counters.learned > learned)
        if found:
            learned, due = one.counters.learned, now + DAY
            assert found[0].learned == learned
            snapshots += found
    assert [snapshot.version for snapshot in snapshots] == list(range(1, len(snapshots) + 1))
    assert len(snapshots) > 20


def test_nothing_is_published_anew_while_nothing_is_learned() -> None:
    one = trainer()
    last = one.take(STREAM)[-1]
    one.take([question(TARGET, "x", last.at + 40 * DAY, VALUES)])
    questions = [question(TARGET, "x", last.at + day * DAY, VALUES) for day in range(41, 90)]
    assert [snapshot.learned for snapshot in one.take(questions)] in ([], [one.counters.learned])
    assert one.settling == 0


def test_repeats_change_nothing_and_are_counted() -> None:
    once, twice = trainer(), trainer()
    wanted = once.take(STREAM)
    found: list[ModelSnapshot] = []
    for start in range(0, len(STREAM), 50):
        found += twice.take(STREAM[start : start + 50])
        found += twice.take(STREAM[start : start + 50])  # a producer that was restarted sends its last batch again
    assert found == wanted
    assert twice.champion.state() == once.champion.state()
    assert (twice.counters.repeated, twice.counters.unasked) == (len(STREAM), 0)
    assert (counted(twice), twice.counters.positives) == (counted(once), once.counters.positives)
    assert (once.counters.repeated, once.counters.unasked) == (0, 0)


def test_an_answer_to_no_question_is_counted_only() -> None:
    one = trainer()
    one.take([asked(0), answer(asked(3), True, FIRST_HORIZON + DAY)])
    assert (one.counters.unasked, one.counters.answers, one.champion.shown.answers) == (1, 0, 0)


@settings(max_examples=30)
@given(cut=st.integers(0, len(STREAM)), batch=st.integers(1, 60))
def test_a_restart_anywhere_and_any_batches_give_the_same_snapshots(cut: int, batch: int) -> None:
    table: dict[bytes, bytes] = {}
    one = trainer()
    found = in_batches(one, STREAM[:cut], batch, table)
    one = restarted(one, table)
    found += in_batches(one, STREAM[cut:], batch, table)
    assert found == WANTED
    keep(one, table)
    assert table == WANTED_TABLE


def in_batches(one: Trainer, examples: Sequence[Example], batch: int, table: dict[bytes, bytes]) -> list[ModelSnapshot]:
    """The snapshots of examples taken in parts; every third part the table is written."""
    found: list[ModelSnapshot] = []
    for number, start in enumerate(range(0, len(examples), batch)):
        found += one.take(examples[start : start + batch])
        if number % 3 == 2:
            keep(one, table)
    return found


def run_straight() -> tuple[list[ModelSnapshot], dict[bytes, bytes]]:
    """What comes of the whole stream in one go."""
    one, table = trainer(), dict[bytes, bytes]()
    found = one.take(STREAM)
    keep(one, table)
    return found, table


WANTED, WANTED_TABLE = run_straight()


def test_the_table_holds_one_entry_per_question_that_is_not_settled_and_one_model() -> None:
    now = max(example.known_at if isinstance(example, Answer) else example.at for example in STREAM)
    settled = {one.id for one in STREAM if isinstance(one, Answer) and one.at + 31 * DAY <= now}
    left = {one.id for one in STREAM if isinstance(one, Question)} - settled
    waiting = left & {one.id for one in STREAM if isinstance(one, Answer)}
    assert set() < waiting < left
    assert {key for key in WANTED_TABLE if key.startswith(b"open/")} == {b"open/" + one.encode() for one in left}
    kinds = {key.split(b"/")[0] for key in WANTED_TABLE}
    assert kinds == {b"open", b"model", b"answered", b"week", b"watch", b"former"}
    assert len([key for key in WANTED_TABLE if key.startswith(b"former/")]) == 30


def test_the_table_has_an_entry_anew_when_its_answer_begins_to_wait_and_none_when_it_is_settled() -> None:
    one, key = trainer(), b"open/" + asked(0).id.encode()
    one.take([asked(0)])
    (asked_for,) = (value for found, value in one.take_entries() if found == key)
    one.take([answer(asked(0), True, START + DAY)])
    (answered,) = (value for found, value in one.take_entries() if found == key)
    assert None not in (asked_for, answered)
    assert asked_for != answered
    one.take([asked(31)])
    assert (key, None) in one.take_entries()


def test_a_question_answered_before_its_entry_was_taken_leaves_none() -> None:
    one = trainer()
    one.take([asked(0), answer(asked(0), True, FIRST_HORIZON)])
    assert {key.split(b"/")[0] for key, _ in one.take_entries()} == {b"answered", b"model", b"week"}
    assert one.take_entries() == []


def test_a_model_of_other_features_is_refused() -> None:
    state = msgspec.json.decode(WANTED_TABLE[b"model"], type=TrainerState)
    other = msgspec.structs.replace(state, learner=msgspec.structs.replace(state.learner, features=["age"]))
    with pytest.raises(OtherFeatures, match="age"):
        trainer().load([(b"model", msgspec.json.encode(other))])


@given(cut=st.integers(0, 60))
def test_ids_are_remembered_as_long_as_promised_and_old_pages_are_dropped_also_across_a_restart(cut: int) -> None:
    lately, table = Lately(page=4, pages=3), dict[bytes, bytes]()
    for number in range(60):
        if number == cut:
            written(lately, table)
            lately = Lately(page=4, pages=3)
            lately.load(reversed(table.items()))
        lately.add(str(number))
        assert all(str(n) in lately for n in range(max(0, number - 7), number + 1))
        assert not any(str(n) in lately for n in range(0, number - 11))
    written(lately, table)
    assert set(table) == {b"answered/12", b"answered/13", b"answered/14"}


def written(lately: Lately, table: dict[bytes, bytes]) -> None:
    """Apply what has changed to a table."""
    for key, value in lately.take_entries():
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value


def test_while_outcomes_stand_still_what_is_known_early_is_not_learned_without_what_is_not() -> None:
    """A week of questions; those with an outcome are known early, then their source stands still for a month."""
    questions = [asked(day, f"c{day}") for day in range(7)]
    early = [answer(one, True, one.at + DAY) for one in questions[:3]]
    one, still = trainer(), FIRST_HORIZON - 5 * DAY
    one.take([*questions, *early])
    one.take([msgspec.structs.replace(asked(60, "later"), held_at=still)])
    assert (one.counters.learned, one.settling, one.ready) == (0, 3, False)
    one.take([msgspec.structs.replace(answer(questions[3], True, START + 61 * DAY), held_at=still)])
    assert (one.counters.learned, one.settling) == (0, 4)
    one.take([answer(late, False, late.at + 31 * DAY) for late in questions[4:]])  # it flows again
    assert (one.counters.learned, one.settling, one.ready) == (7, 0, True)
