"""The specification in slow Python, second half: records one at a time, timers, tags, segments, changes.

Every customer's applied records are kept, and all that is said about a customer is recomputed from them whenever
something happens (P1-P4, P8). Nothing is shared with the engine but the catalogue's types and the output's.
The first half, what a record, a feature and a rule say, is `tests.oracle_rules`; when time may change something is
`tests.oracle_time`, what models say `tests.oracle_scores`.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from schemas.catalogue import Catalogue, Category, Code, Levels, Quantiles, Score, Segment, Tag, When
from schemas.durations import HOUR
from schemas.learning import ModelSnapshot, Question, question_id
from schemas.lifetime import Fit
from schemas.records import Cause, Change, CustomerTags, LateEvent, SegmentChange, TagChange, Value, change_id
from schemas.rules import Expr
from tests.oracle_rules import Fact, Record, Unreadable, evaluate, features_of, iso, read, said
from tests.oracle_scores import Scores, asked
from tests.oracle_time import Moments, midnight, models_under, names_used

REMEMBERED_IDS: Final = 16


class OracleOutcome(msgspec.Struct):
    """What came out: changes in order per customer, everything said at the end, and the events that came too late.

    `due` is when each customer's next timer fires (ms), None where none does; `questions` are those to models.
    """

    changes: list[Change]
    customers: dict[str, CustomerTags]
    late: list[LateEvent]
    due: dict[str, int | None] = {}
    questions: list[Question] = []


class Row(msgspec.Struct):
    """One customer: the applied records in the order they came, what is said now, and since when.

    `said` holds tags and segments; a tag that has no value yet is None. `turns` are the moments, sorted, at which time
    may change what is said, `passed` is until when time has passed since the last record. `asked` is when each target
    was last asked about.
    """

    customer: str
    said: dict[str, bool | str | None]
    now: int | None = None
    facts: list[Fact] = []
    since: dict[str, int] = {}
    turns: list[int] = []
    passed: int | None = None
    asked: dict[str, int] = {}

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


def replay(
    catalogue: Catalogue,
    records: Iterable[Record],
    until: int | None = None,
    models: Mapping[int, list[ModelSnapshot]] | None = None,
    passes: Mapping[int, list[int]] | None = None,
) -> OracleOutcome:
    """What livetags says of these records, applied in this order by one partition.

    Parameters
    ----------
    until
        Time passes to this moment (ms) after the last record.
    models
        The models that come before the record with this number; their changes bear that number as anchor.
    passes
        Moments (ms) to which time passes, as by a clock, before the record with this number and before its models.
    """
    oracle, all_records = Oracle(catalogue), list(records)
    for number in range(len(all_records) + 1):
        for moment in (passes or {}).get(number, ()):
            oracle.pass_all(moment)
        oracle.adopt((models or {}).get(number, ()), str(number))
        if number < len(all_records):
            oracle.receive(all_records[number], number)
    oracle.pass_all(until)
    customers = {row.customer: oracle.describe(row) for row in oracle.rows.values()}
    due = {row.customer: oracle.due(row) for row in oracle.rows.values()}
    return OracleOutcome(oracle.changes, customers, oracle.late, due, oracle.questions)


class Oracle:
    """One partition's customers, its watermark, and what came out so far."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.things: list[Tag | Segment] = [*catalogue.tags, *catalogue.segments]
        self.used = {thing.name: names_used(thing) for thing in self.things}
        self.moments, self.scores = Moments(catalogue), Scores(catalogue)
        self.watermark = Watermark(max(source.allowed_skew_ms for source in catalogue.sources))
        self.rows: dict[str, Row] = {}
        self.changes: list[Change] = []
        self.late: list[LateEvent] = []
        self.questions: list[Question] = []
        self.passed: int | None = None
        self.fits: dict[str, Fit] = {}  # the parameters in force of lifetime models, by model

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
        row.passed = None
        for moment in self.moments.of(fact):
            insort(row.turns, moment)
        late = time is not None and row.now is not None and time < row.now
        if time is not None and not late:
            row.now = time
        profile = self.catalogue.source(fact.source).profile
        cause = Cause.PROFILE if profile else Cause.LATE if late else Cause.EVENT
        names = self.say(row, row.now or 0, cause, fact.anchor)
        if cause is Cause.EVENT:
            self.ask(row, fact, row.now or 0, names)
        if fact.time is not None:
            self.watermark.see(fact)

    def ask(self, row: Row, fact: Fact, at: int, names: Mapping[str, Value]) -> None:
        """Ask what a model will be asked: about a customer at most every `example_every`, after an `example_on`."""
        for target in self.catalogue.targets:
            last = row.asked.get(target.name)
            if (last is None or at - last >= target.example_every_ms) and target.name in fact.asks:
                row.asked[target.name] = at
                identity = question_id(row.customer, target.name, at)
                self.questions.append(Question(identity, row.customer, target.name, at, asked(target, names)))

    def adopt(self, models: Iterable[ModelSnapshot], anchor: str) -> None:
        """Models come into force: every customer is scored as of the time that has passed, or of its own now."""
        for model in models:
            self.pass_all(self.passed)
            if self.scores.adopt(model):
                moments = [ms for ms in (self.watermark.ms, self.passed) if ms is not None]
                for row in self.rows.values():
                    row.passed = max([row.now or 0, *moments])
                    self.say(row, row.passed, Cause.SCORE, anchor)

    def pass_all(self, until: int | None) -> None:
        """Time passes for every customer to the watermark, and to `until` (ms)."""
        if until is not None:
            self.passed = until if self.passed is None else max(self.passed, until)
        for limit in (self.watermark.ms, until):
            for row in self.rows.values():
                self.pass_time(row, limit)

    def pass_time(self, row: Row, limit: int | None) -> None:
        """Every moment up to the limit at which something about the row can change, each at its own time (P4)."""
        if limit is None or row.now is None:
            return
        # What has passed would say the same again, but for midnights, which a later model does not tell anew.
        last = row.now if row.passed is None else max(row.now, row.passed)
        while (due := self.next_moment(row, last, limit)) is not None:
            self.say(row, due, Cause.TIME, "")
            last = due
        row.passed = limit if row.passed is None else max(row.passed, limit)

    def next_moment(self, row: Row, last: int, limit: int) -> int | None:
        """The first moment after `last` and up to `limit` at which time may change something; at some nothing will."""
        place = bisect_right(row.turns, last)
        found = row.turns[place : place + 1]
        found += [
            row.since[tag.name] + tag.hold_ms for tag in self.catalogue.tags if tag.hold_ms and row.said[tag.name]
        ]
        if self.scores:
            found.append(midnight(last, self.catalogue.offset_ms))
        return min((moment for moment in found if last < moment <= limit), default=None)

    def due(self, row: Row) -> int | None:
        """When the row's next timer fires, after all time that has passed; None where none will (P4)."""
        after = max(row.now or 0, row.passed if row.passed is not None else row.now or 0)
        found = list(self.moments.due(row.facts, after))
        names = self.features(row, after) | row.said
        for tag in self.catalogue.tags:
            # A held tag whose rule holds anyway does not change when the hold ends.
            if tag.hold_ms and row.said[tag.name] and isinstance(tag.rule, When):
                ends = row.since[tag.name] + tag.hold_ms
                found += [ends] if ends > after and not evaluate(tag.rule.rule, names) else []
        if self.scores:
            found.append(midnight(after, self.catalogue.offset_ms))
        return min(found, default=None)

    def unsaid(self) -> dict[str, bool | str | None]:
        """What is said before the first record: every boolean and segment is false, the rest is missing."""
        tags: dict[str, bool | str | None] = {tag.name: False if tag.boolean else None for tag in self.catalogue.tags}
        return tags | {segment.name: False for segment in self.catalogue.segments}

    def say(self, row: Row, at: int, cause: Cause, anchor: str) -> Mapping[str, Value]:
        """Tags in their order, then segments, at this moment; what differs from what was said is a change.

        A moment of time at which nothing changes leaves the row as it was. The names' values at that moment come out.
        """
        names = self.features(row, at)
        if cause is not Cause.TIME or at == midnight(at - 1, self.catalogue.offset_ms):
            names |= {tag.name: self.scored(tag, row, names) for tag in self.catalogue.tags}
        else:
            names |= {tag.name: row.said[tag.name] for tag in self.catalogue.tags}
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
        return names

    def scored(self, tag: Tag, row: Row, names: Mapping[str, Value]) -> Value:
        """What a score tag says when it is decided anew; what every other tag says."""
        before = row.said[tag.name]
        return self.scores.level(tag.rule, names, before) if isinstance(tag.rule, Score) else before

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
            case Score():
                score = names[tag.name]
                return score if isinstance(score, str) else None
            case Code(of=parts):
                words = [names[part] for part in parts]
                short = all(len(value) == 1 for part in parts for value in self.values(part))
                return None if None in words else ("" if short else "-").join(map(str, words))
        return None  # quantiles are `warming`

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
        because = {used: self.shown(used, names[used]) for used in self.used[name]}
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
            status={tag.name: "warming" for tag in self.catalogue.tags if self.is_warming(tag)},
        )

    def is_warming(self, tag: Tag) -> bool:
        """Whether what decides the tag is yet to come: a model, cut-points, or a lifetime model's parameters."""
        if isinstance(tag.rule, Quantiles | Score):
            return not self.is_scored(tag)
        return not self.fits.keys() >= set(models_under(self.catalogue, names_used(tag)))

    def is_scored(self, tag: Tag) -> bool:
        """Whether a model decides the tag."""
        return isinstance(tag.rule, Score) and tag.rule.target in self.scores


def _holds(rule: Expr | None, names: Mapping[str, Value]) -> bool:
    return rule is None or bool(evaluate(rule, names))
