"""P9: what can't be read is set aside with its reason and field; what can is exact."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.loading import loads
from schemas.sources import MISSING, Decoded, Decoder, Incoming, Reason
from tests.shop import CATALOGUE

PAY = Decoder(CATALOGUE, CATALOGUE.source("pay"), {"place": {"home": 0}})
WHO = Decoder(CATALOGUE, CATALOGUE.source("who"), {})
GOOD: dict[str, Any] = {"id": "1", "customer": "ann", "at": 1_700_000_000_000, "amount": 12.5, "way": "in"}


def decode(value: Any, decoder: Decoder = PAY, **place: Any) -> Decoded:
    raw = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
    return decoder.decode([Incoming(raw, **place)], keyed="key" in place)


def column(decoded: Decoded, name: str, decoder: Decoder = PAY) -> int:
    names = [field.name for field in decoder.source.fields]
    return int(decoded.values[0, names.index(name)])


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        ({"amount": "12"}, Reason.WRONG_TYPE, "amount"),
        ({"amount": 12.505}, Reason.MONEY_DECIMALS, "amount"),
        ({"amount": 1e300}, Reason.MONEY_RANGE, "amount"),
        ({"amount": 100_000_000_000.01}, Reason.MONEY_RANGE, "amount"),
        ({"amount": None}, Reason.WRONG_TYPE, "amount"),
        ({"cents": 1.5}, Reason.WRONG_TYPE, "cents"),
        ({"cents": 10**13 + 1}, Reason.MONEY_RANGE, "cents"),
        ({"rate": 0.001}, Reason.NUMBER_DECIMALS, "rate"),
        ({"pieces": -1}, Reason.WRONG_TYPE, "pieces"),
        ({"pieces": 2**70}, Reason.WRONG_TYPE, "pieces"),
        ({"way": "sideways"}, Reason.UNKNOWN_VALUE, "way"),
        ({"fresh": 1}, Reason.WRONG_TYPE, "fresh"),
        ({"due": "yesterday"}, Reason.BAD_TIME, "due"),
        ({"where": "home"}, Reason.WRONG_TYPE, "where"),
        ({"where": {"place": 3}}, Reason.WRONG_TYPE, "place"),
        ({"at": "2023-13-01"}, Reason.BAD_TIME, "at"),
        ({"at": -1}, Reason.TIME_RANGE, "at"),
        ({"at": "2200-01-01T00:00:00Z"}, Reason.TIME_RANGE, "at"),
        ({"at": 1e15}, Reason.WRONG_TYPE, "at"),
        ({"customer": ""}, Reason.BAD_ID, "customer"),
        ({"customer": "x" * 257}, Reason.BAD_ID, "customer"),
        ({"customer": True}, Reason.WRONG_TYPE, "customer"),
        ({"id": ""}, Reason.BAD_ID, "id"),
    ],
)
def test_p9_a_wrong_field_is_named(change: dict[str, Any], reason: Reason, field: str) -> None:
    decoded = decode(GOOD | change)
    assert [(bad.index, bad.reason, bad.field) for bad in decoded.bad] == [(0, reason, field)]
    assert decoded.bad[0].expected
    assert len(decoded.customers) == len(decoded.times) == len(decoded.values) == 0


@pytest.mark.parametrize("field", ["amount", "way", "customer", "at", "id"])
def test_p9_a_missing_field_is_named(field: str) -> None:
    decoded = decode({name: value for name, value in GOOD.items() if name != field})
    assert [(bad.reason, bad.field) for bad in decoded.bad] == [(Reason.MISSING_FIELD, field)]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"nonsense",
        b"[1]",
        b'"text"',
        b"{",
        b'{"amount": NaN}',
        b'{"amount": 1e999}',
        b"\xff\xfe",
        b'{"customer": "\xff"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"id":"1","customer":"\\ud800","at":1,"amount":1,"way":"in"}',
    ],
)
def test_p9_no_bytes_make_an_exception(raw: bytes) -> None:
    decoded = decode(raw)
    assert [bad.reason for bad in decoded.bad] in ([Reason.BAD_JSON], [Reason.WRONG_TYPE])


def test_p9_a_null_value_of_an_event_is_a_dead_letter() -> None:
    assert [bad.reason for bad in decode(None).bad] == [Reason.NULL_VALUE]


def test_p9_one_bad_record_leaves_its_neighbours() -> None:
    good = json.dumps(GOOD).encode()
    decoded = PAY.decode([Incoming(good), Incoming(b"x"), Incoming(good), Incoming(None)], keyed=False)
    assert decoded.index.tolist() == [0, 2]
    assert [(bad.index, bad.reason) for bad in decoded.bad] == [(1, Reason.BAD_JSON), (3, Reason.NULL_VALUE)]


@pytest.mark.parametrize(
    ("key", "reason"),
    [(b"ann", None), (b"bob", Reason.KEY_MISMATCH), (b"", Reason.KEY_MISMATCH), (None, Reason.NULL_KEY)],
)
def test_p9_the_key_is_the_customer(key: bytes | None, reason: Reason | None) -> None:
    assert [bad.reason for bad in decode(GOOD, key=key).bad] == ([reason] if reason else [])


@pytest.mark.parametrize(("ahead_ms", "good"), [(300_000, True), (300_001, False)])
def test_p9_a_record_is_at_most_max_ahead_of_its_own_timestamp(ahead_ms: int, good: bool) -> None:
    decoded = decode(GOOD, timestamp=GOOD["at"] - ahead_ms)
    assert [bad.reason for bad in decoded.bad] == ([] if good else [Reason.TIME_AHEAD])


def test_errors_never_tell_the_value() -> None:
    for change in ({"amount": "secret"}, {"way": "secret"}, {"at": "secret"}, {"customer": ["secret"]}):
        (bad,) = decode(GOOD | change).bad
        assert "secret" not in bad.field + bad.expected + bad.reason


@pytest.mark.parametrize(
    ("amount", "minor"),
    [(0.1, 10), (0.29, 29), (1.15, 115), (-3.05, -305), (99_999_999_999.99, 9_999_999_999_999), (7, 700)],
)
def test_money_is_exact_minor_units(amount: float, minor: int) -> None:
    assert column(decode(GOOD | {"amount": amount}), "amount") == minor


def test_every_kind_of_field_becomes_a_column() -> None:
    given = {"cents": 5, "rate": 1.25, "pieces": 3, "shop": "toys", "fresh": True, "due": "2023-11-14T22:13:20Z"}
    decoded = decode(GOOD | given | {"where": {"place": "home", "more": 1}, "unknown": 1})
    found = {
        name: column(decoded, name) for name in ("cents", "rate", "pieces", "way", "shop", "fresh", "due", "place")
    }
    assert found == {
        "cents": 5,
        "rate": 125,
        "pieces": 3,
        "way": 0,
        "shop": 2,
        "fresh": 1,
        "due": 1_700_000_000_000,
        "place": 0,
    }
    assert column(decoded, "real") == MISSING


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2023-11-14T22:13:20.123456Z", 1_700_000_000_123),
        ("2023-11-15T06:13:20+08:00", 1_700_000_000_000),
        ("2023-11-15T06:13:20", 1_700_000_000_000),
        ("2023-11-14", 1_699_977_599_999),
    ],
)
def test_a_time_without_zone_is_the_catalogues_and_a_date_is_its_end(text: str, ms: int) -> None:
    assert decode(GOOD | {"at": text}).times.tolist() == [ms]


def test_an_integer_customer_and_id_are_their_decimal_text() -> None:
    decoded = decode(GOOD | {"customer": 42, "id": 7})
    assert (decoded.customers, decoded.ids) == (["42"], ["7"])


def test_a_profile_is_removed_by_null_or_by_its_key_alone() -> None:
    full, only_key = b'{"customer":"ann","at":5,"vip":true}', b'{"customer":"ann"}'
    timed = b'{"customer":"ann","at":9}'
    records = [Incoming(full), Incoming(None, key=b"bob"), Incoming(only_key), Incoming(timed), Incoming(None)]
    decoded = WHO.decode(records, keyed=False)
    assert decoded.customers == ["ann", "bob", "ann", "ann"]
    assert decoded.removed.tolist() == [False, True, True, True]
    assert decoded.times.tolist() == [5, MISSING, MISSING, 9]
    assert [(bad.index, bad.reason) for bad in decoded.bad] == [(4, Reason.NULL_KEY)]


@pytest.mark.parametrize("beside", [b'{"customer":"bob","at":5,"full":true}', b"not JSON"])
def test_a_removal_is_one_whatever_stands_beside_it(beside: bytes) -> None:
    free = loads(
        "catalogue: free\ntimezone: UTC\nsources:\n"
        "  who: {topic: who, kind: profile, key: customer, time: at, fields: {full: {type: boolean, optional: true}}}\n"
    )
    decoder = Decoder(free, free.source("who"), {})
    decoded = decoder.decode([Incoming(b'{"customer":"ann"}'), Incoming(beside)], keyed=False)
    assert (decoded.customers[0], int(decoded.times[0]), bool(decoded.removed[0])) == ("ann", MISSING, True)


def test_a_profile_without_a_time_that_says_something_is_a_dead_letter() -> None:
    decoded = decode({"customer": "ann", "vip": True}, WHO)
    assert [(bad.reason, bad.field) for bad in decoded.bad] == [(Reason.MISSING_FIELD, "at")]


@pytest.mark.parametrize("at", [-1, 7_258_118_400_000])
def test_a_removal_at_a_time_that_is_not_allowed_is_a_dead_letter(at: int) -> None:
    decoded = decode({"customer": "ann", "at": at}, WHO)
    assert [(bad.reason, bad.field) for bad in decoded.bad] == [(Reason.TIME_RANGE, "at")]
    assert decoded.customers == []
