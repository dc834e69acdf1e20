"""What is frozen in a partition, and which of its rows are still to be brought up to a source that came back (P5)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from schemas.catalogue import Catalogue, Segment, Tag
from schemas.resting import sources_of
from streams.engine.layout import MISSING, NEVER
from streams.engine.plan import Plan
from streams.engine.spans import Freeze, nothing_frozen
from streams.engine.tables import Tables


class Standstill:
    """The frozen sources of one partition.

    Attributes
    ----------
    freeze
        What the kernels read; the same arrays as long as the partition lives.
    since
        By source: since when it is frozen, UTC ms.
    said_since
        What was said from then on said that a source was frozen; NEVER where nothing is to be said again.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._words = np.array(list(plan.rows.groups.values()), dtype=np.int64)
        self._rests = _rests(plan.catalogue)
        self.freeze = nothing_frozen(plan.tables)
        self.since: dict[str, int] = {}
        self.said_since = NEVER

    @property
    def tables(self) -> Tables:
        """The tables to call kernels with."""
        return self._plan.apart if self.freeze.on[0] else self._plan.tables

    @property
    def asleep(self) -> int | None:
        """The first row that is still to be woken; None where all are awake."""
        found = int(self.freeze.asleep[0])
        return None if found == NEVER else found

    def now(self) -> Freeze:
        """What is frozen at this moment, to keep."""
        return Freeze(*(array.copy() for array in self.freeze))

    def status(self) -> list[str]:
        """The tags and segments that rest on a frozen source."""
        return [name for name, sources in self._rests.items() if not self.since.keys().isdisjoint(sources)]

    def stop(self, source: str, since_ms: int) -> bool:
        """Freeze a source; whether it was not frozen then already."""
        if self.since.get(source) == since_ms:
            return False
        self.since[source] = since_ms
        self._mark()
        return True

    def go(self, source: str) -> bool:
        """Let a source flow; whether it did not, and every row is to be woken."""
        if source not in self.since:
            return False
        self.said_since = min(self.said_since, self.since.pop(source))
        self.freeze.asleep[0] = 0
        self._mark()
        return True

    def loaded(self, rows: NDArray[np.int64]) -> None:
        """Note whether rows that were read back, shape (n, width), stand behind their now: then all are to be woken."""
        if len(self._words) and (rows[:, self._words] != MISSING).any():
            self.sleep()

    def sleep(self) -> None:
        """Have all rows woken: some may stand behind their now."""
        self.freeze.asleep[0] = 0
        self._mark()

    def woken(self, to: int, rows: int) -> None:
        """Note that the rows before slot `to` are awake, of as many as there are."""
        self.freeze.asleep[0] = to if to < rows else NEVER
        if to >= rows:
            self.said_since = NEVER
        self._mark()

    def _mark(self) -> None:
        for number, sources in enumerate(self._plan.rows.groups):
            self.freeze.since[number] = self._earliest(sources)
        self.freeze.on[0] = bool(self.since) or self.asleep is not None

    def _earliest(self, sources: Iterable[str]) -> int:
        return min((self.since[source] for source in sources if source in self.since), default=NEVER)


def _rests(catalogue: Catalogue) -> dict[str, tuple[str, ...]]:
    items: list[Tag | Segment] = [*catalogue.tags, *catalogue.segments]
    return {item.name: sources_of(item, catalogue) for item in items}
