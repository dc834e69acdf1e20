"""One trigger's rules, in the order in which they are asked; the first that says no gives the reason.

expired, the customer's side of the segment (only where the request has waited), consent, hold-out, cooldown, cap, quiet
hours. Spans are half-open: exactly when a cooldown or the quiet hours end a request is made, exactly when it expires
it is not.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from schemas.catalogue import Crossing, Trigger
from schemas.outreach import Verdict, Why
from streams.triggers.holdout import held_out
from streams.triggers.quiet import Quiet


class Known(Protocol):
    """What is known of a customer at the moment of the decision."""

    def consented(self, trigger: Trigger, customer: str) -> bool | None:
        """What `trigger.consent` says; None where it is missing. Never asked where the trigger needs no consent."""
        ...

    def member(self, segment: str, customer: str) -> bool:
        """Whether the customer is in the segment."""
        ...


class Ruling(msgspec.Struct, frozen=True, gc=False):
    """What the rules say; `until_ms` as in `TriggerDecision`."""

    verdict: Verdict
    why: Why
    until_ms: int | None = None


class Case(msgspec.Struct, frozen=True, gc=False):
    """What is to be decided: a change of a customer, the requests made so far (ms, ascending), whether it waited."""

    customer: str
    change_at_ms: int
    sent_ms: Sequence[int] = ()
    waited: bool = False


SEND: Final = Ruling(Verdict.SENT, Why.NONE)
EXPIRED: Final = Ruling(Verdict.HELD_BACK, Why.EXPIRED)
CAUSE: Final = Ruling(Verdict.HELD_BACK, Why.CAUSE)
SUPERSEDED: Final = Ruling(Verdict.HELD_BACK, Why.SUPERSEDED)
WITHDRAWN: Final = Ruling(Verdict.HELD_BACK, Why.WITHDRAWN)
_NO_CONSENT: Final = Ruling(Verdict.HELD_BACK, Why.NO_CONSENT)
_HOLDOUT: Final = Ruling(Verdict.HELD_BACK, Why.HOLDOUT)
_CROSSED_BACK: Final = {
    Crossing.ENTER: Ruling(Verdict.HELD_BACK, Why.LEFT),
    Crossing.LEAVE: Ruling(Verdict.HELD_BACK, Why.RETURNED),
}


class Policy:
    """A trigger, ready to decide."""

    def __init__(self, trigger: Trigger, zone: zoneinfo.ZoneInfo) -> None:
        self.trigger = trigger
        self.entering = trigger.change is Crossing.ENTER
        self.crossed_back = _CROSSED_BACK[trigger.change]
        cap = trigger.cap
        self.kept_sends = max(cap.most if cap else 0, 1 if trigger.cooldown_ms else 0)
        self.kept_ms = max(cap.per_ms if cap else 0, trigger.cooldown_ms)
        self._quiet = Quiet(trigger.quiet, zone) if trigger.quiet else None

    def follows(self, segment: str, entering: bool) -> bool:
        """Whether these are the changes the trigger is about."""
        return segment == self.trigger.segment and entering is self.entering

    def decide(self, case: Case, now_ms: int, known: Known) -> Ruling:
        """What the rules say of this case now."""
        trigger, customer = self.trigger, case.customer
        expires_ms = case.change_at_ms + trigger.expires_ms
        if now_ms >= expires_ms:
            return EXPIRED
        if case.waited and known.member(trigger.segment, customer) is not self.entering:
            return self.crossed_back
        if trigger.consent is not None and known.consented(trigger, customer) is not True:
            return _NO_CONSENT
        if held_out(trigger.name, customer, trigger.holdout):
            return _HOLDOUT
        return self._limits(case.sent_ms, now_ms) or self._hours(now_ms, expires_ms) or SEND

    def _limits(self, sent_ms: Sequence[int], now_ms: int) -> Ruling | None:
        """Cooldown and cap."""
        if not sent_ms:
            return None
        free_ms = sent_ms[-1] + self.trigger.cooldown_ms
        if self.trigger.cooldown_ms and now_ms < free_ms:
            return Ruling(Verdict.HELD_BACK, Why.COOLDOWN, free_ms)
        cap = self.trigger.cap
        if cap is not None and len(sent_ms) >= cap.most and now_ms < (free_ms := sent_ms[-cap.most] + cap.per_ms):
            return Ruling(Verdict.HELD_BACK, Why.CAP, free_ms)
        return None

    def _hours(self, now_ms: int, expires_ms: int) -> Ruling | None:
        """Quiet hours: to be waited for, unless the request expires first."""
        until_ms = self._quiet.until(now_ms) if self._quiet is not None else None
        if until_ms is None:
            return None
        if until_ms < expires_ms:
            return Ruling(Verdict.WAITING, Why.QUIET, until_ms)
        return Ruling(Verdict.HELD_BACK, Why.EXPIRED, until_ms)
