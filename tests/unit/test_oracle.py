"""The oracle against hand-made cases: each pins one promise of the design with numbers worked out on paper."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.catalogue import Catalogue
from schemas.durations import DAY, HOUR, MINUTE
from schemas.loading import loads
from schemas.records import Cause, Change, change_id
from tests.oracle import OracleOutcome, replay
from tests.oracle_rules import Record, iso

# 2026-03-02T00:00:00Z; in Asia/Shanghai it is already 08:00.
START = 1_772_409_600_000

HEAD = """
catalogue: small
version: 3
timezone: {timezone}
currency: CNY
sources:
  pay:
    topic: pay
    key: customer
    time: at
    id: id
    allowed_skew: 1m
    accept_late: 1h
    fields:
      amount: money
      way: [in, out]
      shop: {{type: [food, fuel], other: true, optional: true}}
      note: {{type: text, optional: true}}
      tip: {{type: money, unit: minor, optional: true}}
      rate: {{type: number, decimals: 2, optional: true}}
  look: {{topic: look, key: customer, time: at, fields: {{page: text}}}}
  who:
    topic: who
    kind: profile
    key: customer
    time: at
    fields: {{vip: boolean, born: {{type: count, optional: true}}}}
"""


def catalogue(body: str, timezone: str = "UTC") -> Catalogue:
    return loads(HEAD.format(timezone=timezone) + body)


def pay(at: int, amount: Any = 1, identity: str = "", **more: Any) -> Record:
    value = {"customer": "c", "at": at, "id": identity or f"id-{at}", "amount": amount, "way": "in"} | more
    return Record("pay", json.dumps(value).encode())


def who(at: int | None, **fields: Any) -> Record:
    value = {"customer": "c"} | ({"at": at} if at is not None else {}) | fields
    return Record("who", json.dumps(value).encode())


def steps(outcome: OracleOutcome, name: str) -> list[tuple[Any, str, str]]:
    """(new value, at, cause) of each change of a tag or segment."""
    return [(change.new, change.at, change.cause.value) for change in outcome.changes if change.name == name]


def only(outcome: OracleOutcome) -> Change:
    (change,) = outcome.changes
    return change


def value_of(feature: str, records: list[Record], until: int | None = None) -> Any:
    """The value of one feature at the end; a tag that toggles with every moment keeps the row's now moving."""
    cat = catalogue(f"features:\n  f: {feature}\n")
    return replay(cat, records, until).customers["c"].features["f"]


COUNT_1H = """
features:
  n: {source: pay, count: true, window: 1h, tile: 10m}
tags:
  busy: {when: n >= 2}
"""


def test_p2_a_window_is_the_current_tile_and_those_before_it() -> None:
    # tiles of 10m: two events at 00:09:59.999 and 00:10:00; the first leaves at 01:00, the second at 01:10
    records = [pay(START + 10 * MINUTE - 1), pay(START + 10 * MINUTE)]
    outcome = replay(catalogue(COUNT_1H), records, until=START + DAY)
    assert steps(outcome, "busy") == [
        (True, iso(START + 10 * MINUTE), "event"),
        (False, iso(START + HOUR), "time"),
    ]


def test_p2_tiles_are_counted_in_the_catalogues_standard_offset() -> None:
    body = """
features:
  days: {source: pay, days: true, window: 2d}
tags:
  twice: {when: days >= 2}
"""
    border = START - 8 * HOUR  # midnight in Shanghai
    records = [pay(border - 1), pay(border)]
    east = replay(catalogue(body, "Asia/Shanghai"), records, until=START + 9 * DAY)
    assert steps(east, "twice") == [(True, iso(border), "event"), (False, iso(border + DAY), "time")]
    assert steps(replay(catalogue(body), records), "twice") == []


def test_p1_timers_due_before_a_record_fire_first_each_at_its_own_time() -> None:
    body = """
features:
  idle: {source: pay, since: last}
tags:
  life: {levels: {active: idle < 7d, cooling: idle <= 30d, lost: otherwise}}
"""
    outcome = replay(catalogue(body), [pay(START), pay(START + 60 * DAY)])
    assert steps(outcome, "life") == [
        ("active", iso(START), "event"),
        ("cooling", iso(START + 7 * DAY), "time"),
        ("lost", iso(START + 30 * DAY + 1), "time"),
        ("active", iso(START + 60 * DAY), "event"),
    ]
    assert outcome.changes[0].old is None
    assert outcome.changes[2].because == {"idle": 30 * DAY + 1}


def test_p1_what_is_due_in_the_millisecond_of_a_record_fires_before_it() -> None:
    outcome = replay(catalogue(COUNT_1H), [pay(START), pay(START + 1), pay(START + HOUR), pay(START + HOUR + 1)])
    assert steps(outcome, "busy") == [
        (True, iso(START + 1), "event"),
        (False, iso(START + HOUR), "time"),
        (True, iso(START + HOUR + 1), "event"),
    ]


def test_p3_a_late_record_lands_in_its_own_tile_and_changes_bear_the_rows_now() -> None:
    newest = START + 30 * MINUTE
    outcome = replay(catalogue(COUNT_1H), [pay(newest), pay(START)], until=START + DAY)
    assert steps(outcome, "busy") == [(True, iso(newest), "late"), (False, iso(START + HOUR), "time")]


def test_p3_a_record_beyond_accept_late_changes_nothing_and_is_set_aside() -> None:
    on_the_border, beyond = pay(START, identity="a"), pay(START - 1, identity="b")
    outcome = replay(catalogue(COUNT_1H), [pay(START + HOUR), on_the_border, beyond])
    (late,) = outcome.late
    assert (late.event_time, late.newest, late.customer_id) == (iso(START - 1), iso(START + HOUR), "c")
    assert late.value.encode() == beyond.value
    assert outcome.customers["c"].features == {"n": 1}


def test_p3_another_source_does_not_make_a_record_late_for_its_own() -> None:
    look = Record("look", json.dumps({"customer": "c", "at": START + 9 * DAY, "page": "home"}).encode())
    outcome = replay(catalogue(COUNT_1H), [look, pay(START)])
    assert outcome.late == []


def test_p4_a_timer_that_changes_nothing_leaves_the_row_as_it_was() -> None:
    outcome = replay(catalogue(COUNT_1H), [pay(START)], until=START + DAY)
    assert outcome.customers["c"].at == iso(START)
    assert outcome.customers["c"].features == {"n": 1}


def test_p4_the_watermark_of_other_customers_fires_timers() -> None:
    body = """
features:
  idle: {source: pay, since: last}
tags:
  gone: {when: idle >= 2m}
"""
    others = [pay(START + k * MINUTE, customer="other") for k in range(1, 4)]
    outcome = replay(catalogue(body), [pay(START), *others])
    # the skew is 1m: after the record at 3m the watermark is at 2m
    assert steps(outcome, "gone") == [(True, iso(START + 2 * MINUTE), "time")]
    assert replay(catalogue(body), [pay(START), *others[:2]]).changes == []


def test_p9_a_jump_of_the_watermark_waits_for_a_second_customer() -> None:
    body = """
features:
  idle: {source: pay, since: last}
tags:
  gone: {when: idle >= 1d}
"""
    jump = [pay(START + 9 * DAY + k, customer="other") for k in range(3)]
    assert replay(catalogue(body), [pay(START), *jump]).changes == []
    confirmed = replay(catalogue(body), [pay(START), *jump, pay(START + 5 * DAY, customer="third")])
    assert steps(confirmed, "gone") == [(True, iso(START + DAY), "time")]


def test_p8_a_repeat_among_the_last_sixteen_ids_is_dropped_with_no_trace() -> None:
    body = "features:\n  n: {source: pay, count: true}\n"
    sixteen = [pay(START + k, identity=f"x{k}") for k in range(16)]
    again = replay(catalogue(body), [*sixteen, pay(START, identity="x0")])
    assert again.customers["c"].features == {"n": 16}
    forgotten = replay(catalogue(body), [*sixteen, pay(START + 99), pay(START, identity="x0")])
    assert forgotten.customers["c"].features == {"n": 18}


def test_p8_a_source_without_id_has_no_duplicates() -> None:
    look = Record("look", json.dumps({"customer": "c", "at": START, "page": "home"}).encode())
    outcome = replay(catalogue("features:\n  n: {source: look, count: true}\n"), [look, look])
    assert outcome.customers["c"].features == {"n": 2}


def test_p7_ids_name_the_record_or_its_payload_and_nothing_for_time() -> None:
    outcome = replay(catalogue(COUNT_1H), [pay(START), pay(START + 1, identity="two")], until=START + DAY)
    assert [change.id for change in outcome.changes] == [
        change_id("c", "busy", START + 1, Cause.EVENT, "pay:two"),
        change_id("c", "busy", START + HOUR, Cause.TIME, ""),
    ]


def test_hold_counts_from_turning_on_and_then_the_rule_decides_again() -> None:
    body = """
features:
  last: {source: pay, last: amount}
tags:
  large: {when: last >= 100, hold: 10m}
"""
    records = [pay(START, 100), pay(START + MINUTE, 5), pay(START + 2 * MINUTE, 200), pay(START + 3 * MINUTE, 5)]
    outcome = replay(catalogue(body), records, until=START + HOUR)
    assert steps(outcome, "large") == [
        (True, iso(START), "event"),
        (False, iso(START + 10 * MINUTE), "time"),
    ]


def test_tags_rest_on_tags_and_segments_on_both_in_one_evaluation() -> None:
    body = """
features:
  n: {source: pay, count: true}
  vip: {source: who, last: vip}
tags:
  odd: {when: few and not vip}
  few: {when: n <= 1}
segments:
  keen: {when: odd or n >= 3}
"""
    outcome = replay(catalogue(body), [pay(START), pay(START + 1), pay(START + 2)])
    assert [(change.name, change.new) for change in outcome.changes] == [
        ("few", True),
        ("odd", True),
        ("keen", True),
        ("few", False),
        ("odd", False),
        ("keen", False),
        ("keen", True),
    ]
    assert outcome.changes[1].because == {"few": True, "vip": None}
    assert outcome.customers["c"].segments == {"keen": iso(START + 2)}


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        ("{source: pay, sum: amount}", "1000.80"),
        ("{source: pay, mean: amount}", 500.4),
        ("{source: pay, max: tip}", "0.07"),
        ("{source: pay, min: rate}", -0.25),
        ("{source: pay, sum: rate}", 1.0),
        ("{source: pay, mean: rate}", 0.5),
        ("{source: pay, distinct: shop}", 2),
        ("{source: pay, top: shop}", "food"),
        ("{source: pay, first: shop}", "food"),
        ("{source: pay, last: shop}", "other"),
        ("{source: pay, last: way}", "out"),
        ("{source: pay, where: way == 'out', since: first}", 0),
        ("{source: pay, where: note != 'x', count: true}", 1),
        ("{source: pay, where: note is missing, count: true}", 1),
        ("{source: pay, where: amount < 1, count: true}", 1),
        ("{source: pay, where: rate in (1.25), count: true}", 1),
        ("{source: look, count: true}", 0),
        ("{source: look, since: last}", None),
    ],
)
def test_values_of_each_aggregation(feature: str, expected: object) -> None:
    first = pay(START, 1000.5, shop="food", note="y", tip=7, rate=1.25)
    second = pay(START + 1, 0.30, way="out", shop="tea", rate=-0.25)
    got = value_of(feature, [first, second])
    assert (got, type(got)) == (expected, type(expected))


def test_money_is_exact_where_doubles_are_not() -> None:
    assert value_of("{source: pay, sum: amount}", [pay(START + k, 0.1) for k in range(3)]) == "0.30"


@pytest.mark.parametrize("rule", ["x / zero > 0", "x / zero <= 0", "gone != 1", "not gone == gone", "gone is known"])
def test_missing_makes_every_comparison_false(rule: str) -> None:
    body = f"""
features:
  x: {{source: pay, count: true}}
  zero: {{source: look, count: true}}
  gone: {{source: who, last: born}}
tags:
  t: {{when: {rule}}}
"""
    expected = [True] if rule.startswith("not") else []
    assert [change.new for change in replay(catalogue(body), [pay(START)]).changes] == expected


def test_last_and_first_break_ties_by_the_hash_of_the_id_not_by_arrival() -> None:
    one, two = pay(START, 1, identity="one"), pay(START, 2, identity="two")
    for feature in ("{source: pay, last: amount}", "{source: pay, first: amount}"):
        assert value_of(feature, [one, two]) == value_of(feature, [two, one])


VIP = """
features:
  vip: {source: who, last: vip}
tags:
  plain: {when: not vip}
"""


def test_a_profile_replaces_the_whole_and_an_older_one_is_ignored() -> None:
    body = "features:\n  born: {source: who, last: born}\n"
    newer = [who(START + 5, vip=True, born=1980), who(START + 6, vip=True), who(START + 4, vip=True, born=1990)]
    assert replay(catalogue(body), newer).customers["c"].features == {"born": None}
    tie = [who(START, vip=True, born=1980), who(START, vip=True, born=1990)]
    assert replay(catalogue(body), tie).customers["c"].features == {"born": 1990}


def test_removing_a_profile_makes_its_fields_missing() -> None:
    record = who(START, vip=True)
    bare = Record("who", b'{"customer": "c"}')
    for removal in (Record("who", None, "c"), bare):
        outcome = replay(catalogue(VIP), [record, removal])
        assert steps(outcome, "plain") == [(True, iso(START), "profile")]
        assert replay(catalogue(VIP), [removal]).customers == {}
    assert steps(replay(catalogue(VIP), [record, who(START + 9)]), "plain") == [(True, iso(START + 9), "profile")]
    assert only(replay(catalogue(VIP), [record, bare])).because == {"vip": None}


def test_a_profile_older_than_the_row_speaks_at_the_rows_now() -> None:
    outcome = replay(catalogue(VIP), [pay(START), who(START - DAY, vip=True)])
    assert steps(outcome, "plain") == [(True, iso(START), "event"), (False, iso(START), "profile")]


@pytest.mark.parametrize(
    "value",
    [b"{", b"[]", b'{"customer": "c"}', b'{"customer": "c", "at": NaN, "id": "x", "amount": 1, "way": "in"}', None],
)
def test_p9_what_can_not_be_read_changes_nothing(value: bytes | None) -> None:
    assert replay(catalogue(COUNT_1H), [Record("pay", value, "c")]).customers == {}


def test_a_time_without_zone_is_in_the_catalogues_timezone() -> None:
    cat = catalogue(COUNT_1H, "Asia/Shanghai")
    value = {"customer": "c", "at": "2026-03-02T08:00:00.5", "id": "x", "amount": 1, "way": "in"}
    plain = Record("pay", json.dumps(value).encode())
    assert replay(cat, [plain]).customers["c"].at == "2026-03-02T00:00:00.500Z"


def test_a_date_without_time_is_the_end_of_that_day() -> None:
    value = {"customer": "c", "at": "2026-03-01", "page": "home"}
    look = Record("look", json.dumps(value).encode())
    body = "features:\n  n: {source: look, count: true}\n"
    assert replay(catalogue(body), [look]).customers["c"].at == iso(START - 1)
    assert replay(catalogue(body, "Asia/Shanghai"), [look]).customers["c"].at == iso(START - 8 * HOUR - 1)


def test_quantile_tags_say_warming() -> None:
    body = """
features:
  n: {source: pay, count: true}
tags:
  part: {quantiles: {of: n, levels: 5}}
"""
    outcome = replay(catalogue(body), [pay(START)])
    assert outcome.changes == []
    assert outcome.customers["c"].tags == {"part": None}
    assert outcome.customers["c"].status == {"part": "warming"}
