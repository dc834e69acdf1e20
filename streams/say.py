"""The kernel's codes to the records that leave: changes with `because`, a customer's tags, counts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from schemas.catalogue import Feature, Segment, Tag
from schemas.records import Change, CustomerTags, SegmentChange, TagChange, Value, change_id
from schemas.values import feature_value, iso, said_value
from streams.arena import Arena
from streams.engine.evaluate import SPARE, read_features
from streams.engine.kernel import CAUSES, Out
from streams.engine.layout import NOW
from streams.engine.plan import Plan


class Sayer:
    """Words for what a partition's rows say."""

    def __init__(self, plan: Plan, arena: Arena) -> None:
        catalogue = plan.catalogue
        self.plan, self.arena = plan, arena
        self._items: list[Tag | Segment] = [catalogue.tag(name) for name in catalogue.tag_order]
        self._items += catalogue.segments
        named: dict[str, Feature | Tag] = {feature.name: feature for feature in catalogue.features}
        named |= {tag.name: tag for tag in catalogue.tags}
        self._because = [[(name, named[name]) for name in names] for names in plan.because]
        self._places = {name: index for index, name in enumerate(plan.said)}
        self._registers = np.full(len(catalogue.features) + len(catalogue.tags) + SPARE, np.nan)
        self._status = {tag.name: "warming" for tag in catalogue.tags if tag.waits}

    def drain(self, out: Out, anchor: Callable[[int], str]) -> list[Change]:
        """The changes that the kernel noted, in order; its buffer is emptied.

        Parameters
        ----------
        anchor
            The source and id of the record with a given index.
        """
        count = int(out.count[0])
        changes = [self._change(out, row, anchor) for row in out.changes[:count].tolist()] if count else []
        out.count[:] = 0
        return changes

    def _change(self, out: Out, row: tuple[int, ...], anchor: Callable[[int], str]) -> Change:
        slot, record, rule, old, new, at, cause_number, because_at = row
        item, cause, customer = self._items[rule], CAUSES[cause_number - 1], self.arena.customers[slot]
        values = out.because[because_at : because_at + len(self._because[rule])].tolist()
        because = {name: self._named(of, value) for (name, of), value in zip(self._because[rule], values, strict=True)}
        source = anchor(record) if record >= 0 else ""
        found = change_id(customer, item.name, at, cause.value, source)
        version, moment = self.plan.catalogue.version, iso(at)
        if isinstance(item, Segment):
            return SegmentChange(found, customer, item.name, old == 1, new == 1, moment, cause, version, because)
        sides = said_value(item, old), said_value(item, new)
        return TagChange(found, customer, item.name, *sides, moment, cause, version, because)

    def _named(self, of: Feature | Tag, value: float) -> Value:
        if isinstance(of, Feature):
            return feature_value(of, value, self.plan.catalogue.exponent)
        return said_value(of, -1 if value != value else int(value))

    def features(self, slot: int, at: int | None = None) -> dict[str, float]:
        """Every feature's register at `at` ms (the row's now where None); NaN is missing."""
        state, registers = self.arena.state, self._registers
        rows = state.rows[slot], state.rows32[slot], state.reals[slot]
        moment = int(state.rows[slot, NOW]) if at is None else at
        read_features(self.plan.tables, True, moment, *rows, registers)
        features = self.plan.catalogue.features
        return {feature.name: value for feature, value in zip(features, registers.tolist(), strict=False)}

    def code(self, slot: int, name: str) -> int:
        """The code that a tag or segment has."""
        return (int(self.arena.state.rows[slot, self.plan.rows.said[name] + 1]) >> 4) - 1

    def since(self, slot: int, name: str) -> int | None:
        """When a tag or segment took its value; None where it never changed."""
        row = self.arena.state.rows[slot]
        at = self.plan.rows.said[name]
        return int(row[at]) if int(row[at + 1]) & 15 else None

    def cause(self, slot: int, name: str) -> str | None:
        """Why a tag or segment took its value; None where it never changed."""
        number = int(self.arena.state.rows[slot, self.plan.rows.said[name] + 1]) & 15
        return CAUSES[number - 1].value if number else None

    def customer_tags(self, slot: int) -> CustomerTags:
        """All that is said about the customer in a slot, at the row's now."""
        catalogue = self.plan.catalogue
        values = self.features(slot)
        segments = {s.name: iso(self.since(slot, s.name) or 0) for s in catalogue.segments if self.code(slot, s.name) == 1}
        return CustomerTags(
            customer_id=self.arena.customers[slot],
            at=iso(int(self.arena.state.rows[slot, NOW])),
            tags={tag.name: said_value(tag, self.code(slot, tag.name)) for tag in catalogue.tags},
            segments=segments,
            features={f.name: feature_value(f, values[f.name], catalogue.exponent) for f in catalogue.features},
            status=dict(self._status),
        )

    def counts(self) -> tuple[dict[str, dict[str, int]], dict[str, int]]:
        """Customers by tag and value (missing left out), and by segment."""
        said, tags = self.arena.state.said, dict[str, dict[str, int]]()
        for tag in self.plan.catalogue.tags:
            counts = said[self._places[tag.name]].tolist()
            tags[tag.name] = {value: counts[code + 1] for code, value in enumerate(tag.values)}
        places = {segment.name: self._places[segment.name] for segment in self.plan.catalogue.segments}
        return tags, {name: int(said[place, 2]) for name, place in places.items()}
