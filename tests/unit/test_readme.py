"""Every command of the README exists and takes what the README gives it."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from streams.cli import main

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line and not line.startswith("#")
]


def test_the_two_commands_come_first() -> None:
    assert COMMANDS[:2] == ["make demo", "make test"]


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make ")])
def test_a_make_target_exists(command: str) -> None:
    done = subprocess.run([*shlex.split(command), "-n"], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [c for c in COMMANDS if not c.startswith("make ")])
def test_a_livetags_command_takes_its_options(command: str) -> None:
    program, name, *arguments = shlex.split(command)
    assert program == ".venv/bin/livetags"
    shown = CliRunner().invoke(main, [name, "--help"])
    assert shown.exit_code == 0, shown.output
    assert all(option in shown.output for option in arguments if option.startswith("--"))


def test_check_runs_as_the_readme_says() -> None:
    done = CliRunner().invoke(main, ["check", str(ROOT / "schemas" / "bank.yaml")])
    assert done.exit_code == 0, done.output


def test_the_counts_of_the_shipped_catalogues_are_right() -> None:
    from schemas.loading import load

    for name in ("bank", "retail"):
        loaded = load(ROOT / "schemas" / f"{name}.yaml")
        said = re.search(rf"`schemas/{name}.yaml` \((\d+) features,\s+(\d+) tags, (\d+) segments\)", README)
        assert said is not None
        assert tuple(map(int, said.groups())) == (len(loaded.features), len(loaded.tags), len(loaded.segments))
