"""Small worlds for the triggers: a catalogue with these triggers, changes, and what is known of customers."""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.catalogue import Catalogue, Crossing, Trigger
from schemas.loading import loads
from schemas.records import Cause, SegmentChange
from schemas.values import iso

BASE = """
catalogue: outreach
timezone: Europe/Berlin
sources:
  look: {topic: look, key: customer, time: at, fields: {page: [home, help]}}
  who:
    topic: who
    kind: profile
    key: customer
    time: updated_at
    fields: {agreed: boolean, calls: {type: boolean, path: may.call, optional: true}}
features:
  looks: {source: look, count: true, window: 30d}
  has_agreed: {source: who, last: agreed}
  may_call: {source: who, last: calls}
tags:
  contactable: {when: has_agreed}
segments:
  busy: {when: looks > 3}
  idle: {when: looks < 1}
  first: {when: looks == 1}
"""


def trigger(name: str = "call", **settings: Any) -> Trigger:
    """A trigger without limits on entering `busy`, but for these settings."""
    plain = Trigger(name, {"en": name, "zh": name}, "busy", Crossing.ENTER, "phone", None)
    return msgspec.structs.replace(plain, **settings)


def catalogue(*triggers: Trigger, timezone: str = "UTC") -> Catalogue:
    """A catalogue with these triggers."""
    return msgspec.structs.replace(loads(BASE), triggers=triggers, timezone=timezone)


def change(
    at_ms: int,
    customer: str = "anna",
    segment: str = "busy",
    new: bool = True,
    cause: Cause = Cause.EVENT,
    change_id: str = "",
) -> SegmentChange:
    """A change of a segment; its id tells changes apart that differ in anything."""
    found = change_id or f"{customer} {segment} {new} {at_ms} {cause}"
    return SegmentChange(found, customer, segment, not new, new, iso(at_ms), cause, 1, {"looks": 4})


class Facts:
    """What is known, the same of every customer."""

    def __init__(self, consent: bool | None = True, member: bool = True) -> None:
        self.consent, self.inside = consent, member

    def consented(self, trigger: Trigger, customer: str) -> bool | None:
        """The consent, which nobody asks for where none is needed."""
        assert trigger.consent is not None
        return self.consent

    def member(self, segment: str, customer: str) -> bool:
        """Whether the customer is inside."""
        return self.inside
