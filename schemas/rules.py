"""The rule language: text to tree. The units of a tree are checked in `typing`; nothing is ever evaluated as Python."""

from __future__ import annotations

import functools
from decimal import Decimal
from enum import StrEnum
from importlib import resources
from typing import Any, Final

import lark
import msgspec

from schemas.durations import UNITS_MS
from schemas.problems import RuleProblem
from schemas.rule_faults import VALUE_HINT, explain

WORDS: Final = ("and", "or", "not", "in", "is", "missing", "known", "otherwise")
FUNCTIONS: Final = ("min", "max", "abs")
DEEPEST: Final = 100


class Op(StrEnum):
    """Operators of arithmetic and comparison, spelled as in a rule."""

    ADD, SUB, MUL, DIV = "+", "-", "*", "/"
    LT, LE, GT, GE, EQ, NE = "<", "<=", ">", ">=", "==", "!="


class Expr(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """A node of a rule; `column` counts characters of the rule from 0."""

    column: int = 0


class Number(Expr, frozen=True, tag=True):
    """A literal; `scale` is the power of ten that units give it (2 where it stands for CNY)."""

    value: Decimal
    scale: int = 0

    @property
    def scaled(self) -> float:
        """The value in the unit of its neighbours, as the double nearest to it."""
        return float(self.value.scaleb(self.scale))


class Duration(Expr, frozen=True, tag=True):
    """A constant duration."""

    ms: int


class Text(Expr, frozen=True, tag=True):
    """A quoted word: a value of a category."""

    value: str


class Name(Expr, frozen=True, tag=True):
    """A field (in `where`), or a feature or tag."""

    name: str


class Arith(Expr, frozen=True, tag=True):
    """`left op right` in numbers."""

    op: Op
    left: Expr
    right: Expr


class Negate(Expr, frozen=True, tag=True):
    """Unary minus."""

    of: Expr


class Call(Expr, frozen=True, tag=True):
    """`min`, `max` (two or more arguments) or `abs` (one)."""

    function: str
    args: tuple[Expr, ...]


class Compare(Expr, frozen=True, tag=True):
    """`left op right`; false where either is missing."""

    op: Op
    left: Expr
    right: Expr


class Among(Expr, frozen=True, tag=True):
    """`of in (...)`, or `of not in (...)`; false where `of` is missing."""

    of: Expr
    values: tuple[Expr, ...]
    negated: bool = False


class Known(Expr, frozen=True, tag=True):
    """`of is known`, or with `negated` `of is missing`."""

    of: Expr
    negated: bool = False


class Not(Expr, frozen=True, tag=True):
    """True where `of` is false or missing."""

    of: Expr


class Both(Expr, frozen=True, tag=True):
    """True where all parts are."""

    parts: tuple[Expr, ...]


class Either(Expr, frozen=True, tag=True):
    """True where at least one part is."""

    parts: tuple[Expr, ...]


_ARITH: Final = {"add": Op.ADD, "sub": Op.SUB, "mul": Op.MUL, "div": Op.DIV}


@functools.cache
def _grammar() -> lark.Lark:
    text = resources.files("schemas").joinpath("rules.lark").read_text(encoding="utf-8")
    return lark.Lark(text, parser="lalr", propagate_positions=True, maybe_placeholders=False)


def parse(text: str) -> Expr:
    """The tree of a rule.

    Raises
    ------
    RuleProblem
        Where the text is no rule; with the column and what was expected there.
    """
    try:
        tree = _grammar().parse(text)
    except lark.exceptions.UnexpectedInput as error:
        raise explain(text, error) from None
    if _depth(tree) > DEEPEST:
        raise RuleProblem("the rule has brackets within brackets too deeply", 0, "", "Split it into several tags.")
    return _build(tree)


def _depth(tree: Any) -> int:
    """Levels of the tree, counted without recursion."""
    deepest, waiting = 0, [(tree, 1)]
    while waiting:
        node, level = waiting.pop()
        deepest = max(deepest, level)
        waiting += [(child, level + 1) for child in getattr(node, "children", ())]
    return deepest


def names_in(expr: Expr) -> list[Name]:
    """Every name in the tree, in the order of the text."""
    found: list[Name] = []

    def walk(node: Any) -> None:
        if isinstance(node, Name):
            found.append(node)
        elif isinstance(node, tuple):
            for part in node:
                walk(part)
        elif isinstance(node, Expr):
            for field in node.__struct_fields__:
                walk(getattr(node, field))

    walk(expr)
    return found


def _build(tree: Any) -> Expr:
    kind, parts = tree.data, tree.children
    column = (tree.meta.start_pos or 0) if not tree.meta.empty else 0
    if kind in _LEAVES:
        return _leaf(kind, parts, column)
    if kind == "chained":
        raise RuleProblem("two comparisons in a row", column, suggestion="Write 'a < b and b < c'.")
    if kind == "compare":
        return Compare(column=column, op=Op(str(parts[1])), left=_build(parts[0]), right=_build(parts[2]))
    if kind == "call":
        return _call(parts, column)
    if kind in ("in_", "not_in"):
        values = tuple(_build(part) for part in parts[1].children if part is not None)
        return Among(column=column, of=_build(parts[0]), values=values, negated=kind == "not_in")
    built = tuple(_build(part) for part in parts)
    if kind in _ARITH:
        return Arith(column=column, op=_ARITH[kind], left=built[0], right=built[1])
    if kind in ("or_", "and_"):
        if len(built) == 1:
            return built[0]
        return (Either if kind == "or_" else Both)(column=column, parts=built)
    if kind == "not_":
        return Not(column=column, of=built[0])
    if kind == "negate":
        return Negate(column=column, of=built[0])
    return Known(column=column, of=built[0], negated=kind == "is_missing")


_LEAVES: Final = ("number", "negative_number", "duration", "text", "name")


def _leaf(kind: str, parts: list[Any], column: int) -> Expr:
    token = str(parts[0])
    if kind == "number":
        return Number(column=column, value=Decimal(token.replace("_", "")))
    if kind == "negative_number":
        return Number(column=column, value=-Decimal(token.replace("_", "")))
    if kind == "duration":
        digits = token.rstrip("mshdw")
        return Duration(column=column, ms=int(digits.replace("_", "")) * UNITS_MS[token[len(digits) :]])
    if kind == "text":
        return Text(column=column, value=token[1:-1])
    if token in WORDS:
        hint = "Write 'is missing' or 'is known'." if token in ("missing", "known") else VALUE_HINT.format(token)
        raise RuleProblem(f"the word {token!r} can't stand here", column, "a name, a number or a condition", hint)
    return Name(column=column, name=token)


def _call(parts: list[Any], column: int) -> Expr:
    function = str(parts[0])
    args = tuple(_build(part) for part in parts[1:])
    if function == "abs" and len(args) != 1:
        raise RuleProblem(f"abs takes one value, not {len(args)}", column, "abs(a)")
    if function != "abs" and len(args) < 2:
        raise RuleProblem(f"{function} takes two or more values", column, f"{function}(a, b)")
    return Call(column=column, function=function, args=args)
