"""Removals of profiles: a null value, or a record that says nothing but whose it is and when. P9 holds for them too."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable
from typing import Any, Final

import msgspec

from schemas.catalogue import Source
from schemas.decode_errors import Fault
from schemas.reasons import LONGEST_ID, TIME_LIMITS, Reason
from schemas.values import parse_iso

_TIME: Final = "ISO 8601 or integer ms"


class Removal(msgspec.Struct, frozen=True):
    """Whose profile is removed, and when (UTC ms; None where that is not said)."""

    customer: str
    time: int | None


Remover = Callable[[bytes | None, bytes | None, int | None, bool], Removal | Fault]
"""Given value, key, Kafka's timestamp (ms) and whether the key must be the customer."""


def removes(value: bytes | None, source: Source) -> bool:
    """Whether a profile's record removes it: null, or nothing but key and time."""
    if value is None:
        return True
    try:
        found = msgspec.json.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
        return False
    return isinstance(found, dict) and source.key in found and found.keys() <= {source.key, source.time}


def remover(source: Source, zone: zoneinfo.ZoneInfo) -> Remover:
    """What reads the removals of a source; only of records that `removes` holds for."""

    def read(value: bytes | None, key: bytes | None, stamp: int | None, keyed: bool) -> Removal | Fault:
        found = _by_key(key, source) if value is None else _by_value(msgspec.json.decode(value), source, zone)
        if isinstance(found, Fault):
            return found
        if not 0 < len(found.customer) <= LONGEST_ID:
            return Fault(Reason.BAD_ID, source.key, f"a customer of 1 to {LONGEST_ID} characters")
        if found.time is not None:
            if not TIME_LIMITS[0] <= found.time < TIME_LIMITS[1]:
                return Fault(Reason.TIME_RANGE, source.time, "a time from 1970 to 2199")
            if stamp is not None and 0 <= stamp < found.time - source.max_ahead_ms:
                return Fault(Reason.TIME_AHEAD, source.time, "a time not ahead of the record's own timestamp")
        if keyed and key != found.customer.encode():
            reason = Reason.NULL_KEY if key is None else Reason.KEY_MISMATCH
            return Fault(reason, source.key, "the record's key to be the customer; or 'rekey: true' on the source")
        return found

    return read


def _by_key(key: bytes | None, source: Source) -> Removal | Fault:
    if not key:
        return Fault(Reason.NULL_KEY, source.key, "the customer as the record's key")
    try:
        return Removal(key.decode(), None)
    except UnicodeDecodeError:
        return Fault(Reason.BAD_ID, source.key, "UTF-8 text")


def _by_value(found: dict[str, Any], source: Source, zone: zoneinfo.ZoneInfo) -> Removal | Fault:
    customer, time = found[source.key], found.get(source.time)
    if isinstance(customer, bool) or not isinstance(customer, str | int):
        return Fault(Reason.WRONG_TYPE, source.key, "a text or an integer")
    if isinstance(time, bool) or not isinstance(time, str | int | None):
        return Fault(Reason.WRONG_TYPE, source.time, f"a time, {_TIME}")
    try:
        return Removal(str(customer), parse_iso(time, zone) if isinstance(time, str) else time)
    except OverflowError:
        return Fault(Reason.TIME_RANGE, source.time, "a time from 1970 to 2199")
    except ValueError:
        return Fault(Reason.BAD_TIME, source.time, _TIME)
