"""Every record livetags writes, in the shape of its JSON (DESIGN section 8)."""

from __future__ import annotations

import hashlib
from enum import StrEnum

import msgspec

# None of these can be part of a circle, so the garbage collector need not look at them (`gc=False`).
Value = bool | int | float | str | None


class Cause(StrEnum):
    """Why something changed."""

    EVENT, TIME, LATE, PROFILE, SCORE = "event", "time", "late", "profile", "score"
    CUT_POINT, DEFINITION, ERASURE, CORRECTION = "cut-point", "definition", "erasure", "correction"


class TagChange(msgspec.Struct, frozen=True, gc=False):
    """A tag going from one value to another; `because` holds what its rule used."""

    id: str
    customer_id: str
    tag: str
    old: bool | str | None
    new: bool | str | None
    at: str
    cause: Cause
    catalogue_version: int
    because: dict[str, Value]

    @property
    def name(self) -> str:
        """The tag."""
        return self.tag


class SegmentChange(msgspec.Struct, frozen=True, gc=False):
    """A customer entering (`new` true) or leaving a segment."""

    id: str
    customer_id: str
    segment: str
    old: bool
    new: bool
    at: str
    cause: Cause
    catalogue_version: int
    because: dict[str, Value]

    @property
    def name(self) -> str:
        """The segment."""
        return self.segment


Change = TagChange | SegmentChange


class CustomerTags(msgspec.Struct, frozen=True, gc=False):
    """All that is said about a customer; `segments` holds those the customer is in, since when."""

    customer_id: str
    at: str
    tags: dict[str, bool | str | None]
    segments: dict[str, str]
    features: dict[str, Value]
    status: dict[str, str]


class DeadLetter(msgspec.Struct, frozen=True, gc=False):
    """A record that could not be read, whole: topic, partition and offset are where it came from.

    Attributes
    ----------
    key, value
        Text, or base64 where they are not UTF-8, as `key_encoding` and `encoding` say.
    part, parts
        A record too large for one letter is cut: joined in their order, the parts are the record.
    """

    source: str
    topic: str
    partition: int
    offset: int
    reason: str
    field: str
    expected: str
    key: str | None
    value: str | None
    encoding: str = "utf-8"
    key_encoding: str = "utf-8"
    part: int = 1
    parts: int = 1


class LateEvent(msgspec.Struct, frozen=True, gc=False):
    """A record older than its source's `accept_late` allows; it changed nothing.

    `value` is as in a dead letter, `part` and `parts` too.
    """

    source: str
    customer_id: str
    topic: str
    partition: int
    offset: int
    event_time: str
    newest: str
    value: str
    encoding: str = "utf-8"
    part: int = 1
    parts: int = 1


def change_id(customer: str, name: str, at_ms: int, cause: str, anchor: str) -> str:
    """The id of a change: the same on every replay, over any partitions and files (P7)."""
    text = "\x1f".join((customer, name, str(at_ms), cause, anchor))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
