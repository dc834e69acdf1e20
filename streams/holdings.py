"""What a data directory holds, read without changing it: groups, their partitions, and how far each is.

Counts, offsets and ids only: no customer and no value of a row is decoded.
"""

from __future__ import annotations

import fcntl
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from rocksdict import AccessType, Rdict

from streams.cluster import STAMP, Stamp
from streams.store import (
    LABELS,
    LEARNED,
    MARKER,
    ROW,
    TRIGGERS,
    Marker,
    NewerFormat,
    Stand,
    ends_after,
    options,
    stand_of,
)

LOCK: Final = "LOCK"  # RocksDB's own name
PREFIX_BYTES: Final = 1
NAMES: Final = {ROW: "rows", LABELS: "labels", TRIGGERS: "triggers", LEARNED: "learned"}
"""What the entries under each prefix are called."""


class PartitionHeld(msgspec.Struct, frozen=True):
    """The store of one partition.

    Attributes
    ----------
    number
        Of the partition.
    bytes
        On disk.
    trouble
        Why nothing more is known of it, and what to do; empty where it could be read.
    marker
        Where the state stands, less its clock, which may name a customer; None where nothing was ever flushed.
    changelog_position
        Offset of the changelog's next record to read; None where it could not be read.
    entries
        How many there are of each kind (`NAMES`; others by their prefix's bytes).
    """

    number: int
    bytes: int
    trouble: str = ""
    marker: Marker | None = None
    changelog_position: int | None = None
    entries: dict[str, int] = {}


class GroupHeld(msgspec.Struct, frozen=True):
    """The state that the workers, or the trainers, of one app kept in the directory.

    Attributes
    ----------
    stamp
        The cluster, changelog and fingerprint that it belongs to; None where that can't be read, as `trouble` says.
    """

    app_id: str
    directory: str
    stamp: Stamp | None
    trouble: str
    partitions: list[PartitionHeld]


def groups(data_dir: Path) -> list[GroupHeld]:
    """Every group with state there, by name."""
    return [_group(path.parent) for path in sorted(data_dir.glob(f"*/{STAMP}"))]


def _group(directory: Path) -> GroupHeld:
    stamp, trouble = None, ""
    try:
        stamp = msgspec.json.decode((directory / STAMP).read_bytes(), type=Stamp)
    except (OSError, msgspec.DecodeError) as error:
        trouble = (
            f"{directory / STAMP} can't be read ({error}); remove {directory} to fetch the state from the changelog"
        )
    return GroupHeld(directory.name, str(directory), stamp, trouble, [_partition(path) for path in _stores(directory)])


def _stores(directory: Path) -> list[Path]:
    """The databases of a group; a changelog's folder holds one for each partition, named by its number."""
    found = [path for path in directory.glob("*/*") if path.is_dir() and path.name.isdecimal()]
    return sorted(found, key=lambda path: (path.parent.name, int(path.name)))


def _partition(path: Path) -> PartitionHeld:
    number, size = int(path.name), sum(_sizes(path))
    try:
        if _is_held(path):
            return PartitionHeld(number, size, f"a running process holds {path}: stop it first")
        db = Rdict(str(path), options(), access_type=AccessType.read_only())
    except Exception as error:  # rocksdict raises Exception itself
        return PartitionHeld(number, size, _damaged(path, error))
    try:
        kept = db.get(MARKER)
        stand = Stand(None, 0) if kept is None else stand_of(kept)
        counts = Counter(_prefixes(db))
    except NewerFormat as error:
        return PartitionHeld(
            number, size, f"{path} was written by a newer livetags ({error}): look at it with that version"
        )
    except Exception as error:
        return PartitionHeld(number, size, _damaged(path, error))
    finally:
        db.close()
    entries = {NAMES.get(prefix, repr(prefix)): count for prefix, count in sorted(counts.items())}
    shown = None if stand.marker is None else msgspec.structs.replace(stand.marker, clock={})
    return PartitionHeld(number, size, "", shown, stand.changelog, entries)


def _prefixes(db: Rdict) -> Iterator[bytes]:
    """The first bytes of every key but the marker's."""
    last = b""
    for key in db.keys():  # noqa: SIM118 - without the values, unlike `db.items`
        last = key if isinstance(key, bytes) else last
        if last != MARKER:
            yield last[:PREFIX_BYTES]
    ends_after(db, last)


def _sizes(path: Path) -> Iterator[int]:
    """Of its files; one that a running process removes meanwhile counts nothing."""
    for file in path.rglob("*"):
        try:
            if file.is_file():
                yield file.stat().st_size
        except FileNotFoundError:
            continue


def _is_held(path: Path) -> bool:
    """Whether another process has the database open for writing: RocksDB locks a file as long."""
    lock = path / LOCK
    if not lock.exists():
        return False
    with lock.open("rb+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _damaged(path: Path, error: Exception) -> str:
    return f"{path} can't be read ({error}); remove it to fetch its state from the changelog"
