"""Units of rules: money is never compared with a duration, and literals take the unit of what they meet.

`check` returns the tree with its literals scaled (money to minor units) and comparisons with `since` turned so
that the feature stands left; every mistake is a `RuleProblem` with its column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

import msgspec

from schemas import rules
from schemas.catalogue import Unit
from schemas.problems import RestsOnBroken, RuleProblem, listing, nearest, together
from schemas.rules import Among, Arith, Both, Call, Compare, Either, Expr, Known, Name, Negate, Not, Op

T = TypeVar("T")


class Meaning(msgspec.Struct, frozen=True):
    """What an expression is: its unit, a category's values, and whether it moves with time or never moves."""

    unit: Unit
    values: tuple[str, ...] = ()
    since: bool = False
    constant: bool = False


class Scope(msgspec.Struct, frozen=True):
    """The names a rule may use, what they are called together, and the currency's exponent.

    `broken` names are declared but wrong, which has been said; `elsewhere` says of names that exist but not here why.
    """

    names: Mapping[str, Meaning]
    called: str
    exponent: int
    broken: tuple[str, ...] = ()
    elsewhere: Mapping[str, str] = {}


PLAIN: Final = (Unit.COUNT, Unit.RATIO)
NUMERIC: Final = (Unit.MONEY, *PLAIN, Unit.TIME, Unit.DURATION)
_FLIP: Final = {Op.LT: Op.GT, Op.GT: Op.LT, Op.LE: Op.GE, Op.GE: Op.LE, Op.EQ: Op.EQ, Op.NE: Op.NE}
_BOOLEAN: Final = Meaning(Unit.BOOLEAN)


def check_condition(expr: Expr, scope: Scope) -> Expr:
    """The rule with literals scaled; it must be a condition.

    Raises
    ------
    RuleProblem
        On an unknown name, units that don't fit, or a rule that is no condition.
    """
    expr, meaning = check(expr, scope)
    if meaning.unit is not Unit.BOOLEAN:
        raise RuleProblem(
            f"this is {called(meaning.unit)}, not a condition", expr.column, "a condition", _compare_hint(expr, meaning)
        )
    return expr


def _compare_hint(expr: Expr, meaning: Meaning) -> str:
    name = expr.name if isinstance(expr, Name) else "name"
    if meaning.since:
        return f"Compare it: {name} < 14d."
    if meaning.unit is Unit.CATEGORY and meaning.values:
        return f"Compare it: {name} == {meaning.values[0]!r}."
    return f"Compare it: {name} > 0, or {name} is known." if meaning.unit in NUMERIC and not meaning.constant else ""


def check_value(expr: Expr, scope: Scope) -> tuple[Expr, Unit]:
    """The computed feature's tree with literals scaled, and its unit, which must be a number's."""
    expr, meaning = check(expr, scope)
    _no_since(meaning, expr)
    if meaning.unit not in NUMERIC:
        raise RuleProblem(f"this is {called(meaning.unit)}, not a number", expr.column, "arithmetic over features")
    return expr, meaning.unit


def check(expr: Expr, scope: Scope) -> tuple[Expr, Meaning]:
    """The tree with literals scaled, and what it means."""
    match expr:
        case rules.Number():
            return expr, Meaning(Unit.RATIO, constant=True)
        case rules.Duration():
            return expr, Meaning(Unit.DURATION, constant=True)
        case rules.Text():
            return expr, Meaning(Unit.TEXT, constant=True)
        case Name(name=name):
            if name not in scope.names:
                raise _unknown(expr, scope)
            return expr, scope.names[name]
        case Arith():
            return _arith(expr, scope)
        case Negate(of=of):
            inner, meaning = _number(of, scope)
            return Negate(column=expr.column, of=inner), meaning
        case Call():
            return _call(expr, scope)
        case Compare():
            return _compare(expr, scope), _BOOLEAN
        case Among():
            return _among(expr, scope), _BOOLEAN
        case Known(of=of, negated=negated):
            if check(of, scope)[1].constant:
                raise RuleProblem("a constant is always known", of.column, "the name of a feature, tag or field")
            return Known(column=expr.column, of=check(of, scope)[0], negated=negated), _BOOLEAN
        case Not(of=of):
            return Not(column=expr.column, of=check_condition(of, scope)), _BOOLEAN
        case Both(parts=parts) | Either(parts=parts):
            done = _each(lambda part: check_condition(part, scope), parts)
            return type(expr)(column=expr.column, parts=done), _BOOLEAN
    raise TypeError(type(expr).__name__)


def _each(read: Callable[[Expr], T], parts: Iterable[Expr]) -> tuple[T, ...]:
    """What `read` makes of every part; the mistakes of all parts are raised together."""
    done: list[T] = []
    problems: list[RuleProblem] = []
    for part in parts:
        try:
            done.append(read(part))
        except RuleProblem as problem:
            problems.append(problem)
    if problems:
        raise together(problems)
    return tuple(done)


def _unknown(name: Name, scope: Scope) -> RuleProblem:
    if name.name in scope.broken:
        return RestsOnBroken(f"{name.name!r} is broken", name.column)
    if name.name.casefold() in ("true", "false"):
        hint = "Write the name alone, or 'not name'."
        return RuleProblem("nothing is compared with true or false", name.column, "a condition", hint)
    if name.name in scope.elsewhere:
        return RuleProblem(f"{name.name!r} is {scope.elsewhere[name.name]}", name.column, f"a {scope.called}")
    known = [*scope.names, *scope.broken]
    hint = nearest(name.name, known)
    if not hint and any(name.name in meaning.values for meaning in scope.names.values()):
        hint = f"If it is a value, put quotes round it: '{name.name}'."
    return RuleProblem(f"there is no {scope.called} {name.name!r}", name.column, f"one of {listing(known)}", hint)


def _no_since(meaning: Meaning, expr: Expr) -> None:
    if meaning.since:
        raise RuleProblem(
            "a 'since' feature moves on with time: it can be compared with a duration, but not computed with",
            expr.column,
            "a comparison with one duration",
            f"Write {expr.name if isinstance(expr, Name) else 'name'} < 14d.",
        )


def _number(expr: Expr, scope: Scope) -> tuple[Expr, Meaning]:
    done, meaning = check(expr, scope)
    _no_since(meaning, expr)
    if meaning.unit not in NUMERIC:
        raise RuleProblem(f"{called(meaning.unit)} can't be computed with", expr.column, "a number")
    return done, meaning


def _arith(expr: Arith, scope: Scope) -> tuple[Expr, Meaning]:
    (left, lm), (right, rm) = _each(lambda part: _number(part, scope), (expr.left, expr.right))
    constant = lm.constant and rm.constant
    if expr.op in (Op.ADD, Op.SUB):
        left, right, unit = _alike(left, lm, right, rm, expr, scope)
        if unit is Unit.TIME:
            if expr.op is Op.ADD:
                raise RuleProblem("two times can't be added", expr.column, "'-', which gives the duration between them")
            unit = Unit.DURATION
    else:
        unit = _product(expr, lm.unit, rm.unit)
    return Arith(column=expr.column, op=expr.op, left=left, right=right), Meaning(unit, constant=constant)


def _product(expr: Arith, left: Unit, right: Unit) -> Unit:
    if left in PLAIN and right in PLAIN:
        return Unit.COUNT if expr.op is Op.MUL and left is right is Unit.COUNT else Unit.RATIO
    if left in (Unit.MONEY, Unit.DURATION) and right in PLAIN:
        return left
    if expr.op is Op.MUL and left in PLAIN and right in (Unit.MONEY, Unit.DURATION):
        return right
    if expr.op is Op.DIV and left is right and left is not Unit.TIME:
        return Unit.RATIO
    done = "multiplied by" if expr.op is Op.MUL else "divided by"
    raise RuleProblem(f"{called(left)} can't be {done} {called(right)}", expr.column, "a plain number on one side")


def _call(expr: Call, scope: Scope) -> tuple[Expr, Meaning]:
    done = _each(lambda arg: _number(arg, scope), expr.args)
    anchor, meaning = next(((e, m) for e, m in done if not m.constant), done[0])
    args: list[Expr] = []
    unit = meaning.unit
    for arg, other in done:
        _, arg, both = _alike(anchor, meaning, arg, other, expr, scope)
        unit = both if both is not Unit.COUNT else unit
        args.append(arg)
    constant = all(m.constant for _, m in done)
    return Call(column=expr.column, function=expr.function, args=tuple(args)), Meaning(unit, constant=constant)


def _alike(left: Expr, lm: Meaning, right: Expr, rm: Meaning, at: Expr, scope: Scope) -> tuple[Expr, Expr, Unit]:
    """Both sides in one unit: a plain constant takes the money of its neighbour."""
    if lm.unit in PLAIN and rm.unit in PLAIN:
        return left, right, Unit.COUNT if lm.unit is rm.unit is Unit.COUNT else Unit.RATIO
    if lm.unit is rm.unit and lm.unit in NUMERIC:
        return left, right, lm.unit
    if lm.unit is Unit.MONEY and rm.constant and rm.unit in PLAIN:
        return left, _scaled(right, scope.exponent), Unit.MONEY
    if rm.unit is Unit.MONEY and lm.constant and lm.unit in PLAIN:
        return _scaled(left, scope.exponent), right, Unit.MONEY
    hint = ""
    if Unit.DURATION in (lm.unit, rm.unit) and (lm.constant or rm.constant):
        hint = "A duration goes with a duration such as 14d, everything else with a plain number."
    column = left.column if lm.constant and not rm.constant else max(right.column, at.column)
    raise RuleProblem(f"{called(lm.unit)} does not go with {called(rm.unit)}", column, "two values of one unit", hint)


def _scaled(expr: Expr, exponent: int) -> Expr:
    """The constant times 10**exponent, put on the literals so that arithmetic keeps the order written."""
    match expr:
        case rules.Number(value=value, column=column):
            return rules.Number(column=column, value=value, scale=exponent)
        case Negate(of=of, column=column):
            return Negate(column=column, of=_scaled(of, exponent))
        case Arith(op=op, left=left, right=right, column=column):
            both = op in (Op.ADD, Op.SUB)
            right = _scaled(right, exponent) if both else right
            return Arith(column=column, op=op, left=_scaled(left, exponent), right=right)
        case Call(function=function, args=args, column=column):
            return Call(column=column, function=function, args=tuple(_scaled(a, exponent) for a in args))
    return expr


def _compare(expr: Compare, scope: Scope) -> Expr:
    _quotes_forgotten(expr, scope)
    (left, lm), (right, rm) = _each(lambda part: check(part, scope), (expr.left, expr.right))
    op = expr.op
    if (rm.since and not lm.since) or (lm.unit is Unit.TEXT and lm.constant):
        left, lm, right, rm, op = right, rm, left, lm, _FLIP[op]
    if lm.since:
        _check_since(op, right, rm, expr)
    elif lm.unit in (Unit.CATEGORY, Unit.TEXT):
        _check_word(lm, op, right, rm, expr)
    elif lm.unit is Unit.BOOLEAN or rm.unit is Unit.BOOLEAN:
        raise RuleProblem(
            "what is true or false is not compared", expr.column, "the name alone", "Write 'name', or 'not name'."
        )
    elif rm.unit in (Unit.CATEGORY, Unit.TEXT):
        hint = "A number stands without quotes." if rm.unit is Unit.TEXT else ""
        raise RuleProblem(f"{called(lm.unit)} is compared with {called(rm.unit)}", right.column, called(lm.unit), hint)
    else:
        left, right, _ = _alike(left, lm, right, rm, expr, scope)
    return Compare(column=expr.column, op=op, left=left, right=right)


def called(unit: Unit) -> str:
    """The unit as people call it."""
    return _CALLED.get(unit, f"a {unit}")


_CALLED: Final = {
    Unit.MONEY: "money",
    Unit.RATIO: "a plain number",
    Unit.BOOLEAN: "a condition (true or false)",
    Unit.TEXT: "a quoted word",
    Unit.CATEGORY: "a category (one of several words)",
}


def _quotes_forgotten(expr: Compare, scope: Scope) -> None:
    """Raise where a side is the other side's value without its quotes."""
    for name, other in ((expr.right, expr.left), (expr.left, expr.right)):
        if (
            isinstance(name, Name)
            and isinstance(other, Name)
            and name.name not in scope.names
            and name.name in scope.names.get(other.name, _BOOLEAN).values
        ):
            hint = f"Put quotes round it: '{name.name}'."
            raise RuleProblem(f"{name.name!r} is a value, not a name", name.column, "quotes", hint)


def _check_since(op: Op, right: Expr, rm: Meaning, expr: Compare) -> None:
    if not isinstance(right, rules.Duration):
        computed = rm.unit is Unit.DURATION
        what = "another or a computed duration" if computed else called(rm.unit)
        whole = isinstance(right, rules.Number) and right.value == int(right.value) <= 366
        hint = f"Did you mean {right.value}d?" if isinstance(right, rules.Number) and whole else ""
        message = f"a 'since' feature is a duration and can't be compared with {what}"
        raise RuleProblem(message, right.column, "one duration such as 14d", hint)
    if op in (Op.EQ, Op.NE):
        raise RuleProblem(
            f"a 'since' feature is never compared by {op}: it moves on all the time", expr.column, "<, <=, > or >="
        )


def _check_word(lm: Meaning, op: Op, right: Expr, rm: Meaning, expr: Compare) -> None:
    if op not in (Op.EQ, Op.NE):
        name = expr.left.name if isinstance(expr.left, Name) else "name"
        ranks = f"Write {name} in ({', '.join(map(repr, lm.values[-2:]))})." if lm.values else ""
        raise RuleProblem(
            f"words have no order: they are compared by == or !=, not by {op}", expr.column, "== or !=", ranks
        )
    if not isinstance(right, rules.Text):
        hint = f"Put quotes round it: '{right.value}'." if isinstance(right, rules.Number) else ""
        raise RuleProblem(f"{called(lm.unit)} is compared with {called(rm.unit)}", right.column, "a quoted word", hint)
    if lm.constant:
        raise RuleProblem(
            "two quoted words are compared: the answer is always the same", expr.column, "a name and a word"
        )
    _check_value_of(lm, right)


def _check_value_of(lm: Meaning, word: rules.Text) -> None:
    if lm.unit is Unit.CATEGORY and word.value not in lm.values:
        raise RuleProblem(
            f"{word.value!r} is not one of its values",
            word.column,
            f"one of {listing(lm.values, 20)}",
            nearest(word.value, lm.values),
        )


def _among(expr: Among, scope: Scope) -> Expr:
    of, meaning = check(expr.of, scope)
    _no_since(meaning, expr.of)
    if meaning.unit is Unit.BOOLEAN or meaning.constant:
        raise RuleProblem(f"{called(meaning.unit)} can't be one of several", expr.column, "a name, then 'in'")

    def one(value: Expr) -> Expr:
        if isinstance(value, rules.Text):
            if meaning.unit not in (Unit.CATEGORY, Unit.TEXT):
                raise RuleProblem(f"{called(meaning.unit)} can't be one of quoted words", value.column, "numbers")
            _check_value_of(meaning, value)
            return value
        if meaning.unit not in (Unit.MONEY, *PLAIN):
            hint = f"Put quotes round it: '{value.value}'." if isinstance(value, rules.Number) else ""
            raise RuleProblem(f"{called(meaning.unit)} can't be one of numbers", value.column, "quoted words", hint)
        return _scaled(value, scope.exponent) if meaning.unit is Unit.MONEY else value

    return Among(column=expr.column, of=of, values=_each(one, expr.values), negated=expr.negated)
