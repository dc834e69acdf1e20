"""Which changes the page's list shows."""

from __future__ import annotations

from schemas.records import Cause, Change, SegmentChange, TagChange
from streams.web.trickle import A_TURN, ROWS, Trickle

AT = "2025-01-05T01:12:33.123Z"


def tag(number: int) -> Change:
    """A tag's change."""
    return TagChange(f"t{number}", "C1", "vip", False, True, AT, Cause.EVENT, 1, {})


def segment(number: int) -> Change:
    """A segment's change."""
    return SegmentChange(f"s{number}", "C1", "prospects", False, True, AT, Cause.EVENT, 1, {})


def ids(changes: list[Change]) -> list[str]:
    """Their ids."""
    return [change.id for change in changes]


def test_the_first_turn_fills_the_list() -> None:
    recent = [tag(number) for number in range(2 * ROWS, 0, -1)]
    assert Trickle().take(recent) == recent[:ROWS]


def test_few_changes_are_all_shown_newest_first() -> None:
    trickle, recent = Trickle(), [tag(1)]
    trickle.take(recent)
    recent = [segment(3), tag(2), *recent]
    assert ids(trickle.take(recent)) == ["s3", "t2", "t1"]


def test_nothing_new_leaves_the_list_as_it_is() -> None:
    trickle, recent = Trickle(), [tag(2), tag(1)]
    assert trickle.take(recent) == trickle.take(recent) == recent


def test_many_changes_bring_a_few_a_turn_of_both_kinds_in_their_order() -> None:
    trickle = Trickle()
    trickle.take([tag(0)])
    recent = [
        *(tag(number) for number in range(100, 50, -1)),
        *(segment(number) for number in range(50, 0, -1)),
        tag(0),
    ]
    shown = ids(trickle.take(recent))
    assert shown == ["t100", "t99", "t98", "s50", "s49", "t0"]
    assert len(shown) == A_TURN + 1


def test_where_only_one_kind_changes_it_has_the_whole_turn() -> None:
    trickle = Trickle()
    trickle.take([tag(0)])
    assert len(trickle.take([segment(number) for number in range(9, 0, -1)])) == A_TURN + 1


def test_a_change_left_out_once_does_not_come_later() -> None:
    trickle = Trickle()
    trickle.take([tag(0)])
    recent = [tag(number) for number in range(20, -1, -1)]
    trickle.take(recent)
    assert ids(trickle.take([tag(21), *recent]))[:2] == ["t21", "t20"]


def test_a_change_published_twice_is_shown_once() -> None:
    """P7: changes come at least once, with the same id."""
    trickle = Trickle()
    trickle.take([tag(2), tag(1)])
    assert ids(trickle.take([tag(1), tag(3), tag(2), tag(1)])) == ["t3", "t2", "t1"]


def test_an_empty_worker_shows_nothing() -> None:
    assert Trickle().take([]) == []
