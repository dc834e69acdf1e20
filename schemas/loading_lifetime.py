"""Lifetime models of a catalogue and the features that look through them: `lifetime` at the top, and of a feature."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from schemas.catalogue import Aggregation, Feature, Unit
from schemas.document import Map, shape
from schemas.durations import DAY, MINUTE
from schemas.outlook import Gives, Lifetime, Outlook
from schemas.problems import listing, nearest

A = Aggregation
MODEL: Final = ("title", "about", "frequency", "last", "first", "value", "refresh", "least", "after", "tolerance")
OUTLOOK: Final = ("gives", "within", "discount")
"""What only a feature of a lifetime model has."""
ALONE: Final = ("source", "where", "window", "tile")
LEAST: Final = 100
AFTER: Final = 30 * DAY
FARTHEST: Final = 3_650 * DAY
_UNITS: Final = {Gives.ALIVE: Unit.RATIO, Gives.TRANSACTIONS: Unit.RATIO, Gives.VALUE: Unit.MONEY}
_EXAMPLE: Final = "{frequency: orders, last: since_order, first: since_first_order, value: spent}"


def load_lifetimes(top: Map, features: Mapping[str, Feature], broken: Sequence[str]) -> tuple[Lifetime, ...]:
    """The lifetime models in the catalogue's order; mistakes are noted.

    Parameters
    ----------
    features
        Those that records make, by name.
    broken
        The names of those that are none of these: their mistakes are said elsewhere, or they are made of others.
    """
    found = (_lifetime(name, node, features, broken) for name, node in top.named("lifetime", "lifetime model"))
    return tuple(model for model in found if model is not None)


def _lifetime(name: str, node: Map, features: Mapping[str, Feature], broken: Sequence[str]) -> Lifetime | None:
    node.only(MODEL, "a lifetime model")
    read = _Reader(node, features, broken)
    frequency = read.feature("frequency", _is_count, "a count of all purchases, {count: true, window: ever}")
    last = read.feature("last", lambda one: one.aggregation is A.SINCE_LAST, "the time since the last, {since: last}")
    first = read.feature("first", lambda one: one.aggregation is A.SINCE_FIRST, "since the first, {since: first}")
    value = read.feature("value", _is_sum, "what they paid, {sum: a money field, window: ever}", required=False)
    read.of_the_same_records()
    refresh_ms = node.duration("refresh", DAY) or 0
    if refresh_ms < MINUTE:
        node.problem("refresh", "parameters can't be looked at so often", "a duration from 1m on, such as 1d")
    after_ms = node.duration("after", AFTER) or 0
    if after_ms < DAY:
        node.problem("after", "customers known for so short tell nothing of a lifetime", "1d at least, such as 30d")
    least, tolerance = node.integer("least", LEAST, 20, 2**31), node.fraction("tolerance", 0.02)
    if frequency is None or last is None or first is None or ("value" in node and value is None):
        return None
    title = node.titles("title", name)
    amount = value.name if value is not None else None
    named = (frequency.name, last.name, first.name, amount)
    return Lifetime(name, title, *named, refresh_ms, least, after_ms, tolerance)


def _is_count(feature: Feature) -> bool:
    return feature.aggregation is A.COUNT and feature.window is None


def _is_sum(feature: Feature) -> bool:
    return feature.aggregation is A.SUM and feature.unit is Unit.MONEY and feature.window is None


class _Reader:
    """The features that a model names; each has to be made of records, and all of the same sources."""

    def __init__(self, node: Map, features: Mapping[str, Feature], broken: Sequence[str]) -> None:
        self._node, self._features, self._broken = node, features, broken
        self._found: dict[str, Feature] = {}

    def feature(self, key: str, fits: Callable[[Feature], bool], what: str, required: bool = True) -> Feature | None:
        """The feature under a key; None after a mistake, which is noted, and where nothing needs to stand."""
        node = self._node
        if key not in node and not required:
            return None
        if not node.require(key, what):
            return None
        name = node.data[key]
        feature = self._features.get(name) if isinstance(name, str) else None
        if feature is not None and fits(feature):
            self._found[key] = feature
            return feature
        fitting = [one.name for one in self._features.values() if fits(one)]
        expected = f"{what}: {listing(fitting)}" if fitting else f"{what}; no feature is one yet"
        if feature is not None:
            node.problem(key, f"feature {name!r} is {_called(feature)}", expected)
        elif name not in self._broken:
            said = f"there is no feature {str(name)!r}" if isinstance(name, str) else f"this is {shape(name)}"
            node.problem(key, said, expected, nearest(name, fitting))
        elif name in self._broken:
            node.problem(key, f"{str(name)!r} is made of other features, or has a mistake of its own", expected)
        return None

    def of_the_same_records(self) -> None:
        """Note where the features speak of different sources."""
        named = {key: set(feature.sources) for key, feature in self._found.items()}
        if "frequency" not in named:
            return
        for key, sources in named.items():
            fine = sources <= named["frequency"] if key == "value" else sources == named["frequency"]
            if not fine:
                said = (
                    f"this speaks of {listing(sorted(sources))}, the frequency of {listing(sorted(named['frequency']))}"
                )
                self._node.problem(key, said, "features of the same purchases")


def _called(feature: Feature) -> str:
    window = "" if feature.window is None else " over a window"
    return f"{feature.aggregation.value!r}{window}"


def outlook_feature(top: Map, name: str, node: Map, lifetimes: Sequence[Lifetime]) -> Feature | None:
    """A feature that says what a lifetime model gives; mistakes are noted."""
    for key in ALONE:
        if key in node:
            node.problem(key, "a feature of a lifetime model has no such setting", "no " + repr(key), of_key=True)
    given = top.data.get("lifetime")
    declared = tuple(map(str, given)) if isinstance(given, dict) else ()
    if not declared:
        node.problem(
            "lifetime", "the catalogue has no lifetime model", f"'lifetime: {{buying: {_EXAMPLE}}}' at the top"
        )
        return None
    called = node.choice("lifetime", declared, "")
    if not node.require("gives", f"one of {listing(Gives)}"):
        return None
    gives = Gives(node.choice("gives", tuple(Gives), Gives.ALIVE))
    within_ms = _within(node, gives)
    discount = node.fraction("discount", 0.0)
    if "discount" in node and gives is Gives.ALIVE:
        node.problem("discount", "a probability is not discounted", "no 'discount'", of_key=True)
    model = next((one for one in lifetimes if one.name == called), None)
    if model is None or within_ms is None:
        return None
    if gives is Gives.VALUE and model.value is None:
        node.problem("gives", f"lifetime model {called!r} knows no amounts", "a 'value' there: a sum of money")
        return None
    outlook = Outlook(called, gives, model.features, within_ms, discount)
    return Feature(name, A.LIFETIME, _UNITS[gives], node.titles("title", name), outlook=outlook)


def _within(node: Map, gives: Gives) -> int | None:
    """How far ahead it looks (ms); None after a mistake, which is noted."""
    if gives is Gives.ALIVE:
        if "within" in node:
            node.problem("within", "whether a customer still comes is said of now", "no 'within'", of_key=True)
        return 0
    if not node.require("within", "a horizon such as 365d"):
        return None
    within_ms = node.duration("within")
    if within_ms is not None and not DAY <= within_ms <= FARTHEST:
        node.problem("within", "so far nothing can be said", "a horizon from 1d to 3650d, such as 365d")
        return None
    return within_ms


def no_outlook(node: Map) -> None:
    """Note settings that only a feature of a lifetime model has."""
    for key in OUTLOOK:
        if key in node:
            node.problem(key, "only a feature of a lifetime model has this", f"no {key!r}", of_key=True)
