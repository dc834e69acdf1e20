"""P7: what was published behind the marker is compared with the rows, for readers who drop repeats and for others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import numpy as np
import pytest

from schemas.loading import loads
from schemas.records import Cause, Change, CustomerTags, SegmentChange, TagChange, change_id
from streams.correcting import Correcting
from streams.engine import plan
from streams.engine.write import Names, Page
from streams.written import Changes

CATALOGUE = loads(
    """
catalogue: shop
timezone: UTC
sources:
  buys: {topic: buys, key: who, time: at, id: id, fields: {paid: count}}
  looks: {topic: looks, key: who, time: at, fields: {page: [home]}}
features:
  spent: {source: buys, sum: paid, window: 30d}
  idle: {source: [buys, looks], since: last}
tags:
  rich: {when: spent >= 100}
  life: {levels: {active: idle < 1d, cooling: otherwise}}
segments:
  whales: {when: rich and life == 'active'}
"""
)
PLAN = plan.build(CATALOGUE)
DAY = "2025-01-0{}T00:00:00.000Z"


class Rows:
    """What a partition's rows say."""

    plan = PLAN

    def __init__(self, *said: CustomerTags) -> None:
        self._said = {one.customer_id: one for one in said}
        self.again: set[str] = set()

    def tags_of(self, customers: Iterable[str]) -> Iterator[CustomerTags]:
        return (self._said[name] for name in customers if name in self._said)

    def publish_again(self, customers: Iterable[str]) -> None:
        self.again |= set(customers)


def row(customer: str, life: str = "active", rich: bool = False, day: int = 5) -> CustomerTags:
    whales = {"whales": DAY.format(1)} if rich and life == "active" else {}
    tags: dict[str, Any] = {"rich": rich, "life": life}
    return CustomerTags(customer, DAY.format(day), tags, whales, {"spent": 7, "idle": 60_000}, {})


def tag(customer: str, name: str, old: Any, new: Any, day: int = 2, cause: Cause = Cause.EVENT) -> TagChange:
    number = change_id(customer, name, day, cause, f"{old}")
    return TagChange(number, customer, name, old, new, DAY.format(day), cause, 1, {})


def correcting(rows: Rows, *changes: Change, customers: Iterable[str] = ()) -> Correcting:
    found = Correcting(rows, changes, customers)  # type: ignore[arg-type]
    for source in ("buys", "looks"):
        found.reached(source, 0, 0, True)
    return found


def page(*changes: TagChange) -> Changes:
    """Changes as a partition says them."""
    names = [one.customer_id.encode() for one in changes]
    ids = np.frombuffer("".join(one.id for one in changes).encode(), dtype=np.uint8)
    none = np.zeros(len(changes), dtype=np.int64)
    ends = np.cumsum([0, *map(len, names)], dtype=np.int64)
    return Changes(
        Page(np.zeros(0, np.uint8), np.zeros(len(changes) + 1, np.int64), none, ids),
        np.arange(len(changes)),
        Names(np.frombuffer(b"".join(names), dtype=np.uint8), ends),
        PLAN.said,
        np.array([PLAN.said.index(one.name) for one in changes]),
        none, none, none, none.astype(bool),
    )  # fmt: skip


def test_what_is_still_so_needs_no_word() -> None:
    rows = Rows(row("ann", life="cooling"))
    work = correcting(rows, tag("ann", "life", None, "active"), tag("ann", "life", "active", "cooling", 3))
    assert work.take() == []
    assert work.over


def test_the_last_word_on_each_tag_and_segment_is_mended_once_and_says_why() -> None:
    entered = SegmentChange("f" * 32, "ann", "whales", False, True, DAY.format(3), Cause.SCORE, 1, {})
    work = correcting(Rows(row("ann")), tag("ann", "life", "active", "cooling", 3), entered)
    life, whales = work.take()
    assert (life.name, life.old, life.new, life.cause, life.at) == (
        "life", "cooling", "active", Cause.CORRECTION, DAY.format(5)
    )  # fmt: skip
    assert life.because == {"idle": 60_000}
    assert isinstance(whales, SegmentChange)
    assert (whales.old, whales.new) == (True, False)
    assert whales.because == {"rich": False, "life": "active"}
    assert work.over
    assert work.take() == []


def test_a_correction_has_the_same_id_wherever_it_is_made_and_another_one_for_another_answer() -> None:
    wrong = tag("ann", "life", "active", "cooling", 3)
    (one,), (two,) = (correcting(Rows(row("ann")), wrong).take() for _ in range(2))
    assert one == two
    (gone,) = correcting(Rows(), wrong).take()
    assert (gone.old, gone.new, gone.at) == ("cooling", None, wrong.at)
    assert gone.id != one.id


def test_a_correction_is_never_older_than_what_it_corrects() -> None:
    (made,) = correcting(Rows(row("ann", day=1)), tag("ann", "life", "active", "cooling", 3)).take()
    assert made.at == DAY.format(3)


def test_to_a_reader_who_drops_repeats_a_repeat_is_no_word() -> None:
    first, last = tag("ann", "life", None, "active"), tag("ann", "life", "active", "cooling", 3)
    work = correcting(Rows(row("ann")), first, last)
    work.note(page(first))  # said again after `last`, with the id it had
    assert [(made.old, made.new) for made in work.take()] == [("cooling", "active")]


def test_what_several_take_overs_said_again_counts_by_its_first_time() -> None:
    first, last = tag("ann", "life", None, "active"), tag("ann", "life", "active", "cooling", 3)
    said = first, last, first
    work = correcting(Rows(row("ann", life="cooling")), *said)
    work.note(page(first, last))
    assert work.take() == []
    silent = correcting(Rows(row("ann", life="cooling")), *said)  # a reader of everything read `active` last
    assert [(made.old, made.new) for made in silent.take()] == [("active", "cooling")]


def test_what_is_said_anew_needs_no_correction() -> None:
    work = correcting(Rows(row("ann", rich=True)), tag("ann", "rich", False, True), tag("bob", "rich", False, True))
    work.note(page(tag("ann", "life", None, "active"), tag("ann", "rich", False, True, 4)))
    assert [made.customer_id for made in work.take()] == ["bob"]


def test_nothing_is_compared_before_what_led_to_it_is_applied_and_time_has_passed_as_far() -> None:
    work = Correcting(Rows(row("ann")), [tag("ann", "life", "active", "cooling", 3, Cause.TIME)], [])  # type: ignore[arg-type]
    third = 1_735_862_400_000
    work.reached("buys", 4, None, False)
    work.reached("looks", 0, None, True)
    assert not work.due(third)
    work.reached("buys", 4, 5, False)
    assert not work.due(third)
    work.reached("buys", 5, 900, False)  # what came since is nothing that the owner before can have seen
    assert not work.due(third - 1)
    assert work.due(third)
    assert work.due(None)


def test_customers_of_whom_all_was_published_are_published_again() -> None:
    rows = Rows(row("ann"))
    work = correcting(rows, customers=["ann", "ann"])
    assert not work.over
    assert work.take() == []
    assert (rows.again, work.over) == ({"ann"}, True)


def test_what_the_catalogue_does_not_know_is_not_ours() -> None:
    work = correcting(Rows(row("ann")), msgspec.structs.replace(tag("ann", "life", None, "cooling"), tag="older"))
    assert work.over


@pytest.mark.parametrize("number", [1, 700])
def test_many_customers_are_compared_in_slices(number: int) -> None:
    names = [f"c{n}" for n in range(number)]
    work = correcting(Rows(*map(row, names)), *(tag(name, "life", "active", "cooling", 3) for name in names))
    slices = []
    while not work.over:
        slices.append(len(work.take()))
    assert sum(slices) == number
    assert max(slices) <= 500
