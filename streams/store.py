"""The state of one partition on disk: a RocksDB database that always stands at one marker.

A write is a single batch: entries, the marker they lead to, and how far the changelog has been written or read. So
after a crash the database is exactly at some marker, and what follows it is in the changelog. Keys are those of the
changelog: customers' rows under `ROW`, and beside them the tables of whoever keeps something under the same marker.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec
from rocksdict import Options, Rdict, WriteBatch

log = logging.getLogger("livetags")

ROW: Final = b"r"  # a customer's row
MARKER: Final = b"m"  # this key alone
LABELS: Final = b"q"  # questions that wait for their outcome
TRIGGERS: Final = b"t"  # what triggers remember of customers
LEARNED: Final = b"l"  # what a trainer keeps of its target
SIDES: Final = (LABELS, TRIGGERS, LEARNED)
"""The first bytes of what is kept beside the rows; each table's own keys follow them."""
STATE_FORMAT: Final = 1
"""Of markers and of what they make count; one more with every change that an older livetags would misread."""
SLICE_ROWS = 2_000
OPEN_WITHIN_S = 10.0
_WRITE_BUFFER = 16_777_216


class StoreError(Exception):
    """The local state can't be opened; the message says what to do."""


class NewerFormat(Exception):
    """State that a newer livetags wrote."""

    def __init__(self, found: int) -> None:
        super().__init__(f"state format {found}, this one reads up to {STATE_FORMAT}")


class Marker(msgspec.Struct, frozen=True):
    """Where a partition's state stands: written after the entries of a flush, it makes them count.

    Attributes
    ----------
    positions
        Per source, the offset of the next record to apply.
    clock
        The partition's clocks, opaque.
    fingerprint
        What the rows mean.
    cluster, topics
        The cluster's id and, per topic, the topic's id (empty where the broker has none).
    partitions
        How many partitions customers are spread over.
    outputs
        Per output topic, the offset after the last change that belongs to this state.
    format
        Of the state.
    """

    positions: dict[str, int]
    clock: dict[str, object]
    fingerprint: str
    cluster: str
    topics: dict[str, str]
    partitions: int
    outputs: dict[str, int]
    format: int = STATE_FORMAT


class _Format(msgspec.Struct, frozen=True):
    """All that is read of state before it is known that the rest can be."""

    format: int = STATE_FORMAT


class Entry(msgspec.Struct, frozen=True):
    """A key of the changelog and of the database, whole, and its value; None removes it."""

    key: bytes
    value: bytes | None


class Rows(msgspec.Struct, frozen=True):
    """Rows, one a customer."""

    customers: list[bytes]
    rows: list[bytes]


class Stand(msgspec.Struct, frozen=True):
    """The database's own record, under `MARKER`: its marker, and the changelog's next offset."""

    marker: Marker | None
    changelog: int


class _StandFormat(msgspec.Struct, frozen=True):
    marker: _Format | None


def marker_of(text: bytes) -> Marker | None:
    """A marker as the changelog has it.

    Raises
    ------
    NewerFormat
        A newer livetags wrote it.
    """
    _refuse_newer(msgspec.json.decode(text, type=_Format | None))
    return msgspec.json.decode(text, type=Marker | None)


def stand_of(text: bytes) -> Stand:
    """Where a database stands, of what is under `MARKER`.

    Raises
    ------
    NewerFormat
        A newer livetags wrote it.
    """
    _refuse_newer(msgspec.json.decode(text, type=_StandFormat).marker)
    return msgspec.json.decode(text, type=Stand)


def _refuse_newer(found: _Format | None) -> None:
    if found is not None and found.format > STATE_FORMAT:
        raise NewerFormat(found.format)


class Store:
    """The database of one partition."""

    def __init__(self, path: Path) -> None:
        """Open it, waiting a little for a worker of this machine that is about to let go of it.

        Raises
        ------
        StoreError
            Another process holds it, or it is damaged.
        NewerFormat
            A newer livetags wrote it.
        """
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = _open(path)
        kept = self._db.get(MARKER)
        try:
            stand = stand_of(kept) if kept is not None else Stand(None, 0)
        except NewerFormat:
            self._db.close()
            raise
        self.marker = stand.marker
        self.changelog_position = stand.changelog

    def write(self, entries: Iterable[Entry], marker: Marker | None, changelog_position: int) -> None:
        """Write entries, marker and changelog position as one."""
        batch = WriteBatch(raw_mode=True)
        for entry in entries:
            if entry.value is None:
                batch.delete(entry.key)
            else:
                batch.put(entry.key, entry.value)
        batch.put(MARKER, msgspec.json.encode(Stand(marker, changelog_position)))
        self._db.write(batch)
        self.marker, self.changelog_position = marker, changelog_position

    def rows(self) -> Rows:
        """Every row, in the order of the customers' bytes."""
        found = Rows([], [])
        for customer, row in self._under(ROW):
            found.customers.append(customer)
            found.rows.append(row)
        return found

    def kept(self, prefix: bytes) -> list[tuple[bytes, bytes]]:
        """Every key under that prefix, without it, and its value; in the order of the keys."""
        return list(self._under(prefix))

    def _under(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        for key, value in self._db.items(from_key=prefix):
            if not isinstance(key, bytes) or not key.startswith(prefix):
                return
            yield key[len(prefix) :], value

    def row(self, customer: bytes) -> bytes | None:
        """The customer's stored row, or None."""
        return self.value(ROW + customer)

    def value(self, key: bytes) -> bytes | None:
        """What is stored under that key, or None."""
        value: bytes | None = self._db.get(key)
        return value

    def close(self) -> None:
        """Close it; another worker may open it then. What a full disk keeps from it is in the changelog."""
        try:
            self._db.close()
        except Exception as error:  # rocksdict raises Exception itself
            log.warning("the state in %s was closed as it was: %s", self.path, error)


def options() -> Options:
    """How a store's database is opened."""
    found = Options(raw_mode=True)
    found.create_if_missing(True)
    found.set_write_buffer_size(_WRITE_BUFFER)
    found.set_max_write_buffer_number(2)
    found.set_keep_log_file_num(1)
    found.set_max_open_files(64)
    return found


def _open(path: Path) -> Rdict:
    deadline = time.monotonic() + OPEN_WITHIN_S
    while True:
        try:
            return Rdict(str(path), options())
        except Exception as error:  # rocksdict raises Exception itself
            if "lock" not in str(error).lower():
                raise StoreError(
                    f"the state in {path} can't be opened: {error}. Remove it to fetch it from the changelog"
                ) from None
            if time.monotonic() > deadline:
                raise StoreError(
                    f"another worker holds the state in {path}; give each its own LIVETAGS_DATA_DIR"
                ) from None
            time.sleep(0.05)
