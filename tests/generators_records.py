"""Random streams of records for any catalogue, and cases: a catalogue with a stream.

A stream moves on by little steps, to a tile's border and a millisecond to each side of it, or by months; some
records are out of order, within what their source accepts or beyond it; some come twice; some can't be read. Most
streams lie in 2026, some at one of the ends of the times that are allowed.
"""

from __future__ import annotations

import functools
import zoneinfo
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from random import Random
from typing import Any, Final

import msgspec
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from schemas.catalogue import Catalogue, Field, FieldKind, Source
from schemas.durations import DAY, HOUR, MINUTE, SECOND
from schemas.loading import loads as _loads
from tests import generators
from tests.generators_models import Adoption, Passing, adoptions, passings
from tests.oracle_rules import EARLIEST_MS, LATEST_MS, Record

# 2026-03-01T12:00:00Z
START: Final = 1_772_366_400_000
STARTS: Final = (START,) * 8 + (EARLIEST_MS, LATEST_MS - 2 * DAY)
BORDERS: Final = (MINUTE, 10 * MINUTE, HOUR, 6 * HOUR, DAY, 3 * DAY)
BACK: Final = (0, 1, 30 * SECOND, 9 * MINUTE, HOUR, HOUR + 1, DAY, DAY + 1, 11 * DAY)
LITTLE: Final = (1, SECOND, 20 * SECOND, 5 * MINUTE, 50 * MINUTE, HOUR, 5 * HOUR)
GAPS: Final = (DAY, 7 * DAY, 30 * DAY, 100 * DAY)
AMOUNTS: Final = (0, 1, 100, 250, 1000, -1, -250)
LENGTHS: Final = (3, 10, 20, 30, 60)
CUSTOMERS: Final[tuple[str | int, ...]] = ("anna", "anna", "bo", 7)
UNREADABLE: Final = (b"{", b"7", b'{"customer": "anna"}x', b'{"nobody": 1}', b'{"customer": null, "at": 1}', b"\xff")
_JSON: Final = msgspec.json.Encoder(decimal_format="number")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SEEDS: Final = st.integers(0, 2**64 - 1)

loads = functools.lru_cache(maxsize=64)(_loads)


class Case(msgspec.Struct, frozen=True):
    """A catalogue, a stream for it, until when time passes after it, and what comes in between."""

    text: str
    catalogue: Catalogue
    records: list[Record]
    until: int | None
    adoptions: tuple[Adoption, ...] = ()
    passings: tuple[Passing, ...] = ()

    def __repr__(self) -> str:
        """The case as it would be typed."""
        lines = "\n".join(repr(record) for record in self.records)
        between = "\n".join(map(repr, (*self.passings, *self.adoptions)))
        return f"Case:\n{self.text}\n{lines}\n{between}\nuntil={self.until}"


def exact(draw: Random, places: int) -> Decimal:
    """A small amount with so many decimals, and now and then a large one."""
    number = draw.choice((draw.choice(AMOUNTS), draw.randint(-10_000, 10**6), draw.choice((10**13, -(10**13), 7))))
    return Decimal(number).scaleb(-places)


def value_of(draw: Random, field: Field, exponent: int) -> Any:
    """What a field may hold, few values each."""
    match field.kind:
        case FieldKind.MONEY:
            return draw.choice((0, 1, 250, -3)) if field.minor else exact(draw, exponent)
        case FieldKind.COUNT:
            return draw.choice((0, 1, 2, 3, 1980))
        case FieldKind.NUMBER if field.decimals is not None:
            return exact(draw, field.decimals)
        case FieldKind.NUMBER:
            return draw.choice((0.1, 2.5, -1.0, 0.5, 1e300))
        case FieldKind.BOOLEAN:
            return draw.random() < 0.5
        case FieldKind.TIME:
            return draw.choice((START, START - DAY, START + 1, EARLIEST_MS, LATEST_MS - 1))
        case FieldKind.ENUM:
            return draw.choice((*field.values, "something else") if field.other else field.values)
    return draw.choice(("a", "b", "ä", "c", ""))


def payload(draw: Random, source: Source, exponent: int) -> dict[str, Any]:
    """The fields of a record; optional ones are missing or null at times."""
    value: dict[str, Any] = {}
    given = draw.choice(("all", "some", "none"))
    for field in source.fields:
        if field.optional and (given == "none" or (given == "some" and draw.random() < 0.5)):
            continue
        inner = value
        for step in field.path[:-1]:
            inner = inner.setdefault(step, {})
        null = field.optional and draw.randint(0, 7) == 7
        inner[field.path[-1]] = None if null else value_of(draw, field, exponent)
    return value


@functools.cache
def spellings(timezone_name: str) -> tuple[Callable[[int], int | str], ...]:
    """Ways to write an event time: milliseconds mostly, ISO 8601 with a zone, without one, or the day alone."""
    home, odd = zoneinfo.ZoneInfo(timezone_name), timezone(timedelta(hours=2, minutes=30))

    def moment(ms: int) -> datetime:
        return _EPOCH + timedelta(milliseconds=ms)

    def plain(ms: int) -> int:
        return ms

    ways: list[Callable[[int], int | str]] = [
        lambda ms: moment(ms).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        lambda ms: moment(ms).astimezone(odd).isoformat(timespec="milliseconds"),
        lambda ms: moment(ms).astimezone(home).replace(tzinfo=None).isoformat(timespec="milliseconds"),
    ]
    return (plain,) * 9 + tuple(ways) * 3 + (lambda ms: moment(ms).astimezone(home).date().isoformat(),)


def jump(draw: Random, clock: int, offset_ms: int, gaps: tuple[int, ...]) -> int:
    """The next newest time of the stream."""
    kind = draw.choice(("same", "little", "border", "border", "gap"))
    if kind == "same":
        return clock
    if kind == "little":
        return clock + draw.choice(LITTLE)
    if kind == "border":
        width = draw.choice(BORDERS)
        border = ((clock + offset_ms) // width + 1) * width - offset_ms
        return max(clock, border + draw.choice((0, -1, 1)))
    return clock + draw.choice(gaps)


class _Stream:
    """A stream as it is drawn: where its clock is, and what was sent."""

    def __init__(self, draw: Random, catalogue: Catalogue, orderly: bool, start: int) -> None:
        self.draw, self.catalogue, self.orderly = draw, catalogue, orderly
        self.clock, self.records, self.clocks = start, list[Record](), list[int]()
        self.profiles = [source for source in catalogue.sources if source.profile]
        self.named = [source for source in catalogue.sources if source.id]
        self.sources = [source for source in catalogue.sources for _ in range(1 if source.profile else 2)]
        self.spellings = (int,) if orderly else spellings(catalogue.timezone)
        # Where scores are told anew at every midnight, months would take the oracle seconds.
        self.gaps = GAPS[:2] if catalogue.targets else GAPS

    def add(self, kind: str) -> None:
        """Draw the next record, or a run of them."""
        self._add(kind)
        self.clocks += [self.clock] * (len(self.records) - len(self.clocks))

    def _add(self, kind: str) -> None:
        customer = self.draw.choice(CUSTOMERS)
        if kind == "again" and self.records:
            self.records.append(self.draw.choice(self.records))
        elif kind == "burst" and self.named:
            self.burst(self.draw.choice(self.named), customer)
        elif kind == "broken":
            source = self.draw.choice(self.sources)
            self.records.append(Record(source.name, self.draw.choice(UNREADABLE)))
        elif kind == "removal" and self.profiles:
            source = self.draw.choice(self.profiles)
            bare = _JSON.encode({source.key: customer})
            self.records.append(Record(source.name, self.draw.choice((bare, None)), str(customer)))
        elif kind == "back":
            source = self.draw.choice(self.sources)
            most = source.allowed_skew_ms if self.orderly else 11 * DAY
            self.send(source, customer, self.clock - min(self.draw.choice(BACK), most))
        else:
            # One millisecond beyond what is allowed at most: such a record can't be read.
            self.clock = min(jump(self.draw, self.clock, self.catalogue.offset_ms, self.gaps), LATEST_MS)
            self.send(self.draw.choice(self.sources), customer, self.clock)

    def send(self, source: Source, customer: str | int, time: int) -> None:
        """A new record; one in six profiles is removed."""
        value: dict[str, Any] = {source.key: customer, source.time: self.draw.choice(self.spellings)(time)}
        if not source.profile or self.draw.randint(0, 5) < 5:
            value |= payload(self.draw, source, self.catalogue.exponent)
        if source.id:
            number = len(self.records)
            value[source.id] = self.draw.choice((f"n{number}", number))
        self.records.append(Record(source.name, _JSON.encode(value), str(customer)))

    def burst(self, source: Source, customer: str | int) -> None:
        """Records at one time, about as many as ids are remembered, and then the first of them again."""
        fields = payload(self.draw, source, self.catalogue.exponent)
        first = len(self.records)
        for number in range(first, first + self.draw.choice((15, 16, 17))):
            value = {source.key: customer, source.time: self.clock, str(source.id): f"n{number}"} | fields
            self.records.append(Record(source.name, _JSON.encode(value), str(customer)))
        self.records.append(self.records[first])


def stream(
    draw: Random, catalogue: Catalogue, orderly: bool = False, start: int = START
) -> tuple[list[Record], list[int]]:
    """Some tens of records, and the newest time after each; see `case`."""
    made = _Stream(draw, catalogue, orderly, start)
    kinds = ("on",) * 12 + ("back",) * 6 + (() if orderly else ("again",) * 2 + ("removal", "broken", "burst"))
    for _ in range(draw.randint(1, draw.choice(LENGTHS))):
        made.add(draw.choice(kinds))
    return made.records, made.clocks


def case(draw: Random, text: str | None = None, orderly: bool = False) -> Case:
    """A stream for the catalogue, a drawn one where none is given.

    In an orderly one no record is older than its source's `allowed_skew`, all bear a time, and all time passes at the
    end. Each partition has a watermark of its own: a record behind the one partition's watermark may be ahead of eight
    partitions' eight, so that a timer fires before it here and after it there; P1 then promises nothing.
    """
    text = text if text is not None else generators.catalogue(draw)
    catalogue = loads(text)
    start = START if orderly else draw.choice(STARTS)
    records, clocks = stream(draw, catalogue, orderly, start)
    later = 40 * DAY if catalogue.targets else 10_000 * DAY if orderly else 400 * DAY
    end = max(start + later, clocks[-1] + 100 * DAY) if orderly else draw.choice((None, start + later, start + HOUR))
    if orderly:
        return Case(text, catalogue, records, end)
    between = adoptions(draw, catalogue, len(records)), passings(draw, [start, *clocks])
    return Case(text, catalogue, records, end, *between)


def cases(text: str | None = None, orderly: bool = False) -> SearchStrategy[Case]:
    """Cases for Hypothesis, by seed."""
    return _SEEDS.map(lambda seed: case(Random(seed), text, orderly))


def scattered(text: str) -> SearchStrategy[Case]:
    """Up to 20 different events of one customer within `accept_late` of each other; no profiles."""
    return _SEEDS.map(lambda seed: _scattered(Random(seed), text))


def _scattered(draw: Random, text: str) -> Case:
    catalogue, records = loads(text), list[Record]()
    events = [source for source in catalogue.sources if source.id]
    for number in range(draw.randint(2, 20)):
        source = draw.choice(events)
        back = draw.choice((0, 1, MINUTE, 10 * MINUTE, HOUR, DAY))
        value = {source.key: "anna", source.time: START - min(back, source.accept_late_ms), source.id: f"n{number}"}
        records.append(Record(source.name, _JSON.encode(value | payload(draw, source, catalogue.exponent)), "anna"))
    return Case(text, catalogue, records, None)


def jumping(text: str) -> SearchStrategy[Case]:
    """Events of several customers to each side of an hour from each other: what moves the watermark, what waits."""
    return _SEEDS.map(lambda seed: _jumping(Random(seed), text))


def _jumping(draw: Random, text: str) -> Case:
    catalogue, records = loads(text), list[Record]()
    steps = (0, 1, MINUTE, HOUR, HOUR + 1, 2 * HOUR, 2 * HOUR + 1, 3 * HOUR, DAY)
    for _ in range(draw.randint(3, 15)):
        time = draw.choice(steps) + draw.choice(steps)
        source = draw.choice(catalogue.sources)
        customer = draw.choice("abcd")
        value = {source.key: customer, source.time: START + time} | payload(draw, source, catalogue.exponent)
        records.append(Record(source.name, _JSON.encode(value), customer))
    return Case(text, catalogue, records, None)
