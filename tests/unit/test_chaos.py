"""The crash tests themselves: their judge sees every kind of difference, and their seed says what goes wrong."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from schemas.catalogue import Quantiles, Score
from schemas.loading import loads
from schemas.records import Cause, CustomerTags, TagChange
from tests.chaos.faults import OF_THE_BROKER, Fault, plan
from tests.chaos.judging import Right, judge
from tests.chaos.load import catalogue

FIRST = TagChange("1", "c", "rich", False, True, "2025-01-01T00:00:00.000Z", Cause.EVENT, 1, {})
SECOND = TagChange("2", "c", "rich", True, False, "2025-01-02T00:00:00.000Z", Cause.TIME, 1, {})
STATE = CustomerTags("c", "2025-01-02T00:00:00.000Z", {"rich": False}, {}, {}, {})
RIGHT = Right([FIRST, SECOND], {"c": STATE}, [None])


def test_what_came_twice_under_its_own_id_is_counted_and_no_difference() -> None:
    verdict = judge(RIGHT, [FIRST, SECOND, FIRST, SECOND], {"c": STATE})
    assert verdict.differences == []
    assert verdict.repeats == 2


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([FIRST], "1 changes are missing, among them 2"),
        ([FIRST, SECOND, msgspec.structs.replace(SECOND, id="3")], "1 changes are too many, among them 3"),
        ([FIRST, SECOND, msgspec.structs.replace(FIRST, new=False)], "1 ids bear different changes, among them 1"),
        ([msgspec.structs.replace(FIRST, cause=Cause.LATE), SECOND], "1 changes say otherwise, among them 1"),
        ([SECOND, FIRST], "1 customers' changes came out of order, among them 1"),
    ],
)
def test_every_change_has_to_be_there_as_it_is_and_in_its_order(found: list[TagChange], said: str) -> None:
    assert any(one.startswith(said) for one in judge(RIGHT, found, {"c": STATE}).differences)


@pytest.mark.parametrize(
    ("state", "said"),
    [(None, "a customer is missing"), (msgspec.structs.replace(STATE, tags={"rich": True}), "a customer's tags")],
)
def test_every_customers_state_has_to_be_right(state: CustomerTags | None, said: str) -> None:
    [difference] = judge(RIGHT, [FIRST, SECOND], {"c": state}).differences
    assert difference == f"1 customers' states differ, among them {said}"


def test_a_seed_says_what_goes_wrong_and_nothing_is_hit_twice_at_once() -> None:
    chance, again = Random(4), Random(4)
    rounds = [plan(chance, 3) for _ in range(300)]
    assert rounds == [plan(again, 3) for _ in range(300)]
    assert {one.fault for faults in rounds for one in faults} == set(Fault)
    for faults in rounds:
        hit = ["broker" if one.fault in OF_THE_BROKER else one.member for one in faults]
        assert len(hit) == len(set(hit))


def test_the_banks_catalogue_goes_without_what_comes_from_outside_the_order_of_records() -> None:
    found = loads(catalogue())
    assert len(found.tags) > 25
    assert not any(isinstance(tag.rule, Score | Quantiles) for tag in found.tags)
