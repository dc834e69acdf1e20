"""A database on disk whose bytes are torn: how that is known, and how it is put out of the way.

What is torn is moved aside under a name with the time, to be looked at; of each database only the newest one stays.
One that is found torn while it is at work is marked, so that the next start moves it aside: opening reads little of it.
"""

from __future__ import annotations

import contextlib
import shutil
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from aiokafka.record.util import calc_crc32c

TORN: Final = "LIVETAGS_TORN"
"""The file that marks a torn database."""
ASIDE: Final = ".damaged-"
_BLOCK: Final = 32_768  # of RocksDB's log format, in which its manifest is written
_HEADER: Final = struct.Struct("<IHB")  # masked CRC-32C, length, type of a record
_PLAIN: Final = range(1, 5)  # types of whole records and of first, middle and last parts
_MASK: Final = 0xA282EAD8
_SIGNS: Final = ("corruption", "no such file", "checksum", "mismatch")


class StoreError(Exception):
    """The local state can't be used; the message says what to do."""


class StoreTorn(StoreError):
    """The local state's bytes are not what was written; `path` is moved aside by the next start."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"the state in {path} is damaged ({why}). Start again: it is moved aside and fetched from the changelog"
        )
        self.path, self.why = path, why


def tells_of_damage(error: Exception) -> bool:
    """Whether the database complains of its own bytes, rather than of the disk's room, rights or a lock."""
    said = str(error).lower()
    return any(sign in said for sign in _SIGNS)


@contextlib.contextmanager
def watched(path: Path) -> Iterator[None]:
    """Raise `StoreTorn`, and mark the database, where what is done inside finds it damaged.

    Raises
    ------
    StoreTorn
        The database at `path` is damaged.
    StoreError
        It can't be read or written for another reason, as a full disk.
    """
    try:
        yield
    except StoreError:
        raise
    except Exception as error:  # rocksdict raises Exception itself
        if type(error) is not Exception:
            raise
        if tells_of_damage(error):
            raise condemn(path, str(error)) from None
        raise StoreError(f"the state in {path} can't be read or written: {error}") from None


def condemn(path: Path, why: str) -> StoreTorn:
    """Mark the database as torn; the error to raise."""
    with contextlib.suppress(OSError):
        (path / TORN).write_text(why, encoding="utf-8")
    return StoreTorn(path, why)


def condemned(path: Path) -> str:
    """Why the database was marked as torn; empty where it was not."""
    try:
        return (path / TORN).read_text(encoding="utf-8") or "damaged"
    except OSError:
        return ""


def move_aside(path: Path) -> Path:
    """Move the database out of the way, in place of one that was moved before; where it lies now."""
    for before in path.parent.glob(f"{path.name}{ASIDE}*"):
        shutil.rmtree(before, ignore_errors=True)
    aside = path.with_name(f"{path.name}{ASIDE}{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    path.rename(aside)
    return aside


def manifest_trouble(path: Path) -> str:
    """What is wrong with the list of its files that a database keeps; empty where it is whole, or there is none.

    RocksDB takes a record that it can't read there for the end of the list: files named after it are gone without a
    word, rows with them, while later ones of its log are there. It syncs the list with every record it adds, so that no
    kill leaves half of one. (Record format: RocksDB's wiki, "Write Ahead Log File Format".)
    """
    try:
        data = (path / (path / "CURRENT").read_text(encoding="utf-8").strip()).read_bytes()
    except (OSError, UnicodeDecodeError):
        return ""  # RocksDB says what is wrong there
    at = 0
    while at < len(data):
        left = _BLOCK - at % _BLOCK
        if left < _HEADER.size:
            at += left
            continue
        if at + _HEADER.size > len(data):
            return f"its manifest ends in the middle of a record, at byte {at}"
        crc, length, kind = _HEADER.unpack_from(data, at)
        end = at + _HEADER.size + length
        if kind not in _PLAIN or end > len(data) or crc != _masked(calc_crc32c(data[at + 6 : end])):
            return f"its manifest fails its checksum at byte {at}"
        at = end
    return ""


def _masked(crc: int) -> int:
    """A checksum as RocksDB stores it."""
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF
