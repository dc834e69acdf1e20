"""The kernel's codes to the records that leave: changes with `because`, a customer's tags, counts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from schemas.catalogue import Segment, Tag
from schemas.records import Cause, Change, CustomerTags, SegmentChange, TagChange, Value, change_id
from schemas.values import Saying, iso, said_value, said_values, saying
from streams.arena import Arena
from streams.engine.evaluate import SPARE, read_features
from streams.engine.kernel import CAUSES, Out
from streams.engine.layout import NOW
from streams.engine.plan import Plan

_CAUSES = (Cause.EVENT, *CAUSES)  # by number; 0 is never noted


class Sayer:
    """Words for what a partition's rows say."""

    def __init__(self, plan: Plan, arena: Arena) -> None:
        catalogue = plan.catalogue
        self.plan, self.arena = plan, arena
        self._items: list[Tag | Segment] = [catalogue.tag(name) for name in catalogue.tag_order]
        self._items += catalogue.segments
        self._said = [said_values(item) for item in self._items]
        self._sayings = {feature.name: saying(feature, catalogue.exponent) for feature in catalogue.features}
        named = self._sayings | {tag.name: _tag_saying(tag) for tag in catalogue.tags}
        self._because = [[(name, named[name]) for name in names] for names in plan.because]
        self._places = {name: index for index, name in enumerate(plan.said)}
        self._registers = np.full(len(catalogue.features) + len(catalogue.tags) + SPARE, np.nan)
        self._version = catalogue.version
        self._status = {tag.name: "warming" for tag in catalogue.tags if tag.waits}

    def drain(self, out: Out, anchor: Callable[[int], str]) -> list[Change]:
        """The changes that the kernel noted, in order; its buffer is emptied.

        Parameters
        ----------
        anchor
            The source and id of the record with a given index.
        """
        count = int(out.used[0])
        if not count:
            return []
        values, moments = out.because[: int(out.used[1])].tolist(), dict[int, str]()
        changes = [self._change(row, values, moments, anchor) for row in out.changes[:count].tolist()]
        out.used[:] = 0
        return changes

    def _change(
        self, row: tuple[int, ...], values: list[float], moments: dict[int, str], anchor: Callable[[int], str]
    ) -> Change:
        slot, record, rule, old, new, at, cause_number, place = row
        item, cause, customer, said = (
            self._items[rule],
            _CAUSES[cause_number],
            self.arena.customers[slot],
            self._said[rule],
        )
        because: dict[str, Value] = {}
        for name, say in self._because[rule]:
            because[name] = say(values[place])
            place += 1
        moment = moments.get(at)
        if moment is None:
            moment = moments[at] = iso(at)
        found = change_id(customer, item.name, at, cause, anchor(record) if record >= 0 else "")
        if type(item) is Segment:
            return SegmentChange(found, customer, item.name, old == 1, new == 1, moment, cause, self._version, because)
        sides = said[old + 1], said[new + 1]
        return TagChange(found, customer, item.name, *sides, moment, cause, self._version, because)

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
        segments = {
            s.name: iso(self.since(slot, s.name) or 0) for s in catalogue.segments if self.code(slot, s.name) == 1
        }
        return CustomerTags(
            customer_id=self.arena.customers[slot],
            at=iso(int(self.arena.state.rows[slot, NOW])),
            tags={tag.name: said_value(tag, self.code(slot, tag.name)) for tag in catalogue.tags},
            segments=segments,
            features={name: say(values[name]) for name, say in self._sayings.items()},
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


def _tag_saying(tag: Tag) -> Saying:
    values = said_values(tag)
    return lambda value: values[0] if value != value else values[int(value) + 1]
