"""What holds for every catalogue and stream (`tests.laws`): cuts, restarts, partitions and steps of time are invisible."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.engine.plan import Plan
from streams.processor import Partition
from tests import laws
from tests.comparing import Heard, engine, oracle, plan_of, steps_of
from tests.generators_records import Case, case, scattered
from tests.laws import Law

ROOT: Final = Path(__file__).parents[2]
EVERYTHING: Final = (ROOT / "tests" / "everything.yaml").read_text(encoding="utf-8").partition("tags:")[0]
STREAMS: Final = 3
SEEDS: Final = st.integers(0, 2**64 - 1)
OTHERS: Final = [law for law in laws.ANY if law is not laws.the_oracle_agrees_however_records_are_batched]


@pytest.mark.parametrize("law", OTHERS, ids=lambda law: law.__name__)
def test_p1_p4_p6_for_any_catalogue_and_stream(law: Law) -> None:
    @given(SEEDS)
    def check(seed: int) -> None:
        draw = Random(seed)
        first = case(draw)
        for one in (first, *(case(draw, first.text) for _ in range(STREAMS - 1))):
            law(one, draw)

    check()


@given(SEEDS)
def test_p1_partitions_do_not_show(seed: int) -> None:
    draw = Random(seed)
    laws.partitions_do_not_show(case(draw, orderly=True), draw)


@given(scattered(EVERYTHING), st.data())
@settings(max_examples=2 * settings().max_examples)
def test_p3_tiles_and_features_do_not_depend_on_arrival_order_within_accept_late(
    case: Case, data: st.DataObject
) -> None:
    other = msgspec.structs.replace(case, records=data.draw(st.permutations(case.records)))
    assert engine(case).customers == engine(other).customers
    assert engine(other) == oracle(other)
    assert stored(case) == stored(other)


def stored(case: Case) -> dict[str, list[int]]:
    """Every customer's words but the ring of ids, which is in the order of arrival."""
    plan: Plan = plan_of(case)
    part, heard = Partition(plan, keyed=False), Heard()
    for step in steps_of(case):
        heard.step(part, step)
    rings = [set(range(first, first + 17)) for first in plan.rows.ring.values()]
    words = sorted(set(range(plan.width)).difference(*rings))
    return {name: part.arena.state.rows[slot, words].tolist() for name, slot in part.arena.slots.items()}
