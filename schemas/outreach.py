"""What triggers write: requests to contact a customer, and why each change did or did not lead to one."""

from __future__ import annotations

import hashlib
from enum import StrEnum

import msgspec

from schemas.records import Value


class Verdict(StrEnum):
    """What a trigger decided about a change."""

    SENT, HELD_BACK, WAITING = "sent", "held back", "waiting"


class Why(StrEnum):
    """Why a request was not made, or not yet."""

    NONE = ""
    NO_CONSENT, COOLDOWN, CAP = "no consent", "cooldown", "cap reached"
    QUIET, EXPIRED = "quiet hours", "expired"
    LEFT, RETURNED, SUPERSEDED = "no longer in the segment", "back in the segment", "a newer change took its place"
    HOLDOUT, CAUSE = "held out for comparison", "not the customer's doing"
    WITHDRAWN = "the trigger was changed while this waited"


class OutreachRequest(msgspec.Struct, frozen=True, gc=False):
    """A request to contact a customer; whoever carries it out does so before `expires_at`.

    Times are ISO 8601 in UTC; `change_id`, `change_at` and `because` are those of the segment change behind it.
    """

    id: str
    trigger: str
    channel: str
    customer_id: str
    segment: str
    change_id: str
    change_at: str
    decided_at: str
    expires_at: str
    because: dict[str, Value]


class TriggerDecision(msgspec.Struct, frozen=True, gc=False):
    """What was decided about a change, and why; a change that waits for the end of quiet hours is decided again.

    `until` is when a waiting one will be looked at again, when a cooldown ends or a cap has room again, or, of an
    expired one, when the quiet hours end that outlast it; null where there is no such moment.
    """

    id: str
    trigger: str
    customer_id: str
    segment: str
    change_id: str
    change_at: str
    decided_at: str
    verdict: Verdict
    why: Why
    until: str | None = None


def request_id(trigger: str, change_id: str) -> str:
    """The id of a request: one for a trigger and a change, whatever happens in between."""
    return hashlib.blake2b(f"{trigger}\x1f{change_id}".encode(), digest_size=16).hexdigest()


def decision_id(trigger: str, change_id: str, verdict: Verdict, why: Why) -> str:
    """The id of a decision."""
    text = "\x1f".join((trigger, change_id, verdict, why))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
