"""What is remembered of a trigger and a customer, and its bytes in a key-value table."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from schemas.outreach import Verdict
from schemas.records import Value

_SEPARATOR = "\x1f"  # no trigger's name can hold it


class Key(NamedTuple):
    """Whose state it is."""

    trigger: str
    customer: str

    @property
    def encoded(self) -> bytes:
        """The key in the table."""
        return f"{self.trigger}{_SEPARATOR}{self.customer}".encode()

    @classmethod
    def decode(cls, key: bytes) -> Key:
        """The key that `encoded` wrote."""
        trigger, _, customer = key.decode().partition(_SEPARATOR)
        return cls(trigger, customer)


class Pending(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A change to decide about; `until_ms` where its request waits, `entering` is which way the customer crossed."""

    change_id: str
    change_at_ms: int
    segment: str
    entering: bool
    because: dict[str, Value]
    until_ms: int | None = None


class State(msgspec.Struct, omit_defaults=True):
    """What a trigger remembers of a customer.

    Attributes
    ----------
    mark_ms
        Every change before it is decided: a customer's changes of a segment come in the order of their times.
    decided
        Ids of decided changes at `mark_ms`, and of later ones that `remember` brought, with the changes' times.
    waited
        Ids of later changes that `remember` brought as waiting, with their times: they come again to be decided.
    sent_ms
        When requests were made, ascending; only those that cooldown or cap can still ask for.
    """

    mark_ms: int = -(2**62)
    decided: dict[str, int] = {}
    waited: dict[str, int] = {}
    sent_ms: list[int] = []
    waiting: Pending | None = None

    def repeats(self, change_id: str, at_ms: int) -> bool:
        """Whether the change has been decided, or waits."""
        return at_ms < self.mark_ms or change_id in self.decided

    def note(self, change_id: str, at_ms: int) -> None:
        """The change is decided, and with it every one before it."""
        if at_ms > self.mark_ms:
            self.mark_ms = at_ms
            self.decided = {other: other_ms for other, other_ms in self.decided.items() if other_ms >= at_ms}
            self.waited = {other: other_ms for other, other_ms in self.waited.items() if other_ms >= at_ms}
        self.decided[change_id] = at_ms

    def note_sent(self, at_ms: int, kept: int) -> None:
        """A request was made; the newest `kept` are remembered."""
        self.sent_ms.append(at_ms)
        self.sent_ms.sort()
        del self.sent_ms[: max(0, len(self.sent_ms) - kept)]

    def learn(self, change_id: str, at_ms: int, verdict: Verdict) -> bool:
        """Take over from a topic what was decided of a change; False where that is known already."""
        waits = self.waiting is not None and self.waiting.change_id == change_id
        if verdict is Verdict.WAITING:
            if not waits and not self.repeats(change_id, at_ms):
                self.waited[change_id] = at_ms
            return False
        if waits:
            self.waiting = None
            return True
        if self.repeats(change_id, at_ms):
            return False
        self.decided[change_id] = at_ms  # the mark stays: changes before this one may be undecided
        return True

    @property
    def ahead(self) -> bool:
        """Whether changes that `remember` brought have yet to come again."""
        return any(at_ms > self.mark_ms for at_ms in (*self.decided.values(), *self.waited.values()))


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(State).decode
