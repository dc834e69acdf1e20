"""What became of every change that a trigger follows, from the topics of requests and decisions alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import Final

import msgspec

from schemas.outreach import OutreachRequest, TriggerDecision, Verdict, Why
from schemas.values import parse_iso

AT_ONCE_MS: Final = 60_000
"""A call within a minute of the inflow is what was asked for."""

_REQUESTS: Final = msgspec.json.Decoder(list[OutreachRequest]).decode
_DECISIONS: Final = msgspec.json.Decoder(list[TriggerDecision]).decode


class Case(msgspec.Struct, frozen=True):
    """A change that a trigger followed.

    Attributes
    ----------
    decision
        The last one about it.
    request
        What it led to; None where nothing was sent.
    waited
        Whether it had to wait for quiet hours to end.
    """

    decision: TriggerDecision
    request: OutreachRequest | None
    waited: bool = False

    @property
    def delay_ms(self) -> int:
        """From the change to the last decision, in event time."""
        decided_ms = parse_iso(self.decision.decided_at, UTC)
        return decided_ms - parse_iso(self.decision.change_at, UTC)

    @property
    def at_once(self) -> bool:
        """Whether the request was made within a minute."""
        return self.request is not None and self.delay_ms <= AT_ONCE_MS


class Tally(msgspec.Struct, frozen=True):
    """A trigger's changes by what became of them.

    Attributes
    ----------
    at_once
        Requests made within a minute of the change.
    held_back
        By reason, the most frequent first.
    """

    changes: int
    sent: int
    at_once: int
    waiting: int
    held_back: dict[Why, int]


class Picked(msgspec.Struct, frozen=True):
    """Cases of a trigger that are worth telling, the newest of their kind."""

    at_once: list[Case]
    later: list[Case]
    held_back: list[Case]

    @property
    def cases(self) -> list[Case]:
        """All of them."""
        return [*self.at_once, *self.later, *self.held_back]


class Outreach:
    """Requests and decisions, taken in batch by batch; those of a customer in their order."""

    def __init__(self) -> None:
        self._requests: dict[str, OutreachRequest] = {}
        self._decisions: dict[str, dict[str, TriggerDecision]] = {}
        self._waited: dict[str, set[str]] = {}

    def take_requests(self, values: Sequence[bytes]) -> None:
        """Take in records of `outreach`."""
        for request in _REQUESTS(_joined(values)):
            self._requests[request.id] = request

    def take_decisions(self, values: Sequence[bytes]) -> None:
        """Take in records of `trigger-decisions`; a later one about the same change takes the place of an earlier."""
        for decision in _DECISIONS(_joined(values)):
            self._decisions.setdefault(decision.trigger, {})[decision.change_id] = decision
            if decision.verdict is Verdict.WAITING:
                self._waited.setdefault(decision.trigger, set()).add(decision.change_id)

    def cases(self, trigger: str) -> list[Case]:
        """Every change that the trigger followed, the newest first."""
        requests = {one.change_id: one for one in self._requests.values() if one.trigger == trigger}
        waited = self._waited.get(trigger, set())
        decisions = self._decisions.get(trigger, {}).values()
        found = [Case(one, requests.get(one.change_id), one.change_id in waited) for one in decisions]
        return sorted(found, key=lambda case: (case.decision.change_at, case.decision.customer_id), reverse=True)


def tally(cases: Iterable[Case]) -> Tally:
    """The cases by what became of them."""
    verdicts: Counter[Verdict] = Counter()
    reasons: Counter[Why] = Counter()
    at_once = 0
    for case in cases:
        verdicts[case.decision.verdict] += 1
        at_once += case.at_once
        if case.decision.verdict is Verdict.HELD_BACK:
            reasons[case.decision.why] += 1
    return Tally(verdicts.total(), verdicts[Verdict.SENT], at_once, verdicts[Verdict.WAITING], _ordered(reasons))


def _ordered(reasons: Counter[Why]) -> dict[Why, int]:
    """The most frequent first, of equals the first declared."""
    places = list(Why)
    return dict(sorted(reasons.items(), key=lambda item: (-item[1], places.index(item[0]))))


def pick(cases: Sequence[Case], each: int) -> Picked:
    """Up to so many requests made at once, later, and not at all, of the latter one a reason; `cases` newest first."""
    by_reason: dict[Why, Case] = {}
    for case in cases:
        if case.decision.verdict is Verdict.HELD_BACK:
            by_reason.setdefault(case.decision.why, case)
    return Picked(
        at_once=[case for case in cases if case.at_once][:each],
        later=[case for case in cases if case.request is not None and not case.at_once][:1],
        held_back=[by_reason[why] for why in tally(cases).held_back][:each],
    )


def _joined(values: Sequence[bytes]) -> bytes:
    return b"[" + b",".join(values) + b"]"
