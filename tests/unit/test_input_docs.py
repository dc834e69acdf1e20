"""docs/input.md says every reason and every default there is."""

from __future__ import annotations

from pathlib import Path

from schemas.catalogue import Source
from schemas.durations import format_duration
from schemas.reasons import Reason

TEXT = (Path(__file__).parents[2] / "docs" / "input.md").read_text(encoding="utf-8")


def test_every_reason_is_explained_and_no_other() -> None:
    table = TEXT[TEXT.index("| reason | when |") : TEXT.index("Fields that the catalogue")]
    said = [name for line in table.strip().splitlines() for name in line.split("|")[1].split("`")[1::2]]
    assert sorted(said) == sorted(reason.value for reason in Reason)


def test_the_defaults_are_those_of_a_source() -> None:
    source = Source("a", "a", "k", "t", ())
    for option in ("accept_late", "allowed_skew", "max_ahead"):
        assert f"| `{option}` | {format_duration(getattr(source, f'{option}_ms'))} |" in TEXT
