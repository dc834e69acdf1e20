"""The triggers of one partition of customers: changes and time in, requests, decisions and table entries out.

Nothing is sent twice and nothing forgotten across a restart if three things hold. What `take_entries` returns becomes
durable together with the position in the stream of changes; changes after that position come again, in their order;
and requests found behind it in the topic are given to `remember` before.

What is kept: per trigger and customer the times of the newest requests (as many as the cap counts), the change that
waits, and how far the customer's changes are decided. It is forgotten when the newest change has expired and neither
cooldown nor cap can ask for a request any more.
"""

from __future__ import annotations

import datetime
import heapq
import zoneinfo
from collections.abc import Iterable
from typing import Final

import msgspec

from schemas.catalogue import Catalogue
from schemas.durations import DAY
from schemas.outreach import OutreachRequest, TriggerDecision, Verdict
from schemas.records import Cause, SegmentChange
from schemas.values import parse_iso
from streams.triggers import state as states
from streams.triggers import telling
from streams.triggers.policy import CAUSE, SUPERSEDED, WITHDRAWN, Case, Known, Policy, Ruling
from streams.triggers.state import Key, Pending, State

Outcome = OutreachRequest | TriggerDecision
# What these change is not the customer's doing: nobody is contacted for it.
INERT: Final = frozenset((Cause.DEFINITION, Cause.ERASURE, Cause.CORRECTION))


class CorruptEntry(Exception):
    """An entry of the table that no version of the triggers wrote."""


class Triggers:
    """The triggers of one partition.

    Attributes
    ----------
    followed
        The segments that some trigger follows; changes of others need not be shown.
    repeats
        How many changes came again after they were decided.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        zone = zoneinfo.ZoneInfo(catalogue.timezone)
        self._policies = {trigger.name: Policy(trigger, zone) for trigger in catalogue.triggers}
        self._by_segment: dict[str, list[Policy]] = {}
        for policy in self._policies.values():
            self._by_segment.setdefault(policy.trigger.segment, []).append(policy)
        self.followed = frozenset(self._by_segment)
        self.repeats = 0
        self._now_ms = 0
        self._states: dict[Key, State] = {}
        self._unsaved: dict[Key, None] = {}
        self._due: list[tuple[int, Key]] = []
        self._old: list[tuple[int, Key]] = []
        self._withdrawn: list[tuple[Key, Pending]] = []

    # ------------------------------------------------------------------------------------------------------- deciding

    def consider(self, change: SegmentChange, now_ms: int, known: Known) -> list[Outcome]:
        """What the change leads to now: per trigger a decision, where it sends behind its request.

        A change comes behind all earlier ones of its customer. `now_ms` before the change counts as its time.
        """
        policies = self._by_segment.get(change.segment)
        if policies is None:
            return []
        at_ms = parse_iso(change.at, datetime.UTC)
        now_ms = self._pass(max(now_ms, at_ms))
        pending = Pending(change.id, at_ms, change.segment, change.new, change.because)
        out: list[Outcome] = []
        for policy in policies:
            key = Key(policy.trigger.name, change.customer_id)
            if change.new is policy.entering:
                self._forth(policy, key, pending, change.cause in INERT, now_ms, known, out)
            else:
                self._back(policy, key, pending, now_ms, out)
        return out

    def advance(self, now_ms: int, known: Known) -> list[Outcome]:
        """What the waiting requests whose moment has come lead to, each decided again from the start."""
        self._pass(now_ms)
        out: list[Outcome] = []
        for key, pending in self._withdrawn:
            out.append(telling.decision(key, pending, WITHDRAWN, now_ms))
            self._unsaved[key] = None
        self._withdrawn.clear()
        while self._due and self._due[0][0] <= now_ms:
            until_ms, key = heapq.heappop(self._due)
            state = self._states.get(key)
            waiting = state.waiting if state is not None else None
            if state is not None and waiting is not None and waiting.until_ms == until_ms:
                case = Case(key.customer, waiting.change_at_ms, state.sent_ms, waited=True)
                policy = self._policies[key.trigger]
                self._carry_out(policy, key, state, waiting, policy.decide(case, now_ms, known), now_ms, out)
        return out

    @property
    def next_due_ms(self) -> int | None:
        """When `advance` has something to do; None where nothing waits."""
        if self._withdrawn:
            return min(pending.change_at_ms for _, pending in self._withdrawn)
        while self._due:
            until_ms, key = self._due[0]
            state = self._states.get(key)
            if state is not None and state.waiting is not None and state.waiting.until_ms == until_ms:
                return until_ms
            heapq.heappop(self._due)
        return None

    def _forth(
        self, policy: Policy, key: Key, pending: Pending, inert: bool, now_ms: int, known: Known, out: list[Outcome]
    ) -> None:
        """The customer crosses the border the way the trigger waits for."""
        state = self._states.get(key)
        if inert and (state is None or pending.change_at_ms < state.mark_ms):
            out.append(telling.decision(key, pending, CAUSE, now_ms))  # leaves nothing to remember
            return
        if state is None:
            state = self._new(key)
        if not self._note(key, state, pending):
            return
        if inert:
            out.append(telling.decision(key, pending, CAUSE, now_ms))
            return
        if state.waiting is not None:
            out.append(telling.decision(key, state.waiting, SUPERSEDED, now_ms))
        case = Case(key.customer, pending.change_at_ms, state.sent_ms, pending.change_id in state.waited)
        self._carry_out(policy, key, state, pending, policy.decide(case, now_ms, known), now_ms, out)

    def _back(self, policy: Policy, key: Key, pending: Pending, now_ms: int, out: list[Outcome]) -> None:
        """The customer crosses the border the other way: what waits is called off.

        Noted even where nothing waits, so that it calls nothing off when it comes again behind a newer change.
        """
        state = self._states.get(key) or self._new(key)
        if self._note(key, state, pending) and state.waiting is not None:
            out.append(telling.decision(key, state.waiting, policy.crossed_back, now_ms))
            state.waiting = None

    def _note(self, key: Key, state: State, pending: Pending) -> bool:
        """Whether the change is a new one; from now on it is not."""
        repeats = state.repeats(pending.change_id, pending.change_at_ms)
        self.repeats += repeats
        if pending.change_at_ms >= state.mark_ms:
            state.note(pending.change_id, pending.change_at_ms)
            self._unsaved[key] = None
        return not repeats

    def _carry_out(
        self, policy: Policy, key: Key, state: State, pending: Pending, ruling: Ruling, now_ms: int, out: list[Outcome]
    ) -> None:
        """Remember the ruling and say it; a request comes before the decision that says it was sent."""
        state.waiting = None
        if ruling.verdict is Verdict.SENT:
            state.note_sent(now_ms, policy.kept_sends)
            out.append(telling.request(policy.trigger, key.customer, pending, now_ms))
        elif ruling.verdict is Verdict.WAITING and ruling.until_ms is not None:
            state.waiting = msgspec.structs.replace(pending, until_ms=ruling.until_ms)
            heapq.heappush(self._due, (ruling.until_ms, key))
        self._unsaved[key] = None
        out.append(telling.decision(key, pending, ruling, now_ms))

    def _pass(self, now_ms: int) -> int:
        self._now_ms = max(self._now_ms, now_ms)
        return now_ms

    # ------------------------------------------------------------------------------------------------------- keeping

    def take_entries(self) -> list[tuple[bytes, bytes | None]]:
        """What changed since the last call, for a key-value table; None deletes the key."""
        self._forget_old()
        found = [(key, self._states.get(key)) for key in self._unsaved]
        self._unsaved.clear()
        return [(key.encoded, None if state is None else states.encode(state)) for key, state in found]

    def load(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Go on from the table's entries, before anything else.

        What a trigger that is no longer declared remembered is deleted; what waits for one that was taken away, or
        follows another change now, is held back by the next `advance`.

        Raises
        ------
        CorruptEntry
            Where the bytes are no entry.
        """
        for name, value in entries:
            try:
                key, state = Key.decode(name), states.decode(value)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise CorruptEntry(f"an entry of the triggers' table can't be read: {error}. Compute it anew") from None
            self._restore(key, state)

    def _restore(self, key: Key, state: State) -> None:
        policy, pending = self._policies.get(key.trigger), state.waiting
        if pending is not None and (policy is None or not policy.follows(pending.segment, pending.entering)):
            self._withdrawn.append((key, pending))
            state.waiting = None
        elif pending is not None and pending.until_ms is not None:
            heapq.heappush(self._due, (pending.until_ms, key))
        elif policy is None:
            self._unsaved[key] = None
        if policy is not None:
            self._states[key] = state
            heapq.heappush(self._old, (self._forget_at(policy, state), key))

    def remember(
        self, requests: Iterable[OutreachRequest], decisions: Iterable[TriggerDecision] = ()
    ) -> list[TriggerDecision]:
        """Count what stands in the topics behind the loaded state: those changes are decided, those requests made.

        Parameters
        ----------
        requests, decisions
            Those written after the state was taken. Without the decisions nothing is sent twice, but a change that was
            held back is decided once more, maybe otherwise.

        Returns
        -------
        The decisions of requests whose own is not among `decisions`, as it may have been lost.
        """
        told = set()
        for decision in decisions:
            told.add(decision.id)
            if decision.verdict is Verdict.SENT:
                continue  # it counts as sent where its request is there, and only there
            if state := self._state(decision.trigger, decision.customer_id):
                state.learn(decision.change_id, parse_iso(decision.change_at, datetime.UTC), decision.verdict)
        sent = {request.id: request for request in requests}.values()
        for request in sent:
            if state := self._state(request.trigger, request.customer_id):
                fresh = state.learn(request.change_id, parse_iso(request.change_at, datetime.UTC), Verdict.SENT)
                sent_ms = parse_iso(request.decided_at, datetime.UTC)
                if fresh or sent_ms not in state.sent_ms:
                    state.note_sent(sent_ms, self._policies[request.trigger].kept_sends)
        said = map(telling.decision_of, sent)
        return [decision for decision in said if decision.id not in told]

    def _state(self, trigger: str, customer: str) -> State | None:
        """The state to take something over into; None where the trigger is gone."""
        if trigger not in self._policies:
            return None
        key = Key(trigger, customer)
        self._unsaved[key] = None
        return self._states.get(key) or self._new(key)

    def forget(self, customer: str) -> None:
        """Forget all about a customer (erasure); a waiting request is called off by the erasure's own changes."""
        for name in self._policies:
            if self._states.pop(Key(name, customer), None) is not None:
                self._unsaved[Key(name, customer)] = None

    def _new(self, key: Key) -> State:
        state = self._states[key] = State()
        heapq.heappush(self._old, (self._now_ms + self._policies[key.trigger].trigger.expires_ms, key))
        return state

    def _forget_at(self, policy: Policy, state: State) -> int:
        """When nothing of the state can be asked for any more; far off for one that waits."""
        if state.waiting is not None or state.ahead:
            return self._now_ms + DAY
        sent_ms = state.sent_ms[-1] + policy.kept_ms if state.sent_ms else 0
        return max(state.mark_ms + policy.trigger.expires_ms, sent_ms)

    def _forget_old(self) -> None:
        while self._old and self._old[0][0] <= self._now_ms:
            _, key = heapq.heappop(self._old)
            state = self._states.get(key)
            if state is None:
                continue
            forget_ms = self._forget_at(self._policies[key.trigger], state)
            if forget_ms > self._now_ms:
                heapq.heappush(self._old, (forget_ms, key))
            else:
                del self._states[key]
                self._unsaved[key] = None
