"""The targets and triggers of a catalogue: what models are to predict, and whom to contact when."""

from __future__ import annotations

import re
from typing import Final

from schemas import rules
from schemas.catalogue import Label, Target, Trigger
from schemas.document import Map, shape
from schemas.durations import DAY
from schemas.loading_features import Features, Sources
from schemas.loading_sources import HOURS
from schemas.typing import check_condition

TARGET: Final = ("title", "label", "features", "example_every", "about")
LABEL: Final = ("source", "where", "within", "arrives_within", "absent")
TRIGGER: Final = ("title", "on", "channel", "cooldown", "cap", "quiet", "holdout", "about")


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


def load_triggers(top: Map) -> tuple[Trigger, ...]:
    """The outreach policies."""
    segments = [name for name, _ in top.named("segments", "segment")]
    triggers: list[Trigger] = []
    for name, node in top.named("triggers", "trigger"):
        node.only(TRIGGER, "a trigger")
        settings = (_cap(node), _quiet(node), node.fraction("holdout", 0.0))
        cooldown, channel = node.duration("cooldown", 0) or 0, node.text("channel", "topic")
        on = node.map("on") if node.require("on", "{segment: a segment, change: enter}") else None
        if on is None:
            continue
        on.only(("segment", "change"), "'on'")
        change = on.choice("change", ("enter", "leave"), "enter")
        if on.require("segment", "a segment"):
            segment = on.choice("segment", segments, "")
            triggers.append(Trigger(name, node.titles("title", name), segment, change, channel, cooldown, *settings))
    return tuple(triggers)


def _cap(node: Map) -> tuple[int, int] | None:
    if "cap" not in node:
        return None
    match = re.fullmatch(r"(\d+) per (\d+)d", str(node.data["cap"]))
    if not match:
        node.problem("cap", f"this is {shape(node.data['cap'])}", "times per days, '3 per 30d'")
        return None
    return int(match[1]), int(match[2]) * DAY


def _quiet(node: Map) -> tuple[int, int] | None:
    if "quiet" not in node:
        return None
    match = HOURS.fullmatch(str(node.data["quiet"]))
    if not match:
        node.problem("quiet", f"this is {shape(node.data['quiet'])}", "hours in quotes, '21:00-09:00'")
        return None
    hours = [int(part) for part in match.groups()]
    return hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
