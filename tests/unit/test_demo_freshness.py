"""What the demo tells of freshness: every source, and the tags that promise something."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

import schemas
from schemas.freshness import Freshness, Promise, SourceFreshness, SourceState, TagFreshness
from schemas.loading import load
from schemas.status import Clock
from streams.demo.freshness_story import freshness_story

WIDTH = 160
BANK = load(Path(schemas.__file__).parent / "bank.yaml")


def source(name: str, state: SourceState, **given: float | int | str | None) -> SourceFreshness:
    figures = {"newest": None, "age_s": None, "lag": None, "lag_s": None, "silence_s": None, "partitions": 4}
    rest = {"unread": [], "promise_s": 5.0, "stall_after_s": 600.0}
    return SourceFreshness(name=name, topic=name, state=state, **(figures | given | rest))  # type: ignore[arg-type]


def tag(name: str, promise: Promise, promised_s: float | None) -> TagFreshness:
    return TagFreshness(
        name=name,
        title={"en": name.title(), "zh": "标签"},
        sources=["transactions"],
        waits_for=[],
        promise_s=promised_s,
        promise=promise,
        age_s=0.25,
        published=1_234,
        over=0,
        p50_s=None,
        p99_s=2.5,
    )


def told(clock: Clock = Clock.EVENT, *tags: TagFreshness) -> str:
    figures = {"newest": "2025-12-31T15:38:00.000Z", "age_s": 95_400.0, "lag": 1_234, "lag_s": 2.0, "silence_s": 61.0}
    sources = [source("transactions", SourceState.BEHIND, **figures), source("profiles", SourceState.UNKNOWN)]
    out = io.StringIO()
    console = Console(file=out, width=WIDTH, color_system=None)
    for shown in freshness_story(Freshness("2026-01-01T00:00:00.000Z", clock, sources, list(tags), []), BANK):
        console.print(shown)
    return out.getvalue()


def test_every_source_is_told_with_its_state_and_ages_and_a_dash_where_nothing_is_known() -> None:
    rows = {line.split()[0]: line.split() for line in told().splitlines() if line.split()}
    assert " ".join(rows["transactions"]) == "transactions behind 2025-12-31 23:38 1 d 2 h 1,234 2 s 1 min 1 s"
    assert " ".join(rows["profiles"]) == "profiles unknown – – – – –"


def test_only_tags_that_promise_something_are_told() -> None:
    said = told(Clock.EVENT, tag("surge", Promise.KEPT, 5.0), tag("other", Promise.NONE, None))
    row = next(line for line in said.splitlines() if "Surge" in line)
    assert row.split() == ["Surge", "标签", "transactions", "kept", "5", "s", "250", "ms", "–", "2", "s", "1,234"]
    assert "Other" not in said
    assert "Tags that promise" not in told()


@pytest.mark.parametrize(("clock", "said"), [(Clock.EVENT, True), (Clock.WALL, False)])
def test_by_the_event_clock_it_says_what_an_age_is(clock: Clock, said: bool) -> None:
    assert ("By the event clock" in told(clock)) is said
    assert max(map(cell_len, told(clock, tag("surge", Promise.MISSED, 5.0)).splitlines())) <= WIDTH
