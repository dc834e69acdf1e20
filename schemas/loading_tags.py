"""The tags and segments of a catalogue, and the order in which tags are evaluated."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from schemas import rules
from schemas.catalogue import Category, Code, Levels, Quantiles, Rule, Score, Segment, Tag, TagKind, Unit, When
from schemas.document import Map
from schemas.loading_features import Features, circle, feature_meaning
from schemas.loading_quantiles import (
    MOST_CODES,
    how_many,
    load_code,
    load_quantiles,
    named_feature,
    parts_of_code,
    spelt_out,
)
from schemas.problems import listing
from schemas.rules import Expr
from schemas.typing import Meaning, Scope, check_condition

RULES: Final = ("when", "levels", "category", "quantiles", "score", "code")
TAG: Final = ("title", "kind", "owner", "about", "used_for", "freshness", "hold", "margin", *RULES)
SEGMENT: Final = ("title", "about", "when", "owner", "used_for")
DEFAULT_KIND: Final = {
    "score": TagKind.PREDICTED,
    "quantiles": TagKind.VALUE,
    "code": TagKind.VALUE,
    "levels": TagKind.LIFECYCLE,
}


class Tags(NamedTuple):
    """The tags as in the file, their order of evaluation, and the scope of rules over features and tags."""

    good: tuple[Tag, ...]
    order: tuple[str, ...]
    scope: Scope


def load_tags(top: Map, features: Features, exponent: int) -> Tags:
    """The tags in the catalogue's order, and their names in the order of evaluation."""
    nodes = dict(top.named("tags", "tag"))
    known = {feature.name: feature_meaning(feature) for feature in features.good}
    targets = tuple(name for name, _ in top.named("targets", "target"))
    segments = {name: "a segment: tags can't rest on segments" for name, _ in top.named("segments", "segment")}
    for name, node in nodes.items():
        if name in known or name in features.broken:
            node.problem(None, f"a feature is named {name!r} too", "a name of its own")
    meanings = {name: _meaning(node, known) for name, node in nodes.items()}
    meanings |= _meanings_of_codes(nodes, known | {n: m for n, m in meanings.items() if m is not None})
    broken = (*features.broken, *(name for name, meaning in meanings.items() if meaning is None))
    names = {name: meaning for name, meaning in meanings.items() if meaning is not None} | known
    scope = Scope(names, "feature or tag", exponent, broken, {n: s for n, s in segments.items() if n not in names})
    feature_scope = Scope(known, "feature", exponent, features.broken, dict.fromkeys(nodes.keys() - known, "a tag"))
    tags = {name: tag for name, node in nodes.items() if (tag := _tag(name, node, scope, feature_scope, targets))}
    rests = {name: (rests_on(tag.rule) & tags.keys()) - known.keys() for name, tag in tags.items()}
    return Tags(tuple(tags.values()), tuple(_order(rests, nodes)), scope)


def rests_on(rule: Rule) -> set[str]:
    """The names of features and tags that a tag's rule uses."""
    match rule:
        case When(rule=expr):
            return {name.name for name in rules.names_in(expr)}
        case Levels(rules=conditions):
            return {name.name for expr in conditions if expr is not None for name in rules.names_in(expr)}
        case Category(of=of):
            return {of}
        case Quantiles(of=of, population=population):
            return {of} | ({name.name for name in rules.names_in(population)} if population is not None else set())
        case Code(of=parts):
            return set(parts)
    return set()


def _order(rests: Mapping[str, set[str]], nodes: Mapping[str, Map]) -> list[str]:
    """Dependency order; where several could come next, the catalogue's order decides. Circles are noted."""
    done: list[str] = []
    waiting = dict(rests)
    while waiting:
        ready = next((name for name in waiting if not waiting[name] & waiting.keys()), None)
        if ready is None:
            ring = circle({name: waiting[name] & waiting.keys() for name in waiting})
            said = (
                "it rests on itself" if len(ring) == 1 else f"these rest on each other: {' -> '.join((*ring, ring[0]))}"
            )
            key = next((key for key in RULES if key in nodes[ring[0]]), None)
            nodes[ring[0]].problem(key, said, "tags that don't lead back here")
            for name in ring:
                del waiting[name]
            continue
        done.append(ready)
        del waiting[ready]
    return done


def _meaning(node: Map, known: Mapping[str, Meaning]) -> Meaning | None:
    """What a tag's name means in other rules, from its declaration alone; None where that can't be told."""
    given = [key for key in RULES if key in node]
    if given == ["when"]:
        return Meaning(Unit.BOOLEAN)
    if given in (["levels"], ["levels", "score"]):
        levels = node.data["levels"]
        return Meaning(Unit.CATEGORY, tuple(map(str, levels))) if isinstance(levels, dict) else None
    if given == ["quantiles"]:
        below = node.data["quantiles"]
        count = below.get("levels", 5) if isinstance(below, dict) else 5
        return Meaning(Unit.CATEGORY, tuple(str(n + 1) for n in range(count))) if isinstance(count, int) else None
    of = known.get(str(node.data["category"])) if given == ["category"] else None
    return Meaning(Unit.CATEGORY, of.values) if of and of.unit is Unit.CATEGORY else None


def _meanings_of_codes(nodes: Mapping[str, Map], known: Mapping[str, Meaning]) -> dict[str, Meaning | None]:
    """What codes mean, whose values are those of other tags; codes that lead back to themselves are noted."""
    waiting = {name: parts_of_code(node) for name, node in nodes.items() if "code" in node}
    found: dict[str, Meaning | None] = {}
    while waiting:
        ready = next((name for name, parts in waiting.items() if not waiting.keys() & set(parts)), None)
        if ready is None:
            ring = circle({name: set(parts) & waiting.keys() for name, parts in waiting.items()})
            nodes[ring[0]].problem("code", "this code rests on itself", "tags that don't lead back here")
            return found | dict.fromkeys(waiting)
        found[ready] = _meaning_of_code(waiting.pop(ready), {**known, **{n: m for n, m in found.items() if m}})
    return found


def _meaning_of_code(names: Sequence[str], known: Mapping[str, Meaning]) -> Meaning | None:
    parts = [known[name] for name in names if name in known and known[name].unit is Unit.CATEGORY]
    values = [part.values for part in parts]
    fine = len(parts) == len(names) and parts and how_many(values) <= MOST_CODES
    return Meaning(Unit.CATEGORY, spelt_out(values)) if fine else None


def _tag(name: str, node: Map, scope: Scope, features: Scope, targets: tuple[str, ...]) -> Tag | None:
    node.only(TAG, "a tag")
    given = [key for key in RULES if key in node]
    if len(given) != 1 and given != ["levels", "score"]:
        said = f"this one has {listing(given)}" if given else "this one has none"
        node.problem(None, f"a tag has one rule, {said}", f"one of {listing(RULES)}")
        return None
    how = "score" if "score" in given else given[0]
    rule = _rule(how, node, scope, features, targets)
    hold_ms = node.duration("hold", 0) or 0
    if "hold" in node and how != "when":
        node.problem("hold", "only a tag that is on or off can hold", "a 'when', or no 'hold'", of_key=True)
    if "margin" in node and how != "score":
        node.problem("margin", "only a score has a margin", "no 'margin'", of_key=True)
    kind = TagKind(node.choice("kind", tuple(TagKind), DEFAULT_KIND.get(how, TagKind.BEHAVIOUR)))
    tag_settings = (node.titles("title", name), node.titles("about", ""), node.text("owner"))
    used_for, freshness_ms = node.words("used_for"), node.duration("freshness")
    if rule is None:
        return None
    return Tag(name, kind, rule, *tag_settings, _text(how, node), used_for, freshness_ms, hold_ms)


def _text(how: str, node: Map) -> str:
    """The rule as written, for people."""
    value = node.data[how]
    if how == "score":
        return f"probability of {value}: " + ", ".join(f"{k} from {v}" for k, v in node.data["levels"].items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return "; ".join(f"{k}: {v}" for k, v in value.items())
    return str(value)


def _rule(how: str, node: Map, scope: Scope, features: Scope, targets: tuple[str, ...]) -> Rule | None:
    match how:
        case "when":
            rule = node.rule("when", lambda text: check_condition(rules.parse(text), scope))
            return When(rule) if rule is not None else None
        case "levels":
            return _levels(node, scope)
        case "category":
            of = named_feature(node, "category", features, (Unit.CATEGORY,))
            return Category(of, features.names[of].values) if of else None
        case "quantiles":
            return load_quantiles(node, features)
        case "code":
            return load_code(node, scope)
    return _score(node, targets)


def _levels(node: Map, scope: Scope) -> Levels | None:
    below = node.map("levels")
    if below is None or not below.data:
        if not node.data["levels"]:
            node.problem(
                "levels", "levels need names and conditions", "{active: since_activity < 14d, lost: otherwise}"
            )
        return None
    names: list[str] = []
    conditions: list[Expr | None] = []
    last = list(below.data)[-1]
    for name, value in below.data.items():
        if below.cut(name):
            continue
        names.append(str(name))
        if value == "otherwise":
            if name != last:
                below.problem(
                    name, "'otherwise' is always true: no level after it is reached", "'otherwise' as the last level"
                )
            conditions.append(None)
            continue
        rule = below.rule(name, lambda text: check_condition(rules.parse(text), scope))
        if rule is not None:
            conditions.append(rule)
    return Levels(tuple(names), tuple(conditions)) if len(names) == len(conditions) else None


def _score(node: Map, targets: tuple[str, ...]) -> Score | None:
    if not targets:
        node.problem("score", "the catalogue has no targets to score", "a target under 'targets'")
    target = node.choice("score", targets, targets[0]) if targets else ""
    margin = node.fraction("margin", 0.0)
    below = node.map("levels")
    if below is None or not below.data:
        if not node.data.get("levels"):
            node.problem("score", "a score needs levels", "levels: {high: 0.30, middle: 0.10, low: 0}")
        return None
    before = len(node.document.problems)
    thresholds = [below.fraction(name, 0.0) for name in below.data]
    if len(node.document.problems) > before:
        return None
    if any(a <= b for a, b in itertools.pairwise(thresholds)) or thresholds[-1] != 0:
        node.problem("levels", "thresholds fall from level to level and end at 0", "{high: 0.30, middle: 0.10, low: 0}")
    return Score(target, tuple(map(str, below.data)), tuple(thresholds), margin)


def load_segments(top: Map, features: Features, tags: Tags, exponent: int) -> tuple[Segment, ...]:
    """The segments in the catalogue's order."""
    nodes = dict(top.named("segments", "segment"))
    taken = {*tags.scope.names, *tags.scope.broken}
    elsewhere = {name: "a segment: segments can't rest on segments" for name in nodes if name not in taken}
    scope = Scope(tags.scope.names, "feature or tag", exponent, tags.scope.broken, elsewhere)
    segments: list[Segment] = []
    for name, node in nodes.items():
        node.only(SEGMENT, "a segment")
        if name in taken:
            node.problem(None, f"a feature or tag is named {name!r} too", "a name of its own")
        titles = node.titles("title", name), node.titles("about", "")
        if not node.require("when", "a condition over tags and features"):
            continue
        rule = node.rule("when", lambda text: check_condition(rules.parse(text), scope))
        if rule is not None:
            segments.append(Segment(name, rule, *titles, str(node.data["when"])))
    return tuple(segments)
