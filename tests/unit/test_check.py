"""`livetags check`: mistakes under their lines, or what a good catalogue means; exit codes 0, 1 and 2."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from rich.cells import cell_len

from schemas.loading import load
from schemas.problems import Problem
from streams.commands.check import base, check, excerpt

BROKEN = Path(__file__).parent / "broken"
BANK = Path(str(resources.files("schemas").joinpath("bank.yaml")))


def run(*arguments: str | Path) -> Result:
    """What `livetags check` prints without a terminal."""
    return CliRunner().invoke(check, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def summary() -> str:
    """What is printed for the bank's catalogue."""
    result = run(BANK)
    assert result.exit_code == 0
    return result.output


def row(text: str, title: str, name: str) -> str:
    """The table row of that name, its folded lines joined."""
    lines = text[text.index(f"\n{title}") :].splitlines()
    start = next(index for index, line in enumerate(lines) if line.split()[:1] == [name])
    end = next((i for i in range(start + 1, len(lines)) if not lines[i].startswith("  ")), len(lines))
    return " ".join(" ".join(lines[start:end]).split())


def test_mistakes_come_with_file_line_column_the_line_and_a_caret() -> None:
    path = BROKEN / "misspelt_names.yaml"
    result = run(path)
    assert result.exit_code == 1
    assert f"{path}:24:53  features.salary_30d.where\n" in result.output
    lines = result.output.splitlines()
    start = next(index for index, line in enumerate(lines) if ":24:53" in line)
    shown, caret, message, expected, suggestion = lines[start + 1 : start + 6]
    assert shown == "   24 |   salary_30d: {source: transactions, where: type == 'salery', sum: amont, window: 30d}"
    assert caret.index("^") == shown.index("'salery'")
    assert message == "  'salery' is not one of its values"
    assert expected == "  expected: one of salary, transfer, card"
    assert suggestion == "  Did you mean 'salary'?"
    assert lines[-1] == f"15 mistakes in {path}"


def test_nothing_is_coloured_without_a_terminal() -> None:
    assert "\x1b" not in run(BROKEN / "tags.yaml").output
    assert "\x1b" not in run(BANK).output


def test_json_is_a_list_of_problems() -> None:
    result = run(BROKEN / "misspelt_names.yaml", "--json")
    assert result.exit_code == 1
    problems = msgspec.json.decode(result.output, type=list[Problem])
    assert len(problems) == 15
    assert (problems[0].line, problems[0].column, problems[0].path) == (22, 24, "features.inflow_30d.source")
    good = run(BANK, "--json")
    assert (good.exit_code, msgspec.json.decode(good.output)) == (0, [])


@pytest.mark.parametrize("arguments", [[], ["none.yaml"], [BROKEN], [BANK, "--colour"], [BANK, BANK]])
def test_wrong_use_is_told_apart_from_mistakes(arguments: list[str | Path]) -> None:
    assert run(*arguments).exit_code == 2


def test_every_broken_catalogue_exits_1() -> None:
    for path in sorted(BROKEN.glob("*.yaml")):
        result = run(path)
        assert result.exit_code == 1, path
        assert isinstance(result.exception, SystemExit), path


def test_what_is_no_text_is_a_mistake_not_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "picture.yaml"
    path.write_bytes(b"\xff\xfe")
    result = run(path)
    assert result.exit_code == 1
    assert "it is not UTF-8 text" in result.output


def test_windows_are_shown_with_their_tiles_p2(summary: str) -> None:
    assert "30d = 30 x 1d" in row(summary, "Features", "inflow_30d")
    assert "90d = 15 x 6d" in row(summary, "Features", "inflow_90d")
    assert "1h = 12 x 5m" in row(summary, "Features", "inflow_1h")
    assert (
        row(summary, "Features", "since_activity") == "since_activity since last transactions, app_logs ever duration"
    )
    assert row(summary, "Features", "monthly_salary") == "monthly_salary compute from salary_90d transactions money"


def test_a_tag_says_what_it_rests_on_through_others_too(summary: str) -> None:
    lifecycle = row(summary, "Tags", "lifecycle")
    for name in ("since_activity", "since_first", "visits_90d", "tags: coming_back", "sources: transactions, app_logs"):
        assert name in lifecycle
    assert row(summary, "Tags", "large_inflow").startswith(
        "large_inflow behaviour retail-deposits features: inflow_1h, inflow_30d"
    )


def test_tags_that_wait_say_why(summary: str) -> None:
    assert "fifths of who has inflow_90d, looked at every 1d" in row(summary, "Tags", "rfm_monetary")
    assert "from 100 customers on" in row(summary, "Tags", "rfm_monetary")
    assert "5 has the smallest" in row(summary, "Tags", "rfm_recency")
    assert "warming: its target's model" in row(summary, "Tags", "deposit_intent")
    assert "warming" not in row(summary, "Tags", "lifecycle")


def test_targets_triggers_order_and_bytes_are_shown(summary: str) -> None:
    assert "a record of outcomes within 30d, known 1d later every 14d" in row(summary, "Targets", "deposit")
    assert "nothing of transactions, app_logs within 30d" in row(summary, "Targets", "churn")
    assert "cooldown 7d, 3 per 30d, quiet 21:00-09:00, hold-out 10%" in row(summary, "Triggers", "call_on_inflow")
    assert "enters inflow_to_call phone has_consented expires after 12h," in row(summary, "Triggers", "call_on_inflow")
    order = " ".join(summary[summary.index("Order of evaluation") :].split())
    assert order.index("coming_back") < order.index("lifecycle") < order.index("wake_up")
    assert " bytes in memory" in summary


def test_what_a_tag_rests_on_is_in_the_catalogue_s_order() -> None:
    catalogue = load(BANK)
    found = base(catalogue, ["funds_tight"])
    assert found.features == (
        "inflow_30d",
        "outflow_30d",
        "balance",
        "balance_max_90d",
        "net_inflow_30d",
        "balance_kept",
    )
    assert (found.tags, found.sources) == (("funds_tight",), ("transactions",))


@pytest.mark.parametrize(
    ("line", "column", "under"),
    [
        ("  inflow: {sum: amont}", 17, "amont"),
        ("  大额: {when: 余额 > 5万}", 20, "万"),
        ("a: b", 5, ""),
        ("", 1, ""),
        ("\twhen: x", 2, "when"),
        ("a: " + "x" * 300 + " wrong " + "y" * 300, 305, "wrong"),
    ],
)
@pytest.mark.parametrize("width", [80, 160])
def test_the_caret_stands_under_the_word(line: str, column: int, under: str, width: int) -> None:
    shown, carets = excerpt(line, 7, column, width)
    assert cell_len(shown) <= width
    before = carets.index("^")
    text = shown
    while cell_len(text[: len(text)]) > 0 and cell_len(shown[: len(shown) - len(text)]) < before:
        text = text[1:]
    assert text.startswith(under)
    assert carets.count("^") == max(1, cell_len(under))
