"""A partition's triggers at work: its segment changes in, requests and decisions out."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from schemas.catalogue import Catalogue, Trigger
from schemas.outreach import OutreachRequest, TriggerDecision
from schemas.records import SegmentChange
from streams.processor import Partition
from streams.triggers import Triggers
from streams.written import Changes

Said = OutreachRequest | TriggerDecision


class Reaching:
    """Triggers over one partition's rows.

    Parameters
    ----------
    now
        The moment that decisions are made at, UTC ms.
    """

    def __init__(self, catalogue: Catalogue, part: Partition, now: Callable[[], int]) -> None:
        self._triggers, self._part, self._now = Triggers(catalogue), part, now
        said = part.plan.said
        self._followed = np.array([name in self._triggers.followed for name in said], dtype=np.bool_)
        self._consent = {trigger.name: trigger.consent for trigger in catalogue.triggers}

    def consented(self, trigger: Trigger, customer: str) -> bool | None:
        """Whether the customer agreed, as the row says now."""
        return None if trigger.consent is None else self._part.holds(trigger.consent, customer)

    def member(self, segment: str, customer: str) -> bool:
        """Whether the customer is in the segment, as the row says now."""
        return self._part.holds(segment, customer) is True

    def consider(self, changes: Changes) -> list[Said]:
        """What the triggers make of changes."""
        found: list[Said] = []
        places = np.flatnonzero(self._followed[changes.rules])
        if len(places):
            now = self._now()
            for change, at in zip(changes.some(places.tolist()), changes.at[places].tolist(), strict=True):
                if isinstance(change, SegmentChange):
                    found += self._triggers.consider(change, max(now, at), self)
        return found

    def advance(self) -> list[Said]:
        """What has become due."""
        due = self._triggers.next_due_ms
        if due is None:
            return []
        now = self._now()
        return list(self._triggers.advance(now, self)) if due <= now else []

    def resume(self, entries: Iterable[tuple[bytes, bytes]], behind: Iterable[Said]) -> list[Said]:
        """Go on from the table and from what was said behind its marker; what is to be said now.

        Raises
        ------
        streams.triggers.CorruptEntry
            The table can't be read.
        """
        known = list(behind)
        self._triggers.load(entries)
        requests = [one for one in known if isinstance(one, OutreachRequest)]
        decisions = [one for one in known if isinstance(one, TriggerDecision)]
        return [*self._triggers.remember(requests, decisions)]

    def take_entries(self) -> list[tuple[bytes, bytes | None]]:
        """What changed since the last call, for the partition's table."""
        return self._triggers.take_entries()
