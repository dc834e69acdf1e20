"""The kernel's codes to the records that leave: changes with `because`, a customer's tags, counts."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.catalogue import Score
from schemas.values import saying
from streams.arena import Arena
from streams.engine import words as texts
from streams.engine import write
from streams.engine.evaluate import desk, read_rows
from streams.engine.ink import ESCAPED
from streams.engine.kernel import Out
from streams.engine.layout import MISSING
from streams.engine.plan import Plan
from streams.engine.write import Anchors, Page, Reals
from streams.standstill import Standstill
from streams.written import Changes, Customers

Anchoring = Callable[[NDArray[np.int64]], list[str]]
"""Sources and ids of the records with these indexes, for the ids of what they changed."""


class Sayer:
    """Words for what a partition's rows say."""

    def __init__(self, plan: Plan, arena: Arena, still: Standstill) -> None:
        catalogue = plan.catalogue
        self._still = still
        self.plan, self.arena, self.words = plan, arena, texts.build(plan)
        inks = self.words.items["ink"].tolist()
        whole = [n for n in range(len(catalogue.features)) if inks[n] in (texts.Ink.WHOLE, texts.Ink.MONEY)]
        self._whole = {n: saying(catalogue.features[n], catalogue.exponent) for n in whole}
        self._features = {feature.name: index for index, feature in enumerate(catalogue.features)}
        self._places = {name: index for index, name in enumerate(plan.said)}
        self._desk = desk(plan.tables, len(catalogue.features) + len(catalogue.tags), None, still.freeze)
        self._sinces = np.array([plan.rows.said[name] for name in plan.said], dtype=np.int64)
        self._scratch = write.page(0, 1)
        self._work = write.work_space()
        self._encode = msgspec.json.Encoder().encode
        self._warming = {tag.name: "warming" for tag in catalogue.tags if tag.waits}
        self.status = dict(self._warming)

    def ready(self, target: str, ready: bool = True) -> None:
        """Whether the target's scores are said from now on, or are `warming`."""
        for tag in self.plan.catalogue.tags:
            if isinstance(tag.rule, Score) and tag.rule.target == target:
                self._warming.pop(tag.name, None)
                if not ready:
                    self._warming[tag.name] = "warming"
        self.tell()

    def measured(self, tag: str) -> None:
        """Say of a quantile tag no more that it is `warming`: it has cut-points."""
        self._warming.pop(tag, None)
        self.tell()

    def tell(self) -> None:
        """Make the status anew: what rests on a frozen source says so, and what has no value yet says that instead."""
        self.status = dict.fromkeys(self._still.status(), "frozen") | self._warming

    def holds(self, name: str, row: NDArray[np.int64]) -> bool | None:
        """What a boolean tag, segment or stored feature says in a row; None where it is missing."""
        if name in self._places:
            return bool((row[self.plan.rows.said[name] + 1] >> 4) - 1 == 1)
        feature = self.plan.tables.features[self._features[name]]
        value = row[self.plan.tables.stores[feature["store"]]["offset"]]
        return None if value == MISSING else bool(value == 1)

    def drain(self, out: Out, anchors_of: Anchoring) -> Changes | None:
        """The changes that the kernel noted, by time; its buffer is emptied. None where there are none."""
        count = int(out.used[0])
        if not count:
            return None
        # By time, so that what an event did and what time did stand where they belong; a customer's keep their order.
        order = np.argsort(out.changes["at"][:count], kind="stable")
        noted = out.changes[:count][order]
        anchors = _anchors(noted["record"], anchors_of)
        longest = int(np.diff(anchors.ends).max(initial=0))
        room = texts.most_of(self.words, noted["rule"], self._lengths(noted["slot"])) + longest + texts.HASHED
        page = self._page(count, room)
        reals = self._reals_of_changes(out, order)
        names = self.arena.names
        write.write_changes(
            self.words, out.changes, order, out.because, names, anchors, reals, self._work, page
        )  # fmt: skip
        out.used[:] = 0
        segment = self.words.said["segment"][noted["rule"]] == 1
        slot, rule, new, at, cause = (
            np.ascontiguousarray(noted[name]) for name in ("slot", "rule", "new", "at", "cause")
        )
        return Changes(_cut(page), slot, names, self.plan.said, rule, new, at, cause, segment)

    def _lengths(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        ends = self.arena.names.ends
        lengths: NDArray[np.int64] = ends[slots + 1] - ends[slots]
        return lengths

    def _page(self, records: int, room: int) -> Page:
        """A page to write on; its text is used again, so it is cut out before the next."""
        if len(self._scratch.text) < room:
            self._scratch = write.page(0, 2 * room)
        return write.page(records, 0)._replace(text=self._scratch.text)

    def _reals_of_changes(self, out: Out, order: NDArray[np.int64]) -> Reals:
        values, registers = np.empty(int(out.used[1])), np.empty(int(out.used[1]), dtype=np.int64)
        found = write.reals_of_changes(self.words, out.changes, order, out.because, values, registers)
        return self._reals(values[:found], registers[:found])

    def _reals(self, values: NDArray[np.float64], registers: NDArray[np.int64]) -> Reals:
        """Doubles as the shortest texts that read back as the same, encoded at once."""
        if self._odd(values, registers):
            pairs = zip(values.tolist(), registers.tolist(), strict=True)
            text = b",".join(self._encode(self._whole[n](v) if n in self._whole else v) for v, n in pairs)
        else:
            text = self._encode(values.tolist())[1:-1]
        raw = np.frombuffer(text, dtype=np.uint8)
        cuts = np.concatenate([[-1], np.flatnonzero(raw == ord(",")), [len(raw)]]).astype(np.int64)
        # One comma between two: text i starts behind the i-th cut, so the texts are closed up.
        closed = raw[raw != ord(",")]
        ends = cuts[1:] - np.arange(len(cuts) - 1)
        return Reals(closed, np.concatenate([[0], ends]).astype(np.int64), np.zeros(1, dtype=np.int64))

    def _odd(self, values: NDArray[np.float64], registers: NDArray[np.int64]) -> bool:
        """Whether some are whole numbers too large for the writer."""
        whole = self.words.items["ink"][registers] <= texts.Ink.MONEY
        return bool(whole.any())

    def customers(self, slots: NDArray[np.int64]) -> Customers:
        """All that is said about the customers in these slots, each at its row's now; their rows are in memory."""
        state, names = self.arena.state, self.arena.names
        values = np.empty((len(slots), self.words.features))
        frames = state.frames[slots].astype(np.int64)
        read_rows(self._still.tables, frames, state.rows, state.rows32, state.reals, self._desk, values)
        flat, registers = np.empty(values.size), np.empty(values.size, dtype=np.int64)
        found = write.reals_of_customers(self.words, values, flat, registers)
        reals = self._reals(flat[:found], registers[:found])
        status = self._encode(self.status)
        longest = 2 * ESCAPED * int(self._lengths(slots).sum())
        page = self._page(len(slots), len(slots) * (self.words.most_customer + len(status)) + longest)
        write.write_customers(
            self.words, state.rows, frames, slots, self._sinces, values, names, reals,
            np.frombuffer(status, dtype=np.uint8), self._work, page,
        )  # fmt: skip
        return Customers(_cut(page), slots, names)

    def counts(self) -> tuple[dict[str, dict[str, int]], dict[str, int]]:
        """Customers by tag and value (missing left out), and by segment."""
        said, tags = self.arena.state.said, dict[str, dict[str, int]]()
        for tag in self.plan.catalogue.tags:
            counts = said[self._places[tag.name]].tolist()
            tags[tag.name] = {value: counts[code + 1] for code, value in enumerate(tag.values)}
        places = {segment.name: self._places[segment.name] for segment in self.plan.catalogue.segments}
        return tags, {name: int(said[place, 2]) for name, place in places.items()}


def _cut(page: Page) -> Page:
    """The page with a text of its own."""
    return page._replace(text=page.text[: int(page.ends[-1])].copy())


def _anchors(records: NDArray[np.int64], anchors_of: Anchoring) -> Anchors:
    """The anchors of the records that changed something, each once."""
    of = np.zeros(int(records.max(initial=0)) + 1, dtype=np.int64)
    changed = np.unique(records[records >= 0])
    of[changed] = np.arange(len(changed))
    named = [anchor.encode() for anchor in anchors_of(changed)]
    ends = np.cumsum([0, *map(len, named)], dtype=np.int64)
    return Anchors(np.frombuffer(b"".join(named), dtype=np.uint8), ends, of)
