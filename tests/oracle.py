"""The specification in slow Python, second half: records one at a time, timers, tags, segments, changes.

Every customer's applied records are kept, and all that is said about a customer is recomputed from them whenever
something happens (P1-P4, P8). Nothing is shared with the engine but the catalogue's types and the output's.
The first half, what a record, a feature and a rule say, is `tests.oracle_rules`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from schemas import rules
from schemas.catalogue import Aggregation, Catalogue, Category, Code, Levels, Quantiles, Segment, Tag, When
from schemas.durations import HOUR
from schemas.records import Cause, Change, CustomerTags, LateEvent, SegmentChange, TagChange, Value, change_id
from schemas.rules import Expr
from tests.oracle_rules import Fact, Record, Unreadable, evaluate, features_of, iso, read, said, tile_leaves

REMEMBERED_IDS: Final = 16


class OracleOutcome(msgspec.Struct):
    """What came out: changes in order per customer, everything said at the end, and the events that came too late."""

    changes: list[Change]
    customers: dict[str, CustomerTags]
    late: list[LateEvent]


class Row(msgspec.Struct):
    """One customer: the applied records in the order they came, what is said now, and since when.

    `said` holds tags and segments; a tag that has no value yet is None.
    """

    customer: str
    said: dict[str, bool | str | None]
    now: int | None = None
    facts: list[Fact] = []
    since: dict[str, int] = {}

    def of(self, source: str) -> list[Fact]:
        """The applied records of a source, in the order they came."""
        return [fact for fact in self.facts if fact.source == source]

    def newest(self, source: str) -> int | None:
        """The newest event time applied of a source."""
        return max((fact.time for fact in self.of(source) if fact.time is not None), default=None)


class Watermark:
    """How far the event clock of a partition is: the newest confirmed event time minus the largest allowed skew."""

    def __init__(self, skew_ms: int) -> None:
        self.skew_ms = skew_ms
        self.newest: int | None = None
        self.waiting: Fact | None = None

    @property
    def ms(self) -> int | None:
        """The watermark; None before the first record."""
        return None if self.newest is None else self.newest - self.skew_ms

    def see(self, fact: Fact) -> None:
        """An applied record moves the clock; a jump of more than an hour waits for a second customer (P9)."""
        time, waiting = _time(fact), self.waiting
        if self.newest is None:
            self.newest = time
        elif time <= self.newest + HOUR:
            self.newest = max(self.newest, time)
        elif waiting is None or waiting.customer == fact.customer:
            self.waiting = fact if waiting is None or time > _time(waiting) else waiting
        else:
            sooner, later = sorted((waiting, fact), key=_time)
            self.newest = max(self.newest, _time(sooner))
            if _time(later) > self.newest + HOUR:
                self.waiting = later
            else:
                self.newest, self.waiting = max(self.newest, _time(later)), None


def _time(fact: Fact) -> int:
    return fact.time or 0


def replay(catalogue: Catalogue, records: Iterable[Record], until: int | None = None) -> OracleOutcome:
    """What livetags says of these records, applied in this order by one partition.

    Parameters
    ----------
    until
        Time passes to this moment (ms) after the last record.
    """
    oracle = Oracle(catalogue)
    for offset, record in enumerate(records):
        oracle.receive(record, offset)
    for limit in (oracle.watermark.ms, until):
        for row in oracle.rows.values():
            oracle.pass_time(row, limit)
    customers = {row.customer: oracle.describe(row) for row in oracle.rows.values()}
    return OracleOutcome(oracle.changes, customers, oracle.late)


class Oracle:
    """One partition's customers, its watermark, and what came out so far."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.things: list[Tag | Segment] = [*catalogue.tags, *catalogue.segments]
        self.durations = _durations(self.things)
        self.watermark = Watermark(max(source.allowed_skew_ms for source in catalogue.sources))
        self.rows: dict[str, Row] = {}
        self.changes: list[Change] = []
        self.late: list[LateEvent] = []

    def receive(self, record: Record, offset: int) -> None:
        """One record: dropped, set aside, or applied after the timers due before it (P1)."""
        try:
            fact = read(self.catalogue, record)
        except Unreadable:
            return
        row = self.rows.get(fact.customer)
        if row is None:
            if fact.time is not None:
                self.rows[fact.customer] = row = Row(fact.customer, self.unsaid())
                self.apply(row, fact, fact.time)
        elif not self.refused(row, fact, offset):
            self.apply(row, fact, fact.time)

    def refused(self, row: Row, fact: Fact, offset: int) -> bool:
        """Whether the record is a duplicate (P8), an outdated profile, or too late (P3); then nothing else happens."""
        source, newest = self.catalogue.source(fact.source), row.newest(fact.source)
        if fact.id is not None and fact.id in [known.id for known in row.of(fact.source)[-REMEMBERED_IDS:]]:
            return True
        if fact.time is None or newest is None:
            return False
        if source.profile:
            return fact.time < newest
        if fact.time >= newest - source.accept_late_ms:
            return False
        place = (source.topic, 0, offset)
        late = LateEvent(source.name, row.customer, *place, iso(fact.time), iso(newest), fact.raw.decode())
        self.late.append(late)
        return True

    def apply(self, row: Row, fact: Fact, time: int | None) -> None:
        """Timers due before the record fire; then it counts, and everything is said again."""
        self.pass_time(row, time)
        self.pass_time(row, self.watermark.ms)
        row.facts.append(fact)
        late = time is not None and row.now is not None and time < row.now
        if time is not None and not late:
            row.now = time
        profile = self.catalogue.source(fact.source).profile
        self.say(row, row.now or 0, Cause.PROFILE if profile else Cause.LATE if late else Cause.EVENT, fact.anchor)
        if fact.time is not None:
            self.watermark.see(fact)

    def pass_time(self, row: Row, limit: int | None) -> None:
        """Every moment up to the limit at which something about the row can change, each at its own time (P4)."""
        last = self.looked_at(row)
        while limit is not None and last is not None:
            due = min((moment for moment in self.moments(row) if last < moment <= limit), default=None)
            if due is not None:
                self.say(row, due, Cause.TIME, "")
            last = due

    def looked_at(self, row: Row) -> int | None:
        """Until when nothing more can happen to the row by time alone."""
        return row.now

    def moments(self, row: Row) -> Iterator[int]:
        """Moments (ms) at which time alone may change the row; at some of them nothing will."""
        for tag in self.catalogue.tags:
            if tag.hold_ms and row.said[tag.name]:
                yield row.since[tag.name] + tag.hold_ms
        for feature in self.catalogue.features:
            times = [_time(fact) for fact in row.facts if feature.name in fact.features]
            if feature.window is not None:
                yield from (tile_leaves(feature.window, time, self.catalogue.offset_ms) for time in times)
            elif feature.aggregation in (Aggregation.SINCE_LAST, Aggregation.SINCE_FIRST):
                # `<` and `>=` change when the duration is reached, `<=` and `>` a millisecond later.
                durations = self.durations.get(feature.name, ())
                yield from (time + ms + later for time in times for ms in durations for later in (0, 1))

    def unsaid(self) -> dict[str, bool | str | None]:
        """What is said before the first record: every boolean and segment is false, the rest is missing."""
        tags: dict[str, bool | str | None] = {tag.name: False if tag.boolean else None for tag in self.catalogue.tags}
        return tags | {segment.name: False for segment in self.catalogue.segments}

    def say(self, row: Row, at: int, cause: Cause, anchor: str) -> None:
        """Tags in their order, then segments, at this moment; what differs from what was said is a change.

        A moment of time at which nothing changes leaves the row as it was.
        """
        names = self.features(row, at)
        new: dict[str, bool | str | None] = {}
        for tag in map(self.catalogue.tag, self.catalogue.tag_order):
            names[tag.name] = new[tag.name] = self.tag(tag, row, names, at)
        for segment in self.catalogue.segments:
            new[segment.name] = bool(evaluate(segment.rule, names))
        for name, value in new.items():
            if value != row.said[name]:
                self.changes.append(self.change(row, name, value, at, cause, anchor, names))
                row.since[name], row.now = at, at
        row.said |= new

    def features(self, row: Row, now: int) -> dict[str, Value]:
        """Every feature of the row at a moment."""
        known = {source.name: row.of(source.name) for source in self.catalogue.sources if source.profile}
        profiles = {name: facts[-1] for name, facts in known.items() if facts}
        return features_of(self.catalogue, row.facts, profiles, now)

    def tag(self, tag: Tag, row: Row, names: Mapping[str, Value], at: int) -> bool | str | None:
        """What the tag says at a moment, given the features and the tags it rests on."""
        match tag.rule:
            case When(rule=rule):
                held = row.said[tag.name] is True and at < row.since[tag.name] + tag.hold_ms
                return held or bool(evaluate(rule, names))
            case Levels(names=levels, rules=conditions):
                holds = (level for level, rule in zip(levels, conditions, strict=True) if _holds(rule, names))
                return next(holds, None)
            case Category(of=of):
                value = names[of]
                return value if isinstance(value, str) else None
            case Code(of=parts):
                words = [names[part] for part in parts]
                short = all(len(value) == 1 for part in parts for value in self.values(part))
                return None if None in words else ("" if short else "-").join(map(str, words))
        return None  # quantiles and scores are `warming`

    def values(self, name: str) -> tuple[str, ...]:
        """What a tag or a feature with words for values may say."""
        features = {feature.name: feature.values for feature in self.catalogue.features}
        return features[name] if name in features else self.catalogue.tag(name).values

    def change(
        self,
        row: Row,
        name: str,
        new: bool | str | None,
        at: int,
        cause: Cause,
        anchor: str,
        names: Mapping[str, Value],
    ) -> Change:
        """The record of a change, with everything its rule named."""
        thing = next(thing for thing in self.things if thing.name == name)
        because = {used: self.shown(used, names[used]) for used in _names_used(thing)}
        identity = change_id(row.customer, name, at, cause, anchor)
        rest = (iso(at), cause, self.catalogue.version, because)
        if isinstance(thing, Segment):
            return SegmentChange(identity, row.customer, name, bool(row.said[name]), bool(new), *rest)
        return TagChange(identity, row.customer, name, row.said[name], new, *rest)

    def shown(self, name: str, value: Value) -> Value:
        """A feature's or a tag's value as it is written."""
        units = {feature.name: feature.unit for feature in self.catalogue.features}
        return said(value, units[name], self.catalogue.exponent) if name in units else value

    def describe(self, row: Row) -> CustomerTags:
        """All that is said about the customer, at the row's own now."""
        now, features = row.now or 0, self.features(row, row.now or 0)
        return CustomerTags(
            customer_id=row.customer,
            at=iso(now),
            tags={tag.name: row.said[tag.name] for tag in self.catalogue.tags},
            segments={s.name: iso(row.since[s.name]) for s in self.catalogue.segments if row.said[s.name]},
            features={name: self.shown(name, value) for name, value in features.items()},
            status={tag.name: "warming" for tag in self.catalogue.tags if tag.waits},
        )


def _holds(rule: Expr | None, names: Mapping[str, Value]) -> bool:
    return rule is None or bool(evaluate(rule, names))


def _conditions(thing: Tag | Segment) -> list[Expr]:
    match thing:
        case Segment(rule=rule) | Tag(rule=When(rule=rule)):
            return [rule]
        case Tag(rule=Levels(rules=conditions)):
            return [rule for rule in conditions if rule is not None]
        case Tag(rule=Quantiles(population=population)):
            return [population] if population is not None else []
    return []


def _durations(things: Iterable[Tag | Segment]) -> dict[str, set[int]]:
    """The durations (ms) that rules compare each feature with."""
    found: dict[str, set[int]] = {}

    def walk(expr: Expr) -> None:
        match expr:
            case rules.Compare(left=rules.Name(name=name), right=rules.Duration(ms=ms)):
                found.setdefault(name, set()).add(ms)
            case rules.Both(parts=parts) | rules.Either(parts=parts):
                for part in parts:
                    walk(part)
            case rules.Not(of=of) | rules.Known(of=of):
                walk(of)

    for thing in things:
        for expr in _conditions(thing):
            walk(expr)
    return found


def _names_used(thing: Tag | Segment) -> list[str]:
    """The features and tags that a rule names, in the order of their first appearance."""
    if isinstance(thing, Tag) and isinstance(thing.rule, Category):
        return [thing.rule.of]
    if isinstance(thing, Tag) and isinstance(thing.rule, Code):
        return list(thing.rule.of)
    first = [thing.rule.of] if isinstance(thing, Tag) and isinstance(thing.rule, Quantiles) else []
    return list(dict.fromkeys([*first, *(name.name for rule in _conditions(thing) for name in rules.names_in(rule))]))
