"""The oracle with quantile tags: levels by cut-points that are given, and whether these are right.

Cut-points come from outside of a partition, so the oracle is told them, at which refresh each came. What follows from
them is recomputed exactly. That they are the population's own is checked against all raw values, sorted: neither
buckets nor counts are known here, only that a cut-point may be off by the width of a bucket.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

from schemas.catalogue import Aggregation, Catalogue, Quantiles, Tag
from schemas.population import CutPoints
from schemas.records import Cause, CustomerTags, Value
from tests.oracle import Oracle, OracleOutcome, Row
from tests.oracle_rules import Record, evaluate

BUCKET = 0.0101  # one per cent, and what doubles lose


class CountingOracle(Oracle):
    """An oracle that is told which cut-points every refresh brought.

    Attributes
    ----------
    told
        Those to come, in their order.
    held
        Those in force, by tag.
    """

    def __init__(self, catalogue: Catalogue, told: Iterable[CutPoints]) -> None:
        super().__init__(catalogue)
        self.told = list(told)
        self.held: dict[str, CutPoints] = {}
        self.next: dict[str, int] = {}

    # ---------------------------------------------------------------------------------------------------- refreshes

    def receive(self, record: Record, offset: int) -> None:
        """One record, and the refresh that its time brings."""
        super().receive(record, offset)
        self.reach(self.watermark.ms)

    def reach(self, now: int | None) -> None:
        """Every refresh due by now; of several of a tag the last."""
        if now is None:
            return
        due: dict[int, list[str]] = {}
        for name in self.catalogue.tag_order:
            rule = self.catalogue.tag(name).rule
            if isinstance(rule, Quantiles):
                last = now - (now + self.catalogue.offset_ms) % rule.refresh_ms
                if name in self.next and now >= self.next[name]:
                    due.setdefault(last, []).append(name)
                self.next[name] = max(last + rule.refresh_ms, self.next.get(name, 0))
        for at in sorted(due):
            self.refresh(at, due[at])

    def refresh(self, at: int, tags: list[str]) -> None:
        """Time passes to the refresh; then each tag's new cut-points, if it has some, are checked and taken."""
        for row in self.rows.values():
            self.pass_time(row, at)
        checked = {name: self.values_of(name, at) for name in tags}
        for name in tags:
            points = next((one for one in self.told if (one.tag, one.at) == (name, at)), None)
            rule = self.catalogue.tag(name).rule
            assert isinstance(rule, Quantiles)
            check_cuts(rule, checked[name], self.held.get(name), points)
            if points is None:
                continue
            self.told.remove(points)
            self.held[name] = points
            for row in self.rows.values():
                if row.now is not None:
                    row.passed = max(row.now, at)  # what was due before new cut-points came has happened
                    self.say(row, max(row.now, at), Cause.CUT_POINT, f"{name}/{points.version}")

    def values_of(self, name: str, at: int) -> list[float | None]:
        """The raw values of the population, each customer's at its own now if that is later."""
        rule = self.catalogue.tag(name).rule
        assert isinstance(rule, Quantiles)
        found: list[float | None] = []
        for row in self.rows.values():
            if row.now is not None:
                names = self.features(row, max(row.now, at))
                value = names[rule.of]
                if belongs(rule, names) and (value is not None or rule.missing_lowest):
                    found.append(None if value is None else float(value))
        return found

    # ------------------------------------------------------------------------------------------------------- levels

    def tag(self, tag: Tag, row: Row, names: dict[str, Value], at: int) -> bool | str | None:  # type: ignore[override]
        """A quantile tag's level is how many cut-points the value has reached, and one."""
        if not isinstance(tag.rule, Quantiles):
            return super().tag(tag, row, names, at)
        if tag.name not in self.held:
            return None
        value, rule, cuts = names[tag.rule.of], tag.rule, self.held[tag.name].cuts
        if not belongs(rule, names):
            return None
        if value is None:
            return "1" if rule.missing_lowest else None
        return str(1 + sum(float(value) <= cut if rule.falling else float(value) >= cut for cut in cuts))

    def next_moment(self, row: Row, last: int, limit: int) -> int | None:
        """Also when time alone takes a customer over a cut-point."""
        first = super().next_moment(row, last, limit)
        found = [] if first is None else [first]
        for name, points in self.held.items():
            rule = self.catalogue.tag(name).rule
            assert isinstance(rule, Quantiles)
            feature = self.catalogue.feature(rule.of)
            if feature.aggregation in (Aggregation.SINCE_LAST, Aggregation.SINCE_FIRST):
                times = [fact.time or 0 for fact in row.facts if rule.of in fact.features]
                found += (time + math.ceil(cut) + late for time in times for cut in points.cuts for late in (0, 1))
        return min((moment for moment in found if last < moment <= limit), default=None)

    def describe(self, row: Row) -> CustomerTags:
        """Tags that have cut-points are no longer warming."""
        said = super().describe(row)
        status = {name: word for name, word in said.status.items() if name not in self.held}
        return msgspec.structs.replace(said, status=status)


def belongs(rule: Quantiles, names: dict[str, Value]) -> bool:
    """Whether a customer is in the population."""
    return rule.population is None or bool(evaluate(rule.population, names))


def check_cuts(rule: Quantiles, values: Sequence[float | None], held: CutPoints | None, new: CutPoints | None) -> None:
    """Fail where cut-points came that are not those of the values, came without need, or did not come."""
    exact = exact_cuts(rule, values)
    if len(values) < rule.least or not exact:
        assert new is None, "too few customers were counted"
        return
    assert held is not None or new is not None, "there were no cut-points, and none came"
    if new is not None:
        assert (new.customers, new.version) == (len(values), held.version + 1 if held else 1)
        assert all(near(cut, value, rule.falling) for cut, value in zip(new.cuts, exact, strict=True)), (new, exact)
    if held is not None:
        off = [abs(now - before) - rule.tolerance * abs(before) for before, now in zip(held.cuts, exact, strict=True)]
        slack = [BUCKET * abs(value) for value in exact]
        if new is None:
            assert all(by <= most for by, most in zip(off, slack, strict=True)), "a cut-point is off and stayed"
        else:
            assert any(by > -most for by, most in zip(off, slack, strict=True)), "no cut-point was off"


def exact_cuts(rule: Quantiles, values: Sequence[float | None]) -> list[float]:
    """The quantiles of all values, sorted; missing ones are the lowest and make no cut-point."""
    known = sorted((value for value in values if value is not None), reverse=rule.falling)
    unknown = len(values) - len(known)
    if not known:
        return []
    ranks = [math.ceil((len(values) - 1) * k / rule.levels) for k in range(1, rule.levels)]
    return [known[max(0, rank - unknown)] for rank in ranks]


def near(cut: float, value: float, falling: bool) -> bool:
    """Whether a cut-point lets the value in, and none that is further off than a bucket is wide."""
    room = BUCKET * abs(value) + 1e-9
    return value <= cut <= value + room if falling else value - room <= cut <= value


def replay(
    catalogue: Catalogue, records: Iterable[Record], told: Iterable[CutPoints], until: int | None = None
) -> OracleOutcome:
    """As `tests.oracle.replay`, with the cut-points that refreshes brought; all of them must have been."""
    oracle = CountingOracle(catalogue, told)
    outcome = played(oracle, records, until)
    assert oracle.told == [], "cut-points came at moments that are no refresh"
    return outcome


def played(oracle: CountingOracle, records: Iterable[Record], until: int | None) -> OracleOutcome:
    """What an oracle says of records, and of the time up to `until`."""
    for offset, record in enumerate(records):
        oracle.receive(record, offset)
    for limit in (oracle.watermark.ms, until):
        oracle.reach(limit)
        for row in oracle.rows.values():
            oracle.pass_time(row, limit)
    customers = {row.customer: oracle.describe(row) for row in oracle.rows.values()}
    return OracleOutcome(oracle.changes, customers, oracle.late)
