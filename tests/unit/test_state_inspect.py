"""`livetags state inspect`: what a data directory holds, read only, and what it says where something can't be read."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from streams.cli import main
from streams.cluster import STAMP, Stamp
from streams.holdings import GroupHeld, PartitionHeld
from streams.store import LABELS, LEARNED, ROW, STATE_FORMAT, TRIGGERS, Entry, Marker, Store

STAMPED = Stamp("cluster-1", "livetags-shop-changelog-1-01234567", "0123456789abcdef")
MARKER = Marker(
    positions={"pay": 30, "look": 12},
    clock={"customer": "ann-the-candidate"},
    fingerprint=STAMPED.fingerprint,
    cluster=STAMPED.cluster,
    topics={"pay": "topic-id-1", "look": "topic-id-2"},
    partitions=4,
    outputs={"tag-changes": 77},
)
HOLD = """
import sys
from pathlib import Path
from streams.store import Store
store = Store(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""
ROOT = Path(__file__).parents[2]


def ask(data_dir: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["state", "inspect", "--data-dir", str(data_dir), *options])


def told(data_dir: Path) -> list[GroupHeld]:
    return msgspec.json.decode(ask(data_dir, "--json").stdout, type=list[GroupHeld])


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Two partitions of a group, the second without anything flushed, and what else lies in a data directory."""
    group = tmp_path / "livetags-shop"
    group.mkdir()
    (group / STAMP).write_bytes(msgspec.json.encode(STAMPED))
    entries = [Entry(ROW + name, b"0") for name in (b"ann", b"bob", b"cy")]
    entries += [Entry(TRIGGERS + b"ann", b"0"), Entry(LABELS + b"ann 1", b"0"), Entry(LABELS + b"bob 1", b"0")]
    write(group / STAMPED.changelog / "0", entries, MARKER, 17)
    write(group / STAMPED.changelog / "10", [], None, 5)
    (tmp_path / "numba" / "0123").mkdir(parents=True)
    return tmp_path


def write(path: Path, entries: list[Entry], marker: Marker | None, changelog: int) -> None:
    store = Store(path)
    store.write(entries, marker, changelog)
    store.close()


def digest(directory: Path) -> str:
    """Of all that the files of a directory hold."""
    found = hashlib.sha256()
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        found.update(str(path).encode() + path.read_bytes())
    return found.hexdigest()


def test_each_partition_is_told_with_its_counts_and_how_far_it_is(data_dir: Path) -> None:
    (group,) = told(data_dir)
    assert (group.app_id, group.stamp, group.trouble) == ("livetags-shop", STAMPED, "")
    first, second = group.partitions
    assert (first.number, first.entries) == (0, {"labels": 2, "rows": 3, "triggers": 1})
    assert (first.marker, first.changelog_position, first.trouble) == (MARKER_SHOWN, 17, "")
    assert first.bytes > 0
    assert (second.number, second.entries, second.marker, second.changelog_position) == (10, {}, None, 5)


MARKER_SHOWN = msgspec.structs.replace(MARKER, clock={})


def test_people_read_the_same(data_dir: Path) -> None:
    result = ask(data_dir)
    assert result.exit_code == 0, result.output
    for said in (
        f"livetags-shop, in {data_dir / 'livetags-shop'}",
        "cluster      cluster-1",
        f"changelog    {STAMPED.changelog}",
        f"fingerprint  {STAMPED.fingerprint}",
        "spread over  4 partitions",
        "topic        pay  topic-id-1",
        "partition 0: 2 labels, 3 rows, 1 triggers, ",
        "changelog written to 17",
        "reads on at pay 30, look 12",
        "wrote to tag-changes 77",
        "partition 10: no entries, ",
        "nothing was flushed yet, changelog read to 5",
        "in all: 2 partitions, 2 labels, 3 rows, 1 triggers, ",
    ):
        assert said in result.output


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_no_customer_is_printed(data_dir: Path, options: tuple[str, ...]) -> None:
    output = ask(data_dir, *options).output
    assert not [name for name in ("ann", "bob") if name in output]


def test_a_trainers_state_is_told_too(data_dir: Path) -> None:
    group = data_dir / "livetags-shop-trainer"
    write(group / "livetags-shop-trainer-changelog-1-89" / "0", [Entry(LEARNED + b"s", b"0")], None, 1)
    (group / STAMP).write_bytes(msgspec.json.encode(STAMPED))
    assert [one.app_id for one in told(data_dir)] == ["livetags-shop", "livetags-shop-trainer"]
    assert told(data_dir)[1].partitions[0].entries == {"learned": 1}


def test_looking_changes_no_file(data_dir: Path) -> None:
    before = digest(data_dir)
    assert ask(data_dir).exit_code == 0
    assert digest(data_dir) == before


def test_state_that_a_running_process_holds_is_said_to_be(data_dir: Path) -> None:
    held = data_dir / "livetags-shop" / STAMPED.changelog / "0"
    command = [sys.executable, "-c", HOLD, str(held)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, cwd=ROOT) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        result = ask(data_dir)
        holder.communicate()
    assert result.exit_code == 1
    assert f"partition 0: Error: a running process holds {held}: stop it first" in result.output
    assert "partition 10: no entries" in result.output
    assert ask(data_dir).exit_code == 0


def test_a_damaged_store_is_named_with_what_to_do_and_the_others_are_told(data_dir: Path) -> None:
    damaged = data_dir / "livetags-shop" / STAMPED.changelog / "0"
    for manifest in damaged.glob("MANIFEST-*"):
        manifest.write_bytes(b"no manifest")
    result = ask(data_dir)
    assert result.exit_code == 1
    assert f"partition 0: Error: {damaged} can't be read (" in result.output
    assert "remove it to fetch its state from the changelog" in result.output
    assert "partition 10: no entries" in result.output


def test_a_marker_that_cannot_be_read_is_damage_too(data_dir: Path) -> None:
    path = data_dir / "livetags-shop" / STAMPED.changelog / "0"
    store = Store(path)
    store.write([], None, 0)
    store._db[b"m"] = b"{"
    store.close()
    (group,) = told(data_dir)
    assert group.partitions[0] == PartitionHeld(0, group.partitions[0].bytes, group.partitions[0].trouble)
    assert group.partitions[0].trouble.startswith(f"{path} can't be read (")


def test_state_of_a_newer_livetags_is_named_and_not_called_damaged(data_dir: Path) -> None:
    newer = msgspec.structs.replace(MARKER, format=STATE_FORMAT + 1)
    write(data_dir / "livetags-shop" / STAMPED.changelog / "10", [], newer, 5)
    asked = ask(data_dir)
    assert asked.exit_code == 1
    assert f"was written by a newer livetags (state format {STATE_FORMAT + 1}" in asked.stdout
    assert "remove it" not in asked.stdout


def test_a_stamp_that_cannot_be_read_is_named_with_what_to_do(data_dir: Path) -> None:
    (data_dir / "livetags-shop" / STAMP).write_bytes(b"{")
    result = ask(data_dir)
    assert result.exit_code == 1
    assert f"{data_dir / 'livetags-shop' / STAMP} can't be read (" in result.output
    assert "partition 0: 2 labels, 3 rows, 1 triggers" in result.output


def test_a_directory_without_state_says_so(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "nowhere"):
        result = ask(directory, "--json")
        assert result.exit_code == 1
        assert result.stdout.strip() == "[]"
        assert f"no state in {directory}" in result.stderr


def test_wrong_use_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    assert ask(tmp_path, "--at", "now").exit_code == 2
