"""`livetags models`: examples judged by what came; what trainers say, in tables."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from schemas.learned import ScoredExample
from schemas.learning import Pipeline
from schemas.loading import load
from schemas.model_reports import report_key
from schemas.values import iso
from streams.cli import main
from streams.commands.models_text import event_line, listed, shown
from streams.model_follower import Reports
from tests.browser.fake_models import EVENTS, REPORTS

START: Final = 1_735_689_600_000  # Wednesday, 2025-01-01
DAY: Final = 86_400_000
LESSONS: Final = str(Path(__file__).parents[1] / "lessons.yaml")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["models", *arguments])


def example(number: int, score: float, label: bool | None, target: str = "deposit") -> ScoredExample:
    at, known = iso(START + number * DAY // 100), None if label is None else iso(START + 40 * DAY)
    return ScoredExample(f"c{number}", target, at, Pipeline.LINEAR, 1, {}, score, 0.5, label, known)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Nine days of examples, whose outcomes come as often as foretold; the last ten have none yet."""
    draw, path = random.Random(1), tmp_path / "examples.ndjson"
    scores = [draw.uniform(0.02, 0.6) for _ in range(900)]
    examples = [example(n, score, draw.random() < score if n < 890 else None) for n, score in enumerate(scores)]
    examples.append(example(0, 0.1, True, "churn"))
    path.write_bytes(msgspec.json.Encoder().encode_lines(examples))
    return path


def test_examples_are_judged_in_all_and_by_week(file: Path) -> None:
    ran = run("evaluate", str(file), "--target", "deposit", "--json")
    assert ran.exit_code == 0, ran.output
    found: list[dict[str, Any]] = json.loads(ran.stdout)
    assert [(one["week"], one["champion"]["answers"], one["waiting"]) for one in found] == [
        ("", 890, 10), ("2024-12-30", 500, 0), ("2025-01-06", 390, 10),
    ]  # fmt: skip
    whole = found[0]
    assert 0.65 < whole["champion"]["auc"] < 0.8
    assert 0.8 < whole["champion"]["slope"] < 1.2
    assert whole["champion"]["mean_score"] == pytest.approx(whole["champion"]["positives"] / 890, rel=0.1)
    assert (whole["challenger"]["auc"], whole["challenger"]["slope"]) == (0.5, None)


def test_answers_that_came_early_are_not_judged_without_those_that_are_to_come(file: Path) -> None:
    lines = file.read_bytes().splitlines()
    early = msgspec.json.encode(example(899, 0.1, True))  # asked after the first that waits
    file.write_bytes(b"\n".join([*lines, early]))
    (whole, *_) = json.loads(run("evaluate", str(file), "--target", "deposit", "--json").stdout)
    assert (whole["champion"]["answers"], whole["waiting"]) == (890, 11)


def test_examples_are_judged_in_a_table_for_each_target(file: Path) -> None:
    ran = run("evaluate", str(file))
    assert ran.exit_code == 0, ran.output
    assert ran.stdout.index("churn") < ran.stdout.index("deposit")
    assert "2025-01-06" in ran.stdout


def test_a_file_of_anything_else_is_refused_with_its_line(file: Path) -> None:
    file.write_bytes(file.read_bytes().splitlines()[0] + b'\n{"customer_id": "c"}\n')
    ran = run("evaluate", str(file))
    assert ran.exit_code == 1
    assert f"{file}:2: not a line of examples.ndjson" in ran.output
    assert run("evaluate", str(file), "--target", "loan").exit_code == 1
    file.write_bytes(b"")
    assert "there is no example" in run("evaluate", str(file)).output


@pytest.mark.parametrize("command", ["show", "promote", "rollback"])
def test_a_target_that_the_catalogue_has_not_is_wrong_use(command: str) -> None:
    ran = run(command, LESSONS, "loan")
    assert ran.exit_code == 2
    assert "there is no target 'loan', only deposit, churn" in ran.output


def text(*found: Any) -> str:
    console = Console(file=io.StringIO(), width=200, color_system=None)
    console.print(*found, sep="\n")
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_what_trainers_say_is_told_in_a_line_a_target() -> None:
    told = text(listed(REPORTS))
    first = next(line for line in told.splitlines() if "deposit" in line)
    assert [word in first for word in ("linear", "0.8412", "1.02")] == [True] * 3
    assert "warming" in next(line for line in told.splitlines() if "churn" in line)


def test_a_targets_models_are_told_with_weights_test_drift_and_decisions() -> None:
    told = text(*shown(REPORTS[0], EVENTS, "UTC"))
    for word in ("balance_kept", "crossed against linear", "evidence 6.8 of 20", "2025-03-31", "base rate", "12"):
        assert word in told
    assert "drifted (linear, version 9, by drift); base rate from 0.031 to 0.062" in event_line(EVENTS[0])


def test_reports_are_followed_as_they_come_and_go() -> None:
    followed = Reports(load(Path(LESSONS)), "group")
    encoded = [msgspec.json.encode(report) for report in REPORTS]
    for target, value in (("churn", encoded[1]), ("deposit", encoded[0]), ("loan", encoded[0])):
        followed.on_record(report_key("group", target), value)
    followed.on_record(report_key("another", "churn"), encoded[0])
    assert list(followed.held().items()) == [("deposit", REPORTS[0]), ("churn", REPORTS[1])]
    followed.on_record(report_key("group", "deposit"), b'{"target":"deposit"}')  # of another version
    followed.on_record(report_key("group", "churn"), None)
    assert followed.held() == {}
