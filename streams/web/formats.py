"""Values as people read them: money, counts, ratios, durations, moments. Pure; what comes out is plain text."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from schemas.catalogue import Unit
from schemas.records import Value
from streams.web.words import Language, say

MISSING: Final = "–"
STEPS_MS: Final = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1))


def count(number: int) -> str:
    """`1469307` as `1,469,307`."""
    return f"{number:,}"


def rate(per_s: float) -> str:
    """Events per second: whole numbers from ten on."""
    return f"{per_s:,.0f}" if per_s >= 10 or per_s == 0 else f"{per_s:.1f}"


def share(part: int, whole: int) -> str:
    """Percent of the whole, with one decimal below ten; empty where there is no whole."""
    if whole <= 0:
        return ""
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "<0.1 %"
    return f"{percent:.1f} %" if percent < 10 and part else f"{percent:.0f} %"


def duration(ms: float, language: Language) -> str:
    """The two largest units: `2 d 3 h`, `45 s`; below a second in ms."""
    left = abs(round(ms))
    unit, size = next((step for step in STEPS_MS if left >= step[1]), STEPS_MS[-1])
    place = STEPS_MS.index((unit, size))
    parts = [f"{left // size} {say(unit, language)}"]
    if place + 1 < len(STEPS_MS) - 1 and left % size >= STEPS_MS[place + 1][1]:
        below, below_size = STEPS_MS[place + 1]
        parts.append(f"{left % size // below_size} {say(below, language)}")
    return ("−" if ms < 0 else "") + " ".join(parts)


@cache
def zone(name: str) -> ZoneInfo:
    """The time zone; UTC where this machine has no such zone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def moment(iso: str | None, timezone: str) -> datetime | None:
    """The time in that zone; None where there is none or it can't be read."""
    if not iso:
        return None
    try:
        read = datetime.fromisoformat(iso)
    except ValueError:
        return None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(zone(timezone))


def day(iso: str | None, timezone: str) -> str:
    """`2025-01-05`."""
    at = moment(iso, timezone)
    return f"{at:%Y-%m-%d}" if at else MISSING


def clock_time(iso: str | None, timezone: str) -> str:
    """`09:12:33`."""
    at = moment(iso, timezone)
    return f"{at:%H:%M:%S}" if at else MISSING


def day_and_time(iso: str | None, timezone: str) -> str:
    """`2025-01-05 09:12`."""
    at = moment(iso, timezone)
    return f"{at:%Y-%m-%d %H:%M}" if at else MISSING


def money(value: Value, currency: str) -> str:
    """`"61000.50"` as `61,000.50 CNY`; a mean or a computed amount is a number and gets two decimals."""
    if isinstance(value, str):
        whole, point, cents = value.partition(".")
        sign, digits = ("−", whole[1:]) if whole.startswith("-") else ("", whole)
        text = f"{sign}{int(digits):,}{point}{cents}" if digits.isdecimal() else value
    else:
        text = number(value, 2)
    return f"{text} {currency}".strip()


def number(value: Value, decimals: int | None = None) -> str:
    """A number with thousands apart; without `decimals`, whole or three significant digits."""
    if isinstance(value, int):
        return f"{value:,}"
    if not isinstance(value, float):
        return MISSING if value is None else value
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if decimals is not None:
        return f"{value:,.{decimals}f}"
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"


def reading(value: Value, unit: Unit | None, summary_currency: str, timezone: str, language: Language) -> str:
    """A feature's or a tag's value in words; missing is a dash."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return say("yes" if value else "no", language)
    match unit:
        case Unit.MONEY:
            return money(value, summary_currency)
        case Unit.DURATION if not isinstance(value, str):
            return duration(value, language)
        case Unit.TIME if isinstance(value, str):
            return day_and_time(value, timezone)
    return number(value)
