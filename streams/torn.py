"""A database on disk whose bytes are torn: how that is known, and how it is put out of the way.

What is torn is moved aside under a name with the time, to be looked at; of each database only the newest one stays.
One that is found torn while it is at work is marked, so that the next start moves it aside: opening reads little of it.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

TORN: Final = "LIVETAGS_TORN"
"""The file that marks a torn database."""
ASIDE: Final = ".damaged-"
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
