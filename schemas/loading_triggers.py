"""The triggers of a catalogue: whom to contact when, with whose consent, how often and at what hours."""

from __future__ import annotations

import re
from typing import Final

from schemas.catalogue import Aggregation, Cap, Crossing, Feature, QuietHours, Trigger, Unit
from schemas.document import Map, shape
from schemas.durations import DAY, HOUR, MINUTE, format_duration
from schemas.loading_features import Features, Sources
from schemas.loading_sources import HOURS
from schemas.loading_tags import Tags
from schemas.problems import listing, nearest
from schemas.typing import called

TRIGGER: Final = (
    "title",
    "on",
    "channel",
    "consent",
    "expires",
    "cooldown",
    "cap",
    "quiet",
    "holdout",
    "about",
)
NO_CONSENT_NEEDED: Final = "none"
_CONSENT: Final = "a boolean of a profile, a tag that is on or off, or none for service messages"
_CAP: Final = re.compile(r"(\d+) per (\d+)d")


def load_triggers(top: Map, sources: Sources, features: Features, tags: Tags) -> tuple[Trigger, ...]:
    """The outreach policies in the catalogue's order."""
    declared = [name for name, _ in top.named("tags", "tag")]
    segments = [name for name, _ in top.named("segments", "segment")]
    consents = _Consents(sources, features, tags, declared, segments)
    triggers: list[Trigger] = []
    for name, node in top.named("triggers", "trigger"):
        node.only(TRIGGER, "a trigger")
        consent = consents.read(node)
        limits = (_expires(node, sources), node.duration("cooldown", 0) or 0, _cap(node), _quiet(node), _holdout(node))
        channel = _channel(node)
        on = node.map("on") if node.require("on", "{segment: a segment, change: enter}") else None
        if on is None:
            continue
        on.only(("segment", "change"), "'on'")
        change = Crossing(on.choice("change", tuple(Crossing), Crossing.ENTER))
        if on.require("segment", "a segment"):
            segment = on.choice("segment", segments, "")
            triggers.append(Trigger(name, node.titles("title", name), segment, change, channel, consent, *limits))
    return tuple(triggers)


class _Consents:
    """What a trigger's `consent` may name."""

    def __init__(
        self, sources: Sources, features: Features, tags: Tags, declared: list[str], segments: list[str]
    ) -> None:
        self._segments = segments
        self._profiles = [source.name for source in sources.good if source.profile]
        self._features = {feature.name: feature for feature in features.good}
        self._tags = {tag.name: tag for tag in tags.good}
        self._broken = {*features.broken, *declared} - self._tags.keys()
        booleans = [feature.name for feature in features.good if self._of_profile(feature)]
        self._fitting = [*booleans, *(tag.name for tag in tags.good if tag.boolean)]

    def _of_profile(self, feature: Feature) -> bool:
        last = feature.unit is Unit.BOOLEAN and feature.aggregation is Aggregation.LAST
        return last and feature.sources[0] in self._profiles

    def read(self, node: Map) -> str | None:
        """The name given, None for `none`; anything that can't say whether a customer agreed is noted."""
        if not node.require("consent", _CONSENT):
            return None
        value = node.data["consent"]
        if value == NO_CONSENT_NEEDED:
            return None
        if isinstance(value, str) and (value in self._fitting or value in self._broken):
            return str(value)  # a broken one's own mistake is said already
        expected = f"{_CONSENT}: {listing(self._fitting)}" if self._fitting else _CONSENT
        hint = nearest(value, (*self._fitting, NO_CONSENT_NEEDED)) if isinstance(value, str) else ""
        if str(value).casefold() in ("no", "false", "not needed"):
            hint = "Write none, for service messages only."
        node.problem("consent", self._said(value), expected, hint)
        return None

    def _said(self, value: object) -> str:
        if not isinstance(value, str):
            return f"this is {shape(value)}"
        if value in self._tags:
            return f"{str(value)!r} is a tag with several values: it can't say whether a customer agreed"
        feature = self._features.get(value)
        if value in self._segments:
            return f"{str(value)!r} is a segment"
        if feature is None:
            return f"there is no feature or tag {str(value)!r}"
        if feature.unit is Unit.BOOLEAN:
            return f"{str(value)!r} is a boolean of events: consent is what the newest profile says"
        return f"{str(value)!r} is {called(feature.unit)}: it can't say whether a customer agreed"


def _channel(node: Map) -> str:
    channel = node.text("channel", "topic")
    if "channel" in node and not channel.strip():
        node.problem("channel", "the channel has no name", "a word such as phone or app-push")
    return channel


def _expires(node: Map, sources: Sources) -> int:
    """A change that time makes is known a source's `allowed_skew` later: what expires sooner is never sent."""
    expires_ms = node.duration("expires", DAY)
    if expires_ms is None or "expires" not in node:
        return DAY
    slowest = max(sources.good, key=lambda source: source.allowed_skew_ms, default=None)
    wait_ms = slowest.allowed_skew_ms if slowest is not None else 0
    if expires_ms == 0:
        node.problem("expires", "a request that expires at once is never carried out", "a duration such as 1d")
    elif slowest is not None and expires_ms <= wait_ms:
        skew = format_duration(wait_ms)
        said = f"a change that time makes may be known {skew} late (allowed_skew of {slowest.name!r}): it would expire"
        node.problem("expires", said, f"more than {skew}")
    return expires_ms


def _cap(node: Map) -> Cap | None:
    if "cap" not in node:
        return None
    match = _CAP.fullmatch(str(node.data["cap"]))
    if not match:
        node.problem("cap", f"this is {shape(node.data['cap'])}", "times per days, '3 per 30d'")
        return None
    cap = Cap(int(match[1]), int(match[2]) * DAY)
    if not cap.most or not cap.per_ms:
        said = "a cap of 0 lets nothing through" if not cap.most else "a cap per 0 days limits nothing"
        hint = "To stop a trigger, take it away." if not cap.most else ""
        node.problem("cap", said, "times per days, '3 per 30d'", hint)
        return None
    return cap


def _quiet(node: Map) -> QuietHours | None:
    if "quiet" not in node:
        return None
    match = HOURS.fullmatch(str(node.data["quiet"]))
    if not match:
        node.problem("quiet", f"this is {shape(node.data['quiet'])}", "hours in quotes, '21:00-09:00'")
        return None
    start, end = (int(match[part]) * 60 + int(match[part + 1]) for part in (1, 3))
    if start == end:
        node.problem("quiet", "quiet hours that end as they begin say nothing", "two times, '21:00-09:00'")
    elif (start - end) * MINUTE % DAY < HOUR:
        said = "these quiet hours leave less than an hour of the day"
        node.problem("quiet", said, "hours such as '21:00-09:00'", "Begin and end may be swapped.")
    return QuietHours(start, end)


def _holdout(node: Map) -> float:
    holdout = node.fraction("holdout", 0.0)
    if holdout == 1:
        said = "with everybody held out nobody is ever contacted"
        node.problem("holdout", said, "less than 100%, such as 10%", "To stop a trigger, take it away.")
    return holdout
