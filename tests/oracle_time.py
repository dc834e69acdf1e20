"""The specification in slow Python: at which moments time alone may change what is said (P4).

What the oracle looks at is more than what the engine must: both sides of every duration, every tile that leaves. What
the engine's next due time has to be is said exactly, by `next_due`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from schemas import rules
from schemas.catalogue import Aggregation, Catalogue, Category, Code, Feature, Levels, Quantiles, Segment, Tag, When
from schemas.durations import DAY
from schemas.records import Value
from schemas.rules import Expr, Op
from tests.oracle_rules import Fact, tile, tile_leaves

SINCES = (Aggregation.SINCE_LAST, Aggregation.SINCE_FIRST)


def conditions(thing: Tag | Segment) -> list[Expr]:
    """The conditions of a tag or segment."""
    match thing:
        case Segment(rule=rule) | Tag(rule=When(rule=rule)):
            return [rule]
        case Tag(rule=Levels(rules=some)):
            return [rule for rule in some if rule is not None]
        case Tag(rule=Quantiles(population=population)):
            return [population] if population is not None else []
    return []


def names_used(thing: Tag | Segment) -> list[str]:
    """The features and tags that a rule names, in the order of their first appearance."""
    if isinstance(thing, Tag) and isinstance(thing.rule, Category):
        return [thing.rule.of]
    if isinstance(thing, Tag) and isinstance(thing.rule, Code):
        return list(thing.rule.of)
    first = [thing.rule.of] if isinstance(thing, Tag) and isinstance(thing.rule, Quantiles) else []
    return list(dict.fromkeys([*first, *(name.name for rule in conditions(thing) for name in rules.names_in(rule))]))


def models_under(catalogue: Catalogue, names: Iterable[str]) -> Iterator[str]:
    """The lifetime models that features among these names rest on, through computed features too."""
    features = {feature.name: feature for feature in catalogue.features}
    for feature in (features[name] for name in names if name in features):
        if feature.outlook is not None:
            yield feature.outlook.model
        elif feature.compute is not None:
            yield from models_under(catalogue, feature.rests_on)


def midnight(after: int, offset_ms: int) -> int:
    """The first local midnight after a moment."""
    return after - (after + offset_ms) % DAY + DAY


class Moments:
    """When records make a customer's tags change later, by what the catalogue's rules say."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._offset_ms = catalogue.offset_ms
        things = (*catalogue.tags, *catalogue.segments)
        self.compared = _compared(things)
        used = {name for thing in things for name in names_used(thing)}
        used |= {tag.rule.of for tag in catalogue.tags if isinstance(tag.rule, Quantiles)}
        for _ in catalogue.features:  # a computed feature's bases, and theirs
            for feature in catalogue.features:
                if feature.name in used and feature.compute is not None:
                    used |= {name.name for name in rules.names_in(feature.compute)}
        self._features = [feature for feature in catalogue.features if feature.name in used]

    def of(self, fact: Fact) -> Iterator[int]:
        """Moments at which this record may change a tag by time alone; at some of them nothing will."""
        time = fact.time or 0
        for feature in self._features:
            if feature.name not in fact.features:
                continue
            if feature.window is not None:
                yield tile_leaves(feature.window, time, self._offset_ms)
            elif feature.aggregation in SINCES:
                for ms, _ in self.compared.get(feature.name, ()):
                    yield from (time + ms, time + ms + 1)

    def due(self, facts: Iterable[Fact], after: int) -> Iterator[int]:
        """The moments after `after` at which a window or a duration of these records turns, as P4 has them.

        A window turns when its oldest tile that holds something leaves, and a duration when it is reached (`<`, `>=`)
        or a millisecond later (`<=`, `>`), counted from the record that decides.
        """
        known = list(facts)
        for feature in self._features:
            mine = [fact for fact in known if feature.name in fact.features]
            if feature.window is not None:
                yield from (moment for moment in _leaving(feature, mine, self._offset_ms) if moment > after)
            elif feature.aggregation in SINCES and mine:
                times = [fact.time or 0 for fact in mine]
                from_ms = max(times) if feature.aggregation is Aggregation.SINCE_LAST else min(times)
                turns = [from_ms + ms + later for ms, later in self.compared.get(feature.name, ())]
                yield from (turn for turn in turns if turn > after)


def _leaving(feature: Feature, facts: list[Fact], offset_ms: int) -> Iterator[int]:
    """When each tile leaves that holds something; a sum of nothing is nothing."""
    if feature.window is None:
        return
    tiles: dict[int, tuple[int, list[Value]]] = {}
    for fact in facts:
        value = (fact.fields or {}).get(feature.field) if feature.field else True
        if value is not None:
            time = fact.time or 0
            leaves = tile_leaves(feature.window, time, offset_ms)
            tiles.setdefault(tile(feature.window, time, offset_ms), (leaves, []))[1].append(value)
    for leaves, values in tiles.values():
        if feature.aggregation is not Aggregation.SUM or sum(v for v in values if isinstance(v, int)) != 0:
            yield leaves


def _compared(things: Iterable[Tag | Segment]) -> Mapping[str, set[tuple[int, int]]]:
    """The durations (ms) that rules compare each feature with, and how long after (ms) the rule turns."""
    found: dict[str, set[tuple[int, int]]] = {}

    def walk(expr: Expr) -> None:
        match expr:
            case rules.Compare(op=op, left=rules.Name(name=name), right=rules.Duration(ms=ms)):
                found.setdefault(name, set()).add((ms, 1 if op in (Op.LE, Op.GT) else 0))
            case rules.Both(parts=parts) | rules.Either(parts=parts):
                for part in parts:
                    walk(part)
            case rules.Not(of=of):
                walk(of)

    for thing in things:
        for expr in conditions(thing):
            walk(expr)
    return found
