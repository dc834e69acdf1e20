"""A trainer judges and learns in the right order, discards the first horizon, and restarts without a trace."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.lately import Lately
from models.learner import Learner, OtherFeatures
from models.state import TrainerState
from models.trainer import Trainer
from models.transform import inputs
from schemas.durations import DAY
from schemas.learning import Answer, Example, ModelSnapshot, Question
from tests.generators_learning import START, TRANSFORMS, answer, question, stream, target

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
    one, learner = trainer(), Learner(TARGET.features, TARGET.prior)
    one.take([asked(0), asked(40), answer(asked(0), True, FIRST_HORIZON), asked(41)])
    values = inputs(TRANSFORMS, VALUES)
    before = learner.logit(values)
    learner.learn(values, True)
    early, late = one.kept(asked(40).id), one.kept(asked(41).id)
    assert early is not None
    assert late is not None
    assert (early.logit, late.logit) == (before, learner.logit(values))
    assert before != learner.logit(values)
    assert early.at == START + 40 * DAY
    assert math.isnan(early.inputs[2])
    assert early.inputs[0] == math.log1p(10_000)


def test_an_answer_is_judged_by_the_score_kept_at_its_question() -> None:
    one = trainer()
    one.take([asked(0), asked(40), answer(asked(0), True, FIRST_HORIZON), answer(asked(40), True, START + 41 * DAY)])
    assert one.progress.log_loss == pytest.approx(-math.log(0.1), abs=1e-12)


def test_answers_known_before_the_first_horizon_is_over_are_neither_learned_nor_judged() -> None:
    one = trainer()
    one.take([asked(0), asked(1), answer(asked(0), True, FIRST_HORIZON - 1)])
    assert (one.counters.answers, one.counters.discarded, one.counters.learned) == (1, 1, 0)
    assert one.progress.answers == 0
    assert not one.ready
    one.take([answer(asked(1), True, FIRST_HORIZON)])
    assert (one.counters.answers, one.counters.discarded, one.counters.learned) == (2, 1, 1)
    assert one.progress.answers == 1
    assert one.ready


def test_no_snapshot_is_made_before_the_first_horizon_and_a_day_of_learning() -> None:
    one = trainer()
    day = (
        asked(0),
        answer(asked(0), True, FIRST_HORIZON),
        asked(31, "d"),
        answer(asked(31, "d"), False, START + 32 * DAY),
    )
    assert one.take(day[:3]) == []
    (snapshot,) = one.take(day[3:])
    assert (snapshot.version, snapshot.ready, snapshot.learned, snapshot.at) == (1, True, 2, START + 32 * DAY)
    assert (snapshot.questions, snapshot.answers, snapshot.positives) == (2, 2, 1)
    assert sum(decile.answers for decile in snapshot.deciles) == 2


def test_a_snapshot_is_made_once_per_refresh_if_something_was_learned_since() -> None:
    one, due, now, learned, snapshots = trainer(), STREAM[0].at + 32 * DAY, 0, 0, list[ModelSnapshot]()
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
    questions = [question(TARGET, "x", last.at + day * DAY, VALUES) for day in range(1, 50)]
    assert [snapshot.learned for snapshot in one.take(questions)] in ([], [one.counters.learned])


def test_repeats_change_nothing_and_are_counted() -> None:
    once, twice = trainer(), trainer()
    wanted = once.take(STREAM)
    found: list[ModelSnapshot] = []
    for start in range(0, len(STREAM), 50):
        found += twice.take(STREAM[start : start + 50])
        found += twice.take(STREAM[start : start + 50])  # a producer that was restarted sends its last batch again
    assert found == wanted
    assert twice.progress.state() == once.progress.state()
    questions = sum(isinstance(example, Question) for example in STREAM)
    assert (twice.counters.repeated, twice.counters.unasked) == (questions, len(STREAM) - questions)
    assert (once.counters.repeated, once.counters.unasked) == (0, 0)


def test_an_answer_to_no_question_is_counted_only() -> None:
    one = trainer()
    one.take([asked(0), answer(asked(3), True, FIRST_HORIZON + DAY)])
    assert (one.counters.unasked, one.counters.answers, one.progress.answers) == (1, 0, 0)


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


def test_the_table_holds_one_entry_per_open_question_and_one_model() -> None:
    answered = {example.id for example in STREAM if isinstance(example, Answer)}
    left = {b"open/" + example.id.encode() for example in STREAM if isinstance(example, Question)} - {
        b"open/" + one.encode() for one in answered
    }
    assert left
    assert {key for key in WANTED_TABLE if key.startswith(b"open/")} == left
    assert {key for key in WANTED_TABLE if not key.startswith(b"open/")} == {b"model", b"answered/0"}


def test_a_question_answered_before_its_entry_was_taken_leaves_none() -> None:
    one = trainer()
    one.take([asked(0), answer(asked(0), True, FIRST_HORIZON)])
    assert {key for key, _ in one.take_entries()} == {b"answered/0", b"model"}
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
