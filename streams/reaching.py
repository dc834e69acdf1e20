"""A partition's triggers at work: its segment changes in, requests and decisions out."""

from __future__ import annotations

import datetime
import zoneinfo
from collections.abc import Callable, Iterable

import numpy as np

from schemas.catalogue import Catalogue, Trigger
from schemas.outreach import OutreachRequest, TriggerDecision
from schemas.records import SegmentChange
from schemas.values import to_ms
from streams.processor import Partition
from streams.triggers import Triggers
from streams.written import Changes

Said = OutreachRequest | TriggerDecision


class Reaching:
    """Triggers over one partition's rows.

    A decision is made as of a moment at which the rows are known exactly. With the wall's clock that is now. With the
    event clock it is the change's own time, or that of a later profile; and as steps stop where quiet hours end
    (`stops_at`), what waited for that is decided right then.

    Parameters
    ----------
    wall
        The wall's clock, UTC ms; None where only records move time.
    """

    def __init__(self, catalogue: Catalogue, part: Partition, wall: Callable[[], int] | None) -> None:
        self._triggers, self._part, self._wall = Triggers(catalogue), part, wall
        said = part.plan.said
        self._followed = np.array([name in self._triggers.followed for name in said], dtype=np.bool_)
        self._zone = zoneinfo.ZoneInfo(catalogue.timezone)
        self._ends = sorted({one.quiet.end_minute for one in catalogue.triggers if one.quiet is not None})

    @property
    def live(self) -> bool:
        """Whether the wall's clock moves time; with the event clock every timer is to have fired before a decision."""
        return self._wall is not None

    def stops_at(self, head: int | None) -> int | None:
        """Where a step that begins at `head` (UTC ms) has to stop, so that the rows stand at that moment."""
        if self._wall is not None or head is None:
            return None
        moments = [self._end_after(head, minute) for minute in self._ends]
        due = self._triggers.next_due_ms
        return min([*moments, *([due] if due is not None and due > head else [])], default=None)

    def _end_after(self, at_ms: int, minute: int) -> int:
        """The next time after `at_ms` at which a clock shows that minute of the day."""
        local = datetime.datetime.fromtimestamp(at_ms / 1000, self._zone)
        clock = datetime.time(minute // 60 % 24, minute % 60)
        for days in (0, 1, 2):
            end = to_ms(datetime.datetime.combine(local.date() + datetime.timedelta(days), clock, self._zone))
            if end > at_ms:
                return end
        return at_ms + 1

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
        if not len(places):
            return found
        now = self._part.profiled_at(changes.slots[places]) if self._wall is None else self._wall()
        moments = np.maximum(now, changes.at[places]).tolist()
        for change, moment in zip(changes.some(places.tolist()), moments, strict=True):
            if isinstance(change, SegmentChange):
                found += self._triggers.consider(change, moment, self)
        return found

    def advance(self, head: int | None = None) -> list[Said]:
        """What has become due, now that every record before `head` (UTC ms) is applied."""
        found: list[Said] = []
        while (due := self._triggers.next_due_ms) is not None:
            now = self._part.event_now() if self._wall is None else self._wall()
            if due > now and (self._wall is not None or head is None or due > head):
                break
            found += self._triggers.advance(max(now, due), self)
        return found

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
