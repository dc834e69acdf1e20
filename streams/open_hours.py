"""How long a source may be silent: counted within its open hours only, by the clock on the wall of its time zone."""

from __future__ import annotations

import zoneinfo
from functools import lru_cache

from schemas.catalogue import QuietHours, Source
from schemas.durations import HOUR, MINUTE
from streams.triggers.quiet import Quiet


def silent_until(source: Source, timezone: str, since_ms: int, after_ms: int) -> int:
    """The moment at which so much open time has passed since another one.

    Parameters
    ----------
    since_ms
        UTC ms.
    after_ms
        How much open time: without `open` hours all time is.
    """
    if not source.open:
        return since_ms + after_ms
    hours = _hours(source.open, timezone)
    at, left = since_ms, after_ms
    while True:
        is_open, turns = hours.reads(at), hours.turns(at)
        if is_open and left <= turns - at:
            return at + left
        left -= turns - at if is_open else 0
        at = turns


@lru_cache
def _hours(text: str, timezone: str) -> Quiet:
    """`09:00-21:00` as hours; a day's two equal ends are the whole day."""
    start, end = (int(part[:2]) * HOUR // MINUTE + int(part[3:]) for part in text.split("-"))
    return Quiet(QuietHours(start, end), zoneinfo.ZoneInfo(timezone))
