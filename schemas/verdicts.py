"""Whether a condition holds for values as JSON has them, where that is certain.

The engine computes in doubles over minor units; here it is exact arithmetic over what was written. The two can only
differ in the last bits, so a computed comparison that is that close is left open.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Final

import msgspec

from schemas import rules
from schemas.records import Value
from schemas.rules import Expr, Op

CLOSE: Final = Fraction(1, 10**9)
"""Computed numbers closer than this, relatively, are not told apart."""


class Amount(msgspec.Struct, frozen=True):
    """A number, and whether it is what the engine compares, to the last digit."""

    value: Fraction
    exact: bool


def holds(expr: Expr, values: Mapping[str, Value]) -> bool | None:
    """Whether the condition holds; None where it is too close to tell, or a value has another shape than its rule.

    Parameters
    ----------
    values
        Features and tags by name as in `customer-tags`; None is missing.
    """
    match expr:
        case rules.Both(parts=parts):
            found = [holds(part, values) for part in parts]
            return False if False in found else None if None in found else True
        case rules.Either(parts=parts):
            found = [holds(part, values) for part in parts]
            return True if True in found else None if None in found else False
        case rules.Not(of=of):
            inner = holds(of, values)
            return None if inner is None else not inner
        case rules.Name(name=name):
            return _truth(values, name)
        case rules.Known(of=rules.Name(name=name), negated=negated) if name in values:
            return (values[name] is None) == negated
        case rules.Compare(op=op, left=left, right=right):
            return _compared(op, left, right, values)
        case rules.Among(of=of, values=several, negated=negated):
            return _among(of, several, negated, values)
    return None


def _truth(values: Mapping[str, Value], name: str) -> bool | None:
    value = values.get(name, "")
    return value if isinstance(value, bool) else False if value is None else None


def _compared(op: Op, left: Expr, right: Expr, values: Mapping[str, Value]) -> bool | None:
    if isinstance(right, rules.Text):
        return _is_word(left, right, values, op is Op.NE)
    try:
        one, other = _number(left, values), _number(right, values)
    except _Unreadable:
        return None
    if one is None or other is None:
        return False
    difference = one.value - other.value
    near = abs(difference) <= CLOSE * max(abs(one.value), abs(other.value))
    if near and not (one.exact and other.exact):
        return None
    sign = (difference > 0) - (difference < 0)
    return sign in _HOLDS[op]


def _is_word(left: Expr, word: rules.Text, values: Mapping[str, Value], negated: bool) -> bool | None:
    if not isinstance(left, rules.Name) or left.name not in values:
        return None
    value = values[left.name]
    return False if value is None else (value == word.value) != negated


def _among(of: Expr, several: tuple[Expr, ...], negated: bool, values: Mapping[str, Value]) -> bool | None:
    if isinstance(of, rules.Name) and values.get(of.name, "") is None:
        return False
    found = [_compared(Op.EQ, of, one, values) for one in several]
    if None in found:
        return None
    return (True in found) != negated


class _Unreadable(Exception):
    """A value that is no number, or a name without a value."""


def _number(expr: Expr, values: Mapping[str, Value]) -> Amount | None:
    """The number in major units or ms; None is missing."""
    match expr:
        case rules.Number(value=value):
            return Amount(Fraction(value), True)
        case rules.Duration(ms=ms):
            return Amount(Fraction(ms), True)
        case rules.Name(name=name) if name in values:
            return _read(values[name])
        case rules.Negate(of=of):
            inner = _number(of, values)
            return None if inner is None else Amount(-inner.value, inner.exact)
        case rules.Arith(op=op, left=left, right=right):
            return _arith(op, _number(left, values), _number(right, values))
        case rules.Call(function=function, args=args):
            found = [_number(arg, values) for arg in args]
            known = [one for one in found if one is not None]
            if len(known) < len(found):
                return None
            numbers = [one.value for one in known]
            result = abs(numbers[0]) if function == "abs" else min(numbers) if function == "min" else max(numbers)
            return Amount(result, all(one.exact for one in known))
    raise _Unreadable


def _read(value: Value) -> Amount | None:
    if value is None:
        return None
    if isinstance(value, bool):
        raise _Unreadable
    try:
        # A mean or a computed amount is written as a double, already rounded.
        return Amount(Fraction(Decimal(value) if isinstance(value, str) else value), not isinstance(value, float))
    except (InvalidOperation, ValueError):
        raise _Unreadable from None


def _arith(op: Op, left: Amount | None, right: Amount | None) -> Amount | None:
    if left is None or right is None or (op is Op.DIV and right.value == 0):
        return None
    one, other = left.value, right.value
    computed = {Op.ADD: one + other, Op.SUB: one - other, Op.MUL: one * other}
    return Amount(one / other if op is Op.DIV else computed[op], exact=False)


_HOLDS: Final = {Op.LT: (-1,), Op.LE: (-1, 0), Op.EQ: (0,), Op.GE: (0, 1), Op.GT: (1,), Op.NE: (-1, 1)}
