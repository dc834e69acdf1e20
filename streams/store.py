"""The state of one partition on disk: a RocksDB database that always stands at one marker.

A write is a single batch: entries, the marker they lead to, and how far the changelog has been written or read. So
after a crash the database is exactly at some marker, and what follows it is in the changelog. Keys are those of the
changelog: customers' rows under `ROW`, and beside them the tables of whoever keeps something under the same marker.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, cast

import msgspec
from rocksdict import DBCompressionType, Options, Rdict, ReadOptions, WriteBatch, WriteOptions

from streams.torn import StoreError as StoreError
from streams.torn import StoreTorn, condemn, condemned, manifest_trouble, move_aside, tells_of_damage, watched

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
Pair = tuple[bytes, bytes | None]
"""A key and its value; None removes it."""
OPEN_WITHIN_S = 10.0
_WRITE_BUFFER = 16_777_216
_READ_AHEAD = 4_194_304


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


class Moved(msgspec.Struct, frozen=True):
    """A damaged database that was moved aside: where to, and what was wrong with it."""

    path: str
    why: str


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
    """The database of one partition.

    Attributes
    ----------
    aside
        Where a damaged database was moved that had its place; this one is empty then.
    """

    def __init__(self, path: Path) -> None:
        """Open it, waiting a little for a worker of this machine that is about to let go of it.

        Raises
        ------
        StoreError
            Another process holds it, or the disk does not let it be opened.
        NewerFormat
            A newer livetags wrote it.
        """
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.aside: Moved | None = None
        self._settled = True
        self._db: Rdict | None = None
        try:
            self._begin()
        except StoreTorn as torn:
            self.close()
            self.aside = Moved(str(move_aside(path)), torn.why)
            self._begin()

    def _begin(self) -> None:
        """Open the database and read where it stands."""
        if why := condemned(self.path) or manifest_trouble(self.path):
            raise StoreTorn(self.path, why)
        self._db = _open(self.path)
        with watched(self.path):
            kept = self._rocks.get(MARKER)
        try:
            stand = stand_of(kept) if kept is not None else Stand(None, 0)
        except NewerFormat:
            self.close()
            raise
        except msgspec.DecodeError as error:
            raise condemn(self.path, f"its marker can't be read: {error}") from None
        self.marker = stand.marker
        self.changelog_position = stand.changelog

    @property
    def _rocks(self) -> Rdict:
        if self._db is None:
            raise ValueError(f"{self.path} is closed")
        return self._db

    def write(self, entries: Iterable[Entry], marker: Marker | None, changelog_position: int) -> None:
        """Write entries, marker and changelog position as one.

        Raises
        ------
        StoreError
            They can't be written.
        """
        self.settle()
        self._write(((entry.key, entry.value) for entry in entries), marker, changelog_position, None)

    def fill(self, pairs: Iterable[Pair], marker: Marker | None, changelog_position: int) -> None:
        """Write keys and values of the changelog, as `write` does, at the price of reading some again after a crash.

        RocksDB's own log is left out, so that a crash puts the database back to where `settle` or a full buffer left
        it: what followed is in the changelog.

        Raises
        ------
        StoreError
            They can't be written.
        """
        self._settled = False
        self._write(pairs, marker, changelog_position, _unlogged())

    def settle(self) -> None:
        """Have what `fill` wrote outlast a crash: before anything that is logged, or a crash would keep that alone.

        Raises
        ------
        StoreError
            It can't be written.
        """
        if not self._settled:
            with watched(self.path):
                self._rocks.flush()
            self._settled = True

    def _write(
        self, pairs: Iterable[Pair], marker: Marker | None, changelog_position: int, how: WriteOptions | None
    ) -> None:
        batch = WriteBatch(raw_mode=True)
        put = batch.put
        for key, value in pairs:
            if value is None:
                batch.delete(key)
            else:
                put(key, value)
        put(MARKER, msgspec.json.encode(Stand(marker, changelog_position)))
        with watched(self.path):
            self._rocks.write(batch, how)
        self.marker, self.changelog_position = marker, changelog_position

    def rows(self, most: int | None = None) -> Rows:
        """Every row, or the first `most` bytes of each, in the order of the customers' bytes."""
        found = Rows([], [])
        add_customer, add_row = found.customers.append, found.rows.append
        for key, row in self._under(ROW):  # a million of them at a start: nothing more than is needed
            add_customer(key[1:])
            add_row(row[:most])
        return found

    def some_rows(self, customers: Sequence[bytes]) -> list[bytes | None]:
        """The rows of those customers, None where there is none; read all at once."""
        with watched(self.path):
            found: Any = self._rocks.get([ROW + customer for customer in customers])
        return list(found)

    def kept(self, prefix: bytes) -> list[tuple[bytes, bytes]]:
        """Every key under that prefix, without it, and its value; in the order of the keys."""
        return [(key[len(prefix) :], value) for key, value in self._under(prefix)]

    def _under(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Every key under that prefix, whole, and its value.

        Raises
        ------
        StoreTorn
            Some of it can't be read: RocksDB's iterator just ends there, so it is asked why it ended.
        """
        within = ReadOptions()
        within.set_iterate_upper_bound(prefix[:-1] + bytes([prefix[-1] + 1]))
        within.set_readahead_size(_READ_AHEAD)
        last = prefix
        with watched(self.path):
            pairs = cast(Iterator[tuple[bytes, bytes]], self._rocks.items(from_key=prefix, read_opt=within))
            for pair in pairs:
                last = pair[0]
                yield pair
            ends_after(self._rocks, last)

    def row(self, customer: bytes) -> bytes | None:
        """The customer's stored row, or None."""
        return self.value(ROW + customer)

    def value(self, key: bytes) -> bytes | None:
        """What is stored under that key, or None.

        Raises
        ------
        StoreTorn
            It can't be read.
        """
        with watched(self.path):
            value: bytes | None = self._rocks.get(key)
        return value

    def condemn(self, why: str) -> StoreTorn:
        """Have the next start move this database aside: what it holds is not what was written. The error to raise."""
        return condemn(self.path, why)

    def close(self) -> None:
        """Close it; another worker may open it then. What a full disk keeps from it is in the changelog."""
        if self._db is None:
            return
        try:
            self._db.close()  # which writes what `fill` left in memory
        except Exception as error:  # rocksdict raises Exception itself
            log.warning("the state in %s was closed as it was: %s", self.path, error)
        self._db = None


def ends_after(db: Rdict, last: bytes) -> None:
    """Nothing where the database ends after that key; RocksDB's error where it only can't be read on."""
    read_on = db.iter()
    try:
        read_on.seek(last + b"\0")
        read_on.status()
    finally:
        del read_on  # an iterator holds the database open, as long as an error's traceback holds it


def options() -> Options:
    """How a store's database is opened."""
    found = Options(raw_mode=True)
    found.create_if_missing(True)
    found.set_write_buffer_size(_WRITE_BUFFER)
    found.set_max_write_buffer_number(2)
    found.set_keep_log_file_num(1)
    found.set_max_open_files(64)
    found.set_compression_type(DBCompressionType.lz4())
    return found


def _unlogged() -> WriteOptions:
    found = WriteOptions()
    found.disable_wal = True  # type: ignore[method-assign, assignment]  # a property, whatever its stub says
    return found


def _open(path: Path) -> Rdict:
    deadline = time.monotonic() + OPEN_WITHIN_S
    while True:
        try:
            return Rdict(str(path), options())
        except Exception as error:  # rocksdict raises Exception itself
            if tells_of_damage(error):
                raise StoreTorn(path, str(error)) from None
            if "lock" not in str(error).lower():
                raise StoreError(f"the state in {path} can't be opened: {error}") from None
            if time.monotonic() > deadline:
                raise StoreError(
                    f"another worker holds the state in {path}; give each its own LIVETAGS_DATA_DIR"
                ) from None
            time.sleep(0.05)
