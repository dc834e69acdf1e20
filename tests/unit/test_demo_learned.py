"""What the demo tells of learning is what the trainer did, counted again from the topic alone."""

from __future__ import annotations

import io
import math
import random
from pathlib import Path

import msgspec
import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from models.trainer import Trainer
from schemas.catalogue import Target
from schemas.durations import DAY, HOUR
from schemas.learning import Decile, Example, ModelSnapshot, Question
from streams.demo import bank_truth
from streams.demo.examples import Examples, Judged
from streams.demo.learned import Learned, Odds, auc, entropy, learned
from streams.demo.learned_story import learned_story
from tests.generators_learning import START, TRANSFORMS, answer, question, stream, target

TARGET = target()
HORIZON = TARGET.label.settled_ms
STREAM = stream(TARGET)
WIDTH = 160


def asked(day: int, customer: str = "c000001", target: Target = TARGET) -> Question:
    return question(target, customer, START + day * DAY, [1.0, None, 3.0, 0.5, 1.0, 4.0])


def taken(examples: list[Example], size: int = 1_000_000) -> Examples:
    made = Examples(HORIZON)
    values = [msgspec.json.encode(example) for example in examples]
    for first in range(0, len(values), size):
        made.take(values[first : first + size])
    return made


def snapshot(judged: int, deciles: list[Decile] | None = None) -> ModelSnapshot:
    return ModelSnapshot(
        target=TARGET.name,
        version=1,
        at=START,
        questions=0,
        answers=0,
        positives=0,
        learned=judged,
        ready=True,
        features=list(TARGET.features),
        means=[0.0] * 6,
        weights=[0.0] * 6,
        bias=0.0,
        log_loss=0.25,
        auc=0.75,
        deciles=deciles or [Decile(judged, 1, 0.05)],
    )


def text(targets: list[Learned]) -> str:
    out = io.StringIO()
    console = Console(file=out, width=WIDTH, color_system=None)
    for shown in learned_story(targets):
        console.print(shown)
    return out.getvalue()


@pytest.mark.parametrize("size", [1, 7, 1_000_000])
def test_the_same_is_counted_and_judged_as_by_the_trainer_however_records_are_cut(size: int) -> None:
    trainer = Trainer(TARGET, TRANSFORMS)
    trainer.take(STREAM)
    counted = taken(STREAM, size)
    counters = trainer.counters
    assert (counted.questions, counted.answers, counted.positives) == (
        counters.questions,
        counters.answers,
        counters.positives,
    )
    assert counted.unanswered == counters.questions - counters.answers
    judged = counted.judged()
    assert len(judged.labels) == counters.learned < counters.answers
    assert int(judged.labels.sum()) == trainer.champion.shown.positives


def test_the_judged_come_in_the_topics_order_so_that_a_snapshot_is_of_the_first() -> None:
    trainer = Trainer(TARGET, TRANSFORMS)
    snapshots = trainer.take(STREAM)
    middle = snapshots[len(snapshots) // 2]
    before = Trainer(TARGET, TRANSFORMS)
    stop = next(i for i in range(len(STREAM)) if before.take([STREAM[i]]) and before.counters.learned == middle.learned)
    first = taken(STREAM).judged().first(middle.learned)
    assert first.customers == taken(STREAM[: stop + 1]).judged().customers
    assert first.asked_ms.tolist() == taken(STREAM[: stop + 1]).judged().asked_ms.tolist()


def test_what_comes_again_or_was_never_asked_counts_once_or_not_at_all() -> None:
    one, other = asked(0), asked(1)
    known = START + HORIZON
    counted = taken(
        [one, one, answer(one, True, known), answer(one, False, known), one, answer(other, True, known), other]
    )
    assert (counted.questions, counted.answers, counted.positives, counted.unanswered) == (2, 1, 1, 1)
    assert counted.judged().labels.tolist() == [True]


@pytest.mark.parametrize(("passed", "judged"), [(HORIZON - 1, 0), (HORIZON, 1)])
def test_an_answer_is_judged_on_the_millisecond_its_questions_time_is_over(passed: int, judged: int) -> None:
    first, later = asked(0), question(TARGET, "c000002", START + passed, [1.0] * 6)
    counted = taken([first, answer(first, True, START + HOUR), later])
    assert len(counted.judged().labels) == judged
    assert counted.warming is (judged == 0)


def test_without_a_question_it_is_warming() -> None:
    counted = taken([])
    assert counted.warming
    assert counted.judged().customers == []


def test_auc_is_the_share_of_pairs_in_the_right_order() -> None:
    draw = random.Random(3)
    scores = np.array([draw.randrange(12) / 10 for _ in range(200)])
    labels = np.array([draw.random() < 0.3 for _ in range(200)])
    pairs = [(p, n) for p in scores[labels] for n in scores[~labels]]
    expected = sum(1.0 if p > n else 0.5 if p == n else 0.0 for p, n in pairs) / len(pairs)
    assert auc(scores, labels) == expected


@pytest.mark.parametrize("labels", [[], [True, True], [False]])
def test_auc_needs_both_labels(labels: list[bool]) -> None:
    assert auc(np.zeros(len(labels)), np.array(labels, dtype=np.bool_)) is None


@pytest.mark.parametrize("rate", [0.05, 0.5, 1.0, 0.0])
def test_the_best_constant_prediction_costs_the_entropy(rate: float) -> None:
    labels = [i < rate * 100 for i in range(100)]
    losses = [math.log(rate if label else 1 - rate) for label in labels]
    assert entropy(rate) == pytest.approx(-sum(losses) / 100)


def odds() -> Odds:
    day, p = np.array([2, 4]), np.array([[0.1, 0.2], [0.3, 0.4]])
    return Odds(day=day, p=p, start_ms=START, fallen=bank_truth.NOTHING_FELL)


@pytest.mark.parametrize(
    ("asked_ms", "expected"),
    [(2 * DAY - 1, None), (2 * DAY, 0.3), (4 * DAY - 1, 0.3), (4 * DAY, 0.4), (5 * DAY - 1, 0.4), (90 * DAY, 0.4)],
)
def test_the_truth_is_of_the_questions_day_or_the_last_known_before(asked_ms: int, expected: float | None) -> None:
    judged = Judged(["c000001"], np.array([START + asked_ms]), np.array([True]))
    (found,) = odds().of(judged).tolist()
    assert found == expected if expected is not None else math.isnan(found)


@pytest.mark.parametrize(
    ("customer", "hour", "expected"),
    [(1, 9, 0.1), (1, 10, 0.2), (1, 15, 0.2), (1, 16, 0.4), (0, 9, 0.2), (1, 9 - 24, 0.3), (1, 9 + 24, 0.4)],
)
def test_a_trigger_counts_from_its_own_moment(customer: int, hour: int, expected: float) -> None:
    fallen = np.zeros(2, bank_truth.FALLEN)
    fallen["customer"], fallen["before"] = 1, [0.1, 0.2]
    fallen["at"] = [START + 4 * DAY + 10 * HOUR, START + 4 * DAY + 16 * HOUR]
    known = msgspec.structs.replace(odds(), fallen=fallen)
    asked_ms = np.array([START + 4 * DAY + hour * HOUR])
    assert known.at(np.array([customer]), asked_ms).tolist() == [expected]


def test_a_customer_that_the_simulation_does_not_have_has_no_truth() -> None:
    judged = Judged(["c000002"], np.array([START + 2 * DAY]), np.array([True]))
    assert np.isnan(odds().of(judged)).all()


def test_the_truth_judges_the_answers_that_the_model_was_judged_by() -> None:
    """The third answer would turn the order round; the model has not met it."""
    questions = [asked(2, "c000000"), asked(2, "c000001"), asked(4, "c000001")]
    labels = [False, True, False]
    examples = [*questions, *(answer(q, y, START + 60 * DAY) for q, y in zip(questions, labels, strict=True))]
    assert learned(TARGET, taken(examples), snapshot(2), odds()).true_auc == 1.0
    assert learned(TARGET, taken(examples), snapshot(3), odds()).true_auc == 0.5
    assert learned(TARGET, taken(examples), snapshot(3)).true_auc is None


def test_the_banks_truth_is_read_back_as_it_was_saved(tmp_path: Path) -> None:
    days = np.array([3, 10])
    fallen = np.array([(0, bank_truth.YEAR_START_MS + 10 * DAY + 6 * HOUR, 0.4, 0.125)], bank_truth.FALLEN)
    saved = bank_truth.Truth(days, np.array([[0.25, 0.5]]), np.zeros((1, 2), np.int8), fallen)
    saved.save(tmp_path / "truth.npz")
    found = Odds.load(tmp_path / "truth.npz", bank_truth.YEAR_START_MS)
    assert found is not None
    moments = bank_truth.YEAR_START_MS + 10 * DAY + np.array([5, 23]) * HOUR
    assert found.of(Judged(["c000000"] * 2, moments, np.array([True, True]))).tolist() == [0.125, 0.5]
    assert Odds.load(tmp_path / "none.npz", 0) is None


def test_before_the_first_horizon_it_says_so_instead_of_empty_tables() -> None:
    told = text([learned(TARGET, taken([asked(0), asked(1)]), None)])
    assert told == "deposit: warming: the first 31 days have not passed (questions asked: 2)\n"


def test_after_it_but_before_a_model_it_says_that() -> None:
    examples = [asked(0), answer(asked(0), False, START + HORIZON)]
    assert text([learned(TARGET, taken(examples), None)]) == "deposit: no model yet (questions asked: 1, answered: 1)\n"


def test_a_learned_target_is_told_in_a_line_and_its_calibration_by_tenths() -> None:
    questions = [asked(2, "c000000"), asked(2, "c000001")]
    examples = [*questions, *(answer(q, q is questions[1], START + 60 * DAY) for q in questions)]
    deciles = [Decile(1, 0, 0.01), Decile(1, 1, 0.125)]
    told = text([learned(TARGET, taken(examples), snapshot(2, deciles), odds())])
    row = next(line for line in told.splitlines() if line.startswith(" deposit") or line.startswith("deposit"))
    assert row.split() == ["deposit", "2", "2", "1", "0", "2", "50.00", "%", "0.7500", "1.0000", "0.2500", "0.6931"]
    lines = {" ".join(line.split()[:2]): line.split() for line in told.splitlines() if line.strip()}
    assert lines["Mean score"] == ["Mean", "score", "1.00", "%", "12.50", "%"]
    assert lines["It came"] == ["It", "came", "for", "0.00", "%", "100.00", "%"]
    assert "no model can be expected to rank better" in told


def test_where_there_is_no_truth_a_dash_stands_and_nothing_is_said_of_it() -> None:
    examples = [asked(0), answer(asked(0), False, START + HORIZON)]
    told = text([learned(TARGET, taken(examples), snapshot(1))])
    assert " – " in told
    assert "Truth:" not in told


def test_a_year_of_figures_fits_the_width() -> None:
    """Figures as large as a simulated year's, and titles as long as the shipped ones."""
    title = {"en": "A deposit is opened within 30 days", "zh": "30天内开立存款"}
    deciles = [Decile(123_456, 12_345, 0.12345)] * 10
    one = Learned("deposit", title, HORIZON, 1_274_973, 1_253_767, 113_032, 121_206, False, 1_239_293)
    full = msgspec.structs.replace(
        one, base_rate=0.05, auc=0.7, log_loss=0.2, base_log_loss=0.2, true_auc=0.8, deciles=deciles
    )
    told = text([full])
    assert max(map(cell_len, told.splitlines())) <= WIDTH
    assert all(figure in told for figure in ("1,274,973", "0.7000", "123,456"))
