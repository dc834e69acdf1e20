"""What the soak prints: a failing case made small, and a test that can be pasted."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from click.testing import CliRunner

from schemas.loading import loads
from tests import laws, soak
from tests.generators_models import Adoption, Passing
from tests.generators_records import Case, case
from tests.shrinking import as_test, shrink, without

SEED = 11  # of a catalogue with targets


def drawn() -> Case:
    found = next(
        one
        for one in (case(Random(seed)) for seed in range(SEED, SEED + 200))
        if one.adoptions and one.passings and len(one.records) > 10
    )
    assert found.catalogue.targets
    return found


def test_a_case_shrinks_to_what_makes_it_fail() -> None:
    whole = drawn()
    wanted, tag = whole.records[7], whole.catalogue.tags[0].name

    def fails(one: Case) -> bool:
        return wanted in one.records and any(known.name == tag for known in one.catalogue.tags)

    small = shrink(whole, fails)
    assert set(small.records) == {wanted}
    assert (small.adoptions, small.passings, small.until) == ((), (), None)
    assert tag in [known.name for known in small.catalogue.tags]
    assert small.catalogue.segments == ()
    assert loads(small.text) == small.catalogue


def test_what_comes_between_records_stays_between_them() -> None:
    whole = drawn()
    cut = without(whole, 2, 5)
    places = {0: 0, 2: 2, 3: 2, 5: 2, 6: 3}
    for before, after in places.items():
        passing = without(Case(whole.text, whole.catalogue, whole.records, None, (), (Passing(before, 1),)), 2, 5)
        assert passing.passings == (Passing(after, 1),)
    assert len(cut.records) == len(whole.records) - 3


def test_a_case_written_as_a_test_is_the_same_case(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, seen = drawn(), list[Case]()
    law = laws.what_is_counted_is_what_is_said
    monkeypatch.setattr(laws, law.__name__, lambda one, draw: seen.append(one))
    names: dict[str, Any] = {}
    exec(as_test(whole, law.__name__, 3), names)
    names["test_found_by_the_soak_3"]()
    assert seen[0].catalogue == whole.catalogue
    assert (seen[0].records, seen[0].until) == (whole.records, whole.until)
    assert (seen[0].adoptions, seen[0].passings) == (whole.adoptions, whole.passings)
    assert isinstance(seen[0].adoptions[0], Adoption)


def test_the_soak_ends_at_a_law_that_does_not_hold_with_a_test_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def few_records(one: Case, _: Random) -> None:
        assert len(one.records) < 4

    monkeypatch.setattr(laws, "ANY", (few_records,))
    result = CliRunner().invoke(soak.main, ["--minutes", "1", "--seed", "5"])
    assert result.exit_code == 1
    assert "def test_found_by_the_soak_5() -> None:" in result.output
    assert result.output.count("        Record(source=") == 4


def test_the_soak_looks_at_cases_until_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laws, "ANY", ())
    monkeypatch.setattr(laws, "partitions_do_not_show", lambda one, draw: None)
    result = CliRunner().invoke(soak.main, ["--minutes", "0.001", "--seed", "5"])
    assert result.exit_code == 0
    assert "every law held (seed 5)" in result.output
