"""Random catalogues, as YAML text, and random streams of records for them, as Hypothesis strategies.

The sources' fields are always the same, one of each kind; how they are read (zone, currency, skew, lateness) and
everything that is remembered and said is drawn. Times and amounts come from few values, near tile borders and
thresholds, so that the rare cases are not rare here. Everything drawn is legal: a catalogue that does not load is a
fault of this file, or of the loader.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

MONEY, PLAIN, SINCE, SPAN, TIME, WORD, FLAG = "money", "plain", "since", "span", "time", "word", "flag"
ZONES: Final = ("UTC", "Asia/Shanghai", "America/Bogota")
EXPONENTS: Final = {"CNY": 2, "JPY": 0, "KWD": 3}
WINDOWS: Final[tuple[dict[str, str], ...]] = (
    {"window": "1m"},
    {"window": "5m"},
    {"window": "1h", "tile": "10m"},
    {"window": "1h"},
    {"window": "1d"},
    {"window": "2d", "tile": "1d"},
    {"window": "7d"},
    {"window": "30d"},
    {"window": "90d"},
    {"window": "ever"},
    {},
)
DAY_WINDOWS: Final = ({"window": "2d"}, {"window": "7d"}, {"window": "30d"}, {"window": "90d"})
COMPUTABLE: Final = (MONEY, PLAIN, SPAN, TIME)
DURATIONS: Final = ("1ms", "1m", "10m", "1h", "1d", "7d", "30d", "90d")
SHOPS: Final = ("food", "fuel", "toys")


class Shape(msgspec.Struct, frozen=True):
    """A field or feature as rules may use it: its name, what it measures, and a category's values."""

    name: str
    unit: str
    values: tuple[str, ...] = ()


class World(msgspec.Struct, frozen=True):
    """What catalogue and stream have to agree on."""

    zone: str
    currency: str
    skews: dict[str, str]
    late: str
    other: bool
    ids: bool

    @property
    def exponent(self) -> int:
        """Decimals of the currency."""
        return EXPONENTS[self.currency]

    @property
    def fields(self) -> dict[str, tuple[Shape, ...]]:
        """The fields of each source, as rules may use them."""
        shops = (*SHOPS, "other") if self.other else SHOPS
        pay = (
            Shape("amount", MONEY),
            Shape("tip", MONEY),
            Shape("rate", PLAIN),
            Shape("size", PLAIN),
            Shape("units", PLAIN),
            Shape("way", WORD, ("in", "out")),
            Shape("shop", WORD, shops),
            Shape("place", WORD, ("north", "south")),
            Shape("note", WORD, ("a", "b", "ä")),
            Shape("new", FLAG),
            Shape("due", TIME),
            Shape("made", TIME),
        )
        look = (Shape("page", WORD, ("home", "help")), Shape("seconds", PLAIN))
        who = (
            Shape("vip", FLAG),
            Shape("born", PLAIN),
            Shape("income", MONEY),
            Shape("grade", PLAIN),
            Shape("joined", TIME),
            Shape("town", WORD, ("east", "west")),
        )
        return {"pay": pay, "look": look, "who": who}

    def shapes(self, source: str, *names: str) -> tuple[Shape, ...]:
        """Some fields of a source."""
        return tuple(shape for shape in self.fields[source] if shape.name in names)

    def sources(self) -> dict[str, Any]:
        """The catalogue's `sources`."""
        optional = {"optional": True}
        common = {"key": "customer", "time": "at", "accept_late": self.late}
        pay = {
            "amount": "money",
            "tip": {"type": "money", "unit": "minor"} | optional,
            "rate": {"type": "number", "decimals": 2} | optional,
            "size": {"type": "number"} | optional,
            "units": {"type": "count"} | optional,
            "way": ["in", "out"],
            "shop": {"type": list(SHOPS), "other": self.other} | optional,
            "place": {"type": ["north", "south"], "path": "info.place"} | optional,
            "note": {"type": "text"} | optional,
            "new": {"type": "boolean"} | optional,
            "due": {"type": "time"} | optional,
            "made": {"type": "time"} | optional,
        }
        look = {"page": ["home", "help"], "seconds": {"type": "count"} | optional}
        kinds = {"vip": "boolean", "born": "count", "income": "money", "grade": "number", "joined": "time"}
        who: dict[str, Any] = {name: {"type": kind} | optional for name, kind in kinds.items()}
        who["town"] = {"type": ["east", "west"]} | optional
        return {
            "pay": {"topic": "pay", "allowed_skew": self.skews["pay"], "fields": pay}
            | common
            | ({"id": "id"} if self.ids else {}),
            "look": {"topic": "look", "allowed_skew": self.skews["look"], "fields": look} | common,
            "who": {"topic": "who", "kind": "profile", "allowed_skew": self.skews["who"], "fields": who} | common,
        }


@st.composite
def worlds(draw: DrawFn) -> World:
    """Zones, currencies and how patient the sources are."""
    skew = st.sampled_from(("1m", "0s", "10m", "1h"))
    return World(
        zone=draw(st.sampled_from(ZONES)),
        currency=draw(st.sampled_from(tuple(EXPONENTS))),
        skews={source: draw(skew) for source in ("pay", "look", "who")},
        late=draw(st.sampled_from(("1d", "1h", "0s", "10d"))),
        other=draw(st.booleans()),
        ids=draw(st.integers(0, 3)) > 0,
    )


@st.composite
def values_of(draw: DrawFn, unit: str, shapes: Sequence[Shape], depth: int = 2) -> str:
    """Arithmetic in one unit over fields or features; a literal where none has that unit."""
    fitting = [shape.name for shape in shapes if shape.unit == unit]
    times = [shape.name for shape in shapes if shape.unit == TIME]
    if unit == SPAN and times and draw(st.booleans()):
        return f"({draw(st.sampled_from(times))} - {draw(st.sampled_from(times))})"
    if unit == TIME:
        return draw(st.sampled_from((*fitting, f"min({fitting[0]}, {fitting[-1]})")))
    if depth == 0 or not fitting or draw(st.integers(0, 2)) == 0:
        return draw(st.sampled_from(fitting)) if fitting and draw(st.integers(0, 3)) > 0 else draw(literals(unit))
    left, right = draw(values_of(unit, shapes, depth - 1)), draw(values_of(unit, shapes, depth - 1))
    forms = [f"{left} + {right}", f"({left} - {right})", f"min({left}, {right})", f"max({left}, {right}, {left})"]
    forms += [f"abs({left})", f"-{left}"]
    if fitting:  # a plain constant times a count would be no money
        plain = draw(values_of(PLAIN, shapes, depth - 1))
        forms += [f"{fitting[0]} * {plain}", f"{fitting[-1]} / {plain}"]
    return "(" + draw(st.sampled_from(forms)) + ")"


def literals(unit: str) -> SearchStrategy[str]:
    """A constant of a unit."""
    if unit == MONEY:
        return st.sampled_from(("10", "0", "1", "2.5", "1_000"))
    if unit == SPAN:
        return st.sampled_from(DURATIONS)
    return st.sampled_from(("1", "0", "2", "3", "0.5", "0.25"))


@st.composite
def comparisons(draw: DrawFn, shapes: Sequence[Shape]) -> str:
    """One comparison, membership or question over fields or features."""
    shape = draw(st.sampled_from(tuple(shapes)))
    if draw(st.integers(0, 5)) == 5:
        return f"{shape.name} is {draw(st.sampled_from(('missing', 'known')))}"
    if shape.unit == FLAG:
        return shape.name
    order = draw(st.sampled_from((">=", "<", "<=", ">")))
    if shape.unit == SINCE:
        sides = (shape.name, draw(st.sampled_from(DURATIONS)))
        return f" {order} ".join(sides if draw(st.booleans()) else reversed(sides))
    if shape.unit == WORD:
        word = st.sampled_from(shape.values).map(lambda value: f"'{value}'")
        if draw(st.booleans()):
            return f"{shape.name} {draw(st.sampled_from(('==', '!=')))} {draw(word)}"
        words = ", ".join(draw(st.lists(word, min_size=1, max_size=3)))
        return f"{shape.name} {draw(st.sampled_from(('in', 'not in')))} ({words})"
    if shape.unit in (PLAIN, MONEY) and draw(st.integers(0, 3)) == 3:
        return f"{shape.name} {draw(st.sampled_from(('in', 'not in')))} (0, 1, 2.5, -1)"
    if shape.unit == TIME:
        return f"{draw(values_of(SPAN, [shape, *shapes]))} {order} {draw(literals(SPAN))}"
    compare = draw(st.sampled_from((order, order, "==", "!=")))
    sides = (shape.name, draw(values_of(shape.unit, shapes)))
    return f" {compare} ".join(sides if draw(st.booleans()) else reversed(sides))


def conditions(shapes: Sequence[Shape]) -> SearchStrategy[str]:
    """A rule that is true or false."""
    one = comparisons(shapes)
    many = st.lists(one, min_size=2, max_size=3)
    return st.one_of(
        one,
        one,
        one.map(lambda part: f"not ({part})"),
        many.map(" and ".join),
        many.map(" or ".join),
        st.tuples(one, one, one).map(lambda parts: f"({parts[0]} or not {parts[1]}) and {parts[2]}"),
    )


@st.composite
def aggregates(draw: DrawFn, world: World) -> tuple[dict[str, Any], Shape]:
    """One feature over a source: its settings, and its shape without the name."""
    source = draw(st.sampled_from(("pay", "pay", "pay", "look", "who")))
    if source == "who":
        shape = draw(st.sampled_from(world.fields["who"]))
        return {"source": "who", "last": shape.name}, shape
    how = draw(
        st.sampled_from(("count", "sum", "extreme", "mean", "days", "distinct", "top", "edge", "since", "since"))
    )
    settings: dict[str, Any] = {"source": source}
    if how in ("count", "days", "since") and draw(st.integers(0, 3)) == 3:
        settings["source"] = ["pay", "look"]
    elif draw(st.booleans()):
        settings["where"] = draw(conditions(world.fields[source]))
    if how == "since":
        return settings | {"since": draw(st.sampled_from(("last", "first")))}, Shape("", SINCE)
    if how == "days":
        return settings | {"days": True} | draw(st.sampled_from(DAY_WINDOWS)), Shape("", PLAIN)
    if how == "count":
        return settings | {"count": True} | draw(st.sampled_from(WINDOWS)), Shape("", PLAIN)
    allowed = {
        "sum": ("amount", "tip", "rate", "units", "seconds"),
        "mean": ("amount", "tip", "rate", "units", "seconds"),
        "extreme": ("amount", "tip", "rate", "units", "size", "due", "seconds"),
        "distinct": ("way", "shop", "place", "page"),
        "top": ("way", "shop", "place", "page"),
        "edge": ("amount", "tip", "rate", "size", "units", "new", "due", "way", "shop", "place", "page", "seconds"),
    }[how]
    shape = draw(st.sampled_from(world.shapes(source, *allowed)))
    word = draw(st.sampled_from({"extreme": ("min", "max"), "edge": ("last", "first")}.get(how, (how,))))
    settings[word] = shape.name
    if how != "edge":
        settings |= draw(st.sampled_from(WINDOWS))
    return settings, Shape("", PLAIN) if how == "distinct" else shape


@st.composite
def computes(draw: DrawFn, shapes: list[Shape]) -> tuple[dict[str, Any], Shape]:
    """One feature computed from others: its settings, and its shape without the name."""
    base = draw(st.sampled_from([shape for shape in shapes if shape.unit in COMPUTABLE]))
    other = draw(values_of(base.unit, shapes))
    if base.unit == TIME:
        return {"compute": f"{base.name} - {other}"}, Shape("", SPAN)
    if draw(st.booleans()):
        return {"compute": f"{base.name} - {other}"}, Shape("", base.unit)
    again = draw(st.sampled_from([shape.name for shape in shapes if shape.unit == base.unit]))
    return {"compute": f"{base.name} / {again}"}, Shape("", PLAIN)


@st.composite
def features_of(draw: DrawFn, world: World) -> tuple[dict[str, Any], list[Shape]]:
    """The catalogue's `features` and what rules may use of them."""
    settings: dict[str, Any] = {}
    shapes: list[Shape] = []
    for number in range(draw(st.integers(1, 7))):
        if shapes and draw(st.integers(0, 3)) == 3 and any(shape.unit in COMPUTABLE for shape in shapes):
            made, shape = draw(computes(shapes))
        else:
            made, shape = draw(aggregates(world))
        settings[f"f{number}"] = made
        shapes.append(Shape(f"f{number}", shape.unit, shape.values))
    return settings, shapes


@st.composite
def tags_of(draw: DrawFn, shapes: list[Shape]) -> tuple[dict[str, Any], list[Shape]]:
    """The catalogue's `tags`, in any order, over features and each other."""
    settings: dict[str, Any] = {}
    known = list(shapes)
    for number in range(draw(st.integers(1, 6))):
        name = f"t{number}"
        words = [shape for shape in shapes if shape.unit == WORD]
        kind = draw(st.sampled_from(("when", "when", "hold", "levels", "levels", "category", "quantiles")))
        if kind == "category" and words:
            of = draw(st.sampled_from(words))
            settings[name], shape = {"category": of.name}, Shape(name, WORD, of.values)
        elif kind == "levels":
            names = tuple(f"l{n}" for n in range(draw(st.integers(1, 3))))
            levels = {level: draw(conditions(known)) for level in names}
            if draw(st.booleans()):
                levels, names = levels | {"rest": "otherwise"}, (*names, "rest")
            settings[name], shape = {"levels": levels}, Shape(name, WORD, names)
        elif kind == "quantiles" and (plain := [s.name for s in shapes if s.unit == PLAIN]):
            quantiles = {"of": draw(st.sampled_from(plain)), "levels": 3}
            settings[name], shape = {"quantiles": quantiles}, Shape(name, WORD, ("1", "2", "3"))
        else:
            settings[name], shape = {"when": draw(conditions(known))}, Shape(name, FLAG)
            if kind == "hold":
                settings[name]["hold"] = draw(st.sampled_from(("10m", "1ms", "1h", "2d")))
        known.append(shape)
    order = draw(st.permutations(list(settings)))
    return {name: settings[name] for name in order}, known


def catalogue_text(world: World, **sections: dict[str, Any]) -> str:
    """A catalogue as YAML: one line for each feature, tag and segment."""
    lines = ["catalogue: drawn", "version: 7", f"timezone: {world.zone}", f"currency: {world.currency}"]
    for section, entries in ({"sources": world.sources()} | sections).items():
        lines += [f"{section}:"] + [f"  {name}: {json.dumps(entry)}" for name, entry in entries.items()]
    return "\n".join(lines) + "\n"


@st.composite
def catalogues(draw: DrawFn, world: World) -> str:
    """A legal catalogue in this world."""
    features, shapes = draw(features_of(world))
    tags, known = draw(tags_of(shapes))
    segments = {f"s{n}": {"when": draw(conditions(known))} for n in range(draw(st.integers(0, 3)))}
    return catalogue_text(world, features=features, tags=tags, **({"segments": segments} if segments else {}))
