"""The specification in slow Python, first half: what one record says, what a feature is, what a rule says.

Written from DESIGN alone and sharing no code with the engine: a feature is computed from the raw records every
time, a rule is walked as a tree. The second half, what happens in which order, is `tests.oracle`.
"""

from __future__ import annotations

import json
import math
import zoneinfo
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec
import xxhash

from schemas import rules
from schemas.catalogue import Aggregation, Catalogue, Feature, Field, FieldKind, Source, Target, Unit
from schemas.durations import Window
from schemas.records import Value
from schemas.rules import Expr, Op

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST_MS: Final = 0
LATEST_MS: Final = (datetime(2200, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)
MOST_MINOR: Final = 10**13


class Record(msgspec.Struct, frozen=True):
    """A record as it arrives: its source, the JSON (None removes a profile), and the key where the JSON is None."""

    source: str
    value: bytes | None
    key: str | None = None


class Fact(msgspec.Struct, frozen=True):
    """A record read. `time` is None in a removal that names none; `fields` is None in every removal.

    `fields` are exact: money in minor units, a number with n decimals as that many 10**-n, times in ms. `features`
    are those that the record is about: of its source, and true to their `where`; `asks` are the targets whose
    questions may follow it.
    """

    source: str
    customer: str
    time: int | None
    id: str | None
    fields: dict[str, Value] | None
    raw: bytes
    features: frozenset[str] = frozenset()
    asks: frozenset[str] = frozenset()

    @property
    def tie(self) -> int:
        """What orders records of one millisecond: the signed hash of the id, or of the record."""
        unsigned = xxhash.xxh3_64_intdigest(self.raw if self.id is None else self.id.encode())
        return unsigned - 2**64 if unsigned >= 2**63 else unsigned

    @property
    def anchor(self) -> str:
        """What names this record in the ids of the changes it causes (P7)."""
        if self.id is None:
            return f"{self.source}#{xxhash.xxh3_64_intdigest(self.raw):016x}"
        return f"{self.source}:{self.id}"


class Unreadable(ValueError):
    """A record for the dead letters (P9)."""


def read(catalogue: Catalogue, record: Record) -> Fact:
    """The record read.

    Raises
    ------
    Unreadable
        Where it is not what its source declares.
    """
    source = catalogue.source(record.source)
    if record.value is None:
        if not source.profile or not record.key:
            raise Unreadable("null")
        return Fact(source.name, record.key, None, None, None, b"")
    try:
        data = json.loads(record.value, parse_float=Decimal, parse_constant=_refuse)
    except ValueError as error:
        raise Unreadable("JSON") from error
    if not isinstance(data, dict):
        raise Unreadable("no object")
    customer = _word(data.get(source.key))
    bare = source.profile and data.keys() <= {source.key, source.time}
    if bare and data.get(source.time) is None:
        return Fact(source.name, customer, None, None, None, record.value)
    time = _time(data.get(source.time), catalogue.timezone)
    identity = _word(data.get(source.id)) if source.id else None
    if bare:
        return Fact(source.name, customer, time, identity, None, record.value)
    fields = {field.name: _field(field, data, catalogue) for field in source.fields}
    about = frozenset(
        feature.name
        for feature in catalogue.features
        if source.name in feature.sources and _fits(feature.where, source, fields)
    )
    asks = frozenset(target.name for target in catalogue.targets if _asks(target, source, fields))
    return Fact(source.name, customer, time, identity, fields, record.value, about, asks)


def _asks(target: Target, source: Source, fields: dict[str, Value]) -> bool:
    """Whether a record of the source with these fields is one after which the target asks."""
    on = target.example_on
    return on is None or (on.source == source.name and _fits(on.where, source, fields))


def _fits(where: Expr | None, source: Source, fields: dict[str, Value]) -> bool:
    """Whether a record of the source with these fields is true to a condition."""
    if where is None:
        return True
    names = dict(fields)
    for field in source.fields:
        value = fields[field.name]
        if field.decimals is not None and isinstance(value, int):
            names[field.name] = float(value) / 10**field.decimals
    return bool(evaluate(where, names))


def _refuse(constant: str) -> Any:
    raise Unreadable(constant)


def _word(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise Unreadable("key or id")
    return str(value)


def _time(value: Any, timezone: str) -> int:
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError as error:
            raise Unreadable("time") from error
        last = timedelta(0)
        if len(value) <= len("2026-03-01"):  # a date without time is the end of that day
            moment, last = moment + timedelta(days=1), timedelta(milliseconds=1)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zoneinfo.ZoneInfo(timezone))
        value = (moment - EPOCH - last) // timedelta(milliseconds=1)
    if isinstance(value, bool) or not isinstance(value, int) or not EARLIEST_MS <= value < LATEST_MS:
        raise Unreadable("time")
    return value


def _field(field: Field, data: Any, catalogue: Catalogue) -> Value:
    for step in field.path:
        if not isinstance(data, dict | None):
            raise Unreadable(field.name)
        data = data.get(step) if data else None
    if data is None:
        if field.optional:
            return None
        raise Unreadable(field.name)
    number = isinstance(data, int | Decimal) and not isinstance(data, bool)
    match field.kind:
        case FieldKind.MONEY if number:
            minor = _whole(data, 0 if field.minor else catalogue.exponent)
            if abs(minor) <= MOST_MINOR:
                return minor
        case FieldKind.NUMBER if number:
            return float(data) if field.decimals is None else _whole(data, field.decimals)
        case FieldKind.COUNT if number and isinstance(data, int) and 0 <= data <= 2**53:
            return data
        case FieldKind.BOOLEAN if isinstance(data, bool):
            return data
        case FieldKind.TEXT if isinstance(data, str):
            return data
        case FieldKind.ENUM if isinstance(data, str) and (data in field.values or field.other):
            return data if data in field.values else "other"
        case FieldKind.TIME:
            return _time(data, catalogue.timezone)
    raise Unreadable(field.name)


def _whole(number: int | Decimal, decimals: int) -> int:
    scaled = Decimal(number).scaleb(decimals)
    if scaled != scaled.to_integral_value():
        raise Unreadable("more decimals than declared")
    return int(scaled)


def features_of(
    catalogue: Catalogue, facts: Iterable[Fact], profiles: Mapping[str, Fact], now: int
) -> dict[str, Value]:
    """Every feature at `now`, as rules see it but exact where it is a whole number; None is missing.

    What a lifetime model would say is missing: its parameters come from outside (`tests.oracle_lifetime`).

    Parameters
    ----------
    facts
        The customer's applied events.
    profiles
        The current record of each profile source that has one.
    """
    values: dict[str, Value] = {}
    for feature in catalogue.features:
        if feature.compute is not None:
            value = evaluate(feature.compute, values)
        elif feature.outlook is not None:
            value = None
        elif (source := catalogue.source(feature.sources[0])).profile:
            profile = profiles.get(source.name)
            value = (profile.fields or {}).get(feature.field or "") if profile else None
        else:
            order = source.field(feature.field).all_values if feature.field else ()
            counted = in_window(feature, facts, now, catalogue.offset_ms)
            value = _aggregate(feature, counted, order, now, catalogue.offset_ms)
        if feature.unit is Unit.RATIO and feature.compute is None and isinstance(value, int | float):
            value = float(value) / 10**feature.decimals
        values[feature.name] = value
    return values


def tile(window: Window, time: int, offset_ms: int) -> int:
    """The number of the tile that holds a time."""
    return (time + offset_ms) // window.width_ms


def tile_leaves(window: Window, time: int, offset_ms: int) -> int:
    """When a record of that time is no longer in the window."""
    return (tile(window, time, offset_ms) + window.tiles) * window.width_ms - offset_ms


def in_window(feature: Feature, facts: Iterable[Fact], now: int, offset_ms: int) -> list[Fact]:
    """The records a feature is about, those that have left its window left out."""
    about = [fact for fact in facts if feature.name in fact.features]
    window = feature.window
    return [fact for fact in about if window is None or tile_leaves(window, fact.time or 0, offset_ms) > now]


def _aggregate(feature: Feature, facts: list[Fact], order: Sequence[str], now: int, offset_ms: int) -> Value:
    """What the aggregation makes of the feature's records; a record without the field counts for nothing.

    Parameters
    ----------
    order
        The values of the field, in the order that decides between values as common (`top`).
    """
    times = [fact.time or 0 for fact in facts]
    if feature.aggregation in (Aggregation.LAST, Aggregation.FIRST):
        facts = sorted(facts, key=lambda fact: (fact.time, fact.tie))
    values: list[Any] = [fact.fields.get(feature.field or "") for fact in facts if fact.fields]
    known = [value for value in values if value is not None]
    result: Value = None
    match feature.aggregation:
        case Aggregation.COUNT:
            result = len(facts)
        case Aggregation.DAYS if feature.window is not None:
            result = len({tile(feature.window, time, offset_ms) for time in times})
        case Aggregation.DISTINCT:
            result = len(set(known))
        case Aggregation.SUM:
            result = sum(known)
        case Aggregation.SINCE_LAST if times:
            result = now - max(times)
        case Aggregation.SINCE_FIRST if times:
            result = now - min(times)
        case Aggregation.MIN if known:
            result = min(known)
        case Aggregation.MAX if known:
            result = max(known)
        case Aggregation.MEAN if known:
            result = float(sum(known)) / float(len(known))
        case Aggregation.TOP if known:
            seen = Counter(known)
            result = min(seen, key=lambda value: (-seen[value], order.index(value)))
        case Aggregation.LAST if known:
            result = known[-1]
        case Aggregation.FIRST if known:
            result = known[0]
    return result


def evaluate(expr: Expr, names: Mapping[str, Value]) -> Value:
    """What a rule says: a boolean of a condition, a double of arithmetic, None where it is missing."""
    match expr:
        case rules.Number():
            return expr.scaled
        case rules.Duration(ms=ms):
            return float(ms)
        case rules.Text(value=text):
            return text
        case rules.Name(name=name):
            return _double(names[name])
        case rules.Not(of=of):
            return not evaluate(of, names)
        case rules.Both(parts=parts):
            return all(evaluate(part, names) for part in parts)
        case rules.Either(parts=parts):
            return any(evaluate(part, names) for part in parts)
        case rules.Known(of=of, negated=negated):
            return (evaluate(of, names) is None) is negated
        case rules.Among(of=of, values=values, negated=negated):
            value = evaluate(of, names)
            return value is not None and (value in [evaluate(each, names) for each in values]) is not negated
        case rules.Compare(op=op, left=left, right=right):
            return _compare(op, evaluate(left, names), evaluate(right, names))
        case rules.Negate(of=of):
            return _arithmetic("negate", [evaluate(of, names)])
        case rules.Arith(op=op, left=left, right=right):
            return _arithmetic(op, [evaluate(left, names), evaluate(right, names)])
        case rules.Call(function=function, args=args):
            return _arithmetic(function, [evaluate(arg, names) for arg in args])
    raise TypeError(type(expr).__name__)


def _double(value: Value) -> Value:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _compare(op: Op, left: Any, right: Any) -> bool:
    if left is None or right is None:
        return False
    match op:
        case Op.LT:
            return bool(left < right)
        case Op.LE:
            return bool(left <= right)
        case Op.GT:
            return bool(left > right)
        case Op.GE:
            return bool(left >= right)
        case Op.EQ:
            return bool(left == right)
    return bool(left != right)


def _arithmetic(operator: str, values: list[Any]) -> float | None:
    """IEEE doubles; missing where a part is missing, where the divisor is zero, and in place of NaN."""
    if any(value is None for value in values) or (operator == Op.DIV and values[1] == 0):
        return None
    match operator:
        case "negate":
            result = -values[0]
        case "abs":
            result = abs(values[0])
        case "min":
            result = min(values)
        case "max":
            result = max(values)
        case Op.ADD:
            result = values[0] + values[1]
        case Op.SUB:
            result = values[0] - values[1]
        case Op.MUL:
            result = values[0] * values[1]
        case _:
            result = values[0] / values[1]
    return None if math.isnan(result) else float(result)


def said(value: Value, unit: Unit, exponent: int) -> Value:
    """A feature's value in livetags' own records (DESIGN section 8); JSON has no infinity."""
    if value is None or isinstance(value, bool | str) or not math.isfinite(value):
        return value if isinstance(value, bool | str) else None
    match unit:
        case Unit.MONEY if isinstance(value, int):
            return f"{Decimal(value).scaleb(-exponent):.{exponent}f}"
        case Unit.MONEY:
            return float(value / 10**exponent)
        case Unit.DURATION:
            return int(value)
        case Unit.TIME:
            return iso(int(value))
    return value


def iso(ms: int) -> str:
    """A time as livetags writes it."""
    return (EPOCH + timedelta(milliseconds=ms)).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"
