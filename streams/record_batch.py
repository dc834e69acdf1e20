"""Kafka record batches made of many records at once instead of one call each.

The records are Kafka's format 2 (uncompressed); header, checksum, and the producer's sequence stay aiokafka's own.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy as Header
from numpy.typing import NDArray

from streams.engine.compiling import compiled
from streams.engine.ink import TIME_BYTES, put, put_time, put_varint, varint_bytes
from streams.engine.words import ID_CHARS
from streams.written import Written

Bytes = NDArray[np.uint8]
Places = NDArray[np.int64]
_ID_KEY: Final = np.frombuffer(b"ce_id", dtype=np.uint8)
_TIME_KEY: Final = np.frombuffer(b"ce_time", dtype=np.uint8)
_LINE_FEED: Final = 10
_NO_BYTES: Final = np.zeros(0, dtype=np.uint8)
_OVERHEAD: Final = 32  # of a record: five varints of at most five bytes, attributes, two short ones


class Texts(NamedTuple):
    """Text i is `pool[starts[i]:ends[i]]`; one that ends before it starts is null."""

    pool: Bytes
    starts: Places
    ends: Places


class Parcel(NamedTuple):
    """Records to frame. `ids` and `times` (UTC ms) become the headers `ce_id` and `ce_time`, if any."""

    keys: Texts
    values: Texts
    ids: Texts
    times: Places


def pooled(parts: Iterable[bytes | None]) -> Texts:
    """Texts one after the other."""
    listed = list(parts)
    ends = np.zeros(len(listed) + 1, dtype=np.int64)
    if None in listed:
        known = [part or b"" for part in listed]
        nulls = np.array([part is None for part in listed], dtype=np.int64)
    else:
        known, nulls = listed, np.zeros(len(listed), dtype=np.int64)  # type: ignore[assignment]  # mypy keeps None
    np.cumsum(np.fromiter(map(len, known), dtype=np.int64, count=len(known)), out=ends[1:])
    # Not of bytes: arrays that cannot be written to are another type to numba, with kernels of its own to compile.
    return Texts(np.frombuffer(bytearray().join(known), dtype=np.uint8), ends[:-1] + nulls, ends[1:])


def of_lines(text: bytes) -> Texts:
    """The lines of a text, each of which ends with a line feed and holds no other."""
    pool = np.frombuffer(bytearray(text), dtype=np.uint8)
    ends = np.flatnonzero(pool == _LINE_FEED)
    starts = np.zeros(len(ends), dtype=np.int64)
    starts[1:] = ends[:-1] + 1
    return Texts(pool, starts, ends)


def pooled_words(words: Sequence[str]) -> Texts:
    """Words as UTF-8, one after the other; in one go where all are ASCII."""
    joined = "".join(words)
    if not joined.isascii():
        return pooled(word.encode() for word in words)
    ends = np.zeros(len(words) + 1, dtype=np.int64)
    np.cumsum(np.fromiter(map(len, words), dtype=np.int64, count=len(words)), out=ends[1:])
    return Texts(np.frombuffer(bytearray(joined, "ascii"), dtype=np.uint8), ends[:-1], ends[1:])


_NO_TEXTS: Final = Texts(_NO_BYTES, np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))


def plain(keys: Iterable[bytes], values: Iterable[bytes | None]) -> Parcel:
    """Records without headers."""
    return Parcel(pooled(keys), pooled(values), _NO_TEXTS, np.zeros(0, dtype=np.int64))


def events(keys: Sequence[str], values: Texts, ids: Sequence[str], times: Sequence[int]) -> Parcel:
    """CloudEvents with those ids and times."""
    return Parcel(pooled_words(keys), values, pooled_words(ids), np.array(times, dtype=np.int64))


def of_page(written: Written, which: Places) -> Parcel:
    """Those records of a page."""
    page, names, slots = written.page, written.names, written.slots[which]
    ids = Texts(page.ids, ID_CHARS * which, ID_CHARS * (which + 1))
    return Parcel(
        Texts(names.pool, names.ends[slots], names.ends[slots + 1]),
        Texts(page.text, page.ends[which], page.ends[which + 1]),
        ids,
        written.page.times[which],
    )


class RecordBatch(BatchBuilder):  # type: ignore[misc]
    """A closed batch of framed records, for `AIOKafkaProducer.send_batch`."""

    def __init__(self, records: bytes, count: int, at_ms: int, transactional: bool = False) -> None:
        super().__init__(len(records), 0)
        header = Header(2, 0, int(transactional), -1, -1, 0, len(records))
        header._buffer += records
        header._num_records, header._last_offset = count, count - 1
        header._first_timestamp = header._max_timestamp = at_ms
        self._builder = header
        self._relative_offset = count
        self._closed = True

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        header = self._builder
        header._producer_id, header._producer_epoch, header._base_sequence = producer_id, producer_epoch, base_sequence


class Frame:
    """The open batch of one topic's partition: records are framed into it until it is full."""

    def __init__(self, room: int, headers: Sequence[tuple[str, bytes]] = ()) -> None:
        """`headers` are those that every record bears, beside its id and time."""
        self._room = room
        self._headers, self._header_count = _framed(headers), len(headers)
        self._buffer = np.empty(room, dtype=np.uint8)
        self._stand = np.zeros(2, dtype=np.int64)  # bytes and records in the batch
        self._begun_ms = 0

    def __len__(self) -> int:
        return int(self._stand[1])

    def fill(self, parcel: Parcel, first: int) -> int:
        """Frame records from `first` on until the batch is full; the place of the next one.

        A record larger than a batch gets one of its own.
        """
        if not len(self):
            self._begun_ms = time.time_ns() // 1_000_000
        after = _frame(parcel, first, self._headers, self._header_count, self._buffer, self._stand)
        if after == first and not len(self):
            self._buffer = np.empty(2 * len(self._buffer) + len(parcel.values.pool), dtype=np.uint8)
            after = _frame(parcel, first, self._headers, self._header_count, self._buffer, self._stand)
        return after

    def take(self, transactional: bool = False) -> RecordBatch:
        """What was framed, as a batch; the next one begins."""
        end, count = self._stand.tolist()
        batch = RecordBatch(self._buffer[:end].tobytes(), count, self._begun_ms, transactional)
        self._stand[:] = 0
        if len(self._buffer) > self._room:
            self._buffer = np.empty(self._room, dtype=np.uint8)
        return batch


def _framed(headers: Sequence[tuple[str, bytes]]) -> Bytes:
    out = np.empty(sum(len(name) + len(value) + 10 for name, value in headers) + 1, dtype=np.uint8)
    at = 0
    for name, value in headers:
        for text in (name.encode(), value):
            at = put_varint(out, at, len(text))
            at = put(out, at, np.frombuffer(text, dtype=np.uint8), 0, len(text))
    return out[:at].copy()


@compiled
def _text_bytes(texts: Texts, place: int) -> int:
    """What a text takes with its length; null takes one byte, for -1."""
    size = texts.ends[place] - texts.starts[place]
    return 1 if size < 0 else varint_bytes(size) + size


@compiled
def _put_text(out: Bytes, at: int, texts: Texts, place: int) -> int:
    size = texts.ends[place] - texts.starts[place]
    if size < 0:
        out[at] = 1
        return at + 1
    at = put_varint(out, at, size)
    return put(out, at, texts.pool, texts.starts[place], texts.ends[place])


@compiled
def _frame(parcel: Parcel, first: int, headers: Bytes, header_count: int, out: Bytes, stand: Places) -> int:
    at, count, keys, values, ids = stand[0], stand[1], parcel.keys, parcel.values, parcel.ids
    named = len(ids.ends) > 0
    headed = header_count + (2 if named else 0)
    # The lengths of two headers' names and of a time take a byte each.
    fixed = len(headers) + (3 + len(_ID_KEY) + len(_TIME_KEY) + TIME_BYTES if named else 0)
    for place in range(first, len(values.ends)):
        body = 2 + varint_bytes(count) + _text_bytes(keys, place) + _text_bytes(values, place)
        body += varint_bytes(headed) + fixed + (_text_bytes(ids, place) if named else 0)
        if at + body + _OVERHEAD > len(out):
            stand[0], stand[1] = at, count
            return place
        at = put_varint(out, at, body)
        out[at], out[at + 1] = 0, 0  # attributes, the batch's own time
        at = put_varint(out, at + 2, count)
        at = _put_text(out, at, keys, place)
        at = _put_text(out, at, values, place)
        at = put_varint(out, at, headed)
        if named:
            at = put_varint(out, at, len(_ID_KEY))
            at = put(out, at, _ID_KEY, 0, len(_ID_KEY))
            at = _put_text(out, at, ids, place)
            at = put_varint(out, at, len(_TIME_KEY))
            at = put(out, at, _TIME_KEY, 0, len(_TIME_KEY))
            at = put_varint(out, at, TIME_BYTES)
            at = put_time(out, at, parcel.times[place])
        at = put(out, at, headers, 0, len(headers))
        count += 1
    stand[0], stand[1] = at, count
    return len(values.ends)
