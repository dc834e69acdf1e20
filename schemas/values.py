"""Numbers of the engine to values of JSON, and times to text (DESIGN section 8)."""

from __future__ import annotations

import datetime
import functools
import math
from collections.abc import Callable
from typing import Final

from schemas.catalogue import Aggregation, Catalogue, Feature, Segment, Tag, Unit
from schemas.records import Value

EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MINUTE: Final = datetime.timedelta(minutes=1)
_FRACTIONS: Final = {digits: [f"{n:0{digits}d}" for n in range(10**digits)] for digits in (1, 2, 3)}


def iso(ms: int) -> str:
    """ISO 8601 in UTC with milliseconds, such as 2025-01-05T01:12:33.123Z."""
    minute, rest = divmod(ms, 60_000)
    return f"{_minute(minute)}{rest // 1000:02d}.{rest % 1000:03d}Z"


@functools.lru_cache(maxsize=65_536)
def _minute(number: int) -> str:
    """The text of a minute since 1970 up to its seconds; moments come close together."""
    return (EPOCH + number * _MINUTE).isoformat()[:17]


def parse_iso(text: str, zone: datetime.tzinfo) -> int:
    """UTC ms of an ISO 8601 text; without a zone it is `zone`'s, a date alone is the end of that day.

    Raises
    ------
    ValueError
        Where the text is no ISO 8601 time.
    """
    moment = datetime.datetime.fromisoformat(text)
    if len(text) <= 10 and "T" not in text:
        midnight = datetime.datetime.combine(moment.date() + datetime.timedelta(days=1), datetime.time(), zone)
        return to_ms(midnight) - 1
    return to_ms(moment if moment.tzinfo is not None else moment.replace(tzinfo=zone))


def to_ms(moment: datetime.datetime) -> int:
    """UTC ms of an aware time; parts of a millisecond are cut off."""
    delta = moment - EPOCH
    return delta.days * 86_400_000 + delta.seconds * 1_000 + delta.microseconds // 1_000


def money(minor: int, exponent: int) -> str:
    """Major units as a decimal text: 6100050 is "61000.50" with two digits."""
    if not exponent:
        return str(minor)
    fractions = _FRACTIONS[exponent]
    whole, part = divmod(abs(minor), len(fractions))
    return f"{'-' if minor < 0 else ''}{whole}.{fractions[part]}"


Saying = Callable[[float], Value]


def saying(feature: Feature, exponent: int) -> Saying:
    """What turns the feature's register into JSON; NaN is null."""
    computed = feature.is_derived
    match feature.unit:
        case Unit.MONEY if computed or feature.aggregation is Aggregation.MEAN:
            scale = 10**exponent
            return lambda value: _finite(value / scale)
        case Unit.MONEY:
            return lambda value: None if value != value else money(int(value), exponent)
        case Unit.COUNT if not computed:
            return lambda value: None if value != value else int(value)
        case Unit.DURATION:
            return lambda value: int(value) if math.isfinite(value) else None
        case Unit.TIME:
            return lambda value: None if value != value else iso(int(value))
        case Unit.CATEGORY:
            values = feature.values
            return lambda value: None if value != value else values[int(value)]
        case Unit.BOOLEAN:
            return lambda value: None if value != value else value == 1.0
    return _finite


def said_values(item: Tag | Segment) -> tuple[bool | str | None, ...]:
    """A tag's or segment's values as JSON, by code + 1; the first is what missing says."""
    if isinstance(item, Segment) or item.boolean:
        return (False, False, True)
    return (None, *item.values)


def said_value(item: Tag | Segment, code: int) -> bool | str | None:
    """A tag's or segment's code as JSON; -1 is null."""
    return said_values(item)[code + 1]


def named_value(catalogue: Catalogue, name: str, value: float) -> Value:
    """The register of a feature or tag as JSON."""
    for feature in catalogue.features:
        if feature.name == name:
            return saying(feature, catalogue.exponent)(value)
    return said_value(catalogue.tag(name), -1 if value != value else int(value))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
