"""Quiet hours in a time zone: a moment is quiet when the clock on the wall shows a time from start to before end.

So a time that the clock skips is never waited for, and one that it shows twice is quiet twice.
"""

from __future__ import annotations

import zoneinfo
from datetime import timedelta
from typing import Final

from schemas.catalogue import QuietHours
from schemas.durations import DAY, MINUTE
from schemas.values import EPOCH

_MINUTES: Final = DAY // MINUTE


class Quiet:
    """Quiet hours; the answers of the last span asked about are kept, as moments come close together."""

    def __init__(self, hours: QuietHours, zone: zoneinfo.ZoneInfo) -> None:
        self._hours, self._zone = hours, zone
        self._from_ms = self._to_ms = 0
        self._is_quiet = False

    def until(self, at_ms: int) -> int | None:
        """When the quiet hours end in which `at_ms` lies; None where it lies in none."""
        turns_ms = self.turns(at_ms)
        return turns_ms if self._is_quiet else None

    def reads(self, at_ms: int) -> bool:
        """Whether `at_ms` lies within the hours."""
        return self.until(at_ms) is not None

    def turns(self, at_ms: int) -> int:
        """When the hours in which `at_ms` lies end, or where it lies in none, when they begin."""
        if not self._from_ms <= at_ms < self._to_ms:
            self._is_quiet = self._reads_quiet(at_ms)
            self._from_ms, self._to_ms = at_ms, self._turn(at_ms, self._is_quiet)
        return self._to_ms

    def _turn(self, at_ms: int, now_quiet: bool) -> int:
        """The first moment after `at_ms` that is not as quiet as it."""
        wanted = self._hours.end_minute if now_quiet else self._hours.start_minute
        while True:
            minute = self._minute(at_ms)
            shown_ms = at_ms - at_ms % MINUTE + ((wanted - minute - 1) % _MINUTES + 1) * MINUTE
            turn_ms = self._clock_change(at_ms, shown_ms)
            if turn_ms is None:
                return shown_ms
            if self._reads_quiet(turn_ms) is not now_quiet:
                return turn_ms
            at_ms = turn_ms

    def _clock_change(self, after_ms: int, to_ms: int) -> int | None:
        """When within `(after_ms, to_ms]` the zone's offset changes, or None. It never changes twice in a day."""
        offset = self._offset(after_ms)
        if self._offset(to_ms) == offset:
            return None
        while to_ms - after_ms > 1:
            middle = (after_ms + to_ms) // 2
            if self._offset(middle) == offset:
                after_ms = middle
            else:
                to_ms = middle
        return to_ms

    def _reads_quiet(self, at_ms: int) -> bool:
        minute, start, end = self._minute(at_ms), self._hours.start_minute, self._hours.end_minute
        return start <= minute < end if start < end else minute >= start or minute < end

    def _minute(self, at_ms: int) -> int:
        """The minute of the local day."""
        local = (EPOCH + timedelta(milliseconds=at_ms)).astimezone(self._zone)
        return local.hour * 60 + local.minute

    def _offset(self, at_ms: int) -> timedelta:
        return (EPOCH + timedelta(milliseconds=at_ms)).astimezone(self._zone).utcoffset() or timedelta()
