"""A decoder per source, made from its field list: bytes to columns, or a reason (P9)."""

from __future__ import annotations

import operator
import zoneinfo
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec
import numpy as np
import xxhash
from numpy.typing import NDArray

from schemas.catalogue import Catalogue, Field, FieldKind, Source
from schemas.decode_errors import Fault, explain
from schemas.iso_times import parse_many
from schemas.record_shape import shape_of
from schemas.values import parse_iso

MISSING: Final = -(2**63)
MONEY_LIMIT: Final = 10**13
TIME_LIMITS: Final = (0, 7_258_118_400_000)  # 1970-01-01 to 2200-01-01
LONGEST_ID: Final = 256


class Reason(StrEnum):
    """Why a record is a dead letter."""

    NULL_VALUE, BAD_JSON, MISSING_FIELD, WRONG_TYPE = "null value", "bad JSON", "missing field", "wrong type"
    UNKNOWN_VALUE, BAD_TIME, TIME_RANGE, TIME_AHEAD = "unknown value", "bad time", "time out of range", "time ahead"
    MONEY_DECIMALS, MONEY_RANGE, NUMBER_DECIMALS = "too many decimals", "money out of range", "decimals"
    NULL_KEY, KEY_MISMATCH, WRONG_PARTITION, BAD_ID = "null key", "key is not the customer", "wrong partition", "bad id"
    OVERFLOW = "sum out of range"


class Incoming(msgspec.Struct, frozen=True, gc=False):
    """A record as it came: raw bytes, its place, and Kafka's own timestamp in ms (None from files)."""

    value: bytes | None
    key: bytes | None = None
    offset: int = 0
    timestamp: int | None = None


class Bad(msgspec.Struct, frozen=True):
    """A record that can't be read: its index in what was given, and why."""

    index: int
    reason: Reason
    field: str
    expected: str


class Decoded(msgspec.Struct):
    """The good records of a run, as columns; `index[i]` is where record i stood in what was given.

    `times` are UTC ms (MISSING for a removal that bears none); `values` has a column per field: money in minor units,
    numbers with decimals scaled to integers, other numbers as the bits of a double, enums and texts as codes.
    """

    index: NDArray[np.int64]
    customers: list[str]
    times: NDArray[np.int64]
    ids: list[str]
    id_hashes: NDArray[np.int64]
    removed: NDArray[np.bool_]
    values: NDArray[np.int64]
    bad: list[Bad]


class Decoder:
    """Reads one source's records; `text_codes` are the codes of texts that rules compare with, by field."""

    def __init__(self, catalogue: Catalogue, source: Source, text_codes: dict[str, dict[str, int]]) -> None:
        self.source, self.exponent = source, catalogue.exponent
        self.zone = zoneinfo.ZoneInfo(catalogue.timezone)
        self.text_codes = text_codes
        self._enum_codes = {f.name: {v: i for i, v in enumerate(f.values)} for f in source.fields}
        tree, self._getters = shape_of(source)
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(tree).decode

    def decode(self, records: Sequence[Incoming], keyed: bool) -> Decoded:
        """The records as columns; with `keyed` each must bear the customer as its key.

        Nothing raises: what can't be read is in `bad`, with its index and reason.
        """
        bad: list[Bad] = []
        rows, index = self._read(records, bad)
        removals = [i for i in index if rows[i] is _REMOVAL]
        kept = [i for i in index if rows[i] is not _REMOVAL]
        columns = self._columns([rows[i] for i in kept], kept, records, keyed, bad)
        return self._with_removals(columns, removals, records, bad) if removals else columns

    def _read(self, records: Sequence[Incoming], bad: list[Bad]) -> tuple[list[Any], list[int]]:
        try:
            read = list(map(self._decode, [r.value for r in records]))  # type: ignore[arg-type]
            if self.source.profile:
                read = [
                    _REMOVAL if row.time is None and _removes(r.value, self.source) else row
                    for row, r in zip(read, records, strict=True)
                ]
            return read, list(range(len(records)))
        except (msgspec.MsgspecError, UnicodeDecodeError, TypeError, ValueError, RecursionError):
            pass
        rows: list[Any] = [None] * len(records)
        index: list[int] = []
        for i, record in enumerate(records):
            found = self._one(record)
            if isinstance(found, Fault):
                bad.append(Bad(i, Reason(found.reason), found.field, found.expected))
            else:
                rows[i] = found
                index.append(i)
        return rows, index

    def _one(self, record: Incoming) -> Any:
        if self.source.profile and _removes(record.value, self.source):
            return _REMOVAL
        if record.value is None:
            return Fault(Reason.NULL_VALUE, "", "a JSON object")
        try:
            return self._decode(record.value)
        except RecursionError:
            return Fault(Reason.BAD_JSON, "", "JSON that is not nested so deep")
        except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
            return explain(error, self.source)

    def _columns(
        self, rows: list[Any], index: list[int], records: Sequence[Incoming], keyed: bool, bad: list[Bad]
    ) -> Decoded:
        count, fields = len(rows), self.source.fields
        good = np.ones(count, dtype=np.bool_)

        def fail(i: int, reason: Reason, field: str, expected: str) -> None:
            if good[i]:
                good[i] = False
                bad.append(Bad(index[i], reason, field, expected))

        customers = _texts(list(map(_KEY, rows)))
        times = self._times(list(map(_TIME, rows)), self.source.time, fail)
        ids, hashes = self._ids(rows, index, records, fail)
        values = np.empty((count, len(fields)), dtype=np.int64)
        for column, field in enumerate(fields):
            values[:, column] = self._column(field, list(map(self._getters[field.name], rows)), fail)
        self._check(customers, times, [records[i] for i in index], keyed, fail)
        removed = np.zeros(count, dtype=np.bool_)
        if self.source.profile:
            removed = (values == MISSING).all(axis=1)
        where = np.array(index, dtype=np.int64)
        if good.all():
            return Decoded(where, customers, times, ids, hashes, removed, values, bad)
        keep = np.flatnonzero(good)
        return Decoded(
            where[keep],
            [customers[i] for i in keep],
            times[keep],
            [ids[i] for i in keep],
            hashes[keep],
            removed[keep],
            values[keep],
            bad,
        )

    def _check(
        self, customers: list[str], times: NDArray[np.int64], records: list[Incoming], keyed: bool, fail: Fail
    ) -> None:
        for i in np.flatnonzero((times < TIME_LIMITS[0]) | (times >= TIME_LIMITS[1])).tolist():
            fail(i, Reason.TIME_RANGE, self.source.time, "a time from 1970 to 2199")
        if self._fine(customers, times, records, keyed):
            return
        for i, (customer, record) in enumerate(zip(customers, records, strict=True)):
            if not 0 < len(customer) <= LONGEST_ID:
                fail(i, Reason.BAD_ID, self.source.key, f"a customer of 1 to {LONGEST_ID} characters")
            if record.timestamp is not None and times[i] > record.timestamp + self.source.max_ahead_ms:
                fail(i, Reason.TIME_AHEAD, self.source.time, "a time not ahead of the record's own timestamp")
            if keyed and record.key != customer.encode():
                reason = Reason.NULL_KEY if record.key is None else Reason.KEY_MISMATCH
                fail(i, reason, self.source.key, "the record's key to be the customer")

    def _fine(self, customers: list[str], times: NDArray[np.int64], records: list[Incoming], keyed: bool) -> bool:
        """Whether all of it is in order, as nearly always; looked at as a whole, not record by record."""
        lengths = list(map(len, customers))
        if lengths and not 0 < min(lengths) <= max(lengths) <= LONGEST_ID:
            return False
        if keyed and list(map(_KEY, records)) != list(map(str.encode, customers)):
            return False
        stamps = [MISSING if r.timestamp is None else r.timestamp for r in records]
        ahead = times - np.array(stamps, dtype=np.int64) > self.source.max_ahead_ms
        return not (ahead & (np.array(stamps, dtype=np.int64) != MISSING)).any()

    def _times(self, found: list[Any], name: str, fail: Fail) -> NDArray[np.int64]:
        many = parse_many(found)
        if many is not None:
            return many
        zone, times = self.zone, np.empty(len(found), dtype=np.int64)
        for i, value in enumerate(found):
            try:
                times[i] = parse_iso(value, zone) if type(value) is str else value
            except (ValueError, OverflowError, TypeError):
                times[i] = 0
                fail(i, Reason.BAD_TIME if value is not None else Reason.MISSING_FIELD, name, "ISO 8601 or integer ms")
        return times

    def _ids(
        self, rows: list[Any], index: list[int], records: Sequence[Incoming], fail: Fail
    ) -> tuple[list[str], NDArray[np.int64]]:
        digest = xxhash.xxh3_64_intdigest
        if self.source.id is None:
            raw = [digest(records[i].value or b"") for i in index]
            return [f"#{value:016x}" for value in raw], np.array(raw, dtype=np.uint64).view(np.int64)
        ids = _texts(list(map(_ID, rows)))
        for i, length in enumerate(map(len, ids)):
            if not 0 < length <= LONGEST_ID:
                fail(i, Reason.BAD_ID, self.source.id, f"an id of 1 to {LONGEST_ID} characters")
        return ids, np.array(list(map(digest, map(str.encode, ids))), dtype=np.uint64).view(np.int64)

    def _column(self, field: Field, found: list[Any], fail: Fail) -> NDArray[np.int64]:
        match field.kind:
            case FieldKind.MONEY if field.minor:
                return self._whole(field, found, fail)
            case FieldKind.MONEY:
                return self._money(field, found, fail)
            case FieldKind.NUMBER:
                return self._number(field, found, fail)
            case FieldKind.ENUM:
                codes, other = self._enum_codes[field.name], len(field.values) if field.other else MISSING
                if not field.optional and not field.other and not self.source.profile:
                    return np.array(list(map(codes.__getitem__, found)), dtype=np.int64)
                return np.array([MISSING if v is None else codes.get(v, other) for v in found], dtype=np.int64)
            case FieldKind.TEXT:
                codes = self.text_codes.get(field.name, {})
                return np.array([MISSING if v is None else codes.get(v, len(codes)) for v in found], dtype=np.int64)
            case FieldKind.TIME:
                known = [i for i, v in enumerate(found) if v is not None]
                times = np.full(len(found), MISSING, dtype=np.int64)
                times[known] = self._times(
                    [found[i] for i in known], field.name, lambda i, r, f, e: fail(known[i], r, f, e)
                )
                return times
        return np.array([MISSING if v is None else v for v in found], dtype=np.int64)

    def _whole(self, field: Field, found: list[Any], fail: Fail) -> NDArray[np.int64]:
        for i, value in enumerate(found):
            if value is not None and abs(value) > MONEY_LIMIT:
                fail(i, Reason.MONEY_RANGE, field.name, "at most 10^13 minor units")
                found[i] = None
        return np.array([MISSING if v is None else v for v in found], dtype=np.int64)

    def _money(self, field: Field, found: list[Any], fail: Fail) -> NDArray[np.int64]:
        """Exact minor units: a double stands for a decimal of `exponent` digits only if it is the nearest to it."""
        given = np.array(found, dtype=np.float64)
        known, scale = ~np.isnan(given), 10.0**self.exponent
        minor = np.rint(np.where(known, given, 0.0) * scale)
        large = np.abs(minor) > MONEY_LIMIT
        for i in np.flatnonzero(large):
            fail(int(i), Reason.MONEY_RANGE, field.name, "at most 10^13 minor units")
        for i in np.flatnonzero(known & ~large & (minor / scale != given)):
            fail(int(i), Reason.MONEY_DECIMALS, field.name, f"money with at most {self.exponent} decimals")
        return np.where(known & ~large, minor, 0).astype(np.int64) + np.where(known, 0, MISSING)

    def _number(self, field: Field, found: list[Any], fail: Fail) -> NDArray[np.int64]:
        given = np.array(found, dtype=np.float64)
        known = ~np.isnan(given)
        if field.decimals is None:
            return np.where(known, (given + 0.0).view(np.int64), MISSING)
        scale = 10.0**field.decimals
        whole = np.rint(np.where(known, given, 0.0) * scale)
        wrong = known & ((whole / scale != given) | (np.abs(whole) > MONEY_LIMIT))
        for i in np.flatnonzero(wrong):
            fail(int(i), Reason.NUMBER_DECIMALS, field.name, f"at most {field.decimals} decimals, below 10^13 of them")
        return np.where(known & ~wrong, whole, 0).astype(np.int64) + np.where(known, 0, MISSING)

    def _with_removals(
        self, columns: Decoded, removals: list[int], records: Sequence[Incoming], bad: list[Bad]
    ) -> Decoded:
        """The columns with removals of profiles put where they stood."""
        customers, times, index = list(columns.customers), list(columns.times), list(columns.index)
        for i in removals:
            found = _removal(records[i], self.source, self.zone)
            if isinstance(found, _Removal) and not TIME_LIMITS[0] <= (found.time or 0) < TIME_LIMITS[1]:
                found = Fault(Reason.TIME_RANGE, self.source.time, "a time from 1970 to 2199")
            if isinstance(found, Fault):
                bad.append(Bad(i, Reason(found.reason), found.field, found.expected))
                continue
            index.append(np.int64(i))
            customers.append(found.customer)
            times.append(np.int64(MISSING if found.time is None else found.time))
        new = len(index) - len(columns.index)
        order = np.argsort(np.array(index, dtype=np.int64), kind="stable")
        digests = [xxhash.xxh3_64_intdigest(records[i].value or b"") for i in index]
        values = np.concatenate([columns.values, np.full((new, columns.values.shape[1]), MISSING, dtype=np.int64)])
        removed = np.concatenate([columns.removed, np.ones(new, dtype=np.bool_)])
        return Decoded(
            np.array(index, dtype=np.int64)[order],
            [customers[i] for i in order],
            np.array(times, dtype=np.int64)[order],
            [f"#{digests[i]:016x}" for i in order],
            np.array(digests, dtype=np.uint64).view(np.int64)[order],
            removed[order],
            values[order],
            bad,
        )


Fail = Callable[[int, Reason, str, str], None]
_REMOVAL: Final = object()


class _Removal(msgspec.Struct, frozen=True):
    customer: str
    time: int | None


_KEY: Final = operator.attrgetter("key")  # of rows and of records as they came
_TIME: Final = operator.attrgetter("time")
_ID: Final = operator.attrgetter("id")


def _texts(values: list[Any]) -> list[str]:
    """Customers and ids as texts; numbers are allowed."""
    return [value if type(value) is str else str(value) for value in values]


def _removes(value: bytes | None, source: Source) -> bool:
    """Whether a profile's record removes it: null, or nothing but key and time."""
    if value is None:
        return True
    try:
        found = msgspec.json.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(found, dict) and source.key in found and found.keys() <= {source.key, source.time}


def _removal(record: Incoming, source: Source, zone: zoneinfo.ZoneInfo) -> _Removal | Fault:
    """Whose profile is removed, and when."""
    if record.value is None:
        if not record.key:
            return Fault(Reason.NULL_KEY, source.key, "the customer as the record's key")
        try:
            return _Removal(record.key.decode(), None)
        except UnicodeDecodeError:
            return Fault(Reason.BAD_ID, source.key, "UTF-8 text")
    found = msgspec.json.decode(record.value)
    customer, time = found[source.key], found.get(source.time)
    if isinstance(customer, bool) or not isinstance(customer, str | int):
        return Fault(Reason.WRONG_TYPE, source.key, "a text or an integer")
    try:
        return _Removal(str(customer), parse_iso(time, zone) if isinstance(time, str) else time)
    except (ValueError, OverflowError):
        return Fault(Reason.BAD_TIME, source.time, "ISO 8601 or integer ms")
