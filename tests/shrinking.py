"""A failing case made small, and written down as a test that can be pasted."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from schemas.loading import loads
from schemas.problems import CatalogueError
from tests.generators_records import Case

_SECTIONS: Final = ("segments", "tags", "targets", "features")
Fails = Callable[[Case], bool]


def shrink(case: Case, fails: Fails, seconds: float = 60.0) -> Case:
    """The smallest case found in that time that still fails: fewer records, less in between, less in the catalogue."""
    ends = time.monotonic() + seconds
    smaller = True
    while smaller:
        smaller = False
        for other in _smaller(case):
            if time.monotonic() > ends:
                return case
            if fails(other):
                case, smaller = other, True
                break
    return case


def _smaller(case: Case) -> Iterator[Case]:
    """Cases with less in them, those with much less first."""
    count = size = len(case.records)
    while size:
        for first in range(0, count, size):
            yield without(case, first, min(first + size, count))
        size //= 2
    for field in ("adoptions", "passings"):
        some = getattr(case, field)
        for place in range(len(some)):
            yield msgspec.structs.replace(case, **{field: some[:place] + some[place + 1 :]})
    if case.until is not None:
        yield msgspec.structs.replace(case, until=None)
    lines = case.text.splitlines(keepends=True)
    for place in reversed(_entries(lines)):
        try:
            text = _closed("".join(lines[:place] + lines[place + 1 :]))
            yield msgspec.structs.replace(case, text=text, catalogue=loads(text))
        except CatalogueError:
            continue


def without(case: Case, first: int, end: int) -> Case:
    """The case without the records from `first` to before `end`; what comes between records stays where it was."""

    def moved(before: int) -> int:
        return before - max(0, min(before, end) - first)

    return msgspec.structs.replace(
        case,
        records=case.records[:first] + case.records[end:],
        adoptions=tuple(msgspec.structs.replace(one, before=moved(one.before)) for one in case.adoptions),
        passings=tuple(msgspec.structs.replace(one, before=moved(one.before)) for one in case.passings),
    )


def _entries(lines: list[str]) -> list[int]:
    """The lines that hold a feature, tag, segment or target."""
    found, section = list[int](), ""
    for place, line in enumerate(lines):
        if not line.startswith(" "):
            section = line.partition(":")[0]
        elif section in _SECTIONS and line.startswith("  ") and not line.startswith("   "):
            found.append(place)
    return found


def _closed(text: str) -> str:
    """The text without sections that hold nothing any more."""
    lines = text.splitlines(keepends=True)
    kept = [
        line
        for line, after in zip(lines, [*lines[1:], "end"], strict=True)
        if not (line.rstrip().endswith(":") and line.partition(":")[0] in _SECTIONS and not after.startswith(" "))
    ]
    return "".join(kept)


_ENUM = re.compile(r"<(\w+\.\w+): [^>]*>")  # how Python writes one is not how it reads one


def as_test(case: Case, law: str, seed: int) -> str:
    """The case as a test; what it needs is imported at its top."""
    records = "".join(f"        {record!r},\n" for record in case.records)
    adoptions = _ENUM.sub(r"\1", repr(case.adoptions))
    return f'''from random import Random

from schemas.learning import Calibration, CrossWeight, ModelSnapshot, Pipeline
from schemas.loading import loads
from tests import laws
from tests.generators_models import Adoption, Passing
from tests.generators_records import Case
from tests.oracle_rules import Record


def test_found_by_the_soak_{seed}() -> None:
    text = """
{case.text.strip()}
"""
    records = [
{records}    ]
    adoptions = {adoptions}
    passings = {case.passings!r}
    case = Case(text, loads(text), records, {case.until}, adoptions, passings)
    laws.{law}(case, Random({seed}))
'''
