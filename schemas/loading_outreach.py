"""The triggers of a catalogue: whom to contact when."""

from __future__ import annotations

import re
from typing import Final

from schemas.catalogue import Trigger
from schemas.document import Map, shape
from schemas.durations import DAY
from schemas.loading_sources import HOURS

TRIGGER: Final = ("title", "on", "channel", "cooldown", "cap", "quiet", "holdout", "about")


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
