"""What commands that run until told to stop ask of their data directory."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from streams.cli import main
from streams.commands.running import writable

BANK = Path(__file__).parents[2] / "schemas" / "bank.yaml"


def test_a_data_directory_is_made_and_left_empty(tmp_path: Path) -> None:
    writable(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_one_that_cannot_be_written_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(click.ClickException, match=r"file/data can't be written .*--data-dir or LIVETAGS_DATA_DIR"):
        writable(tmp_path / "file" / "data")


@pytest.mark.parametrize("command", ["worker", "trainer", "feed"])
def test_it_is_asked_before_anything_else_is_done(command: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(main, [command, str(BANK), "--data-dir", str(tmp_path / "file" / "data")])
    assert done.exit_code == 1
    assert done.output.startswith(f"Error: the data directory {tmp_path / 'file' / 'data'} can't be written")
