"""P1-P4, P8, P11: the engine says exactly what the oracle says, however a stream is cut into batches and partitions."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.durations import HOUR
from schemas.records import Change, CustomerTags, LateEvent
from streams.replay import Record as Incoming
from streams.replay import run
from tests.generators_records import START, Case, cases, jumping, loads, scattered
from tests.oracle import replay
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
ALL: Final = 4096
_SORTED: Final = msgspec.json.Encoder(order="sorted")


class Said(msgspec.Struct):
    """What came out, as JSON text: 1, 1.0 and true differ. The order of changes counts within a customer only."""

    changes: dict[str, list[str]]
    customers: dict[str, str]
    late: list[str]


def said(changes: Iterable[Change], customers: dict[str, CustomerTags], late: Iterable[LateEvent]) -> Said:
    """The outcome of either side in one form."""
    by_customer: dict[str, list[str]] = defaultdict(list)
    for change in changes:
        by_customer[change.customer_id].append(msgspec.json.encode(change).decode())
    tags = {name: _SORTED.encode(one).decode() for name, one in sorted(customers.items())}
    set_aside = sorted(f"{e.source} {e.customer_id} {e.event_time} {e.newest} {e.value}" for e in late)
    return Said(dict(sorted(by_customer.items())), tags, set_aside)


def oracle(case: Case) -> Said:
    """What the specification says."""
    outcome = replay(case.catalogue, case.records, case.until)
    return said(outcome.changes, outcome.customers, outcome.late)


def engine(case: Case, batch: int = ALL, partitions: int = 1) -> Said:
    """What the engine says."""
    records = [Incoming(record.source, record.value, record.key) for record in case.records]
    outcome = run(case.catalogue, records, batch=batch, partitions=partitions, until=case.until)
    return said(outcome.changes, outcome.customers, outcome.late)


def agree(case: Case) -> None:
    """Fail where the engine differs from the oracle for any cut of the stream."""
    expected = oracle(case)
    for batch in (ALL, 7, 1):
        assert engine(case, batch) == expected, f"batches of {batch}"


@given(cases())
@settings(max_examples=2 * settings().max_examples)
def test_p1_any_catalogue_over_any_stream_in_any_batches(case: Case) -> None:
    agree(case)


@given(cases(EVERYTHING))
@settings(max_examples=settings().max_examples // 2)
def test_p1_every_aggregation_and_operator_at_once(case: Case) -> None:
    agree(case)


@pytest.mark.parametrize("name", ["bank", "retail"])
def test_p1_the_shipped_catalogues(name: str) -> None:
    text = (ROOT / "schemas" / f"{name}.yaml").read_text(encoding="utf-8")

    @given(cases(text))
    @settings(max_examples=settings().max_examples // 10)
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


# Each partition has a watermark of its own. A record behind the one partition's watermark may be ahead of eight
# partitions' eight, so that a timer fires before it here and after it there; P1 then promises nothing. So: streams in
# which no record is older than its source's `allowed_skew`, and time that passes beyond every timer at the end.
@given(cases(orderly=True))
def test_p1_partitions_do_not_show(case: Case) -> None:
    expected = oracle(case)
    for partitions in (1, 2, 8):
        assert engine(case, partitions=partitions) == expected, f"{partitions} partitions"


@given(scattered(EVERYTHING.partition("tags:")[0]), st.data())
def test_p3_features_do_not_depend_on_arrival_order_within_accept_late(case: Case, data: st.DataObject) -> None:
    other = msgspec.structs.replace(case, records=data.draw(st.permutations(case.records)))
    assert engine(case).customers == engine(other).customers
    assert engine(other) == oracle(other)
