"""Stalls in a replay (`--stalls`): decided from event times alone, record by record, so that batches do not show.

The clock is the newest event time so far of any source; a jump of more than an hour counts once another customer's
record confirms it. A source stalls when the clock has gone on by `stall_after` of its open hours since its last record,
and flows again with a record after which its newest event is no older than that. Before its first record a source does
not stall.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterable, Iterator

import msgspec

from schemas.catalogue import Catalogue, Source
from schemas.durations import HOUR
from schemas.silence import Stall
from schemas.values import parse_iso
from streams.open_hours import silent_until
from streams.replay import Record


class _Seen(msgspec.Struct):
    """A source so far: its newest event, and how far behind the clock that was when its last record came."""

    newest_ms: int
    delay_ms: int = 0
    frozen: bool = False


class EventStalls:
    """Which sources stall between which records."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._sources = {source.name: source for source in catalogue.sources}
        self._timezone, self._zone = catalogue.timezone, zoneinfo.ZoneInfo(catalogue.timezone)
        self._seen: dict[str, _Seen] = {}
        self._now_ms: int | None = None
        self._ahead: tuple[int, str] | None = None

    def between(self, records: Iterable[Record]) -> Iterator[Record | Stall]:
        """The records, with what freezes before and flows again after them."""
        for record in records:
            source = self._sources[record.source]
            found = _read(record, source, self._zone)
            if found is None:
                yield record
                continue
            time_ms, customer = found
            now_ms = self._pass(time_ms, customer)
            yield from self.until(now_ms)
            yield record
            yield from self._came(source, time_ms, now_ms)

    def until(self, now_ms: int) -> Iterator[Stall]:
        """What freezes by the time the clock shows that, in its order."""
        due = []
        for name, seen in self._seen.items():
            after_ms = self._sources[name].stall_after_ms
            if after_ms is not None and not seen.frozen:
                frozen_ms = self._stalls_at(self._sources[name], seen.newest_ms + seen.delay_ms)
                if frozen_ms <= now_ms:
                    seen.frozen = True
                    due.append(Stall(name, frozen_ms, now_ms, seen.delay_ms))
        yield from sorted(due, key=lambda stall: (stall.frozen_ms or 0, stall.source))

    def _came(self, source: Source, time_ms: int, now_ms: int) -> Iterator[Stall]:
        """Note a record; whether its source flows again."""
        seen = self._seen.setdefault(source.name, _Seen(time_ms))
        seen.newest_ms = max(seen.newest_ms, time_ms)
        if not seen.frozen:
            seen.delay_ms = max(0, now_ms - seen.newest_ms)
        elif now_ms < self._stalls_at(source, seen.newest_ms + seen.delay_ms):
            seen.frozen = False
            yield Stall(source.name, None, now_ms)

    def _stalls_at(self, source: Source, since_ms: int) -> int:
        return silent_until(source, self._timezone, since_ms, source.stall_after_ms or 0)

    def _pass(self, time_ms: int, customer: str) -> int:
        """Move the clock; what it shows then."""
        if self._now_ms is None:
            self._now_ms = time_ms
        elif time_ms <= self._now_ms + HOUR:
            self._now_ms = max(self._now_ms, time_ms)
        elif self._ahead is not None and self._ahead[1] != customer:
            self._now_ms, self._ahead = max(self._now_ms, min(self._ahead[0], time_ms)), (time_ms, customer)
        else:
            self._ahead = (time_ms, customer)
        return self._now_ms


def _read(record: Record, source: Source, zone: zoneinfo.ZoneInfo) -> tuple[int, str] | None:
    """Event time and customer; None where they can't be read: the decoder will say why."""
    try:
        found = msgspec.json.decode(record.value or b"")
        time = found[source.time]
        return parse_iso(time, zone) if isinstance(time, str) else int(time), str(found[source.key])
    except (msgspec.MsgspecError, UnicodeDecodeError, LookupError, TypeError, ValueError, OverflowError):
        return None
