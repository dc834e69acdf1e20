"""A database whose bytes are torn: it is never taken for a sound one, and never in the way of a new one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from streams.cluster import STAMP, Stamp
from streams.holdings import groups
from streams.store import MARKER, ROW, Entry, Marker, Store
from streams.torn import ASIDE, StoreError, StoreTorn, watched

ROWS = 3_000
FLUSHES = 3
MARKERS = [Marker({"pay": n}, {}, "f", "c", {}, 1, {}) for n in range(FLUSHES + 1)]
KEPT = {b"c%05d" % number: os.urandom(400) for number in range(ROWS)}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A database of some flushes in files, and of a last one in RocksDB's log alone, as a kill leaves it."""
    directory = tmp_path_factory.mktemp("torn")
    store, names = Store(directory / "open"), sorted(KEPT)
    for number in range(FLUSHES):
        some = names[number::FLUSHES]
        store.fill(((ROW + name, KEPT[name]) for name in some), MARKERS[number], number)
    store.settle()
    store.write([Entry(ROW + b"last", b"1")], MARKERS[FLUSHES], FLUSHES)
    shutil.copytree(directory / "open", directory / "killed")
    yield directory / "killed"
    store.close()


@pytest.fixture
def path(sound: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(sound, tmp_path / "0")
    return tmp_path / "0"


def largest(path: Path, pattern: str) -> Path:
    return max(path.glob(pattern), key=lambda file: file.stat().st_size)


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def overwrite(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.seek(file.stat().st_size // 2)
        opened.write(os.urandom(64))


TORN: list[tuple[str, Callable[[Path], None]]] = [
    ("*.sst", cut), ("*.sst", Path.unlink), ("MANIFEST-*", cut), ("MANIFEST-*", overwrite), ("MANIFEST-*", Path.unlink),
    ("CURRENT", cut), ("CURRENT", Path.unlink),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "tear"), TORN)
def test_a_torn_database_is_moved_aside_and_an_empty_one_takes_its_place(
    path: Path, pattern: str, tear: Callable[[Path], None]
) -> None:
    tear(largest(path, pattern))
    store = Store(path)
    try:
        assert (store.rows().rows, store.marker, store.changelog_position) == ([], None, 0)
        assert store.aside is not None
        assert Path(store.aside.path).is_dir()
        assert Path(store.aside.path).name.startswith(f"0{ASIDE}20")
    finally:
        store.close()


@pytest.mark.parametrize("tear", [cut, overwrite, Path.unlink])
def test_a_torn_log_leaves_the_database_at_an_earlier_marker_and_whole(
    path: Path, tear: Callable[[Path], None]
) -> None:
    tear(largest(path, "*.log"))
    store = Store(path)
    try:
        assert store.aside is None
        assert (store.marker, store.changelog_position) == (MARKERS[FLUSHES - 1], FLUSHES - 1)
        assert dict(zip(*(store.rows().customers, store.rows().rows), strict=True)) == KEPT
    finally:
        store.close()


def test_a_block_that_fails_its_checksum_is_no_end_of_the_rows(path: Path) -> None:
    overwrite(largest(path, "*.sst"))
    store = Store(path)
    assert store.aside is None  # nothing of that block was read yet
    with pytest.raises(StoreTorn, match=r"is damaged \(.*checksum.*moved aside and fetched from the changelog"):
        store.rows()
    store.close()
    again = Store(path)
    assert again.aside is not None
    assert "checksum" in again.aside.why
    assert again.rows().rows == []
    again.close()


def test_a_row_asked_for_in_a_torn_block_is_an_error_and_not_missing(path: Path) -> None:
    overwrite(largest(path, "*.sst"))
    store = Store(path)
    with pytest.raises(StoreTorn, match="is damaged"):
        assert {name: store.row(name) for name in KEPT} == KEPT
    store.close()


def test_a_marker_that_cannot_be_read_is_damage(path: Path) -> None:
    store = Store(path)
    store.write([Entry(MARKER + b"", b"")], None, 0)
    store._rocks.put(MARKER, b"{")
    store.close()
    store = Store(path)
    assert store.aside is not None
    assert "marker" in store.aside.why
    store.close()


def test_of_databases_moved_aside_the_newest_stays(path: Path) -> None:
    (path.parent / f"0{ASIDE}20200101T000000Z").mkdir()
    store = Store(path)
    raised = store.condemn("rows that are none")
    store.close()
    store = Store(path)
    store.close()
    assert "rows that are none" in str(raised)
    assert store.aside is not None
    assert [str(found) for found in path.parent.glob(f"0{ASIDE}*")] == [store.aside.path]


def test_what_filled_the_database_outlasts_a_crash_before_anything_logged_does(tmp_path: Path) -> None:
    store = Store(tmp_path / "open")
    store.fill([(ROW + b"ann", b"1")], MARKERS[0], 10)
    store.write([Entry(ROW + b"bob", b"1")], MARKERS[1], 20)
    shutil.copytree(tmp_path / "open", tmp_path / "killed")
    store.close()
    again = Store(tmp_path / "killed")
    assert (again.rows().customers, again.marker, again.changelog_position) == ([b"ann", b"bob"], MARKERS[1], 20)
    again.close()


def test_a_full_disk_is_no_damage(tmp_path: Path) -> None:
    said = "can't be read or written: IO error: No space left on device"
    with pytest.raises(StoreError, match=said) as caught, watched(tmp_path):
        raise Exception("IO error: No space left on device: While appending to file")
    assert not isinstance(caught.value, StoreTorn)
    assert list(tmp_path.iterdir()) == []


def test_state_inspect_counts_no_torn_database_as_whole(sound: Path, tmp_path: Path) -> None:
    for number in ("0", "1"):
        shutil.copytree(sound, tmp_path / "shop" / "changelog" / number)
    (tmp_path / "shop" / STAMP).write_bytes(msgspec.json.encode(Stamp("c", "changelog", "f")))
    overwrite(largest(tmp_path / "shop" / "changelog" / "1", "*.sst"))
    whole, torn = groups(tmp_path)[0].partitions
    assert (whole.trouble, whole.entries) == ("", {"rows": ROWS + 1})
    assert "checksum" in torn.trouble
    assert torn.entries == {}
