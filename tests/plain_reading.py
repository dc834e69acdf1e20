"""A record read by plain Python, one by one, with nothing of the decoder's: the truth for hostile input.

What stands in the fields that a source declares must be right; other fields may hold anything that is JSON at all.
"""

from __future__ import annotations

import json
import math
import struct
import zoneinfo
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from schemas.catalogue import Catalogue, Field, FieldKind, Source

MISSING = -(2**63)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS = 4_300  # of the longest integer that Python reads
_ABSENT = object()


class Wrong(Exception):
    """The record is no good."""


class Read(msgspec.Struct, frozen=True):
    """A good record; `values` are in the order of the source's fields, `doubled` says that some name stood twice."""

    customer: str
    time: int
    id: str
    values: tuple[int, ...]
    doubled: bool = False


class _TooLong:
    """An integer of more digits than Python reads."""


def plainly(catalogue: Catalogue, source: Source, raw: bytes, codes: dict[str, dict[str, int]]) -> Read | Wrong:
    """The record, or what is wrong with it."""
    try:
        return _read(catalogue, source, raw, codes)
    except Wrong as wrong:
        return wrong


def _read(catalogue: Catalogue, source: Source, raw: bytes, codes: dict[str, dict[str, int]]) -> Read:
    found = _json(raw)
    zone = zoneinfo.ZoneInfo(catalogue.timezone)
    customer, identity = _name(found, source.key), _name(found, source.id or "")
    time = _time(_at(found, (source.time,)), zone)
    if not 0 <= time < 7_258_118_400_000:
        raise Wrong("time")
    values = tuple(_value(field, found, catalogue.exponent, zone, codes) for field in source.fields)
    return Read(customer, time, identity, values, isinstance(found, _Doubled))


def _json(raw: bytes) -> dict[str, Any]:
    """The JSON object. Bytes that are no UTF-8 become lone surrogates, which no field that is read may hold."""
    try:
        if b"\\u" in raw and _surrogates(_loads(raw.decode("utf-8", "replace"))):
            raise Wrong("escaped surrogate")
        found = _loads(raw.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        raise Wrong("JSON") from None
    if not isinstance(found, dict):
        raise Wrong("no object")
    return found


class _Doubled(dict[str, Any]):
    """An object in which a name, there or below, stands twice."""


def _loads(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse, parse_int=_integer, object_pairs_hook=_object)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    doubled = len(found) < len(pairs) or any(isinstance(value, _Doubled) for _, value in pairs)
    return _Doubled(found) if doubled else found


def _refuse(name: str) -> None:
    raise ValueError(name)


def _integer(text: str) -> Any:
    return int(text) if len(text.lstrip("-")) <= _DIGITS else _TooLong()


def _surrogates(value: Any) -> bool:
    if isinstance(value, str):
        return any("\ud800" <= letter <= "\udfff" for letter in value)
    if isinstance(value, dict):
        return any(_surrogates(key) or _surrogates(item) for key, item in value.items())
    return isinstance(value, list) and any(map(_surrogates, value))


def _at(found: Any, path: tuple[str, ...]) -> Any:
    for number, name in enumerate(path):
        if number and found is None:
            return None
        if not isinstance(found, dict):
            raise Wrong("no object")
        found = found.get(name, None if number or len(path) > 1 else _ABSENT)
    return found


def _name(found: Any, field: str) -> str:
    value = _at(found, (field,))
    if type(value) is int:
        value = str(value)
    if not isinstance(value, str) or not 0 < len(value) <= 256:
        raise Wrong(field)
    return _text(value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or _surrogates(value):
        raise Wrong("text")
    return value


def _time(value: Any, zone: zoneinfo.ZoneInfo) -> int:
    if type(value) is int:
        return value
    text = _text(value)
    try:
        moment = datetime.fromisoformat(text)
        if len(text) <= 10 and "T" not in text:
            day: date = moment.date() + timedelta(days=1)
            return _ms(datetime(day.year, day.month, day.day, tzinfo=zone)) - 1
        return _ms(moment if moment.tzinfo else moment.replace(tzinfo=zone))
    except (ValueError, OverflowError):
        raise Wrong("time") from None


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _value(field: Field, found: Any, exponent: int, zone: zoneinfo.ZoneInfo, codes: dict[str, dict[str, int]]) -> int:
    value = _at(found, field.path)
    if value is _ABSENT or value is None:
        if field.optional:
            return MISSING
        raise Wrong(field.name)
    match field.kind:
        case FieldKind.MONEY if field.minor:
            return _within(value, -(10**13), 10**13)
        case FieldKind.MONEY:
            return _scaled(value, exponent)
        case FieldKind.NUMBER if field.decimals is not None:
            return _scaled(value, field.decimals)
        case FieldKind.NUMBER:
            bits: int = struct.unpack("<q", struct.pack("<d", _real(value) + 0.0))[0]
            return bits
        case FieldKind.COUNT:
            return _within(value, 0, 2**53)
        case FieldKind.TIME:
            return _within(_time(value, zone), -62_135_596_800_000, 253_402_300_799_999)
        case FieldKind.BOOLEAN:
            if not isinstance(value, bool):
                raise Wrong(field.name)
            return int(value)
        case FieldKind.TEXT:
            known = codes.get(field.name, {})
            return known.get(_text(value), len(known))
    if _text(value) in field.values:
        return field.values.index(value)
    if not field.other:
        raise Wrong(field.name)
    return len(field.values)


def _within(value: Any, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise Wrong("integer")
    return value


def _real(value: Any) -> float:
    try:
        found = float(value) if type(value) in (int, float) else math.nan
    except OverflowError:
        raise Wrong("number") from None
    if not math.isfinite(found):
        raise Wrong("number")
    return found


def _scaled(value: Any, decimals: int) -> int:
    """The decimal that the shortest text of the double says, as an integer."""
    exact = Decimal(repr(_real(value))).scaleb(decimals)
    if exact != exact.to_integral_value() or abs(exact) > 10**13:
        raise Wrong("decimals")
    return int(exact)
