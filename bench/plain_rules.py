"""A catalogue in plain Python: features over tiles in a dict per customer, rules as closures.

What a Python programmer writes for the same tags, one record at a time: the customer's state is a dict that goes
through JSON, a windowed feature is a list of `[tile, value]`, oldest first, and every rule is a function of the
values by name. Missing is None and makes comparisons false. No timers: a feature is computed when a record of its
customer comes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from operator import add, eq, ge, gt, le, lt, mul, ne, neg, sub
from typing import Any, Final, NamedTuple

from schemas import rules
from schemas.catalogue import Aggregation, Catalogue, Category, Feature, FieldKind, Levels, Segment, Source, Tag, When
from schemas.rules import Expr, Op

Values = dict[str, Any]
State = dict[str, Any]
Flip = dict[str, Any]
Rule = Callable[[Values], Any]

_COMPARE: Final = {Op.LT: lt, Op.LE: le, Op.GT: gt, Op.GE: ge, Op.EQ: eq, Op.NE: ne}
_ARITH: Final = {Op.ADD: add, Op.SUB: sub, Op.MUL: mul}


def _ratio(one: float, other: float) -> float | None:
    return one / other if other else None


_FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {"min": min, "max": max, "abs": abs}


def compile_rule(expr: Expr) -> Rule:
    """The rule as a function of values by name."""
    match expr:
        case rules.Number():
            number = expr.scaled
            return lambda values: number
        case rules.Duration(ms=ms):
            return lambda values: ms
        case rules.Text(value=text):
            return lambda values: text
        case rules.Name(name=name):
            return lambda values: values[name]
        case rules.Not(of=of):
            inner = compile_rule(of)
            return lambda values: not inner(values)
        case rules.Both(parts=parts):
            return _every([compile_rule(part) for part in parts])
        case rules.Either(parts=parts):
            return _some([compile_rule(part) for part in parts])
        case rules.Known(of=of, negated=negated):
            inner = compile_rule(of)
            return lambda values: (inner(values) is None) is negated
        case rules.Among(of=of, values=members, negated=negated):
            inner, constants = compile_rule(of), {compile_rule(member)({}) for member in members}
            return lambda values: (found := inner(values)) is not None and (found in constants) is not negated
        case rules.Compare(op=op, left=left, right=right):
            return _compare(_COMPARE[op], compile_rule(left), compile_rule(right))
    return _arithmetic(expr)


def _every(parts: list[Rule]) -> Rule:
    def both(values: Values) -> bool:
        for part in parts:  # noqa: SIM110 - a generator costs more than the rule
            if not part(values):
                return False
        return True

    return both


def _some(parts: list[Rule]) -> Rule:
    def either(values: Values) -> bool:
        for part in parts:  # noqa: SIM110 - as above
            if part(values):
                return True
        return False

    return either


def _compare(compare: Callable[[Any, Any], bool], left: Rule, right: Rule) -> Rule:
    def compared(values: Values) -> bool:
        one, other = left(values), right(values)
        return one is not None and other is not None and compare(one, other)

    return compared


def _arithmetic(expr: Expr) -> Rule:
    parts: list[Rule]
    work: Callable[..., Any]
    match expr:
        case rules.Negate(of=of):
            parts, work = [compile_rule(of)], neg
        case rules.Arith(op=Op.DIV, left=left, right=right):
            parts, work = [compile_rule(left), compile_rule(right)], _ratio
        case rules.Arith(op=op, left=left, right=right):
            parts, work = [compile_rule(left), compile_rule(right)], _ARITH[op]
        case rules.Call(function=function, args=args):
            parts = [compile_rule(arg) for arg in args]
            work = _FUNCTIONS[function]
        case _:
            raise TypeError(type(expr).__name__)

    def worked_out(values: Values) -> Any:
        found = [part(values) for part in parts]
        return None if None in found else work(*found)

    return worked_out


class Reader:
    """A source's records as dicts of values, in the units of rules."""

    def __init__(self, catalogue: Catalogue, source: Source) -> None:
        self.source = source
        self._scale = 10**catalogue.exponent

    def time(self, record: dict[str, Any]) -> int:
        """The record's time in UTC ms; it bears its zone."""
        return round(datetime.fromisoformat(record[self.source.time]).timestamp() * 1000)

    def values(self, record: dict[str, Any]) -> Values:
        """The declared fields."""
        found: Values = {}
        for field in self.source.fields:
            value: Any = record
            for step in field.path:
                value = value.get(step) if value is not None else None
            if value is not None:
                if field.kind is FieldKind.MONEY:
                    value = round(value * self._scale)
                elif field.other and value not in field.values:
                    value = "other"
            found[field.name] = value
        return found


def _merge(aggregation: Aggregation, old: Any, value: Any) -> Any:
    """A tile's value with one more record in it."""
    match aggregation:
        case Aggregation.COUNT | Aggregation.DAYS:
            return (old or 0) + 1
        case Aggregation.SUM:
            return (old or 0) + value
        case Aggregation.MIN:
            return value if old is None else min(old, value)
        case Aggregation.MAX:
            return value if old is None else max(old, value)
        case Aggregation.MEAN:
            return [value, 1] if old is None else [old[0] + value, old[1] + 1]
        case Aggregation.DISTINCT:
            return [value] if old is None else old if value in old else [*old, value]
    counts = old or {}  # top
    counts[value] = counts.get(value, 0) + 1
    return counts


def _total(feature: Feature, tiles: list[Any]) -> Any:
    """The feature's value from the values of its tiles in the window."""
    match feature.aggregation:
        case Aggregation.COUNT | Aggregation.SUM:
            return sum(tiles)
        case Aggregation.DAYS:
            return len(tiles)
        case Aggregation.MIN:
            return min(tiles, default=None)
        case Aggregation.MAX:
            return max(tiles, default=None)
        case Aggregation.MEAN:
            return sum(t[0] for t in tiles) / sum(t[1] for t in tiles) if tiles else None
        case Aggregation.DISTINCT:
            return len({value for tile in tiles for value in tile})
    counts: dict[str, int] = {}  # top
    for tile in tiles:
        for value, count in tile.items():
            counts[value] = counts.get(value, 0) + count
    order = feature.values
    return max(counts, key=lambda value: (counts[value], -order.index(value))) if counts else None


class Remembered:
    """A feature: what it keeps in the customer's state and what it says."""

    def __init__(self, catalogue: Catalogue, feature: Feature) -> None:
        self.feature, self.name, self._offset = feature, feature.name, catalogue.offset_ms
        self._where = compile_rule(feature.where) if feature.where is not None else None
        self._compute = compile_rule(feature.compute) if feature.compute is not None else None
        self._width = feature.window.width_ms if feature.window else 0
        self._tiles = feature.window.tiles if feature.window else 0
        since = (Aggregation.SINCE_LAST, Aggregation.SINCE_FIRST)
        self._since = feature.aggregation in since
        self._single = self._since or feature.aggregation in (Aggregation.LAST, Aggregation.FIRST)

    def take(self, state: State, values: Values, time: int) -> None:
        """Take a record of one of its sources in."""
        if self._where is not None and not self._where(values):
            return
        field = self.feature.field
        value = values[field] if field is not None else None
        if field is not None and value is None:
            return
        if self._single:
            self._keep(state, time if self._since else value, time)
            return
        tiles = state.setdefault(self.name, [])
        number = (time + self._offset) // self._width if self._width else 0
        at = len(tiles)
        while at and tiles[at - 1][0] > number:
            at -= 1
        if at and tiles[at - 1][0] == number:
            tiles[at - 1][1] = _merge(self.feature.aggregation, tiles[at - 1][1], value)
        else:
            tiles.insert(at, [number, _merge(self.feature.aggregation, None, value)])

    def _keep(self, state: State, value: Any, time: int) -> None:
        kept = state.get(self.name)
        first = self.feature.aggregation in (Aggregation.FIRST, Aggregation.SINCE_FIRST)
        if kept is None or (time < kept[0] if first else time >= kept[0]):
            state[self.name] = [time, value]

    def value(self, state: State, values: Values, now: int) -> Any:
        """What it says now; `values` are those of the features before it."""
        if self._compute is not None:
            return self._compute(values)
        kept = state.get(self.name)
        if self._single:
            return None if kept is None else now - kept[1] if self._since else kept[1]
        if kept and self._width:
            oldest = (now + self._offset) // self._width - self._tiles
            while kept and kept[0][0] <= oldest:
                del kept[0]
        return _total(self.feature, [tile[1] for tile in kept] if kept else [])


class Said:
    """A tag or segment: its rule, and the names it uses."""

    def __init__(self, item: Tag | Segment) -> None:
        self.item, self.name, self.segment = item, item.name, isinstance(item, Segment)
        self._levels: list[tuple[str, Rule]] = []
        self._when: Rule | None = None
        self.boolean, self._hold_ms, exprs = True, 0, list[Expr]()
        match item:
            case Segment(rule=rule):
                self._when, exprs = compile_rule(rule), [rule]
            case Tag(rule=When(rule=rule)):
                self._when, self._hold_ms, exprs = compile_rule(rule), item.hold_ms, [rule]
            case Tag(rule=Levels(names=names, rules=conditions)):
                self.boolean = False
                always = compile_rule(rules.Number(value=Decimal(1)))
                found = [compile_rule(c) if c is not None else always for c in conditions]
                self._levels, exprs = list(zip(names, found, strict=True)), [c for c in conditions if c is not None]
        self.uses = list(dict.fromkeys(name.name for expr in exprs for name in rules.names_in(expr)))
        self._of = item.rule.of if isinstance(item, Tag) and isinstance(item.rule, Category) else None
        if self._of is not None:
            self.uses, self.boolean = [self._of], False

    def value(self, values: Values, old: Any, since: int, now: int) -> Any:
        """What is said now."""
        if self._when is not None:
            return (bool(old) and now < since + self._hold_ms) or bool(self._when(values))
        if self._of is not None:
            return values[self._of]
        for name, rule in self._levels:
            if rule(values):
                return name
        return None


class Applied(NamedTuple):
    """What a record did: changes of tags and segments; and by name what features and tags are now, and its fields."""

    flips: list[Flip]
    values: Values
    fields: Values
    now: int


class PlainJob:
    """The catalogue's job on one record at a time."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.readers = {source.name: Reader(catalogue, source) for source in catalogue.sources}
        self.features = [Remembered(catalogue, feature) for feature in catalogue.features]
        self._of = {s.name: [f for f in self.features if s.name in f.feature.sources] for s in catalogue.sources}
        tags = [catalogue.tag(name) for name in catalogue.tag_order]
        items: list[Tag | Segment] = [tag for tag in tags if not tag.waits]
        self.said = [Said(item) for item in (*items, *catalogue.segments)]
        self._warming = {tag.name: None for tag in tags if tag.waits}

    def apply(self, source: str, customer: str, record: dict[str, Any], state: State) -> Applied:
        """Change the customer's state by a record."""
        reader = self.readers[source]
        time, fields = reader.time(record), reader.values(record)
        remembered, said = state.setdefault("features", {}), state.setdefault("said", {})
        for feature in self._of[source]:
            feature.take(remembered, fields, time)
        state["now"] = now = max(time, state.get("now", time))
        values: Values = dict(self._warming)
        for feature in self.features:
            values[feature.name] = feature.value(remembered, values, now)
        flips = []
        for item in self.said:
            old, since = said.get(item.name) or (False if item.boolean else None, 0)
            new = values[item.name] = item.value(values, old, since, now)
            if new != old:
                said[item.name] = [new, now]
                flips.append(self._flip(item, customer, old, new, now, values))
        return Applied(flips, values, fields, now)

    def _flip(self, item: Said, customer: str, old: Any, new: Any, now: int, values: Values) -> Flip:
        return {
            "customer_id": customer,
            "segment" if item.segment else "tag": item.name,
            "old": old,
            "new": new,
            "at": now,
            "cause": "event",
            "catalogue_version": self.catalogue.version,
            "because": {name: values[name] for name in item.uses},
        }
