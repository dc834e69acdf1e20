"""Records written by the kernel are, byte for byte, what the encoder makes of the records' types."""

from __future__ import annotations

import hashlib
import random

import msgspec
import numpy as np
import pytest
import xxhash
from aiokafka.record.default_records import DefaultRecordBatch
from hypothesis import given
from hypothesis import strategies as st

from schemas.loading import load, loads
from schemas.records import change_id
from schemas.values import iso, money
from streams.engine import blake2b, ink
from streams.engine.plan import build
from streams.record_batch import Frame, events, of_lines, of_page, plain
from streams.replay import Record, Replay
from streams.written import Changes, Customers
from tests.integration.support import EVERYTHING, stream

ODD_NAMES = ("plain", 'quo"te', "back\\slash", "line\nbreak", "\x01\x1f", "客户", "😀", "a" * 256)
LARGE = """
catalogue: large
timezone: UTC
currency: CNY
sources:
  s: {topic: s, key: c, time: t, fields: {amount: money, parts: {type: number}}}
features:
  total: {source: s, sum: amount, window: ever}
  share: {source: s, last: parts}
  span: {source: s, since: first}
  twice: {compute: total * 2}
tags:
  huge: {when: total > 1 and share > 0 and twice > 0 and span >= 0ms}
"""


@pytest.fixture(scope="module")
def pages() -> tuple[list[Changes], list[Customers]]:
    replay = Replay(build(load(EVERYTHING)))
    records = [Record(r.source, r.value, r.key.decode()) for r in stream(1_500)]
    written = [page for output in replay.feed(records) for page in output.written]
    return written, list(replay.customers())


def test_every_change_reads_as_its_type_would_be_encoded(pages: tuple[list[Changes], list[Customers]]) -> None:
    seen = 0
    for page in pages[0]:
        for text, change in zip(page.texts(), page, strict=True):
            assert text == msgspec.json.encode(change)
            seen += 1
    assert seen > 1_000


def test_every_customer_reads_as_its_type_would_be_encoded(pages: tuple[list[Changes], list[Customers]]) -> None:
    for page in pages[1]:
        for text, customer in zip(page.texts(), page, strict=True):
            assert text == msgspec.json.encode(customer)


@pytest.mark.parametrize("customer", ODD_NAMES)
def test_customers_with_any_name_are_written_and_hashed(customer: str) -> None:
    replay = Replay(build(loads(LARGE)))
    value = msgspec.json.encode({"c": customer, "t": 1_700_000_000_000, "amount": 99_999_999_999.99, "parts": 1e-7})
    (output,) = replay.feed([Record("s", value)])
    (change,) = output.changes()
    assert change.customer_id == customer
    assert msgspec.json.encode(change) == next(output.written[0].texts())
    anchor = f"s#{xxhash.xxh3_64_intdigest(value):016x}"
    assert change.id == change_id(customer, "huge", 1_700_000_000_000, "event", anchor)
    assert [tags.customer_id for page in replay.customers() for tags in page] == [customer]


def test_sums_too_large_for_a_double_to_count_are_written_whole() -> None:
    replay = Replay(build(loads(LARGE)))
    lines = [{"c": "a", "t": 1_700_000_000_000 + n, "amount": 99_999_999_999.0, "parts": 2.5} for n in range(50)]
    list(replay.feed([Record("s", msgspec.json.encode(line)) for line in lines]))
    (page,) = replay.customers()
    (tags,) = page
    assert tags.features["total"] == "4999999999950.00"
    assert tags.features["twice"] == 9999999999900.0
    assert next(page.texts()) == msgspec.json.encode(tags)


@pytest.mark.parametrize("room", [700, 5_000, 1_000_000])
def test_framed_batches_hold_the_records_that_kafka_clients_read(
    pages: tuple[list[Changes], list[Customers]], room: int
) -> None:
    page = max(pages[0], key=lambda one: np.count_nonzero(one.segment))
    which = np.flatnonzero(page.segment)
    frame = Frame(room, [("ce_type", b"livetags.segment-change"), ("content-type", b"application/json")])
    batches, first = [], 0
    while first < len(which):
        first = frame.fill(of_page(page, which), first)
        batches.append(frame.take())
    read = [record for batch in batches for record in DefaultRecordBatch(bytes(batch._build()))]
    assert sum(batch.record_count() for batch in batches) == len(read) == len(which)
    assert len(batches) > 1 or room == 1_000_000
    for record, change, text in zip(read, page.some(which.tolist()), page.texts(which.tolist()), strict=True):
        assert (bytes(record.key), bytes(record.value)) == (change.customer_id.encode(), text)
        headers = [(name, bytes(value)) for name, value in record.headers]
        assert headers[:2] == [("ce_id", change.id.encode()), ("ce_time", change.at.encode())]
        assert headers[2][1] == b"livetags.segment-change"


def test_a_batch_is_whole_by_its_checksum(pages: tuple[list[Changes], list[Customers]]) -> None:
    customers = pages[1][0]
    frame = Frame(1_000)
    assert frame.fill(of_page(customers, customers.known()), 0) > 0
    batch = frame.take()
    batch._set_producer_state(7, 1, 40)
    assert DefaultRecordBatch(bytes(batch._build())).validate_crc()


@given(st.lists(st.tuples(st.binary(max_size=300), st.none() | st.binary(max_size=300)), max_size=20))
def test_entries_and_tombstones_are_framed_as_they_are(entries: list[tuple[bytes, bytes | None]]) -> None:
    frame = Frame(100_000)
    frame.fill(plain((key for key, _ in entries), (value for _, value in entries)), 0)
    if entries:
        read = list(DefaultRecordBatch(bytes(frame.take()._build())))
        assert [(bytes(r.key), None if r.value is None else bytes(r.value)) for r in read] == entries
        assert all(not r.headers for r in read)


def test_events_bear_their_ids_and_times() -> None:
    frame = Frame(10_000, [("ce_type", b"x")])
    assert frame.fill(events(["k", "客"], of_lines(b"1\n\n"), ["first", ""], [0, 1_735_689_600_123]), 0) == 2
    read = list(DefaultRecordBatch(bytes(frame.take()._build())))
    headers = [{name: bytes(value) for name, value in record.headers} for record in read]
    assert [(record.key, record.value) for record in read] == [(b"k", b"1"), ("客".encode(), b"")]
    assert [h["ce_id"] for h in headers] == [b"first", b""]
    assert headers[1]["ce_time"] == b"2025-01-01T00:00:00.123Z"


@given(st.binary(max_size=600))
def test_digests_are_those_of_the_standard_library(text: bytes) -> None:
    work, out = blake2b.scratch(), np.zeros(16, dtype=np.uint8)
    blake2b.digest(np.frombuffer(text + b"-", dtype=np.uint8), len(text), work, out)
    assert out.tobytes() == hashlib.blake2b(text, digest_size=16).digest()


@given(st.text())
def test_escaped_text_is_that_of_the_encoder(text: str) -> None:
    raw = np.frombuffer(text.encode() + b"-", dtype=np.uint8)
    out = np.empty(6 * len(raw), dtype=np.uint8)
    end = ink.put_escaped(out, 0, raw, 0, len(raw) - 1)
    assert b'"' + out[:end].tobytes() + b'"' == msgspec.json.encode(text)


def test_times_and_money_are_those_of_the_records() -> None:
    draws, out = random.Random(3), np.empty(64, dtype=np.uint8)
    for _ in range(3_000):
        at = draws.randrange(0, 7_258_118_400_000)
        assert out[: ink.put_time(out, 0, at)].tobytes().decode() == iso(at)
        minor, exponent = draws.randrange(-(2**60), 2**60), draws.choice([0, 2, 3])
        assert out[: ink.put_money(out, 0, minor, exponent)].tobytes().decode() == money(minor, exponent)
