"""The targets of a catalogue: what models are to predict, from which features, and how often they are asked."""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import Final

from schemas import rules
from schemas.catalogue import Cross, Feature, Label, Promotion, Target, Unit
from schemas.document import Map
from schemas.durations import DAY
from schemas.loading_features import Features, Sources
from schemas.problems import listing, nearest
from schemas.typing import called, check_condition

TARGET: Final = ("title", "label", "features", "example_every", "refresh", "prior", "about", "crosses", "promotion")
LABEL: Final = ("source", "where", "within", "arrives_within", "absent")
LEARNABLE: Final = (Unit.MONEY, Unit.COUNT, Unit.RATIO, Unit.DURATION, Unit.BOOLEAN)
PROMOTION: Final = ("evidence", "automatic")
PRIOR: Final = 0.02
MOST_CROSSED: Final = 20
"""So many features are crossed where nothing is declared: 210 products."""


def load_targets(top: Map, sources: Sources, features: Features, exponent: int) -> tuple[Target, ...]:
    """What models are to predict."""
    targets: list[Target] = []
    for name, node in top.named("targets", "target"):
        node.only(TARGET, "a target")
        words = _features(node, features) if node.require("features", "features to learn from") else ()
        every = node.duration("example_every", 7 * DAY) or 7 * DAY
        refresh, prior = node.duration("refresh", DAY) or DAY, _prior(node)
        below = node.map("label") if node.require("label", "{source: outcomes, where: ..., within: 30d}") else None
        label = _label(below, sources, exponent) if below is not None else None
        crosses = _crosses(node, words) if "crosses" in node else default_crosses(words)
        below = node.map("promotion") if "promotion" in node else None
        promotion = _promotion(below) if below is not None else Promotion()
        if label is not None:
            titles = node.titles("title", name)
            targets.append(Target(name, titles, label, words, every, refresh, prior, crosses, promotion))
    return tuple(targets)


def _features(node: Map, features: Features) -> tuple[str, ...]:
    """The features to learn from; one that is no number is noted where it stands."""
    known: dict[str, Feature | None] = {feature.name: feature for feature in features.good}
    known |= dict.fromkeys(features.broken)
    words = node.known_words("features", known, "feature")
    fitting = listing(feature.name for feature in features.good if feature.unit in LEARNABLE)
    for word in words:
        feature = known[word]
        if feature is not None and feature.unit not in LEARNABLE:
            said = f"a model can't learn from {word!r}: it is {called(feature.unit)}"
            node.document.add(node.at_word("features", word), node.under("features"), said, _expected(fitting))
    return words


def _expected(fitting: str) -> str:
    return f"features in numbers or true and false: {fitting}" if fitting else "features in numbers or true and false"


def default_crosses(features: tuple[str, ...]) -> tuple[Cross, ...]:
    """The products that a target's second model takes in where none are declared: of each two, and each squared."""
    pairs = combinations_with_replacement(features[:MOST_CROSSED], 2)
    return tuple(Cross(first, second) for first, second in pairs)


def _crosses(node: Map, features: tuple[str, ...]) -> tuple[Cross, ...]:
    """The products that are declared."""
    found: list[Cross] = []
    for pair, at in node.lists("crosses", "two features, [a, b]"):
        unknown = [word for word in pair if word not in features]
        if len(pair) != 2:
            said = f"{len(pair)} features are no pair"
            node.document.add(at, node.under("crosses"), said, "two features, [a, b]; [a, a] squares one")
        elif unknown:
            said = f"there is no feature {unknown[0]!r} in the target's features"
            expected = f"one of {listing(features)}"
            node.document.add(at, node.under("crosses"), said, expected, nearest(unknown[0], features))
        elif Cross(*pair) in found or Cross(pair[1], pair[0]) in found:
            node.document.add(at, node.under("crosses"), f"{pair[0]!r} and {pair[1]!r} stand here twice", "each once")
        else:
            found.append(Cross(*pair))
    return tuple(found)


def _promotion(node: Map) -> Promotion:
    node.only(PROMOTION, "a promotion")
    return Promotion(float(node.integer("evidence", 20, 2, 1_000_000)), node.boolean("automatic", default=True))


def _prior(node: Map) -> float:
    prior = node.fraction("prior", PRIOR)
    if prior in (0.0, 1.0):
        node.problem("prior", f"a prior of {prior:.0%} leaves nothing to learn", "a share between 0 and 1, such as 2%")
        return PRIOR
    return prior


def _label(node: Map, sources: Sources, exponent: int) -> Label | None:
    node.only(LABEL, "a label")
    within = node.duration("within") if node.require("within", "a horizon such as 30d") else None
    arrives_within_ms = node.duration("arrives_within", 0) or 0
    if ("absent" in node) == ("source" in node):
        node.problem(None, "a label is an outcome of a source, or the absence of any", "one of source, absent")
        return None
    events = [source.name for source in sources.good if not source.profile]
    absent = node.known_words("absent", events, "source of events")
    named = node.known_words("source", events, "source of events")
    source = sources.get(named[0]) if len(named) == 1 else None
    if len(named) > 1:
        node.problem("source", "an outcome comes from one source", "one source")
    if "where" in node and "absent" in node:
        node.problem("where", "the absence of records has no 'where'", "no 'where'", of_key=True)
    where = None
    if "where" in node and source is not None:
        scope = sources.scope(source, exponent)
        where = node.rule("where", lambda text: check_condition(rules.parse(text), scope))
    if within is None or not (absent or source):
        return None
    return Label(within, source.name if source else None, where, arrives_within_ms, absent)
