"""Numbers of the engine to values of JSON, and times to text (DESIGN section 8)."""

from __future__ import annotations

import datetime
import math
from decimal import Decimal
from typing import Final

from schemas.catalogue import Aggregation, Catalogue, Feature, Segment, Tag, Unit
from schemas.records import Value

EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MILLISECOND: Final = datetime.timedelta(milliseconds=1)


def iso(ms: int) -> str:
    """ISO 8601 in UTC with milliseconds, such as 2025-01-05T01:12:33.123Z."""
    return (EPOCH + ms * _MILLISECOND).isoformat(timespec="milliseconds")[:-6] + "Z"


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
    return str(Decimal(minor).scaleb(-exponent).quantize(Decimal(1).scaleb(-exponent))) if exponent else str(minor)


def feature_value(feature: Feature, value: float, exponent: int) -> Value:
    """A feature's register as JSON; NaN is null."""
    if value != value:
        return None
    match feature.unit:
        case Unit.MONEY:
            if feature.aggregation in (Aggregation.MEAN, Aggregation.COMPUTE):
                return _finite(value / 10**exponent)
            return money(int(value), exponent)
        case Unit.COUNT if feature.aggregation is not Aggregation.COMPUTE:
            return int(value)
        case Unit.DURATION:
            return int(value) if math.isfinite(value) else None
        case Unit.TIME:
            return iso(int(value))
        case Unit.CATEGORY:
            return feature.values[int(value)]
        case Unit.BOOLEAN:
            return value == 1.0
    return _finite(value)


def said_value(item: Tag | Segment, code: int) -> bool | str | None:
    """A tag's or segment's code as JSON; -1 is null."""
    if isinstance(item, Segment) or item.boolean:
        return code == 1
    return None if code < 0 else item.values[code]


def named_value(catalogue: Catalogue, name: str, value: float) -> Value:
    """The register of a feature or tag as JSON."""
    for feature in catalogue.features:
        if feature.name == name:
            return feature_value(feature, value, catalogue.exponent)
    return said_value(catalogue.tag(name), -1 if value != value else int(value))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
