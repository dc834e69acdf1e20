"""What comes of tags in the plain Faust job: questions with their answers, and requests for outreach.

Written as the tags are: one record at a time, state in the customer's dict. Simpler than livetags: what waits for a
time (a negative answer, the end of quiet hours) is looked at with the customer's next record, or never.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bench.plain_rules import Applied, Rule, State, Values, compile_rule
from schemas.catalogue import Catalogue, Crossing, Target, Trigger
from schemas.topics import Role
from streams.triggers.holdout import held_out

Sent = tuple[Role, dict[str, Any]]


class Asked:
    """A target: its questions, and what answers them."""

    def __init__(self, catalogue: Catalogue, target: Target) -> None:
        self.target = target
        self._events = {source.name for source in catalogue.sources if not source.profile}
        where = target.label.where
        self._where: Rule = compile_rule(where) if where is not None else lambda values: True

    def apply(
        self, source: str, customer: str, fields: Values, time: int, values: Values, state: State
    ) -> Iterator[Sent]:
        """Answers that a record brings, and the question that is due."""
        label, name = self.target.label, self.target.name
        kept = state.setdefault(name, {"asked": None, "open": []})
        happened = source in label.absent or (source == label.source and self._where(fields))
        still = []
        for at in kept["open"]:
            over = time > at + label.settled_ms
            if over or (happened and at < time):
                answer = (happened and not over) is not bool(label.absent)
                yield Role.TRAINING_EXAMPLES, self._record("answer", customer, at) | {"label": answer, "known_at": time}
            else:
                still.append(at)
        kept["open"] = still
        due = kept["asked"] is None or time - kept["asked"] >= self.target.example_every_ms
        if due and source in self._events:
            kept["asked"] = time
            still.append(time)
            features = [values[feature] for feature in self.target.features]
            yield Role.TRAINING_EXAMPLES, self._record("question", customer, time) | {"features": features}

    def _record(self, kind: str, customer: str, at: int) -> dict[str, Any]:
        name = self.target.name
        return {"kind": kind, "id": f"{name}/{at}/{customer}", "customer_id": customer, "target": name, "at": at}


class Reached:
    """A trigger: who is contacted, and why others are not."""

    def __init__(self, trigger: Trigger, zone: ZoneInfo) -> None:
        self.trigger, self._zone = trigger, zone
        self._entering = trigger.change is Crossing.ENTER

    def apply(self, flip: dict[str, Any], values: Values, state: State) -> Iterator[Sent]:
        """What the change of a segment leads to."""
        trigger = self.trigger
        if flip.get("segment") != trigger.segment or flip["new"] is not self._entering:
            return
        sent: list[int] = state.setdefault(trigger.name, [])
        why = self._why_not(flip["customer_id"], flip["at"], values, sent)
        record = {"trigger": trigger.name} | {name: flip[name] for name in ("customer_id", "segment", "at")}
        if not why:
            sent[:] = [*sent, flip["at"]][-(trigger.cap.most if trigger.cap else 1) :]
            expires = flip["at"] + trigger.expires_ms
            told = {"channel": trigger.channel, "expires_at": expires, "because": flip["because"]}
            yield Role.OUTREACH, record | told
        yield Role.TRIGGER_DECISIONS, record | {"verdict": "held back" if why else "sent", "why": why}

    def _why_not(self, customer: str, at: int, values: Values, sent: list[int]) -> str:
        trigger, cap = self.trigger, self.trigger.cap
        checks: list[tuple[str, Callable[[], bool]]] = [
            ("no consent", lambda: trigger.consent is not None and values[trigger.consent] is not True),
            ("held out", lambda: held_out(trigger.name, customer, trigger.holdout)),
            ("cooldown", lambda: bool(sent) and at < sent[-1] + trigger.cooldown_ms),
            ("cap", lambda: cap is not None and len(sent) >= cap.most and at < sent[-cap.most] + cap.per_ms),
            ("quiet hours", lambda: self._is_quiet(at)),
        ]
        return next((why for why, holds in checks if holds()), "")

    def _is_quiet(self, at: int) -> bool:
        quiet = self.trigger.quiet
        if quiet is None:
            return False
        local = datetime.fromtimestamp(0, self._zone) + timedelta(milliseconds=at)
        minute, begin, end = 60 * local.hour + local.minute, quiet.start_minute, quiet.end_minute
        return begin <= minute < end if begin <= end else minute >= begin or minute < end


class PlainFollowUp:
    """All targets and triggers of a catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        zone = ZoneInfo(catalogue.timezone)
        self._asked = [Asked(catalogue, target) for target in catalogue.targets]
        self._reached = [Reached(trigger, zone) for trigger in catalogue.triggers]

    def apply(self, source: str, customer: str, applied: Applied, state: State) -> list[Sent]:
        """What a record leads to, after its tags are computed."""
        flips, values, fields, now = applied
        learning, reached = state.setdefault("learning", {}), state.setdefault("reached", {})
        found = [one for asked in self._asked for one in asked.apply(source, customer, fields, now, values, learning)]
        for flip in flips:
            for trigger in self._reached:
                found += trigger.apply(flip, values, reached)
        return found
