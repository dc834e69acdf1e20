"""What `livetags trainer` says: how far each target is, and why it can't start."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from streams.cli import main

EVERYTHING = Path(__file__).parents[1] / "everything.yaml"


def test_a_catalogue_without_targets_is_refused_before_any_broker_is_asked(tmp_path: Path) -> None:
    given = ["trainer", str(EVERYTHING), "--broker", "127.0.0.1:9", "--data-dir", str(tmp_path)]
    done = CliRunner().invoke(main, given)
    assert (done.exit_code, "has no targets: there is nothing to learn" in done.output) == (1, True)


def test_a_target_is_reported_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    from streams.commands.trainer import _say
    from streams.learning import Standing

    early = Standing("deposit", 0, False, 1_200, 30, 30, 0, 30, 0, 0, {}, None, None, None)
    late = Standing("churn", 4, True, 9_000, 8_000, 400, 7_500, 500, 3, 0, {"unreadable": 2}, 0.15, 0.8, 12)
    _say("running", [early, late], False)
    assert capsys.readouterr().out.splitlines() == [
        "running: deposit version 0 (warming): 1,200 questions, 30 answers (30 positive, 0 learned, 30 settling); "
        "log loss ?, AUC ?; behind ?",
        "running: churn version 4: 9,000 questions, 8,000 answers (400 positive, 7,500 learned, 500 settling), "
        "passed over 2; log loss 0.1500, AUC 0.8000; behind 12",
    ]
