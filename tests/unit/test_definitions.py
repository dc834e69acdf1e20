"""What a target's questions mean: what changes it, and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.catalogue import Catalogue
from schemas.definitions import definition, learning_fingerprint
from schemas.loading import loads

BANK = (Path(__file__).parents[2] / "schemas" / "bank.yaml").read_text(encoding="utf-8")
CATALOGUE = loads(BANK)


def changed(old: str, new: str) -> Catalogue:
    """The bank catalogue with one text replaced."""
    assert BANK.count(old) == 1, old
    return loads(BANK.replace(old, new))


def definitions(catalogue: Catalogue) -> dict[str, str]:
    """The definition of each target by name."""
    return {target.name: definition(catalogue, target) for target in catalogue.targets}


@pytest.mark.parametrize(
    ("old", "new", "touched"),
    [
        ("[inflow_7d, inflow_30d,", "[inflow_30d, inflow_7d,", {"deposit"}),
        ("event == 'deposit_opened', within: 30d", "event == 'deposit_opened', within: 60d", {"deposit"}),
        ("label: {absent: [transactions, app_logs]", "label: {absent: [transactions]", {"churn"}),
        ("timezone: Asia/Shanghai", "timezone: Europe/Paris", {"deposit", "churn"}),
    ],
)
def test_it_differs_where_questions_or_answers_mean_something_else(old: str, new: str, touched: set[str]) -> None:
    before, after = definitions(CATALOGUE), definitions(changed(old, new))
    assert {name for name in before if before[name] != after[name]} == touched
    assert learning_fingerprint(changed(old, new)) != learning_fingerprint(CATALOGUE)


def test_what_a_feature_is_computed_from_counts_too() -> None:
    before, after = definitions(CATALOGUE), definitions(changed("compute: salary_90d / 3", "compute: salary_90d / 4"))
    assert (before["deposit"] == after["deposit"], before["churn"] == after["churn"]) == (False, True)
    wider = definitions(
        changed("type == 'salary', sum: amount, window: 90d", "type == 'salary', sum: amount, window: 96d")
    )
    assert (before["deposit"] == wider["deposit"], before["churn"] == wider["churn"]) == (False, True)


def test_features_that_no_target_uses_do_not_count() -> None:
    assert definitions(changed("compute: inflow_30d - outflow_30d", "compute: outflow_30d")) == definitions(CATALOGUE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("A deposit is opened within 30 days", "A deposit soon"),
        ("    refresh: 7d\n    prior: 4%", "    refresh: 3d\n    prior: 4%"),
    ],
)
def test_titles_and_how_often_a_model_is_published_do_not_count(old: str, new: str) -> None:
    assert definitions(changed(old, new)) == definitions(CATALOGUE)
    assert learning_fingerprint(changed(old, new)) == learning_fingerprint(CATALOGUE)


def test_a_prior_changes_what_is_learned_but_not_what_questions_mean() -> None:
    other = changed("prior: 5%", "prior: 6%")
    assert definitions(other) == definitions(CATALOGUE)
    assert learning_fingerprint(other) != learning_fingerprint(CATALOGUE)
