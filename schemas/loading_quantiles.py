"""Tags that rest on the population, and the codes made of them: `quantiles` and `code` of a catalogue."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Final

from schemas import rules
from schemas.catalogue import Code, Quantiles, Unit
from schemas.document import Map, shape
from schemas.durations import DAY, MINUTE
from schemas.problems import listing, nearest
from schemas.rules import Expr
from schemas.typing import Scope, called, check_condition

SETTINGS: Final = ("of", "levels", "refresh", "order", "population", "missing", "least", "tolerance")
ORDERS: Final = ("rising", "falling")
RANKED: Final = (Unit.MONEY, Unit.COUNT, Unit.RATIO, Unit.DURATION)
MOST_LEVELS: Final = 100
LEAST: Final = 100
TOLERANCE: Final = 0.02
MOST_CODES: Final = 1_000


def named_feature(node: Map, key: str, features: Scope, units: tuple[Unit, ...]) -> str | None:
    """The name of a feature in one of the units; anything else is noted."""
    value = node.data[key]
    if isinstance(value, str) and value in features.names and features.names[value].unit in units:
        return str(value)
    if isinstance(value, str) and value in features.broken:
        return None  # that feature's own mistake is said already
    fitting = [name for name, meaning in features.names.items() if meaning.unit in units]
    if isinstance(value, str) and (value in features.names or value in features.elsewhere):
        said = f"{str(value)!r} is {features.elsewhere.get(value) or called(features.names[value].unit)}"
    else:
        said = f"there is no feature {str(value)!r}" if isinstance(value, str) else f"this is {shape(value)}"
    what = "a feature in numbers" if Unit.COUNT in units else "a feature with words for values"
    node.problem(key, said, f"{what}: {listing(fitting)}" if fitting else what, nearest(value, fitting))
    return None


def load_quantiles(node: Map, features: Scope) -> Quantiles | None:
    """The settings under `quantiles`; mistakes are noted."""
    below = node.map("quantiles")
    if below is None:
        if node.data["quantiles"] is None:
            node.problem("quantiles", "quantiles need settings", "{of: a feature, levels: 5, refresh: 1d}")
        return None
    below.only(SETTINGS, "quantiles")
    levels = below.integer("levels", 5, 2, MOST_LEVELS)
    refresh_ms = below.duration("refresh", DAY) or 0
    if refresh_ms < MINUTE:
        below.problem("refresh", "cut-points can't be looked at so often", "a duration from 1m on, such as 1d")
    of = named_feature(below, "of", features, RANKED) if below.require("of", "a feature in numbers") else None
    since = of is not None and features.names[of].since
    order = below.choice("order", ORDERS, "falling" if since else "rising")
    population = _population(below, features) if "population" in below else None
    missing = below.choice("missing", ("exclude", "lowest"), "exclude")
    least = below.integer("least", max(LEAST, levels), levels, 2**31)
    tolerance = below.fraction("tolerance", TOLERANCE)
    if of is None or ("population" in below and population is None):
        return None
    return Quantiles(of, levels, refresh_ms, order == "falling", population, missing == "lowest", least, tolerance)


def _population(below: Map, features: Scope) -> Expr | None:
    return below.rule("population", lambda text: check_condition(rules.parse(text), features))


def parts_of_code(node: Map) -> list[str]:
    """The names in a code's list; what is none there is noted by `load_code`."""
    given = node.data["code"]
    return [str(part) for part in given if isinstance(part, str)] if isinstance(given, list) else []


def load_code(node: Map, scope: Scope) -> Code | None:
    """The tags and features that a code is made of; mistakes are noted."""
    said = "a list of tags or features with words for values, [recency, frequency]"
    if not isinstance(node.data["code"], list):
        node.problem("code", f"this is {shape(node.data['code'])}", said)
        return None
    found: list[str] = []
    for name, at in node.items("code"):
        meaning = scope.names.get(name)
        if meaning is not None and meaning.unit is Unit.CATEGORY:
            found.append(name)
        elif name not in scope.broken:
            fitting = [known for known, one in scope.names.items() if one.unit is Unit.CATEGORY]
            what = f"{name!r} is {called(meaning.unit)}" if meaning else f"there is no feature or tag {name!r}"
            node.document.add(at, node.under("code"), what, said, nearest(name, fitting))
    if len(found) < len(node.data["code"]):
        return None
    if len(found) < 2 or len(set(found)) < len(found):
        node.problem("code", "a code is made of two or more, each once", said)
        return None
    values = [scope.names[name].values for name in found]
    codes = how_many(values)
    if codes > MOST_CODES:
        node.problem("code", f"this makes {codes:,} values", f"at most {MOST_CODES:,}: fewer parts, or coarser ones")
        return None
    return Code(tuple(found), spelt_out(values))


def how_many(values: Sequence[Sequence[str]]) -> int:
    """How many words `spelt_out` makes of these."""
    return math.prod(map(len, values))


def spelt_out(values: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Every word a code may say, the last part changing fastest: 545, or gold-5 where words are longer."""
    between = "" if all(len(value) == 1 for part in values for value in part) else "-"
    return tuple(between.join(word) for word in itertools.product(*values))
