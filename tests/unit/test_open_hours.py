"""P5: how long a source may be silent counts within its open hours only, over midnight and over the clock's changes."""

from __future__ import annotations

import datetime

import pytest

from schemas.catalogue import Source
from schemas.durations import HOUR, MINUTE
from schemas.values import iso, parse_iso
from streams.open_hours import silent_until


def until(hours: str, since: str, after_ms: int, zone: str = "Europe/Berlin") -> str:
    """When so much open time has passed since a moment."""
    source = Source("pay", "pay", "customer", "at", (), open=hours)
    return iso(silent_until(source, zone, parse_iso(since, datetime.UTC), after_ms))[:-5]


# Berlin: 2026-03-29 02:00 becomes 03:00 (01:00 UTC), 2026-10-25 03:00 becomes 02:00 (01:00 UTC).
@pytest.mark.parametrize(
    ("hours", "since", "after_ms", "stalls"),
    [
        ("", "2026-01-10T23:59:00Z", 10 * MINUTE, "2026-01-11T00:09:00"),
        # within the hours, and at their very end
        ("09:00-21:00", "2026-01-10T10:00:00Z", 10 * MINUTE, "2026-01-10T10:10:00"),
        ("09:00-21:00", "2026-01-10T19:50:00Z", 10 * MINUTE, "2026-01-10T20:00:00"),
        # the rest waits for the next opening
        ("09:00-21:00", "2026-01-10T19:55:00Z", 10 * MINUTE, "2026-01-11T08:05:00"),
        # closed when the last record came
        ("09:00-21:00", "2026-01-10T22:00:00Z", 10 * MINUTE, "2026-01-11T08:10:00"),
        ("09:00-21:00", "2026-01-10T20:00:00Z", 10 * MINUTE, "2026-01-11T08:10:00"),
        # over midnight
        ("21:00-03:00", "2026-01-10T22:55:00Z", 10 * MINUTE, "2026-01-10T23:05:00"),
        ("21:00-03:00", "2026-01-11T01:55:00Z", 10 * MINUTE, "2026-01-11T20:05:00"),
        # more than a day's hours
        ("09:00-21:00", "2026-01-10T08:00:00Z", 25 * HOUR, "2026-01-12T09:00:00"),
        # two equal ends are the whole day
        ("09:00-09:00", "2026-01-10T07:00:00Z", 30 * HOUR, "2026-01-11T13:00:00"),
        # the night that the clock is put forward has two hours of these three, the other one four
        ("01:00-04:00", "2026-03-28T23:00:00Z", 2 * HOUR, "2026-03-29T02:00:00"),
        ("01:00-04:00", "2026-03-28T23:00:00Z", 3 * HOUR, "2026-03-30T00:00:00"),
        ("01:00-04:00", "2026-10-24T22:00:00Z", 4 * HOUR, "2026-10-25T03:00:00"),
        # opening hours stay at the hour of the wall's clock
        ("09:00-21:00", "2026-03-28T21:00:00Z", 10 * MINUTE, "2026-03-29T07:10:00"),
        ("09:00-21:00", "2026-10-24T20:00:00Z", 10 * MINUTE, "2026-10-25T08:10:00"),
        # hours that the clock skips whole come again the next night
        ("02:00-03:00", "2026-03-28T12:00:00Z", 10 * MINUTE, "2026-03-30T00:10:00"),
    ],
)
def test_silence_is_counted_within_open_hours(hours: str, since: str, after_ms: int, stalls: str) -> None:
    assert until(hours, since, after_ms) == stalls


def test_hours_are_those_of_the_catalogues_zone() -> None:
    assert until("09:00-21:00", "2026-01-10T12:55:00Z", 10 * MINUTE, "Asia/Shanghai") == "2026-01-11T01:05:00"
