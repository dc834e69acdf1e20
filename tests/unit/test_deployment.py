"""What containers are made and run from holds together, checked without an engine; docs name every refusal."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from streams.cli import COMMANDS
from streams.config import documented

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
REFUSERS = (
    *("cluster", "tables", "store", "torn", "residence", "resuming", "taking_over", "trainer_app", "app"),
    "commands/running",
)
REFUSALS = ("BrokerError", "StateRefused", "StoreError", "RowLost", "NothingToLearn", "ClickException", "Failed")


def yaml(name: str) -> Any:
    return YAML(typ="safe").load(ROOT / name)


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml("docker-compose.yml")["services"]
    return found


def own(services: dict[str, Any]) -> dict[str, Any]:
    """The services of livetags' own image."""
    return {name: one for name, one in services.items() if "LIVETAGS_IMAGE" in one["image"]}


def test_every_service_runs_a_command_that_there_is(services: dict[str, Any]) -> None:
    assert {name: one["command"][0] for name, one in own(services).items()}.items() >= {
        ("topics", "topics"), ("worker-1", "worker"), ("worker-2", "worker"), ("trainer", "trainer"), ("demo", "feed")
    }  # fmt: skip
    assert {one["command"][0] for one in own(services).values()} <= set(COMMANDS)


def test_only_settings_that_there_are_are_set(services: dict[str, Any]) -> None:
    known = {setting.variable for setting in documented()}
    given = {name for one in own(services).values() for name in one["environment"]}
    image = set(re.findall(r"\b(LIVETAGS_\w+)=", (ROOT / "Dockerfile").read_text(encoding="utf-8")))
    assert given <= known
    assert image <= known
    assert "LIVETAGS_DATA_DIR" in image


def test_no_port_is_open_to_other_machines(services: dict[str, Any]) -> None:
    published = [port for one in services.values() for port in one.get("ports", ())]
    assert len(published) == 4
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_no_two_processes_share_a_data_directory(services: dict[str, Any]) -> None:
    volumes = [v for one in services.values() for v in one.get("volumes", ()) if isinstance(v, str) and v[0] != "."]
    names = [volume.partition(":")[0] for volume in volumes]
    assert sorted(names) == sorted(set(names))
    assert set(names) == set(yaml("docker-compose.yml")["volumes"])


def test_prometheus_asks_every_worker(services: dict[str, Any]) -> None:
    (job,) = yaml("ops/prometheus.yml")["scrape_configs"]
    workers = [f"{name}:8640" for name, one in own(services).items() if one["command"][0] == "worker"]
    assert job["static_configs"] == [{"targets": workers}]


def test_the_image_gets_what_it_copies_and_nothing_else() -> None:
    copied = set()
    for line in re.findall(r"^COPY (.*)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE):
        copied |= set(line.split()[:-1])
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert copied == {line[1:] for line in lines if line.startswith("!")}
    assert all((ROOT / path).exists() for path in copied)


def refusals() -> Iterator[str]:
    """The messages of all refusals, `{}` in the place of what differs."""
    for name in REFUSERS:
        for node in ast.walk(ast.parse((ROOT / "streams" / f"{name}.py").read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and ast.unparse(node.func).split(".")[-1] in REFUSALS:
                text = said(node.args[0])
                if text:
                    yield text


def said(node: ast.expr) -> str:
    """A literal text; empty where it is made elsewhere."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else ""


def documented_refusals() -> list[list[str]]:
    """Of each message in the table, the parts that are always the same."""
    table = OPERATIONS[OPERATIONS.index("| message |") :].splitlines()[2:]
    cells = [line.split("|")[1] for line in table if line.startswith("|")]
    return [[part for code in re.findall(r"`([^`]*)`", cell) for part in code.split(" … ")] for cell in cells]


def test_the_docs_say_what_each_refusal_means() -> None:
    messages = list(refusals())
    assert len(messages) > 15
    known = documented_refusals()
    assert [m for m in messages if not any(all(part in m for part in parts) for parts in known)] == []


def test_the_docs_say_nothing_of_refusals_that_are_gone() -> None:
    source = "\n".join(
        re.sub(r'"\n\s*f?"', "", (ROOT / "streams" / f"{name}.py").read_text(encoding="utf-8")) for name in REFUSERS
    )
    assert [parts for parts in documented_refusals() if not all(part in source for part in parts)] == []


def test_every_setting_that_the_docs_name_is_there() -> None:
    known = {setting.variable for setting in documented()} | {"LIVETAGS_CATALOGUE"}
    assert set(re.findall(r"LIVETAGS_\w+", OPERATIONS)) <= known
