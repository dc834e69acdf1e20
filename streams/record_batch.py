"""Kafka record batches made of pages: thousands of records framed at once instead of one call each.

The records are Kafka's format 2 (uncompressed); header, checksum, and the producer's sequence stay aiokafka's own.
"""

from __future__ import annotations

import time
from typing import Any, Final

import numpy as np
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy as Header
from numba import njit
from numpy.typing import NDArray

from streams.engine.ink import TIME_BYTES, put, put_varint, varint_bytes
from streams.engine.words import ID_CHARS
from streams.written import Written

Bytes = NDArray[np.uint8]
_ID_KEY: Final = np.frombuffer(b"ce_id", dtype=np.uint8)
_TIME_KEY: Final = np.frombuffer(b"ce_time", dtype=np.uint8)
_OVERHEAD: Final = 32  # of a record: five varints of at most five bytes, attributes, two short ones


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

    def __init__(self, room: int, headers: list[tuple[str, bytes]]) -> None:
        """`headers` are those that every record bears, beside its id and time."""
        self._room = room
        self._headers = _framed(headers)
        self._header_count = len(headers) + 2
        self._buffer = np.empty(room, dtype=np.uint8)
        self._stand = np.zeros(2, dtype=np.int64)  # bytes and records in the batch
        self._begun_ms = 0

    def __len__(self) -> int:
        return int(self._stand[1])

    def fill(self, written: Written, which: NDArray[np.int64], first: int) -> int:
        """Frame records `which[first:]` until the batch is full; the place of the next one.

        A record larger than a batch gets one of its own.
        """
        if not len(self):
            self._begun_ms = time.time_ns() // 1_000_000
        after = self._frame(written, which, first)
        if after == first and not len(self):
            self._buffer = np.empty(2 * len(self._buffer) + len(written.page.text), dtype=np.uint8)
            after = self._frame(written, which, first)
        return after

    def _frame(self, written: Written, which: NDArray[np.int64], first: int) -> int:
        page = written.page
        after: int = _frame(
            page.text, page.ends, page.times, page.ids, which, first, written.slots, written.names.pool,
            written.names.ends, self._headers, self._header_count, self._buffer, self._stand,
        )  # fmt: skip
        return after

    def take(self) -> RecordBatch:
        """What was framed, as a batch; the next one begins."""
        end, count = self._stand.tolist()
        batch = RecordBatch(self._buffer[:end].tobytes(), count, self._begun_ms)
        self._stand[:] = 0
        if len(self._buffer) > self._room:
            self._buffer = np.empty(self._room, dtype=np.uint8)
        return batch


def _framed(headers: list[tuple[str, bytes]]) -> Bytes:
    out = np.empty(sum(len(name) + len(value) + 10 for name, value in headers) + 1, dtype=np.uint8)
    at = 0
    for name, value in headers:
        for text in (name.encode(), value):
            at = put_varint(out, at, len(text))
            at = put(out, at, np.frombuffer(text, dtype=np.uint8), 0, len(text))
    return out[:at].copy()


@njit(cache=True, nogil=True)
def _frame(
    text: Bytes, ends: Any, times: Any, ids: Bytes, which: Any, first: int, slots: Any, pool: Bytes,
    name_ends: Any, headers: Bytes, header_count: int, out: Bytes, stand: Any,
) -> int:  # fmt: skip
    at, count = stand[0], stand[1]
    # Four texts of two headers with a byte each for their lengths.
    fixed = 4 + len(_ID_KEY) + ID_CHARS + len(_TIME_KEY) + TIME_BYTES + len(headers)
    for place in range(first, len(which)):
        number = which[place]
        start, size = ends[number], ends[number + 1] - ends[number]
        if size == 0:
            continue
        key = name_ends[slots[number]]
        key_size = name_ends[slots[number] + 1] - key
        body = 2 + varint_bytes(count) + varint_bytes(key_size) + key_size + varint_bytes(size) + size + fixed
        body += varint_bytes(header_count)
        if at + body + _OVERHEAD > len(out):
            stand[0], stand[1] = at, count
            return place
        at = put_varint(out, at, body)
        out[at], out[at + 1] = 0, 0  # attributes, the batch's own time
        at = put_varint(out, at + 2, count)
        at = put_varint(out, at, key_size)
        at = put(out, at, pool, key, key + key_size)
        at = put_varint(out, at, size)
        at = put(out, at, text, start, start + size)
        at = put_varint(out, at, header_count)
        at = put_varint(out, at, len(_ID_KEY))
        at = put(out, at, _ID_KEY, 0, len(_ID_KEY))
        at = put_varint(out, at, ID_CHARS)
        at = put(out, at, ids, ID_CHARS * number, ID_CHARS * (number + 1))
        at = put_varint(out, at, len(_TIME_KEY))
        at = put(out, at, _TIME_KEY, 0, len(_TIME_KEY))
        at = put_varint(out, at, TIME_BYTES)
        at = put(out, at, text, times[number], times[number] + TIME_BYTES)
        at = put(out, at, headers, 0, len(headers))
        count += 1
    stand[0], stand[1] = at, count
    return len(which)
