"""Every command of the README exists and takes what the README gives it."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

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


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("docker ")])
def test_a_compose_command_names_a_profile_that_is_there(command: str) -> None:
    services = YAML(typ="safe").load(ROOT / "docker-compose.yml")["services"]
    profiles = {profile for service in services.values() for profile in service.get("profiles", ())}
    found = re.fullmatch(r"docker compose (?:--profile (\w+) )?(?:up --wait|down -v)", command)
    assert found is not None
    assert found[1] in {None, *profiles}


@pytest.mark.parametrize("command", [c for c in COMMANDS if not c.startswith(("make ", "docker "))])
def test_a_livetags_command_takes_its_options(command: str) -> None:
    program, name, *arguments = shlex.split(command)
    assert program == ".venv/bin/livetags"
    within = [name, *arguments[:1]] if name in ("state", "models") else [name]
    shown = CliRunner().invoke(main, [*within, "--help"])
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
