"""Verdicts over JSON values: they are the engine's, and where they can't be known for sure there are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.catalogue import Levels, When
from schemas.loading import load
from schemas.records import Value
from schemas.rules import Expr, parse
from schemas.verdicts import holds
from streams.replay import Record, run
from tests.integration.support import EVERYTHING, HOUR_MS, START_MS, stream

VALUES: dict[str, Value] = {
    "inflow": "50000.00",
    "mean": 0.1,
    "visits": 3,
    "idle": 1_209_600_000,
    "channel": "app",
    "yes": True,
    "no": False,
    "none": None,
    "opened": "2025-01-01T00:00:00.000Z",
}
CASES: list[tuple[str, bool | None]] = [
    ("inflow >= 50_000", True),
    ("inflow > 50_000", False),
    ("inflow >= 50_000.01", False),
    ("visits == 3", True),
    ("visits != 3", False),
    ("visits in (1, 3)", True),
    ("visits not in (1, 3)", False),
    ("idle < 14d", False),
    ("14d <= idle", True),
    ("channel == 'app'", True),
    ("channel not in ('app', 'web')", False),
    ("yes and not no", True),
    ("no or visits > 2", True),
    ("max(visits, 5) == 5 and min(visits, 5) == 3 and abs(-visits) == 3", True),
    # missing: a comparison is false and so is its opposite
    ("none > 1", False),
    ("none != 1", False),
    ("none not in ('a')", False),
    ("visits / 0 > 1", False),
    ("none", False),
    ("not none", True),
    ("none is missing", True),
    ("visits is known", True),
    # not sure: computed and as close as doubles go, or not of the shape the rule wants
    ("mean * 10 == 1", None),
    ("mean >= 0.1", None),
    ("visits / 3 >= 1", None),
    ("absent > 1", None),
    ("absent", None),
    ("opened > 1", None),
    ("yes > 1", None),
    # sure in spite of a part that is not
    ("mean >= 0.1 and no", False),
    ("mean >= 0.1 or yes", True),
    ("mean >= 0.1 and yes", None),
    ("mean * 10 > 0.999", True),
]


@pytest.mark.parametrize(("rule", "expected"), CASES, ids=[rule for rule, _ in CASES])
def test_a_condition_holds_fails_or_is_left_open(rule: str, expected: bool | None) -> None:
    assert holds(parse(rule), VALUES) is expected


def test_verdicts_over_what_was_published_are_what_the_engine_decided() -> None:
    catalogue = load(Path(EVERYTHING))
    records = [Record(r.source, r.value, r.key.decode()) for r in stream(1_500)]
    outcome = run(catalogue, records, until=START_MS + 40 * 24 * HOUR_MS)
    rules: dict[str, list[tuple[Expr, bool | str]]] = {one.name: [(one.rule, True)] for one in catalogue.segments}
    for tag in catalogue.tags:
        if isinstance(tag.rule, When) and not tag.hold_ms:
            rules[tag.name] = [(tag.rule.rule, True)]
        if isinstance(tag.rule, Levels):
            rules[tag.name] = [(e, n) for n, e in zip(tag.rule.names, tag.rule.rules, strict=True) if e is not None][:1]
    sure = 0
    for said in outcome.customers.values():
        values: dict[str, Value] = {**said.features, **said.tags}
        for name, ((rule, value),) in rules.items():
            verdict = holds(rule, values)
            decided = name in said.segments if name not in said.tags else said.tags[name] == value
            assert verdict in (None, decided), (name, values)
            sure += verdict is not None
    assert sure > 0.9 * len(rules) * len(outcome.customers) > 100
