"""The features of a catalogue: which aggregation over which field and window, in which unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from schemas import durations, rules
from schemas.catalogue import Aggregation, Feature, Field, FieldKind, Source, Unit
from schemas.document import Map
from schemas.loading_lifetime import OUTLOOK, load_lifetimes, no_outlook, outlook_feature
from schemas.outlook import Lifetime
from schemas.problems import RuleProblem, listing, nearest
from schemas.rules import Expr
from schemas.typing import Meaning, Scope, check_condition, check_value

A = Aggregation
FIELDLESS: Final = ("count", "days")
OVER_FIELD: Final = ("sum", "min", "max", "mean", "distinct", "top", "last", "first")
AGGREGATIONS: Final = (*FIELDLESS, *OVER_FIELD, "since", "compute", "lifetime")
SETTINGS: Final = ("source", "where", "window", "tile", "title", "about", *OUTLOOK, *AGGREGATIONS)
_SUMMABLE: Final = (FieldKind.MONEY, FieldKind.COUNT, FieldKind.NUMBER)
ALLOWED: Final = {
    A.SUM: _SUMMABLE,
    A.MEAN: _SUMMABLE,
    A.MIN: (*_SUMMABLE, FieldKind.TIME),
    A.MAX: (*_SUMMABLE, FieldKind.TIME),
    A.DISTINCT: (FieldKind.ENUM,),
    A.TOP: (FieldKind.ENUM,),
    A.LAST: tuple(kind for kind in FieldKind if kind is not FieldKind.TEXT),
    A.FIRST: tuple(kind for kind in FieldKind if kind is not FieldKind.TEXT),
}
_UNITS: Final = {
    FieldKind.MONEY: Unit.MONEY,
    FieldKind.COUNT: Unit.COUNT,
    FieldKind.NUMBER: Unit.RATIO,
    FieldKind.TEXT: Unit.TEXT,
    FieldKind.BOOLEAN: Unit.BOOLEAN,
    FieldKind.TIME: Unit.TIME,
    FieldKind.ENUM: Unit.CATEGORY,
}


def field_scope(source: Source, exponent: int, broken: tuple[str, ...] = ()) -> Scope:
    """What a `where` over this source may name; `broken` fields have their own mistake."""
    names = {field.name: Meaning(_UNITS[field.kind], field.all_values) for field in source.fields}
    return Scope(names, f"field of source {source.name!r} named", exponent, broken, _reserved(source))


def _reserved(source: Source) -> dict[str, str]:
    said = f"the key, time or id of source {source.name!r}, which rules can't see"
    return {name: said for name in (source.key, source.time, source.id) if name}


def feature_meaning(feature: Feature) -> Meaning:
    """What a feature's name means in a rule."""
    return Meaning(feature.unit, feature.values, since=feature.aggregation in (A.SINCE_LAST, A.SINCE_FIRST))


class Features(NamedTuple):
    """The features in an order in which each rests on earlier ones only, and the names of those with mistakes.

    `lifetimes` are the lifetime models that some of them look through.
    """

    good: tuple[Feature, ...]
    broken: tuple[str, ...]
    lifetimes: tuple[Lifetime, ...] = ()


class Sources(NamedTuple):
    """The sources, and the names of their fields with mistakes."""

    good: tuple[Source, ...]
    broken_fields: Mapping[str, tuple[str, ...]]

    def get(self, name: str) -> Source | None:
        """The source of that name, or None."""
        return next((source for source in self.good if source.name == name), None)

    def scope(self, source: Source, exponent: int) -> Scope:
        """What a `where` over this source may name."""
        return field_scope(source, exponent, self.broken_fields.get(source.name, ()))


def load_features(top: Map, sources: Sources, exponent: int) -> Features:
    """The features, computed ones after those they name, else as in the file."""
    features: dict[str, Feature] = {}
    computed: dict[str, Map] = {}
    outlooks: dict[str, Map] = {}
    nodes = dict(top.named("features", "feature"))
    for name, node in nodes.items():
        node.only(SETTINGS, "a feature")
        given = [key for key in AGGREGATIONS if key in node]
        if len(given) != 1:
            said = f"this one has {len(given)}: {listing(given)}" if given else "this one has none"
            node.problem(None, f"a feature has one aggregation, {said}", f"one of {listing(AGGREGATIONS, 20)}")
        elif given == ["compute"]:
            computed[name] = node
        elif given == ["lifetime"]:
            outlooks[name] = node
        else:
            no_outlook(node)
            feature = _aggregate(name, node, given[0], sources, exponent)
            if feature is not None:
                features[name] = feature
    lifetimes = load_lifetimes(top, features, tuple(name for name in nodes if name not in features))
    for name, node in outlooks.items():
        if (feature := outlook_feature(top, name, node, lifetimes)) is not None:
            features[name] = feature
    _compute(top, features, computed, exponent)
    return Features(tuple(features.values()), tuple(name for name in nodes if name not in features), lifetimes)


def _aggregate(name: str, node: Map, how: str, sources: Sources, exponent: int) -> Feature | None:
    names = [source.name for source in sources.good]
    words = node.known_words("source", names, "source") if node.require("source", f"one of {listing(names)}") else ()
    known = tuple(source for word in words if (source := sources.get(word)))
    aggregation = _aggregation(node, how)
    window = _window(node, aggregation)
    if not known or len(known) != len(node.data["source"] if isinstance(node.data["source"], list) else known):
        return None
    _check_sources(node, aggregation, known)
    field = _field(node, how, known[0], sources) if how in OVER_FIELD else None
    where = _where(node, known, sources, exponent)
    if ("where" in node and where is None) or (how in OVER_FIELD and field is None):
        return None
    decimals = field.decimals or 0 if field else 0
    return Feature(
        name=name,
        aggregation=aggregation,
        unit=_unit(aggregation, field),
        title=node.titles("title", name),
        sources=tuple(source.name for source in known),
        field=field.name if field else None,
        where=where,
        window=window,
        values=field.all_values if field and aggregation in (A.TOP, A.LAST, A.FIRST) else (),
        decimals=decimals if aggregation not in (A.DISTINCT, A.TOP) else 0,
    )


def _aggregation(node: Map, how: str) -> Aggregation:
    if how == "since":
        return A.SINCE_LAST if node.choice("since", ("last", "first"), "last") == "last" else A.SINCE_FIRST
    if how in FIELDLESS and node.data[how] is not True:
        node.problem(how, f"{how!r} takes no field", f"{how}: true", "Use 'where' to count some records only.")
    return A(how)


def _field(node: Map, how: str, source: Source, sources: Sources) -> Field | None:
    names = [field.name for field in source.fields]
    value = node.data[how]
    if value in sources.broken_fields.get(source.name, ()):
        return None  # that field's own mistake is said already
    if value not in names:
        reserved = value in (source.key, source.time, source.id)
        said = f"{value!r} is the key, time or id of source {source.name!r}" if reserved else ""
        expected = f"one of {listing(names, 20)}" if names else ""
        said = said or f"source {source.name!r} has no field {_named(value)}"
        node.problem(how, said, expected, "" if reserved else nearest(value, names))
        return None
    field = source.field(value)
    if field.kind not in ALLOWED[A(how)]:
        kinds = listing(kind.value if kind is not FieldKind.ENUM else "a list of values" for kind in ALLOWED[A(how)])
        hint = "Declare it as a list of values with 'other: true'." if field.kind is FieldKind.TEXT else ""
        node.problem(how, f"{how!r} can't be taken of {field.kind.value} {value!r}", f"a field of {kinds}", hint)
        return None
    if field.kind is FieldKind.NUMBER and how in ("sum", "mean") and field.decimals is None:
        node.problem(
            how,
            f"{how!r} of the number {value!r} would not be exact",
            "a number with decimals",
            f"Declare the field as {value}: {{type: number, decimals: 2}}.",
        )
        return None
    return field


def _named(value: object) -> str:
    return repr(str(value)) if isinstance(value, str) else f"called {value}"


def _check_sources(node: Map, aggregation: Aggregation, sources: tuple[Source, ...]) -> None:
    if len(sources) > 1 and aggregation not in (A.COUNT, A.DAYS, A.SINCE_LAST, A.SINCE_FIRST):
        node.problem("source", f"{aggregation.value!r} takes one source, this has {len(sources)}", "one source")
    if any(source.profile for source in sources) and (aggregation is not A.LAST or "where" in node):
        node.problem("source", "a profile is no stream of events", "'last' of one of its fields, without 'where'")


def _where(node: Map, known: tuple[Source, ...], sources: Sources, exponent: int) -> Expr | None:
    if "where" not in node:
        return None
    if len(known) > 1:
        node.problem("where", "'where' speaks of one source's fields", "one source, or no 'where'", of_key=True)
        return None
    scope = sources.scope(known[0], exponent)
    return node.rule("where", lambda text: check_condition(rules.parse(text), scope))


def _window(node: Map, aggregation: Aggregation) -> durations.Window | None:
    """The window cut into tiles; None where it is `ever`, and after a mistake, which is noted."""
    if aggregation in (A.LAST, A.FIRST, A.SINCE_LAST, A.SINCE_FIRST):
        for key in ("window", "tile"):
            if key in node:
                node.problem(key, f"{aggregation.value!r} looks at all time", f"no {key!r}", of_key=True)
        return None
    if node.data.get("window", "ever") == "ever":
        if aggregation is A.DAYS:
            node.problem("days", "'days' needs a window", "window: such as 30d", of_key=True)
        if "tile" in node:
            node.problem("tile", "'ever' has no tiles", "no 'tile'", of_key=True)
        return None
    length, override = node.duration("window"), node.duration("tile")
    if length is None:
        return None
    return _days_window(node, length, override) if aggregation is A.DAYS else _cut(node, length, override)


def _days_window(node: Map, length: int, override: int | None) -> durations.Window | None:
    if override not in (None, durations.DAY):
        node.problem("tile", "the tiles of 'days' are days", "no 'tile'", of_key=True)
    tiles, rest = divmod(length, durations.DAY)
    if rest or not 1 <= tiles <= durations.MOST_TILES:
        near = min(max(1, round(length / durations.DAY)), durations.MOST_TILES)
        said = f"'days' counts whole days, at most {durations.MOST_TILES}"
        node.problem("window", said, f"such as {near}d", f"The nearest window is {near}d.")
        return None
    return durations.cut_window(length, durations.DAY)


def _cut(node: Map, length: int, override: int | None) -> durations.Window | None:
    try:
        return durations.cut_window(length, override)
    except durations.WindowError as error:
        node.problem("tile" if "tile" in node else "window", str(error), suggestion=error.suggestion)
        return None


def _unit(aggregation: Aggregation, field: Field | None) -> Unit:
    if aggregation in (A.SINCE_LAST, A.SINCE_FIRST):
        return Unit.DURATION
    if field is None or aggregation is A.DISTINCT:
        return Unit.COUNT
    unit = _UNITS[field.kind]
    return Unit.RATIO if aggregation is A.MEAN and unit is Unit.COUNT else unit


def _compute(top: Map, features: dict[str, Feature], computed: dict[str, Map], exponent: int) -> None:
    """Adds the computed features, each after those it names; circles are noted."""
    declared = [name for name, _ in top.named("features", "feature")]
    names = {name: _names(node) for name, node in computed.items()}
    waiting = dict(computed)
    elsewhere = _elsewhere(top, declared)
    while waiting:
        ready = next((name for name in waiting if not names[name] & waiting.keys()), None)
        if ready is None:
            ring = circle({name: names[name] & waiting.keys() for name in waiting})
            said = (
                "it rests on itself" if len(ring) == 1 else f"these rest on each other: {' -> '.join((*ring, ring[0]))}"
            )
            waiting[ring[0]].problem("compute", said, "features that don't lead back here")
            for name in ring:
                del waiting[name]
            continue
        broken = tuple(name for name in declared if name not in features)
        scope = Scope(_meanings(features), "feature", exponent, broken, elsewhere)
        feature = _computed(ready, waiting.pop(ready), scope)
        if feature is not None:
            features[ready] = feature


def _elsewhere(top: Map, declared: list[str]) -> dict[str, str]:
    said = "a tag: features are computed from features only"
    return {name: said for name, _ in top.named("tags", "tag") if name not in declared}


def _meanings(features: Mapping[str, Feature]) -> dict[str, Meaning]:
    return {name: feature_meaning(feature) for name, feature in features.items()}


def circle(rests: Mapping[str, set[str]]) -> list[str]:
    """One ring of names that lead back to the first; every name of `rests` must lead to another."""
    path = [next(iter(rests))]
    while True:
        onward = min(rests[path[-1]], key=list(rests).index)
        if onward in path:
            ring = path[path.index(onward) :]
            first = min(range(len(ring)), key=lambda i: list(rests).index(ring[i]))
            return ring[first:] + ring[:first]
        path.append(onward)


def _names(node: Map) -> set[str]:
    try:
        return {name.name for name in rules.names_in(rules.parse(str(node.data["compute"])))}
    except RuleProblem:
        return set()


def _computed(name: str, node: Map, scope: Scope) -> Feature | None:
    for key in ("source", "where", "window", "tile", *OUTLOOK):
        if key in node:
            node.problem(key, "a computed feature has no such setting", "'compute' alone", of_key=True)
    done = node.rule("compute", lambda text: check_value(rules.parse(text), scope))
    if done is None:
        return None
    return Feature(name, A.COMPUTE, done[1], node.titles("title", name), compute=done[0])
