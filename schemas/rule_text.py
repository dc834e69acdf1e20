"""A rule's tree back to text, in the words of the catalogue (money in major units)."""

from __future__ import annotations

from schemas import rules
from schemas.durations import format_duration
from schemas.rules import Expr


def unparse(expr: Expr) -> str:
    """The text of a rule; brackets only where they matter."""
    match expr:
        case rules.Number(value=value):
            return f"{value:,f}".replace(",", "_")
        case rules.Duration(ms=ms):
            return format_duration(ms)
        case rules.Text(value=value):
            return f"'{value}'"
        case rules.Name(name=name):
            return name
        case rules.Negate(of=of):
            return f"-{unparse(of)}"
        case rules.Call(function=function, args=args):
            return f"{function}({', '.join(map(unparse, args))})"
        case rules.Arith(op=op, left=left, right=right):
            return f"{_bracket(left)} {op.value} {_bracket(right)}"
        case rules.Compare(op=op, left=left, right=right):
            return f"{unparse(left)} {op.value} {unparse(right)}"
        case rules.Among(of=of, values=values, negated=negated):
            return f"{unparse(of)} {'not ' if negated else ''}in ({', '.join(map(unparse, values))})"
        case rules.Known(of=of, negated=negated):
            return f"{unparse(of)} is {'missing' if negated else 'known'}"
        case rules.Not(of=of):
            return f"not {_bracket(of)}"
        case rules.Both(parts=parts):
            return " and ".join(map(_bracket, parts))
        case rules.Either(parts=parts):
            return " or ".join(map(_bracket, parts))
    raise TypeError(type(expr).__name__)


def conditions(expr: Expr) -> list[Expr]:
    """The single conditions that a rule is made of, in the order of the text."""
    match expr:
        case rules.Both(parts=parts) | rules.Either(parts=parts):
            return [found for part in parts for found in conditions(part)]
        case rules.Not(of=of) if isinstance(of, rules.Both | rules.Either):
            return conditions(of)
    return [expr]


def _bracket(expr: Expr) -> str:
    text = unparse(expr)
    return f"({text})" if isinstance(expr, rules.Arith | rules.Both | rules.Either) else text
