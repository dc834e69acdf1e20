"""The specification with sources that freeze and thaw (P5), on top of `tests.oracle`.

What it adds, in words: a source may be frozen since F. Each set of sources that a feature counts is read at a moment of
its own, which never goes back: at the row's now while all of them flow, else at min(now, max(F, the newest record of
those sources)). What time would do to a feature behind max(F, newest) waits. When a source thaws, every row that was
read at an earlier moment than it may be now says everything anew at its own now.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from schemas import rules
from schemas.catalogue import Aggregation, Catalogue, Category, Feature, Quantiles, Score, Segment, Tag
from schemas.records import Cause, CustomerTags, Value
from tests.oracle import Oracle, OracleOutcome, Row
from tests.oracle_rules import Record, evaluate, features_of, tile_leaves
from tests.oracle_time import conditions

Group = tuple[str, ...]


class Freeze(msgspec.Struct, frozen=True):
    """A source freezes as of a moment."""

    source: str
    since: int


class Thaw(msgspec.Struct, frozen=True):
    """A source flows again."""

    source: str


class Pass(msgspec.Struct, frozen=True):
    """Time passes to a moment."""

    to: int


Step = Record | Freeze | Thaw | Pass


def replay(catalogue: Catalogue, steps: Iterable[Step]) -> OracleOutcome:
    """What livetags says of these steps, taken in this order by one partition."""
    oracle = SilentOracle(catalogue)
    for offset, step in enumerate(steps):
        match step:
            case Freeze():
                oracle.pass_all(oracle.watermark.ms)
                oracle.frozen[step.source] = step.since
                oracle.looked.clear()
            case Thaw():
                oracle.thaw(step.source)
            case Pass():
                oracle.pass_all(step.to)
            case Record():
                oracle.receive(step, offset)
    oracle.pass_all(oracle.watermark.ms)
    customers = {row.customer: oracle.describe(row) for row in oracle.rows.values()}
    return OracleOutcome(oracle.changes, customers, oracle.late)


class SilentOracle(Oracle):
    """One partition's customers, and which sources are frozen; `stands` says when each group of a row is read."""

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__(catalogue)
        self.frozen: dict[str, int] = {}
        self.stands: dict[str, dict[Group, int]] = {}
        self.groups = {feature.sources for feature in catalogue.features if feature.sources}
        self.parts = {
            group: msgspec.structs.replace(
                catalogue, features=tuple(one for one in catalogue.features if one.sources == group)
            )
            for group in self.groups
        }
        self.looked: dict[str, int] = {}

    def pass_all(self, limit: int | None) -> None:
        """Time passes for every customer."""
        for row in self.rows.values():
            self.pass_time(row, limit)

    def pass_time(self, row: Row, limit: int | None) -> None:
        """As ever, but what was looked at before, nothing having come since, is not looked at again."""
        while limit is not None and row.now is not None:
            start, said = max(row.now, self.looked.get(row.customer, row.now)), len(self.changes)
            for moment in sorted({one for one in self.flowing(row) if start < one <= limit}):
                self.say(row, moment, Cause.TIME, "")
                if len(self.changes) > said:
                    break
            else:
                self.looked[row.customer] = max(start, limit)
                return

    def thaw(self, source: str) -> None:
        """The source flows: what waited happens at each row's now, what is due later at its own time."""
        self.pass_all(self.watermark.ms)
        if self.frozen.pop(source, None) is None:
            return
        self.looked.clear()
        for row in self.rows.values():
            stands = self.stands[row.customer]
            if row.now is not None and any(self.read_at(row, group, row.now) > at for group, at in stands.items()):
                self.say(row, row.now, Cause.TIME, "")
                self.stands[row.customer] = {group: self.read_at(row, group, row.now) for group in self.groups}
        self.pass_all(self.watermark.ms)

    def waits_behind(self, row: Row, group: Group) -> int | None:
        """The moment behind which nothing happens to what counts these sources; None while they all flow."""
        since = [self.frozen[source] for source in group if source in self.frozen]
        newest = [time for source in group if (time := row.newest(source)) is not None]
        return max(min(since), *newest) if since and newest else min(since, default=None)

    def read_at(self, row: Row, group: Group, at: int) -> int:
        """The moment as of which what counts these sources is read at `at`."""
        bound = self.waits_behind(row, group)
        stood = self.stands.get(row.customer, {}).get(group)
        moment = at if bound is None else min(at, bound)
        return moment if stood is None else max(stood, moment)

    def say(self, row: Row, at: int, cause: Cause, anchor: str) -> Mapping[str, Value]:
        """As ever; a row that changed, or took a record, stands where it was read."""
        stands, said = {group: self.read_at(row, group, at) for group in self.groups}, len(self.changes)
        names = super().say(row, at, cause, anchor)
        if cause is not Cause.TIME or len(self.changes) > said:
            self.stands[row.customer] = stands
            self.looked.pop(row.customer, None)
        return names

    def features(self, row: Row, now: int) -> dict[str, Value]:
        """Every feature, each as of its own sources' moment."""
        values: dict[str, Value] = {}
        known = {source.name: row.of(source.name) for source in self.catalogue.sources if source.profile}
        profiles = {name: facts[-1] for name, facts in known.items() if facts}
        read: dict[str, Value] = {}
        for group, part in self.parts.items():
            read |= features_of(part, row.facts, profiles, self.read_at(row, group, now))
        for feature in self.catalogue.features:
            known_value = read.get(feature.name)
            values[feature.name] = known_value if feature.compute is None else evaluate(feature.compute, values)
        return values

    def flowing(self, row: Row) -> Iterator[int]:
        """Moments at which time alone may change something, without those that wait."""
        for tag in self.catalogue.tags:
            if tag.hold_ms and row.said[tag.name]:
                yield row.since[tag.name] + tag.hold_ms
        for feature in self.catalogue.features:
            bound = self.waits_behind(row, feature.sources) if feature.sources else None
            yield from (moment for moment in self.of_feature(row, feature) if bound is None or moment <= bound)

    def of_feature(self, row: Row, feature: Feature) -> Iterator[int]:
        """Moments at which time alone may change a feature, or a rule about it."""
        times = [fact.time or 0 for fact in row.facts if feature.name in fact.features]
        if feature.window is not None:
            yield from (tile_leaves(feature.window, time, self.catalogue.offset_ms) for time in times)
        elif feature.aggregation in (Aggregation.SINCE_LAST, Aggregation.SINCE_FIRST):
            durations = self.moments.compared.get(feature.name, ())
            yield from (time + ms + later for time in times for ms, _ in durations for later in (0, 1))

    def describe(self, row: Row) -> CustomerTags:
        """As ever; what rests on a frozen source says so, but for what has no value yet."""
        found = super().describe(row)
        frozen = {thing.name: "frozen" for thing in self.things if self.rests_on(thing) & self.frozen.keys()}
        return msgspec.structs.replace(found, status=frozen | found.status)

    def rests_on(self, thing: Tag | Segment) -> set[str]:
        """The sources of a tag or segment, through whatever it names."""
        names = {name.name for condition in conditions(thing) for name in rules.names_in(condition)}
        if isinstance(thing, Tag) and isinstance(thing.rule, Category | Quantiles):
            names.add(thing.rule.of)
        if isinstance(thing, Tag) and isinstance(thing.rule, Score):
            target = thing.rule.target
            names |= set(next(one for one in self.catalogue.targets if one.name == target).features)
        return set().union(*(self.sources_of(name) for name in names))

    def sources_of(self, name: str) -> set[str]:
        """The sources of a feature or tag."""
        feature = next((one for one in self.catalogue.features if one.name == name), None)
        if feature is None:
            return self.rests_on(self.catalogue.tag(name))
        if feature.compute is None:
            return set(feature.sources)
        return set().union(*(self.sources_of(one.name) for one in rules.names_in(feature.compute)))
