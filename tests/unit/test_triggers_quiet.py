"""Quiet hours go by what the clock on the wall shows, on the days it is switched too."""

from __future__ import annotations

import datetime
import zoneinfo

import pytest

from schemas.catalogue import QuietHours
from schemas.durations import DAY, HOUR, MINUTE
from schemas.values import iso, parse_iso
from streams.triggers.quiet import Quiet


def minutes(text: str) -> QuietHours:
    """`21:00-09:00` as quiet hours."""
    start, end = (int(part[:2]) * 60 + int(part[3:]) for part in text.split("-"))
    return QuietHours(start, end)


def until(hours: str, at: str, zone: str = "Europe/Berlin") -> str | None:
    """When the quiet hours end that hold at a moment; None where it is not quiet."""
    found = Quiet(minutes(hours), zoneinfo.ZoneInfo(zone)).until(parse_iso(at, datetime.UTC))
    return None if found is None else iso(found)[:-5]


# Berlin: 2026-03-29 02:00 becomes 03:00 (01:00 UTC), 2026-10-25 03:00 becomes 02:00 (01:00 UTC).
@pytest.mark.parametrize(
    ("hours", "at", "ends"),
    [
        # over midnight, half-open: the start is quiet, the end is not
        ("21:00-09:00", "2026-01-10T19:59:59.999Z", None),
        ("21:00-09:00", "2026-01-10T20:00:00.000Z", "2026-01-11T08:00:00"),
        ("21:00-09:00", "2026-01-10T23:30:00.000Z", "2026-01-11T08:00:00"),
        ("21:00-09:00", "2026-01-11T07:59:59.999Z", "2026-01-11T08:00:00"),
        ("21:00-09:00", "2026-01-11T08:00:00.000Z", None),
        # within a day
        ("12:00-14:00", "2026-01-11T10:59:59.999Z", None),
        ("12:00-14:00", "2026-01-11T11:00:00.000Z", "2026-01-11T13:00:00"),
        ("00:00-09:00", "2026-01-10T23:00:00.000Z", "2026-01-11T08:00:00"),
        # the nights the clock is switched have an hour less, and one more
        ("21:00-09:00", "2026-03-28T20:00:00.000Z", "2026-03-29T07:00:00"),
        ("21:00-09:00", "2026-10-24T19:00:00.000Z", "2026-10-25T08:00:00"),
        # an end that the clock skips: quiet ends as it jumps over it
        ("21:00-02:30", "2026-03-29T00:59:59.999Z", "2026-03-29T01:00:00"),
        ("21:00-02:30", "2026-03-29T01:00:00.000Z", None),
        # a start that the clock skips: quiet begins as it jumps over it
        ("02:30-09:00", "2026-03-29T00:59:59.999Z", None),
        ("02:30-09:00", "2026-03-29T01:00:00.000Z", "2026-03-29T07:00:00"),
        # quiet hours that the clock skips whole, and nearly
        ("02:00-03:00", "2026-03-29T00:59:59.999Z", None),
        ("02:00-03:00", "2026-03-29T01:00:00.000Z", None),
        ("02:15-03:15", "2026-03-29T01:00:00.000Z", "2026-03-29T01:15:00"),
        # the only hour that is not quiet is skipped: the next day's is the next
        ("03:00-02:00", "2026-03-29T00:30:00.000Z", "2026-03-30T00:00:00"),
        # an end that the clock shows twice: quiet until it shows it first, and again after the switch
        ("21:00-02:30", "2026-10-25T00:10:00.000Z", "2026-10-25T00:30:00"),
        ("21:00-02:30", "2026-10-25T00:30:00.000Z", None),
        ("21:00-02:30", "2026-10-25T01:00:00.000Z", "2026-10-25T01:30:00"),
        ("21:00-02:30", "2026-10-25T01:30:00.000Z", None),
        # a start that it shows twice
        ("02:30-09:00", "2026-10-25T00:29:59.999Z", None),
        ("02:30-09:00", "2026-10-25T00:30:00.000Z", "2026-10-25T01:00:00"),
        ("02:30-09:00", "2026-10-25T01:00:00.000Z", None),
        ("02:30-09:00", "2026-10-25T01:30:00.000Z", "2026-10-25T08:00:00"),
    ],
)
def test_quiet_is_what_the_clock_in_berlin_shows(hours: str, at: str, ends: str | None) -> None:
    assert until(hours, at) == ends


@pytest.mark.parametrize(
    ("zone", "at", "ends"),
    [
        ("Asia/Shanghai", "2026-03-29T13:00:00Z", "2026-03-30T01:00:00"),
        ("America/New_York", "2026-03-08T02:00:00Z", "2026-03-08T13:00:00"),
        ("Asia/Kolkata", "2026-06-01T15:30:00Z", "2026-06-02T03:30:00"),
        ("Australia/Lord_Howe", "2026-04-04T12:00:00Z", "2026-04-04T22:30:00"),  # switched by half an hour
        ("Pacific/Apia", "2011-12-30T08:00:00Z", "2011-12-30T19:00:00"),  # a day was skipped
    ],
)
def test_other_zones(zone: str, at: str, ends: str) -> None:
    assert until("21:00-09:00", at, zone) == ends


@pytest.mark.parametrize(
    "hours", ["21:00-09:00", "02:30-09:00", "21:00-02:30", "02:00-03:00", "03:00-02:00", "23:59-00:01"]
)
@pytest.mark.parametrize("start", ["2026-03-27T22:00:00Z", "2026-10-23T22:00:00Z"])
@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "UTC"])
def test_asked_minute_by_minute_the_answer_is_that_of_the_clock(hours: str, start: str, zone: str) -> None:
    kept, tz = Quiet(minutes(hours), zoneinfo.ZoneInfo(zone)), zoneinfo.ZoneInfo(zone)
    first, last = hours.split("-")
    begins = parse_iso(start, datetime.UTC)
    moments = list(range(begins, begins + 3 * DAY, MINUTE))
    shown = [f"{datetime.datetime.fromtimestamp(ms // 1000, tz):%H:%M}" for ms in moments]
    wanted = [first <= text < last if first < last else text >= first or text < last for text in shown]
    ends = [kept.until(ms) for ms in moments]
    assert [end is not None for end in ends] == wanted
    quiet = dict(zip(moments, wanted, strict=True))
    for ms, end in zip(moments, ends, strict=True):
        if end is not None and end in quiet:
            assert not quiet[end]
            assert all(quiet[between] for between in (end - MINUTE, (ms + end) // 2 // MINUTE * MINUTE, ms))


def test_answers_do_not_depend_on_what_was_asked_before() -> None:
    moments = [parse_iso("2026-03-29T00:00:00Z", datetime.UTC) + step * 7 * MINUTE for step in range(-200, 200)]
    zone = zoneinfo.ZoneInfo("Europe/Berlin")
    kept = Quiet(minutes("21:00-02:30"), zone)
    forward = {ms: kept.until(ms) for ms in moments}
    backward = {ms: kept.until(ms) for ms in reversed(moments)}
    assert forward == backward == {ms: Quiet(minutes("21:00-02:30"), zone).until(ms) for ms in moments}
    assert max(end - ms for ms, end in forward.items() if end is not None) > HOUR
