"""Random catalogues, as YAML text.

The sources' fields are always the same, one of each kind; how they are read (zone, currency, skew, lateness) and
everything that is remembered and said is drawn. Everything drawn is legal: a catalogue that does not load is a fault of
this file, or of the loader. What draws is a `random.Random`: thousands of cases are drawn in the time in which
Hypothesis draws a hundred, and `st.randoms()` gives the same code to Hypothesis where it is to shrink.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Any, Final

import msgspec

MONEY, PLAIN, SINCE, SPAN, TIME, WORD, FLAG = "money", "plain", "since", "span", "time", "word", "flag"
ZONES: Final = ("UTC", "Asia/Shanghai", "America/Bogota", "Asia/Kolkata", "Europe/Berlin")
EXPONENTS: Final = {"CNY": 2, "JPY": 0, "KWD": 3}
WINDOWS: Final[tuple[dict[str, str], ...]] = (
    {"window": "1m"},
    {"window": "5m"},
    {"window": "1h", "tile": "10m"},
    {"window": "1h"},
    {"window": "3h"},
    {"window": "12h", "tile": "12h"},
    {"window": "1d"},
    {"window": "1d", "tile": "15m"},
    {"window": "2d", "tile": "1d"},
    {"window": "7d"},
    {"window": "14d", "tile": "7d"},
    {"window": "30d"},
    {"window": "90d"},
    {"window": "ever"},
    {},
)
DAY_WINDOWS: Final = ({"window": "2d"}, {"window": "7d"}, {"window": "30d"}, {"window": "90d"})
COMPUTABLE: Final = (MONEY, PLAIN, SPAN, TIME)
LEARNABLE: Final = (MONEY, PLAIN, SPAN, SINCE, FLAG)
DURATIONS: Final = ("1ms", "1m", "10m", "1h", "1d", "7d", "30d", "90d")
HOLDS: Final = ("10m", "1ms", "1h", "2d")
SHOPS: Final = ("food", "fuel", "toys")
_AGGREGATED: Final = {
    "sum": ("amount", "tip", "rate", "units", "seconds"),
    "mean": ("amount", "tip", "rate", "units", "seconds"),
    "extreme": ("amount", "tip", "rate", "units", "size", "due", "seconds"),
    "distinct": ("way", "shop", "place", "page"),
    "top": ("way", "shop", "place", "page"),
    "edge": ("amount", "tip", "rate", "size", "units", "new", "due", "way", "shop", "place", "page", "seconds"),
}
_SPELT: Final = {"extreme": ("min", "max"), "edge": ("last", "first")}


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


def world(draw: Random) -> World:
    """Zones, currencies and how patient the sources are."""
    skew = ("1m", "0s", "10m", "1h")
    return World(
        zone=draw.choice(ZONES),
        currency=draw.choice(tuple(EXPONENTS)),
        skews={source: draw.choice(skew) for source in ("pay", "look", "who")},
        late=draw.choice(("1d", "1h", "0s", "10d")),
        other=draw.random() < 0.5,
        ids=draw.randint(0, 3) > 0,
    )


def value_of(draw: Random, unit: str, shapes: Sequence[Shape], depth: int = 2) -> str:
    """Arithmetic in one unit over fields or features; a literal where none has that unit."""
    fitting = [shape.name for shape in shapes if shape.unit == unit]
    times = [shape.name for shape in shapes if shape.unit == TIME]
    if unit == SPAN and times and draw.random() < 0.5:
        return f"({draw.choice(times)} - {draw.choice(times)})"
    if unit == TIME:
        return draw.choice((*fitting, f"min({fitting[0]}, {fitting[-1]})"))
    if depth == 0 or not fitting or draw.randint(0, 2) == 0:
        return draw.choice(fitting) if fitting and draw.randint(0, 3) > 0 else literal(draw, unit)
    left, right = value_of(draw, unit, shapes, depth - 1), value_of(draw, unit, shapes, depth - 1)
    forms = [f"{left} + {right}", f"({left} - {right})", f"min({left}, {right})", f"max({left}, {right}, {left})"]
    forms += [f"abs({left})", f"-{left}"]
    if fitting:  # a plain constant times a count would be no money
        plain = value_of(draw, PLAIN, shapes, depth - 1)
        forms += [f"{fitting[0]} * {plain}", f"{fitting[-1]} / {plain}"]
    return "(" + draw.choice(forms) + ")"


def literal(draw: Random, unit: str) -> str:
    """A constant of a unit."""
    if unit == MONEY:
        return draw.choice(("10", "0", "1", "2.5", "1_000"))
    if unit == SPAN:
        return draw.choice(DURATIONS)
    return draw.choice(("1", "0", "2", "3", "0.5", "0.25"))


def comparison(draw: Random, shapes: Sequence[Shape]) -> str:
    """One comparison, membership or question over fields or features."""
    shape = draw.choice(tuple(shapes))
    if draw.randint(0, 5) == 5:
        return f"{shape.name} is {draw.choice(('missing', 'known'))}"
    if shape.unit == FLAG:
        return shape.name
    order = draw.choice((">=", "<", "<=", ">"))
    if shape.unit == SINCE:
        return f" {order} ".join(_either_way(draw, shape.name, draw.choice(DURATIONS)))
    if shape.unit == WORD:
        words = [f"'{draw.choice(shape.values)}'" for _ in range(draw.randint(1, 3))]
        if draw.random() < 0.5:
            return f"{shape.name} {draw.choice(('==', '!='))} {words[0]}"
        return f"{shape.name} {draw.choice(('in', 'not in'))} ({', '.join(words)})"
    if shape.unit in (PLAIN, MONEY) and draw.randint(0, 3) == 3:
        return f"{shape.name} {draw.choice(('in', 'not in'))} (0, 1, 2.5, -1)"
    if shape.unit == TIME:
        return f"{value_of(draw, SPAN, [shape, *shapes])} {order} {literal(draw, SPAN)}"
    compare = draw.choice((order, order, "==", "!="))
    return f" {compare} ".join(_either_way(draw, shape.name, value_of(draw, shape.unit, shapes)))


def _either_way(draw: Random, left: str, right: str) -> tuple[str, str]:
    return (left, right) if draw.random() < 0.5 else (right, left)


def condition(draw: Random, shapes: Sequence[Shape]) -> str:
    """A rule that is true or false."""
    form = draw.choice(("one", "one", "not", "and", "or", "both"))
    some = [comparison(draw, shapes) for _ in range(draw.randint(2, 3))]
    match form:
        case "one":
            return some[0]
        case "not":
            return f"not ({some[0]})"
        case "both":
            return f"({some[0]} or not {some[1]}) and {some[-1]}"
    return f" {form} ".join(some)


def aggregate(draw: Random, world: World) -> tuple[dict[str, Any], Shape]:
    """One feature over a source: its settings, and its shape without the name."""
    source = draw.choice(("pay", "pay", "pay", "look", "who"))
    if source == "who":
        shape = draw.choice(world.fields["who"])
        return {"source": "who", "last": shape.name}, shape
    how = draw.choice(("count", "sum", "extreme", "mean", "days", "distinct", "top", "edge", "since", "since"))
    settings: dict[str, Any] = {"source": source}
    if how in ("count", "days", "since") and draw.randint(0, 3) == 3:
        settings["source"] = ["pay", "look"]
    elif draw.random() < 0.5:
        settings["where"] = condition(draw, world.fields[source])
    if how == "since":
        return settings | {"since": draw.choice(("last", "first"))}, Shape("", SINCE)
    if how == "days":
        return settings | {"days": True} | draw.choice(DAY_WINDOWS), Shape("", PLAIN)
    if how == "count":
        return settings | {"count": True} | draw.choice(WINDOWS), Shape("", PLAIN)
    shape = draw.choice(world.shapes(source, *_AGGREGATED[how]))
    settings[draw.choice(_SPELT.get(how, (how,)))] = shape.name
    if how != "edge":
        settings |= draw.choice(WINDOWS)
    return settings, Shape("", PLAIN) if how == "distinct" else shape


def computed(draw: Random, shapes: list[Shape]) -> tuple[dict[str, Any], Shape]:
    """One feature computed from others: its settings, and its shape without the name."""
    base = draw.choice([shape for shape in shapes if shape.unit in COMPUTABLE])
    other = value_of(draw, base.unit, shapes)
    if base.unit == TIME:
        return {"compute": f"{base.name} - {other}"}, Shape("", SPAN)
    if draw.random() < 0.5:
        return {"compute": f"{base.name} - {other}"}, Shape("", base.unit)
    again = draw.choice([shape.name for shape in shapes if shape.unit == base.unit])
    return {"compute": f"{base.name} / {again}"}, Shape("", PLAIN)


def features_of(draw: Random, world: World) -> tuple[dict[str, Any], list[Shape]]:
    """The catalogue's `features`, in any order, and what rules may use of them."""
    settings: dict[str, Any] = {}
    shapes: list[Shape] = []
    for number in range(draw.randint(1, 7)):
        if shapes and draw.randint(0, 3) == 3 and any(shape.unit in COMPUTABLE for shape in shapes):
            made, shape = computed(draw, shapes)
        else:
            made, shape = aggregate(draw, world)
        settings[f"f{number}"] = made
        shapes.append(Shape(f"f{number}", shape.unit, shape.values))
    return shuffled(draw, settings), shapes


def shuffled(draw: Random, settings: dict[str, Any]) -> dict[str, Any]:
    """The same settings in any order: what rests on what must not depend on it."""
    return {name: settings[name] for name in draw.sample(list(settings), len(settings))}


def tags_of(draw: Random, shapes: list[Shape], targets: Sequence[str] = ()) -> tuple[dict[str, Any], list[Shape]]:
    """The catalogue's `tags`, in any order, over features, each other and targets' scores."""
    settings: dict[str, Any] = {}
    known = list(shapes)
    words = [shape for shape in shapes if shape.unit == WORD]
    plain = [shape.name for shape in shapes if shape.unit == PLAIN]
    kinds = ("when", "when", "hold", "levels", "levels", "category", "quantiles", *["score"] * (3 * len(targets)))
    for number in range(draw.randint(1, 6)):
        name = f"t{number}"
        kind = draw.choice(kinds)
        if kind == "category" and words:
            of = draw.choice(words)
            settings[name], shape = {"category": of.name}, Shape(name, WORD, of.values)
        elif kind == "levels":
            settings[name], shape = _levels(draw, name, known)
        elif kind == "quantiles" and plain:
            quantiles = {"of": draw.choice(plain), "levels": 3}
            settings[name], shape = {"quantiles": quantiles}, Shape(name, WORD, ("1", "2", "3"))
        elif kind == "score":
            settings[name], shape = _score(draw, name, targets)
        else:
            settings[name], shape = {"when": condition(draw, known)}, Shape(name, FLAG)
            if kind == "hold":
                settings[name]["hold"] = draw.choice(HOLDS)
        known.append(shape)
    return shuffled(draw, settings), known


def _levels(draw: Random, name: str, known: list[Shape]) -> tuple[dict[str, Any], Shape]:
    levels = {f"l{number}": condition(draw, known) for number in range(draw.randint(1, 3))}
    if draw.random() < 0.5:
        levels["rest"] = "otherwise"
    return {"levels": levels}, Shape(name, WORD, tuple(levels))


def _score(draw: Random, name: str, targets: Sequence[str]) -> tuple[dict[str, Any], Shape]:
    levels = draw.choice(({"high": 0.5, "low": 0}, {"high": 0.7, "middle": 0.4, "low": 0}, {"any": 0}))
    score = {"score": draw.choice(targets), "levels": levels, "margin": draw.choice((0, 0.05, 0.3))}
    return score, Shape(name, WORD, tuple(levels))


def targets_of(draw: Random, shapes: list[Shape]) -> dict[str, Any]:
    """The catalogue's `targets`: none mostly."""
    fitting = [shape.name for shape in shapes if shape.unit in LEARNABLE]
    targets: dict[str, Any] = {}
    for name in ("deposit", "churn") if fitting and draw.randint(0, 3) == 0 else ():
        outcome = {
            "source": "pay",
            "where": "way == 'out'",
            "within": draw.choice(("1d", "30d")),
            "arrives_within": "1h",
        }
        targets[name] = {
            "label": draw.choice((outcome, {"absent": ["pay", "look"], "within": "10d"})),
            "features": draw.sample(fitting, draw.randint(1, min(3, len(fitting)))),
            "example_every": draw.choice(("1h", "1d", "7d")),
        }
        if draw.random() < 0.4:
            occasions: tuple[dict[str, str], ...] = ({"source": "look"}, {"source": "pay", "where": "way == 'in'"})
            targets[name]["example_on"] = draw.choice(occasions)
    return targets


def catalogue_text(world: World, **sections: dict[str, Any]) -> str:
    """A catalogue as YAML: one line for each feature, tag, segment and target."""
    lines = ["catalogue: drawn", "version: 7", f"timezone: {world.zone}", f"currency: {world.currency}"]
    for section, entries in ({"sources": world.sources()} | sections).items():
        lines += (
            [f"{section}:"] + [f"  {name}: {json.dumps(entry)}" for name, entry in entries.items()] if entries else []
        )
    return "\n".join(lines) + "\n"


def catalogue(draw: Random) -> str:
    """A legal catalogue in a world of its own."""
    made = world(draw)
    features, shapes = features_of(draw, made)
    targets = targets_of(draw, shapes)
    tags, known = tags_of(draw, shapes, tuple(targets))
    segments = {f"s{n}": {"when": condition(draw, known)} for n in range(draw.randint(0, 3))}
    return catalogue_text(made, features=features, targets=targets, tags=tags, segments=segments)
