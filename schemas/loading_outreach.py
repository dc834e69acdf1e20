"""The targets of a catalogue: what models are to predict."""

from __future__ import annotations

from typing import Final

from schemas import rules
from schemas.catalogue import Label, Target
from schemas.document import Map
from schemas.durations import DAY
from schemas.loading_features import Features, Sources
from schemas.typing import check_condition

TARGET: Final = ("title", "label", "features", "example_every", "about")
LABEL: Final = ("source", "where", "within", "arrives_within", "absent")


def load_targets(top: Map, sources: Sources, features: Features, exponent: int) -> tuple[Target, ...]:
    """What models are to predict."""
    targets: list[Target] = []
    names = [*(feature.name for feature in features.good), *features.broken]
    for name, node in top.named("targets", "target"):
        node.only(TARGET, "a target")
        words = (
            node.known_words("features", names, "feature") if node.require("features", "features to learn from") else ()
        )
        every = node.duration("example_every", 7 * DAY) or 7 * DAY
        below = node.map("label") if node.require("label", "{source: outcomes, where: ..., within: 30d}") else None
        label = _label(below, sources, exponent) if below is not None else None
        if label is not None:
            targets.append(Target(name, node.titles("title", name), label, words, every))
    return tuple(targets)


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
