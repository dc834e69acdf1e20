"""P1-P4, P8, P9, P11: the engine says exactly what the oracle says, however a stream is cut into batches.

Compared are all changes with ids, times, causes and `because`, everything said in the end, every feature, next due
times, late events, and the questions to models. A case is a catalogue with a stream and counts once, however often it
is cut; streams of one catalogue are drawn apart from each other. `tests.comparing.COUNTED` counts them.
"""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.durations import HOUR
from tests.comparing import agree, oracle
from tests.generators_records import START, Case, case, cases, jumping, loads
from tests.laws import the_oracle_agrees_however_records_are_batched
from tests.oracle_rules import Record

ROOT: Final = Path(__file__).parents[2]
EVERYTHING: Final = (ROOT / "tests" / "everything.yaml").read_text(encoding="utf-8")
CLOCK: Final = """
catalogue: clock
timezone: UTC
sources:
  look: {topic: look, key: customer, time: at, allowed_skew: 1m, accept_late: 90d, fields: {page: [home, help]}}
  who: {topic: who, kind: profile, key: customer, time: at, allowed_skew: 30m, fields: {vip: boolean}}
features:
  idle: {source: look, since: last}
tags:
  life: {levels: {a: idle < 1m, b: idle < 30m, c: idle < 1h, d: idle < 2h, e: idle < 4h, f: otherwise}}
"""
STREAMS: Final = 7  # of a catalogue: reading one takes longer than everything else
SEEDS: Final = st.integers(0, 2**64 - 1)


@given(SEEDS)
@settings(max_examples=6 * settings().max_examples)
def test_p1_any_catalogue_over_any_stream_in_any_batches(seed: int) -> None:
    draw = Random(seed)
    first = case(draw)
    for one in (first, *(case(draw, first.text) for _ in range(STREAMS - 1))):
        the_oracle_agrees_however_records_are_batched(one, draw)


@given(SEEDS)
@settings(max_examples=3 * settings().max_examples)
def test_p1_every_aggregation_and_operator_at_once(seed: int) -> None:
    draw = Random(seed)
    the_oracle_agrees_however_records_are_batched(case(draw, EVERYTHING), draw)


@pytest.mark.parametrize("name", ["bank", "retail"])
def test_p1_the_shipped_catalogues(name: str) -> None:
    text = (ROOT / "schemas" / f"{name}.yaml").read_text(encoding="utf-8")

    @given(cases(text))
    @settings(max_examples=settings().max_examples // 4)
    def check(case: Case) -> None:
        agree(case)

    check()


@given(jumping(CLOCK))
def test_p9_the_watermark_waits_for_a_second_customer(case: Case) -> None:
    agree(case)


def test_p9_a_jump_that_time_has_caught_up_with_does_not_turn_the_watermark_back() -> None:
    hours = [("a", 0), ("b", 2), ("c", 1), ("c", 2), ("c", 3), ("d", 10)]
    value = '{{"customer": "{}", "at": {}, "page": "home"}}'
    records = [Record("look", value.format(name, START + hour * HOUR).encode()) for name, hour in hours]
    case = Case(CLOCK, loads(CLOCK), records, None)
    assert [json.loads(change)["new"] for change in oracle(case).changes["a"]] == ["a", "b", "c", "d", "e"]
    agree(case)
