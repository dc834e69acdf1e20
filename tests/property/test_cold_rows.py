"""P1, P4, P5: with room for few rows in memory the engine says what the oracle says, and what it says without a limit.

Flushes begin and end at any moment between steps; rows leave memory and come back all the time.
"""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import laws
from tests.cold import limited
from tests.comparing import agree
from tests.generators_records import Case, case, cases
from tests.laws import Law
from tests.property import test_quantiles as quantiles
from tests.property import test_silence as silence

ROOT: Final = Path(__file__).parents[2]
EVERYTHING: Final = (ROOT / "tests" / "everything.yaml").read_text(encoding="utf-8")
SEEDS: Final = st.integers(0, 2**64 - 1)
LAWS: Final = (
    laws.going_on_from_any_marker_changes_nothing,
    laws.merging_shows_neither_pieces_nor_restarts,
    laws.timers_may_fire_in_slices_between_records,
    laws.what_is_counted_is_what_is_said,
)


@given(SEEDS, st.booleans())
def test_p1_where_a_row_lies_does_not_show(seed: int, everything: bool) -> None:
    draw = Random(seed)
    one = case(draw, EVERYTHING) if everything else case(draw)
    with limited(draw):
        agree(one, (4096, draw.choice(laws.SIZES)))


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_p1_p4_p6_hold_with_room_for_few_rows(law: Law) -> None:
    @given(SEEDS)
    @settings(max_examples=settings().max_examples // 2)
    def check(seed: int) -> None:
        draw = Random(seed)
        one = case(draw)
        with limited(draw):
            law(one, draw)

    check()


@given(cases().flatmap(silence.silences), SEEDS)
@settings(max_examples=settings().max_examples // 2)
def test_p5_rows_on_disk_sleep_and_wake_as_others(quiet: silence.Quiet, seed: int) -> None:
    draw = Random(seed)
    with limited(draw):
        assert silence.engine(quiet, draw.choice((4096, 3, 1)), at_once=draw.choice((1, 2))) == silence.oracle(quiet)


@given(quantiles.cases(), SEEDS)
@settings(max_examples=settings().max_examples // 2)
def test_rows_on_disk_are_counted_and_measured_as_others(one: Case, seed: int) -> None:
    expected = [quantiles.engine(one, batch) for batch in (4096, 3)]
    with limited(Random(seed)):
        assert [quantiles.engine(one, batch) for batch in (4096, 3)] == expected
