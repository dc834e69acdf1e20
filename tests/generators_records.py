"""Random streams of records for any catalogue, and cases: a catalogue with a stream.

A stream moves on by little steps, to a tile's border and a millisecond to each side of it, or by months; some
records are out of order, within what their source accepts or beyond it; some come twice; some can't be read.
"""

from __future__ import annotations

import functools
import zoneinfo
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Final

import msgspec
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from schemas.catalogue import Catalogue, Field, FieldKind, Source
from schemas.durations import DAY, HOUR, MINUTE, SECOND
from schemas.loading import loads as _loads
from tests.generators import catalogues, worlds
from tests.oracle_rules import Record

# 2026-03-01T12:00:00Z
START: Final = 1_772_366_400_000
BORDERS: Final = (MINUTE, 10 * MINUTE, HOUR, 6 * HOUR, DAY, 3 * DAY)
BACK: Final = (0, 1, 30 * SECOND, 9 * MINUTE, HOUR, HOUR + 1, DAY, DAY + 1, 11 * DAY)
CUSTOMERS: Final[tuple[str | int, ...]] = ("anna", "anna", "bo", 7)
UNREADABLE: Final = (b"{", b"7", b'{"customer": "anna"}x', b'{"nobody": 1}', b'{"customer": null, "at": 1}', b"\xff")
_JSON: Final = msgspec.json.Encoder(decimal_format="number")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

loads = functools.lru_cache(maxsize=64)(_loads)


class Case(msgspec.Struct, frozen=True):
    """A catalogue, a stream for it, and until when time passes after it."""

    text: str
    catalogue: Catalogue
    records: list[Record]
    until: int | None

    def __repr__(self) -> str:
        """The case as it would be typed."""
        lines = "\n".join(repr(record) for record in self.records)
        return f"Case:\n{self.text}\n{lines}\nuntil={self.until}"


def decimals_of(places: int) -> SearchStrategy[Decimal]:
    """Small amounts with so many decimals, and now and then a large one."""
    exact = st.one_of(st.sampled_from((0, 1, 100, 250, 1000, -1, -250)), st.integers(-10_000, 10**6), st.just(10**13))
    return exact.map(lambda number: Decimal(number).scaleb(-places))


def values_of(field: Field, exponent: int) -> SearchStrategy[Any]:
    """What a field may hold, few values each."""
    match field.kind:
        case FieldKind.MONEY:
            return st.sampled_from((0, 1, 250, -3)) if field.minor else decimals_of(exponent)
        case FieldKind.COUNT:
            return st.sampled_from((0, 1, 2, 3, 1980))
        case FieldKind.NUMBER if field.decimals is not None:
            return decimals_of(field.decimals)
        case FieldKind.NUMBER:
            return st.sampled_from((0.1, 2.5, -1.0, 0.5, 1e300))
        case FieldKind.BOOLEAN:
            return st.booleans()
        case FieldKind.TIME:
            return st.sampled_from((START, START - DAY, START + 1, 0))
        case FieldKind.ENUM:
            return st.sampled_from((*field.values, "something else") if field.other else field.values)
    return st.sampled_from(("a", "b", "ä", "c", ""))


@st.composite
def payloads(draw: DrawFn, source: Source, exponent: int) -> dict[str, Any]:
    """The fields of a record; optional ones are missing or null at times."""
    value: dict[str, Any] = {}
    given = draw(st.sampled_from(("all", "some", "none")))
    for field in source.fields:
        if field.optional and (given == "none" or (given == "some" and draw(st.booleans()))):
            continue
        inner = value
        for step in field.path[:-1]:
            inner = inner.setdefault(step, {})
        null = field.optional and draw(st.integers(0, 7)) == 7
        inner[field.path[-1]] = None if null else draw(values_of(field, exponent))
    return value


def spellings(timezone_name: str) -> SearchStrategy[Callable[[int], int | str]]:
    """Ways to write an event time: milliseconds mostly, ISO 8601 with a zone, or without one in the catalogue's."""
    home, odd = zoneinfo.ZoneInfo(timezone_name), timezone(timedelta(hours=2, minutes=30))

    def moment(ms: int) -> datetime:
        return _EPOCH + timedelta(milliseconds=ms)

    ways: list[Callable[[int], int | str]] = [
        lambda ms: ms,
        lambda ms: moment(ms).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        lambda ms: moment(ms).astimezone(odd).isoformat(timespec="milliseconds"),
        lambda ms: moment(ms).astimezone(home).replace(tzinfo=None).isoformat(timespec="milliseconds"),
    ]
    return st.sampled_from((*ways[:1] * 3, *ways))


@st.composite
def jumps(draw: DrawFn, clock: int, offset_ms: int) -> int:
    """The next newest time of the stream."""
    kind = draw(st.sampled_from(("same", "little", "border", "border", "gap")))
    if kind == "same":
        return clock
    if kind == "little":
        return clock + draw(st.sampled_from((1, SECOND, 20 * SECOND, 5 * MINUTE, 50 * MINUTE, HOUR, 5 * HOUR)))
    if kind == "border":
        width = draw(st.sampled_from(BORDERS))
        border = ((clock + offset_ms) // width + 1) * width - offset_ms
        return max(clock, border + draw(st.sampled_from((0, -1, 1))))
    return clock + draw(st.sampled_from((DAY, 7 * DAY, 30 * DAY, 100 * DAY)))


class _Stream:
    """A stream as it is drawn: where its clock is, and what was sent."""

    def __init__(self, draw: DrawFn, catalogue: Catalogue, orderly: bool) -> None:
        self.draw, self.catalogue, self.orderly = draw, catalogue, orderly
        self.clock, self.records = START, list[Record]()
        self.profiles = [source for source in catalogue.sources if source.profile]
        self.named = [source for source in catalogue.sources if source.id]
        self.sources = [source for source in catalogue.sources for _ in range(1 if source.profile else 2)]
        self.spelling = st.just(int) if orderly else spellings(catalogue.timezone)

    def add(self, kind: str) -> None:
        """Draw the next record, or a run of them."""
        customer = self.draw(st.sampled_from(CUSTOMERS))
        if kind == "again" and self.records:
            self.records.append(self.draw(st.sampled_from(self.records)))
        elif kind == "burst" and self.named:
            self.burst(self.draw(st.sampled_from(self.named)), customer)
        elif kind == "broken":
            source = self.draw(st.sampled_from(self.sources))
            self.records.append(Record(source.name, self.draw(st.sampled_from(UNREADABLE))))
        elif kind == "removal" and self.profiles:
            source = self.draw(st.sampled_from(self.profiles))
            bare = _JSON.encode({source.key: customer})
            self.records.append(Record(source.name, self.draw(st.sampled_from((bare, None))), str(customer)))
        elif kind == "back":
            source = self.draw(st.sampled_from(self.sources))
            most = source.allowed_skew_ms if self.orderly else 11 * DAY
            self.send(source, customer, self.clock - min(self.draw(st.sampled_from(BACK)), most))
        else:
            self.clock = self.draw(jumps(self.clock, self.catalogue.offset_ms))
            self.send(self.draw(st.sampled_from(self.sources)), customer, self.clock)

    def send(self, source: Source, customer: str | int, time: int) -> None:
        """A new record; one in six profiles is removed."""
        value: dict[str, Any] = {source.key: customer, source.time: self.draw(self.spelling)(time)}
        if not source.profile or self.draw(st.integers(0, 5)) < 5:
            value |= self.draw(payloads(source, self.catalogue.exponent))
        if source.id:
            number = len(self.records)
            value[source.id] = self.draw(st.sampled_from((f"n{number}", number)))
        self.records.append(Record(source.name, _JSON.encode(value), str(customer)))

    def burst(self, source: Source, customer: str | int) -> None:
        """Records at one time, about as many as ids are remembered, and then the first of them again."""
        fields = self.draw(payloads(source, self.catalogue.exponent))
        first = len(self.records)
        for number in range(first, first + self.draw(st.sampled_from((16, 17)))):
            value = {source.key: customer, source.time: self.clock, str(source.id): f"n{number}"} | fields
            self.records.append(Record(source.name, _JSON.encode(value), str(customer)))
        self.records.append(self.records[first])


@st.composite
def streams(draw: DrawFn, catalogue: Catalogue, orderly: bool = False) -> list[Record]:
    """Some tens of records; where `orderly`, none is older than its source's `allowed_skew` and all bear a time."""
    stream = _Stream(draw, catalogue, orderly)
    kinds = ("on",) * 6 + ("back",) * 3 + (() if orderly else ("again", "removal", "broken", "burst"))
    some = st.lists(st.sampled_from(kinds), min_size=1, max_size=10)  # a list of lists is longer, and shrinks as well
    for run in draw(st.lists(some, min_size=1, max_size=12)):
        for kind in run:
            stream.add(kind)
    return stream.records


@st.composite
def cases(draw: DrawFn, text: str | None = None, orderly: bool = False) -> Case:
    """A stream for the catalogue, a drawn one where none is given; an orderly one lets all time pass at its end."""
    text = text if text is not None else draw(worlds().flatmap(catalogues))
    catalogue = loads(text)
    end = START + 10_000 * DAY if orderly else draw(st.sampled_from((None, START + 400 * DAY, START + HOUR)))
    return Case(text, catalogue, draw(streams(catalogue, orderly)), end)


@st.composite
def scattered(draw: DrawFn, text: str) -> Case:
    """Up to 20 different events of one customer within `accept_late` of each other; no profiles."""
    catalogue, records = loads(text), list[Record]()
    events = [source for source in catalogue.sources if source.id]
    for number in range(draw(st.integers(2, 20))):
        source = draw(st.sampled_from(events))
        back = draw(st.sampled_from((0, 1, MINUTE, 10 * MINUTE, HOUR, DAY)))
        value = {source.key: "anna", source.time: START - min(back, source.accept_late_ms), source.id: f"n{number}"}
        records.append(Record(source.name, _JSON.encode(value | draw(payloads(source, catalogue.exponent))), "anna"))
    return Case(text, catalogue, records, None)


@st.composite
def jumping(draw: DrawFn, text: str) -> Case:
    """Events of several customers to each side of an hour from each other: what moves the watermark, what waits."""
    catalogue, records = loads(text), list[Record]()
    steps = st.sampled_from((0, 1, MINUTE, HOUR, HOUR + 1, 2 * HOUR, 2 * HOUR + 1, 3 * HOUR, DAY))
    for time in draw(st.lists(st.tuples(steps, steps).map(sum), min_size=3, max_size=15)):
        source = draw(st.sampled_from(catalogue.sources))
        customer = draw(st.sampled_from("abcd"))
        value = {source.key: customer, source.time: START + time} | draw(payloads(source, catalogue.exponent))
        records.append(Record(source.name, _JSON.encode(value), customer))
    return Case(text, catalogue, records, None)
