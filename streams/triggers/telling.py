"""What was decided, in the shape of the topics."""

from __future__ import annotations

import functools

from schemas.catalogue import Trigger
from schemas.outreach import OutreachRequest, TriggerDecision, Verdict, Why, decision_id, request_id
from schemas.values import iso
from streams.triggers.policy import Ruling
from streams.triggers.state import Key, Pending

# A request and its decision say the same moments, and so do the triggers of one change.
_iso = functools.lru_cache(maxsize=256)(iso)


def request(trigger: Trigger, customer: str, pending: Pending, now_ms: int) -> OutreachRequest:
    """The request that a change leads to."""
    return OutreachRequest(
        id=request_id(trigger.name, pending.change_id),
        trigger=trigger.name,
        channel=trigger.channel,
        customer_id=customer,
        segment=pending.segment,
        change_id=pending.change_id,
        change_at=_iso(pending.change_at_ms),
        decided_at=_iso(now_ms),
        expires_at=_iso(pending.change_at_ms + trigger.expires_ms),
        because=pending.because,
    )


def decision(key: Key, pending: Pending, ruling: Ruling, now_ms: int) -> TriggerDecision:
    """What was decided of a change, and why."""
    return TriggerDecision(
        id=decision_id(key.trigger, pending.change_id, ruling.verdict, ruling.why),
        trigger=key.trigger,
        customer_id=key.customer,
        segment=pending.segment,
        change_id=pending.change_id,
        change_at=_iso(pending.change_at_ms),
        decided_at=_iso(now_ms),
        verdict=ruling.verdict,
        why=ruling.why,
        until=None if ruling.until_ms is None else _iso(ruling.until_ms),
    )


def decision_of(sent: OutreachRequest) -> TriggerDecision:
    """The decision that belongs to a request."""
    return TriggerDecision(
        id=decision_id(sent.trigger, sent.change_id, Verdict.SENT, Why.NONE),
        trigger=sent.trigger,
        customer_id=sent.customer_id,
        segment=sent.segment,
        change_id=sent.change_id,
        change_at=sent.change_at,
        decided_at=sent.decided_at,
        verdict=Verdict.SENT,
        why=Why.NONE,
    )
