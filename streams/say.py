"""The kernel's codes to the records that leave: changes with `because`, a customer's tags, counts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from schemas.catalogue import Segment, Tag
from schemas.records import Cause, Change, CustomerTags, SegmentChange, TagChange, Value, change_id
from schemas.values import Saying, iso, said_values, saying
from streams.arena import Arena
from streams.engine.evaluate import SPARE, read_rows
from streams.engine.kernel import CAUSES, Out
from streams.engine.layout import NOW
from streams.engine.plan import Plan

_IN = 2  # the code of true, plus one
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
        self._tags = [(tag.name, self._places[tag.name], said_values(tag)) for tag in catalogue.tags]
        self._segments = [(segment.name, self._places[segment.name]) for segment in catalogue.segments]
        self._since_words = np.array([plan.rows.said[name] for name in plan.said], dtype=np.int64)
        self._code_words = self._since_words + 1
        self._status = {tag.name: "warming" for tag in catalogue.tags if tag.waits}

    def drain(self, out: Out, anchor: Callable[[int], str]) -> list[Change]:
        """The changes that the kernel noted, by time; its buffer is emptied.

        Parameters
        ----------
        anchor
            The source and id of the record with a given index.
        """
        count = int(out.used[0])
        if not count:
            return []
        values, moments = out.because[: int(out.used[1])].tolist(), dict[int, str]()
        # By time, so that what an event did and what time did stand where they belong; a customer's keep their order.
        noted = out.changes[:count]
        ordered = noted[np.argsort(noted["at"], kind="stable")].tolist()
        changes = [self._change(row, values, moments, anchor) for row in ordered]
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

    def customer_tags(self, slots: NDArray[np.int64]) -> list[CustomerTags]:
        """All that is said about the customers in these slots, each at its row's now."""
        state, catalogue = self.arena.state, self.plan.catalogue
        values = np.empty((len(slots), len(catalogue.features)))
        read_rows(self.plan.tables, slots, state.rows, state.rows32, state.reals, self._registers, values)
        codes = state.rows[slots[:, None], self._code_words] >> 4
        since = state.rows[slots[:, None], self._since_words]
        nows = state.rows[slots, NOW].tolist()
        parts = zip(slots.tolist(), nows, values.tolist(), codes.tolist(), since.tolist(), strict=True)
        return [self._customer(*part) for part in parts]

    def _customer(self, slot: int, now: int, values: list[float], codes: list[int], since: list[int]) -> CustomerTags:
        return CustomerTags(
            customer_id=self.arena.customers[slot],
            at=iso(now),
            tags={name: said[codes[place]] for name, place, said in self._tags},
            segments={name: iso(since[place]) for name, place in self._segments if codes[place] == _IN},
            features={name: say(value) for (name, say), value in zip(self._sayings.items(), values, strict=True)},
            status=self._status,
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
