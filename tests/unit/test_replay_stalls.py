"""P5 in a replay: sources stall by event time where `--stalls` asks for it, and not otherwise."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from click.testing import CliRunner

from schemas.durations import DAY, HOUR, MINUTE
from schemas.loading import loads
from schemas.records import Cause
from schemas.silence import Stall
from schemas.values import iso
from streams.cli import main
from streams.replay import Outcome, Record, run
from streams.replay_stalls import EventStalls

START = 1_772_366_400_000
CATALOGUE = """
catalogue: quiet
timezone: UTC
sources:
  look: {topic: look, key: customer, time: at, accept_late: 7d, stall_after: 10m, fields: {page: [home, help]}}
  pay: {topic: pay, key: customer, time: at, fields: {amount: count}}
features:
  idle: {source: look, since: last}
  paid: {source: pay, count: true, window: 1d}
tags:
  life: {levels: {active: idle < 30m, dormant: otherwise}}
  buyer: {when: paid >= 1}
"""
SHOP = loads(CATALOGUE)


def look(customer: str, minutes: int) -> Record:
    value = {"customer": customer, "at": START + minutes * MINUTE, "page": "home"}
    return Record("look", json.dumps(value).encode())


def pay(customer: str, minutes: int) -> Record:
    value = {"customer": customer, "at": START + minutes * MINUTE, "amount": 1}
    return Record("pay", json.dumps(value).encode())


def stalls(records: Iterable[Record]) -> list[int | str | None]:
    """Where sources freeze (minutes after the start) and flow again ("flows") among the records (None)."""
    found: list[int | str | None] = []
    for one in EventStalls(SHOP).between(records):
        if isinstance(one, Stall):
            found.append("flows" if one.frozen_ms is None else (one.frozen_ms - START) // MINUTE)
        else:
            found.append(None)
    return found


def lives(outcome: Outcome, customer: str) -> list[tuple[object, str, Cause]]:
    found = [one for one in outcome.changes if one.name == "life" and one.customer_id == customer]
    return [(one.new, one.at, one.cause) for one in found]


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        # another source's record shows that time has passed
        ([look("a", 0), pay("a", 9), pay("a", 10)], [None, None, 10, None]),
        # its own next one ends it at once
        ([look("a", 0), look("a", 15)], [None, 10, None, "flows"]),
        # a backlog is read before it flows again
        (
            [look("a", 0), pay("a", 50), look("a", 20), look("a", 40), look("a", 41)],
            [None, 10, None, None, None, None, "flows"],
        ),
        # before its first record it does not stall, and one without `stall_after` never does
        ([pay("a", 0), pay("b", 50), look("a", 50), look("a", 55)], [None, None, None, None]),
        # one customer's clock far ahead moves nobody's time; a second customer's does
        ([look("a", 0), pay("a", 200), pay("a", 300)], [None, None, None]),
        ([look("a", 0), pay("a", 200), pay("b", 201)], [None, None, 10, None]),
        # unreadable records pass
        ([look("a", 0), Record("look", b"{"), Record("pay", None), pay("a", 11)], [None, None, None, 10, None]),
    ],
)
def test_sources_stall_by_the_times_of_records(records: list[Record], expected: list[int | str | None]) -> None:
    assert stalls(records) == expected


RECORDS = [
    look("steady", 0), look("gone", 0), pay("gone", 45), pay("steady", 59),
    look("steady", 25), look("steady", 50), look("steady", 58), pay("steady", 60),
]  # fmt: skip


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_a_backlog_makes_nobody_dormant_and_what_waited_happens_afterwards(batch: int) -> None:
    found = run(SHOP, RECORDS, batch=batch, until=START + HOUR, stalls=EventStalls(SHOP))
    active = ("active", iso(START), Cause.EVENT)
    assert lives(found, "steady") == [active]
    assert lives(found, "gone") == [active, ("dormant", iso(START + 45 * MINUTE), Cause.TIME)]
    assert found.customers["gone"].status == {}


def test_without_it_no_source_stalls() -> None:
    found = run(SHOP, RECORDS, until=START + HOUR)
    assert [new for new, _, _ in lives(found, "steady")] == ["active", "dormant", "active"]


def test_a_source_is_frozen_at_the_end_where_time_passes_on_without_it() -> None:
    found = run(SHOP, [look("a", 0)], until=START + DAY, stalls=EventStalls(SHOP))
    assert [new for new, _, _ in lives(found, "a")] == ["active"]
    assert found.customers["a"].status == {"life": "frozen"}
    assert [new for new, _, _ in lives(run(SHOP, [look("a", 0)], until=START + DAY), "a")] == ["active", "dormant"]


@pytest.mark.parametrize(("options", "life"), [([], "dormant"), (["--stalls"], "active")])
def test_the_command_has_the_option(tmp_path: Path, options: list[str], life: str) -> None:
    (tmp_path / "quiet.yaml").write_text(CATALOGUE, encoding="utf-8")
    (tmp_path / "looks.ndjson").write_bytes((look("a", 0).value or b"") + b"\n")
    given = ["replay", str(tmp_path / "quiet.yaml"), "--source", f"look={tmp_path / 'looks.ndjson'}"]
    given += ["--out", str(tmp_path / "out"), "--until", iso(START + DAY), *options]
    result = CliRunner().invoke(main, given)
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "out" / "customer-tags.ndjson").read_text())["tags"]["life"] == life
