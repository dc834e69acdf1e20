"""P9 in a partition: what is bad is set aside whole and once, what is good goes on as if it had not been there."""

from __future__ import annotations

import random
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from schemas.loading import load
from schemas.records import DeadLetter
from schemas.sources import Incoming, Reason
from streams.engine.plan import build
from streams.parting import raw
from streams.processor import Partition
from tests.hostile import records
from tests.integration.support import Sent, in_order, stream
from tests.live import Kept, Seen, Topics, feed, note, numbered

PLAN = build(load(Path(__file__).parents[1] / "everything.yaml"))
BIG = 10_000_000
AT = b'"at":1735689600000'
GOOD = b'{"customer":"ann",' + AT + b',"id":"1","amount":5,"way":"in"}'


def bytes_of(letter: DeadLetter) -> tuple[bytes | None, bytes | None]:
    return raw(letter.key, letter.key_encoding), raw(letter.value, letter.encoding)


def spoilt(field: bytes, value: bytes) -> bytes:
    """A record whose field holds that."""
    fields = {b"customer": b'"ann"', b"at": b"1735689600000", b"id": b'"1"', b"amount": b"5", b"way": b'"in"'}
    return b"{" + b",".join(b'"%s":%s' % pair for pair in (fields | {field: value}).items()) + b"}"


BAD: list[tuple[bytes | None, bytes | None, Reason, str]] = [
    (b"ann", None, Reason.NULL_VALUE, ""),
    (None, None, Reason.NULL_VALUE, ""),
    (b"ann", b"", Reason.BAD_JSON, ""),
    (b"ann", b" ", Reason.BAD_JSON, ""),
    (b"ann", b"\x00", Reason.BAD_JSON, ""),
    (b"ann", b"\xff\xfe{}", Reason.BAD_JSON, ""),
    (b"ann", b"\xef\xbb\xbf" + GOOD, Reason.BAD_JSON, ""),
    (b"ann", GOOD + b",", Reason.BAD_JSON, ""),
    (b"ann", GOOD[:-1], Reason.BAD_JSON, ""),
    (b"ann", b"[" * 1_000_000, Reason.WRONG_TYPE, ""),
    (b"ann", b'{"more":' * 200_000 + b"1" + b"}" * 200_000, Reason.BAD_JSON, ""),
    (b"ann", b"[]", Reason.WRONG_TYPE, ""),
    (b"ann", b"null", Reason.WRONG_TYPE, ""),
    (b"ann", b"{}", Reason.MISSING_FIELD, "customer"),
    (b"ann", spoilt(b"customer", b'"\xff"'), Reason.BAD_JSON, ""),
    (b"ann", spoilt(b"customer", b'"\\ud800"'), Reason.BAD_JSON, ""),
    (b"ann", spoilt(b"customer", b'"' + b"x" * BIG + b'"'), Reason.BAD_ID, "customer"),
    (b"ann", spoilt(b"customer", b'""'), Reason.BAD_ID, "customer"),
    (b"ann", spoilt(b"customer", b"9" * 5_000), Reason.WRONG_TYPE, "customer"),
    (b"ann", spoilt(b"customer", b"1.5"), Reason.WRONG_TYPE, "customer"),
    (b"ann", spoilt(b"id", b'"' + b"x" * 257 + b'"'), Reason.BAD_ID, "id"),
    (b"ann", spoilt(b"amount", b"NaN"), Reason.BAD_JSON, ""),
    (b"ann", spoilt(b"amount", b"Infinity"), Reason.BAD_JSON, ""),
    (b"ann", spoilt(b"amount", b"-Infinity"), Reason.BAD_JSON, ""),
    (b"ann", spoilt(b"amount", b"1e400"), Reason.WRONG_TYPE, "amount"),
    (b"ann", spoilt(b"amount", b'"5"'), Reason.WRONG_TYPE, "amount"),
    (b"ann", spoilt(b"amount", b"true"), Reason.WRONG_TYPE, "amount"),
    (b"ann", spoilt(b"amount", b"null"), Reason.WRONG_TYPE, "amount"),
    (b"ann", spoilt(b"amount", b"0.001"), Reason.MONEY_DECIMALS, "amount"),
    (b"ann", spoilt(b"amount", b"100000000000.01"), Reason.MONEY_RANGE, "amount"),
    (b"ann", spoilt(b"amount", b"1e308"), Reason.MONEY_RANGE, "amount"),
    (b"ann", spoilt(b"tip", b"10000000000001"), Reason.MONEY_RANGE, "tip"),
    (b"ann", spoilt(b"tip", b"18446744073709551616"), Reason.MONEY_RANGE, "tip"),
    (b"ann", spoilt(b"tip", b"1.0"), Reason.WRONG_TYPE, "tip"),
    (b"ann", spoilt(b"units", b"9007199254740993"), Reason.WRONG_TYPE, "units"),
    (b"ann", spoilt(b"units", b"-1"), Reason.WRONG_TYPE, "units"),
    (b"ann", spoilt(b"units", b"true"), Reason.WRONG_TYPE, "units"),
    (b"ann", spoilt(b"rate", b"0.001"), Reason.NUMBER_DECIMALS, "rate"),
    (b"ann", spoilt(b"way", b'"sideways"'), Reason.UNKNOWN_VALUE, "way"),
    (b"ann", spoilt(b"way", b'"in","way":5'), Reason.WRONG_TYPE, "way"),
    (b"ann", spoilt(b"new", b"1"), Reason.WRONG_TYPE, "new"),
    (b"ann", spoilt(b"new", b'"true"'), Reason.WRONG_TYPE, "new"),
    (b"ann", spoilt(b"note", b"5"), Reason.WRONG_TYPE, "note"),
    (b"ann", spoilt(b"info", b'"north"'), Reason.WRONG_TYPE, "info"),
    (b"ann", spoilt(b"info", b'{"place":"up"}'), Reason.UNKNOWN_VALUE, "place"),
    (b"ann", spoilt(b"at", b"-1"), Reason.TIME_RANGE, "at"),
    (b"ann", spoilt(b"at", b"7258118400000"), Reason.TIME_RANGE, "at"),
    (b"ann", spoilt(b"at", b"99999999999999999999"), Reason.TIME_RANGE, "at"),
    (b"ann", spoilt(b"at", b'"9999-12-31"'), Reason.TIME_RANGE, "at"),
    (b"ann", spoilt(b"at", b'"2025-02-29T00:00:00Z"'), Reason.BAD_TIME, "at"),
    (b"ann", spoilt(b"at", b"1735689600000.5"), Reason.WRONG_TYPE, "at"),
    (b"ann", spoilt(b"at", b"1735693800000"), Reason.TIME_AHEAD, "at"),
    (b"ann", spoilt(b"due", b'"soon"'), Reason.BAD_TIME, "due"),
    (b"ann", spoilt(b"due", b"-9223372036854775808"), Reason.TIME_RANGE, "due"),
    (None, GOOD, Reason.NULL_KEY, "customer"),
    (b"", GOOD, Reason.KEY_MISMATCH, "customer"),
    (b"bob", GOOD, Reason.KEY_MISMATCH, "customer"),
    (b"\xff\x00", GOOD, Reason.KEY_MISMATCH, "customer"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value", "reason", "field"), BAD, ids=range(len(BAD)))
def test_p9_it_is_set_aside_whole_and_the_stream_goes_on(
    key: bytes | None, value: bytes | None, reason: Reason, field: str
) -> None:
    part, seen = Partition(PLAN), Seen()
    stamp = 1_735_689_600_000 + 3_000_000
    part.push("pay", [Incoming(value, key, 7, stamp), Incoming(GOOD, b"ann", 8, stamp)])
    note(part, 10, seen)
    (letter,) = seen.dead
    assert (letter.source, letter.topic, letter.partition, letter.offset) == ("pay", "pay", 0, 7)
    assert (letter.reason, letter.field) == (reason, field)
    assert bytes_of(letter) == (key, value)
    assert seen.applied == 1
    assert part.positions() == {"pay": 9}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (b"more", b"1e400"),
        (b"more", b"9" * 100_000),
        (b"more", b'"' + b"x" * BIG + b'"'),
        (b"note", b'"' + b"x" * BIG + b'"'),
        (b"amount", b"-0"),
        (b"amount", b"-0.0"),
        (b"amount", b"1e-400"),
        (b"amount", b'"5","amount":5'.replace(b'"5"', b"7")),
        (b"at", b"0"),
        (b"at", b"7258118399999"),
    ],
)
def test_p9_what_is_odd_but_right_is_applied(field: bytes, value: bytes) -> None:
    part, seen = Partition(PLAN), Seen()
    part.push("pay", [Incoming(spoilt(field, value), b"ann", 0)])
    note(part, 10, seen)
    assert (seen.dead, seen.applied) == ([], 1)


def test_p9_a_wrong_partition_names_the_likely_partitioner() -> None:
    part, seen = Partition(PLAN, partition=3, partitions=12), Seen()
    customers = [f"c{n}" for n in range(200)]
    part.push("pay", [Incoming(GOOD.replace(b"ann", c.encode()), c.encode(), n) for n, c in enumerate(customers)])
    note(part, 1_000, seen)
    assert Counter(one.reason for one in seen.dead) == {Reason.WRONG_PARTITION: len(customers) - seen.applied}
    assert seen.applied > 0
    told = [one for one in seen.dead if "CRC32 (librdkafka's default) does" in one.expected]
    assert 0 < len(told) < len(seen.dead) / 3
    assert all("'rekey: true'" in one.expected for one in seen.dead)


def mixed(seed: int, count: int, bad: int) -> Topics:
    """A stream with late records and duplicates, and hostile ones among them; its records by source."""
    chance, hostile = random.Random(seed), records(seed)
    good = stream(count, customers=20, seed=seed)
    good += chance.sample(good, count // 10)
    spots = sorted(chance.randrange(len(good)) for _ in range(bad))
    for spot, value in zip(reversed(spots), islice(hostile, bad), strict=True):
        good.insert(spot, Sent(chance.choice(("pay", "look")), b"nobody", b"!" + value))
    return {name: numbered((r.key, r.value) for r in good if r.source == name) for name in ("pay", "look", "who")}


@pytest.mark.parametrize("seed", range(3))
def test_p9_a_restart_sets_nothing_aside_twice_and_judges_alike(seed: int) -> None:
    topics, whole, chance = mixed(seed, 600, 200), Seen(), random.Random(seed)
    feed(Partition(PLAN), topics, whole, chunk=37, limit=50)
    assert len(whole.dead) == 200
    assert len(whole.late) > 5
    assert whole.duplicates > 5
    again, kept, done, starts = Seen(), Kept(), False, 0
    while not done:
        part = kept.part(PLAN)
        done = feed(part, topics, again, chunk=37, limit=chance.randrange(1, 40), most_runs=chance.randrange(1, 5))
        kept.flush(part)
        starts += 1
    assert starts > 10
    for name in ("pay", "look"):
        assert [one for one in again.dead if one.source == name] == [one for one in whole.dead if one.source == name]
    assert in_order(again.changes) == in_order(whole.changes)
    assert again.late == whole.late
    assert (again.applied, again.duplicates) == (whole.applied, whole.duplicates)


def test_p9_bad_records_behind_good_ones_that_wait_come_out_in_their_turn() -> None:
    part, seen = Partition(PLAN), Seen()
    part.ended("look", False)  # nothing of it is here, and more is to come: what is here of others waits
    part.push("pay", [Incoming(b"first", b"ann", 0), Incoming(GOOD, b"ann", 1), Incoming(b"second", b"ann", 2)])
    note(part, 10, seen)
    assert ([one.value for one in seen.dead], part.positions()) == (["first"], {"pay": 1})
    part.push("pay", [Incoming(b"third", b"ann", 3)])
    note(part, 10, seen)
    assert ([one.value for one in seen.dead], part.positions()) == (["first"], {"pay": 1})
    part.ended("look", True)
    note(part, 10, seen)
    assert ([one.value for one in seen.dead], part.positions()) == (["first", "second", "third"], {"pay": 4})
