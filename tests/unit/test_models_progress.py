"""Progressive metrics are River's and the textbook's, whatever the order, the parts or a restart."""

from __future__ import annotations

import math
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from river import metrics

from models.progress import Progress, bucket
from models.snapshot import probability
from models.state import ProgressState

JUDGED = st.lists(st.tuples(st.floats(-25, 25), st.booleans()), max_size=60)
Judged = list[tuple[float, bool]]


def progress(judged: Judged) -> Progress:
    made = Progress()
    for logit, label in judged:
        made.update(logit, label)
    return made


def drawn(count: int, seed: int = 3) -> Judged:
    """Calibrated predictions with a rare positive."""
    draw = random.Random(seed)
    logits = [draw.gauss(-3, 1.2) for _ in range(count)]
    return [(logit, draw.random() < probability(logit)) for logit in logits]


def test_before_any_answer_nothing_is_said() -> None:
    found = Progress()
    assert (found.answers, found.positives) == (0, 0)
    assert (found.base_rate, found.mean_score, found.log_loss, found.auc) == (None, None, None, None)
    assert found.deciles() == []


def test_answers_of_one_label_have_a_log_loss_but_no_auc() -> None:
    found = progress([(0.0, False), (0.0, False)])
    assert found.auc is None
    assert found.log_loss == pytest.approx(math.log(2))


@given(JUDGED)
def test_the_auc_is_the_share_of_pairs_in_order_and_ties_count_half(judged: Judged) -> None:
    positives = [bucket(logit) for logit, label in judged if label]
    negatives = [bucket(logit) for logit, label in judged if not label]
    won = sum((high > low) + (high == low) / 2 for high in positives for low in negatives)
    pairs = len(positives) * len(negatives)
    assert progress(judged).auc == (pytest.approx(won / pairs, abs=1e-12) if pairs else None)


def test_log_loss_and_auc_are_river_s() -> None:
    judged = drawn(5_000)
    loss, exact = metrics.LogLoss(), metrics.RollingROCAUC(10_000)
    for logit, label in judged:
        loss.update(label, probability(logit))
        exact.update(label, probability(logit))
    found = progress(judged)
    assert found.log_loss == pytest.approx(loss.get(), abs=1e-12)
    # River's ranks the logits themselves; where they tie it is not exact, so it is no measure of the buckets' AUC.
    assert found.auc == pytest.approx(exact.get(), abs=1e-5)


def test_a_certain_prediction_that_fails_costs_what_river_says() -> None:
    loss = metrics.LogLoss()
    loss.update(True, probability(-800.0))
    assert progress([(-800.0, True)]).log_loss == pytest.approx(loss.get(), abs=1e-12)


@given(JUDGED, st.randoms(use_true_random=False))
def test_the_order_of_the_answers_changes_nothing_but_the_last_bits_of_sums(
    judged: Judged, draw: random.Random
) -> None:
    shuffled = draw.sample(judged, len(judged))
    one, other = progress(judged), progress(shuffled)
    assert (one.auc, one.deciles(), one.base_rate) == (other.auc, other.deciles(), other.base_rate)
    assert one.log_loss == (pytest.approx(other.log_loss, rel=1e-12) if judged else None)


@given(JUDGED, JUDGED)
def test_merged_parts_are_the_whole(first: Judged, second: Judged) -> None:
    merged, whole = progress(first), progress(first + second)
    merged.merge(progress(second))
    assert (merged.answers, merged.auc, merged.deciles()) == (whole.answers, whole.auc, whole.deciles())
    assert merged.log_loss == (pytest.approx(whole.log_loss, rel=1e-12) if first + second else None)
    assert merged.mean_score == (pytest.approx(whole.mean_score, rel=1e-12) if first + second else None)


@given(JUDGED, JUDGED)
def test_a_restored_progress_goes_on_to_the_same_bit_for_bit(before: Judged, after: Judged) -> None:
    kept = msgspec.json.encode(progress(before).state())
    restored = Progress.of(msgspec.json.decode(kept, type=ProgressState))
    for logit, label in after:
        restored.update(logit, label)
    assert restored.state() == progress(before + after).state()


def test_deciles_are_tenths_by_rising_score_and_show_calibration() -> None:
    judged = sorted(drawn(20_000))
    deciles = progress(judged).deciles()
    assert len(deciles) == 10
    for number, decile in enumerate(deciles):
        tenth = judged[number * 2_000 : (number + 1) * 2_000]
        assert decile.answers == pytest.approx(2_000, abs=10)
        assert decile.positives == pytest.approx(sum(label for _, label in tenth), abs=10)
        assert decile.mean_score == pytest.approx(sum(probability(z) for z, _ in tenth) / 2_000, abs=1e-3)
        assert decile.positives / decile.answers == pytest.approx(decile.mean_score, abs=0.03)
    assert sum(decile.answers for decile in deciles) == 20_000


def test_equal_scores_are_one_part() -> None:
    (decile,) = progress([(0.0, True), (0.0, False), (0.0, True)]).deciles()
    assert (decile.answers, decile.positives, decile.mean_score) == (3, 2, 0.5)


def test_base_rate_and_mean_score_are_means() -> None:
    found = progress([(0.0, True), (0.0, False), (-40.0, False), (-40.0, False)])
    assert found.base_rate == 0.25
    assert found.mean_score == pytest.approx(0.25)
