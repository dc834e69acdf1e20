"""Mistakes in a catalogue, said so that the person who made them can mend them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import msgspec


class Problem(msgspec.Struct, frozen=True, order=True):
    """One mistake: where it stands, what is wrong, what was expected, what was probably meant."""

    file: str
    line: int
    column: int
    path: str
    message: str
    expected: str = ""
    suggestion: str = ""

    def __str__(self) -> str:
        text = f"{self.file}:{self.line}:{self.column}: {self.path}: {self.message}"
        if self.expected:
            text += f"; expected {self.expected}"
        if self.suggestion:
            text += f". {self.suggestion}"
        return text


class CatalogueError(Exception):
    """A catalogue with mistakes; `problems` holds all of them, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class RuleProblem(Exception):
    """A mistake inside one rule, with `others` of the same rule; `column` counts characters of the rule from 0."""

    def __init__(self, message: str, column: int, expected: str = "", suggestion: str = "") -> None:
        super().__init__(message)
        self.message, self.column, self.expected, self.suggestion = message, column, expected, suggestion
        self.others: list[RuleProblem] = []


class RestsOnBroken(RuleProblem):
    """A rule names something whose own mistake has been said; it is left unsaid here."""


def together(problems: list[RuleProblem]) -> RuleProblem:
    """The first problem with all the others in it."""
    first, *rest = problems
    first.others += rest + [other for one in rest for other in one.others]
    for one in rest:
        one.others = []
    return first


def nearest(name: object, candidates: Iterable[str]) -> str:
    """`Did you mean ...?` with the closest candidate, or an empty text where none is close."""
    folded = {str(c).casefold().replace("-", "_").replace(" ", "_"): str(c) for c in candidates}
    word = str(name).casefold().replace("-", "_").replace(" ", "_")
    found = difflib.get_close_matches(word, folded, n=1, cutoff=0.6)
    if not found and len(word) >= 4:
        found = [c for c in folded if len(c) >= 4 and (c.startswith(word) or word.startswith(c))][:1]
    return f"Did you mean {folded[found[0]]!r}?" if found else ""


def listing(names: Iterable[object], most: int = 12) -> str:
    """The names joined with commas, cut after `most`."""
    words = [str(name) for name in names]
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")
