"""Whether what the triggers wrote keeps the catalogue's promises, from the topics' records alone.

Plain and slow; shares no code with `streams.triggers`. Give it everything that stands in the topics: segment changes,
profiles, requests and decisions, each in the order of its topic. Records may stand there more than once (P7), requests
may not.
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import zoneinfo
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec

from schemas.catalogue import Aggregation, Catalogue, Trigger, When
from schemas.outreach import OutreachRequest, TriggerDecision, Verdict, Why
from schemas.records import SegmentChange
from schemas.rules import Name

EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
MILLISECOND: Final = datetime.timedelta(milliseconds=1)
SAMPLE_MS: Final = 600_000


class Broken(StrEnum):
    """The promises, by what was done where one is not kept."""

    STRANGE = "no such trigger, or no such change for it"
    TWICE = "two requests for one change"
    CONSENT = "no consent"
    QUIET = "in quiet hours"
    COOLDOWN = "within the cooldown"
    CAP = "more than the cap allows"
    EXPIRED = "after it expired"
    HOLDOUT = "to a customer held out"
    CAUSE = "for a change of a definition, an erasure or a correction"
    GONE = "after waiting, to a customer who had crossed back"
    EARLY = "decided before the change"
    UNTOLD = "a request without its decision"
    UNSENT = "a decision to send without its request"
    CONTRADICTED = "sent and held back"
    FORGOTTEN = "a change without a final decision"
    UNFOUNDED = "a reason that did not hold"


class Violation(msgspec.Struct, frozen=True):
    """A promise that was not kept."""

    broken: Broken
    trigger: str
    change_id: str
    at: str


class Profile(msgspec.Struct, frozen=True):
    """A record of a profile source from `at_ms` on; `fields` by the catalogue's names, None where it was removed."""

    source: str
    customer_id: str
    at_ms: int
    fields: dict[str, Any] | None


def profile(catalogue: Catalogue, source_name: str, record: Mapping[str, Any]) -> Profile:
    """A profile as its topic holds it, decoded from JSON."""
    source = catalogue.source(source_name)
    time, fields = record.get(source.time), dict[str, Any]()
    for field in source.fields:
        value: Any = record
        for part in field.path:
            value = value.get(part) if isinstance(value, Mapping) else None
        fields[field.name] = value
    at_ms = time if isinstance(time, int) else ms(str(time))
    return Profile(source_name, str(record[source.key]), at_ms, fields)


@functools.cache
def ms(text: str) -> int:
    """UTC milliseconds of an ISO 8601 text with a zone."""
    return (datetime.datetime.fromisoformat(text) - EPOCH) // MILLISECOND


def violations(
    catalogue: Catalogue,
    changes: Iterable[SegmentChange],
    profiles: Iterable[Profile],
    requests: Sequence[OutreachRequest],
    decisions: Sequence[TriggerDecision],
    until_ms: int,
    lag_ms: int = 0,
) -> list[Violation]:
    """Every promise that was not kept.

    Parameters
    ----------
    until_ms
        How far time has passed for the triggers: what expired by then must be decided.
    lag_ms
        How far what a worker knew may have been behind the time of its decision: the largest `allowed_skew`, where
        changes that time makes were late by the watermark, or 0.
    """
    history = _History(catalogue, changes, profiles, requests, decisions, lag_ms)
    found: list[Violation] = []
    for trigger in catalogue.triggers:
        found += history.of(trigger, until_ms)
    known = {trigger.name for trigger in catalogue.triggers}
    records: list[OutreachRequest | TriggerDecision] = [*requests, *decisions]
    return found + [_violation(Broken.STRANGE, one) for one in records if one.trigger not in known]


class _History:
    """The topics, indexed."""

    def __init__(
        self,
        catalogue: Catalogue,
        changes: Iterable[SegmentChange],
        profiles: Iterable[Profile],
        requests: Sequence[OutreachRequest],
        decisions: Sequence[TriggerDecision],
        lag_ms: int,
    ) -> None:
        self.catalogue, self.lag_ms = catalogue, lag_ms
        self.zone = zoneinfo.ZoneInfo(catalogue.timezone)
        self.changes = {change.id: change for change in changes}
        self.crossings: dict[tuple[str, str], list[SegmentChange]] = defaultdict(list)
        for change in self.changes.values():
            self.crossings[change.segment, change.customer_id].append(change)
        self.profiles: dict[tuple[str, str], list[Profile]] = defaultdict(list)
        for one in profiles:
            self.profiles[one.source, one.customer_id].append(one)
        self.requests: dict[str, list[OutreachRequest]] = defaultdict(list)
        for request in requests:
            self.requests[request.trigger].append(request)
        self.decisions: dict[str, list[TriggerDecision]] = defaultdict(list)
        for decision in decisions:
            self.decisions[decision.trigger].append(decision)
        self.sent: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)  # by trigger and customer: change to time
        for request in requests:
            self.sent[request.trigger, request.customer_id].setdefault(request.change_id, ms(request.decided_at))
        waits = [decision for decision in decisions if decision.verdict is Verdict.WAITING]
        self.waited = {(one.trigger, one.change_id): ms(one.decided_at) for one in reversed(waits)}

    def of(self, trigger: Trigger, until_ms: int) -> list[Violation]:
        """What one trigger did wrong."""
        requests, decisions = self.requests[trigger.name], self.decisions[trigger.name]
        found: list[Violation] = []
        for request in requests:
            found += [_violation(broken, request) for broken in self._request(trigger, request)]
        found += self._spans(trigger, requests)
        for decision in decisions:
            if not self._fits(trigger, decision):
                found.append(_violation(Broken.STRANGE, decision))
            elif not self._founded(trigger, decision):
                found.append(_violation(Broken.UNFOUNDED, decision))
        found += self._completeness(trigger, requests, decisions, until_ms)
        return found

    def _fits(self, trigger: Trigger, one: OutreachRequest | TriggerDecision) -> bool:
        change = self.changes.get(one.change_id)
        if change is None:
            return False
        same = (change.customer_id, change.segment, change.at) == (one.customer_id, one.segment, one.change_at)
        return same and change.segment == trigger.segment and change.new is (trigger.change == "enter")

    # ------------------------------------------------------------------------------------------------------- requests

    def _request(self, trigger: Trigger, request: OutreachRequest) -> Iterable[Broken]:
        """What is wrong with a request, seen alone."""
        if not self._fits(trigger, request):
            yield Broken.STRANGE
            return
        at_ms, change = ms(request.decided_at), self.changes[request.change_id]
        expires_ms = ms(change.at) + trigger.expires_ms
        if at_ms < ms(change.at):
            yield Broken.EARLY
        if at_ms >= expires_ms or ms(request.expires_at) != expires_ms:
            yield Broken.EXPIRED
        if change.cause in ("definition", "erasure", "correction"):
            yield Broken.CAUSE
        if held_out(trigger, request.customer_id):
            yield Broken.HOLDOUT
        if self._is_quiet(trigger, at_ms):
            yield Broken.QUIET
        if True not in self._consents(trigger, request.customer_id, at_ms):
            yield Broken.CONSENT
        if self.waited.get((trigger.name, change.id), at_ms) < at_ms and self._crossed_back(change, at_ms):
            yield Broken.GONE

    def _spans(self, trigger: Trigger, requests: Sequence[OutreachRequest]) -> Iterable[Violation]:
        """Requests that come too often; one that stands there twice counts once."""
        by_customer: dict[str, dict[str, OutreachRequest]] = defaultdict(dict)
        for request in requests:
            if request.change_id in by_customer[request.customer_id]:
                yield _violation(Broken.TWICE, request)
            by_customer[request.customer_id].setdefault(request.change_id, request)
        for some in by_customer.values():
            ordered = sorted(some.values(), key=lambda request: ms(request.decided_at))
            times = [ms(request.decided_at) for request in ordered]
            for number, request in enumerate(ordered):
                if number and times[number] - times[number - 1] < trigger.cooldown_ms:
                    yield _violation(Broken.COOLDOWN, request)
                cap = trigger.cap
                if cap is not None and number >= cap.most and times[number] - times[number - cap.most] < cap.per_ms:
                    yield _violation(Broken.CAP, request)

    def _consents(self, trigger: Trigger, customer: str, at_ms: int) -> set[object]:
        """What the customer's consent was at the moment, and within the lag before it."""
        if trigger.consent is None:
            return {True}
        source, field = consent_field(self.catalogue, trigger.consent)
        records = sorted(self.profiles[source, customer], key=lambda record: record.at_ms)
        said = [(r.at_ms, r.fields.get(field) if r.fields is not None else None) for r in records if r.at_ms <= at_ms]
        before = [value for time, value in said if time <= at_ms - self.lag_ms]
        return {before[-1] if before else None, *(value for time, value in said if time > at_ms - self.lag_ms)}

    def _is_quiet(self, trigger: Trigger, at_ms: int) -> bool:
        """Whether the clock on the wall shows a time from start to before end."""
        if trigger.quiet is None:
            return False
        shown = (EPOCH + at_ms * MILLISECOND).astimezone(self.zone).strftime("%H:%M")
        start, end = (f"{m // 60:02d}:{m % 60:02d}" for m in (trigger.quiet.start_minute, trigger.quiet.end_minute))
        return start <= shown < end if start < end else not end <= shown < start

    def _crossed_back(self, change: SegmentChange, at_ms: int) -> bool:
        """Whether the customer's newest change at the moment, known for the lag, is the opposite of this one."""
        past = [c for c in self.crossings[change.segment, change.customer_id] if ms(c.at) <= at_ms]
        return bool(past) and past[-1].new is not change.new and ms(past[-1].at) <= at_ms - self.lag_ms

    # ------------------------------------------------------------------------------------------------------ decisions

    def _founded(self, trigger: Trigger, decision: TriggerDecision) -> bool:
        """Whether the reason given was one."""
        at_ms, change = ms(decision.decided_at), self.changes[decision.change_id]
        expires_ms, customer = ms(change.at) + trigger.expires_ms, decision.customer_id
        if at_ms < ms(change.at):
            return False
        own = self.crossings[change.segment, customer]
        later = own[own.index(change) + 1 :]
        sent = [time for change_id, time in self.sent[trigger.name, customer].items() if change_id != change.id]
        cap = trigger.cap
        reasons: dict[Why, Callable[[], bool]] = {
            Why.NONE: lambda: decision.verdict is Verdict.SENT,
            Why.NO_CONSENT: lambda: self._consents(trigger, customer, at_ms) != {True},
            Why.HOLDOUT: lambda: held_out(trigger, customer),
            Why.CAUSE: lambda: change.cause in ("definition", "erasure", "correction"),
            # After a restart on the event clock a request may stand later than what it holds back: it counts too.
            Why.COOLDOWN: lambda: any(at_ms - one < trigger.cooldown_ms for one in sent),
            Why.CAP: lambda: cap is not None and sum(at_ms - one < cap.per_ms for one in sent) >= cap.most,
            Why.EXPIRED: lambda: all(self._is_quiet(trigger, t) for t in range(at_ms, expires_ms, SAMPLE_MS)),
            Why.QUIET: lambda: decision.verdict is Verdict.WAITING and self._waits(trigger, decision, expires_ms),
            Why.LEFT: lambda: change.new and any(not c.new for c in later),
            Why.RETURNED: lambda: not change.new and any(c.new for c in later),
            Why.SUPERSEDED: lambda: any(c.new is change.new for c in later),
            Why.WITHDRAWN: lambda: True,  # that would take the catalogue before
        }
        return reasons[decision.why]()

    def _waits(self, trigger: Trigger, decision: TriggerDecision, expires_ms: int) -> bool:
        """Whether it waits through quiet hours only, to a moment before it expires."""
        at_ms, until_ms = ms(decision.decided_at), ms(decision.until or decision.decided_at)
        through = all(self._is_quiet(trigger, t) for t in range(at_ms, until_ms, SAMPLE_MS))
        return at_ms < until_ms < expires_ms and through and not self._is_quiet(trigger, until_ms)

    def _completeness(
        self,
        trigger: Trigger,
        requests: Sequence[OutreachRequest],
        decisions: Sequence[TriggerDecision],
        until_ms: int,
    ) -> Iterable[Violation]:
        """Every change has one final decision, and every request its own."""
        sent = {request.change_id for request in requests}
        told = {decision.change_id: decision for decision in decisions if decision.verdict is Verdict.SENT}
        held = {decision.change_id: decision for decision in decisions if decision.verdict is Verdict.HELD_BACK}
        for request in requests:
            if request.change_id not in told:
                yield _violation(Broken.UNTOLD, request)
        for change_id, decision in told.items():
            if change_id not in sent:
                yield _violation(Broken.UNSENT, decision)
            if change_id in held:
                yield _violation(Broken.CONTRADICTED, decision)
        for change in self.changes.values():
            wanted = change.segment == trigger.segment and change.new is (trigger.change == "enter")
            final = change.id in sent or change.id in told or change.id in held
            if wanted and not final and ms(change.at) + trigger.expires_ms <= until_ms:
                yield Violation(Broken.FORGOTTEN, trigger.name, change.id, change.at)


def held_out(trigger: Trigger, customer: str) -> bool:
    """Whether the documented hash puts the customer among those who get nothing."""
    digest = hashlib.blake2b(f"{trigger.name}\x1f{customer}".encode(), digest_size=8).hexdigest()
    return int(digest, 16) / 2**64 < trigger.holdout


def consent_field(catalogue: Catalogue, name: str) -> tuple[str, str]:
    """Source and field of a consent.

    Raises
    ------
    ValueError
        Where a tag's rule is more than a name: then profiles alone don't say what it says.
    """
    for feature in catalogue.features:
        if feature.name == name and feature.aggregation is Aggregation.LAST and feature.field is not None:
            return feature.sources[0], feature.field
    rule = catalogue.tag(name).rule
    if isinstance(rule, When) and isinstance(rule.rule, Name):
        return consent_field(catalogue, rule.rule.name)
    raise ValueError(f"the consent {name!r} can't be read from profiles alone")


def _violation(broken: Broken, one: OutreachRequest | TriggerDecision) -> Violation:
    return Violation(broken, one.trigger, one.change_id, one.decided_at)
