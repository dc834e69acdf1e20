"""How old changes are when they are published: from the event that made them to their handing over, by tag.

Only changes that an event made count: what time does on its own has no event to wait for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.catalogue import Catalogue
from schemas.status import TagStatus

BOUNDS_MS: Final = (
    *(5, 10, 25, 50, 100, 250, 500),
    *(1_000, 2_500, 5_000, 10_000, 30_000, 60_000),
    *(300_000, 900_000, 3_600_000, 86_400_000),
)
STEPS: Final = len(BOUNDS_MS) + 1
WINDOW_MS: Final = 300_000
EVERY_MS: Final = 10_000
_NEVER: Final = np.iinfo(np.int64).max


class _Noted(msgspec.Struct, frozen=True):
    """The counts as they were at a moment."""

    at_ms: int
    counts: NDArray[np.int64]
    over: NDArray[np.int64]


class Ages:
    """Counts of one worker, since it started and lately.

    Attributes
    ----------
    counts
        Shape (names, STEPS): changes by age.
    sum_ms
        The ages of all changes added up.
    """

    def __init__(self, names: Sequence[str], promises_ms: Sequence[int | None]) -> None:
        """`names` are by the number that `take` is given; None promises nothing."""
        self.names = tuple(names)
        self.counts = np.zeros((len(self.names), STEPS), dtype=np.int64)
        self.sum_ms = 0
        self._over = np.zeros(len(self.names), dtype=np.int64)
        self._promises = np.array([_NEVER if ms is None else ms for ms in promises_ms], dtype=np.int64)
        self._bounds = np.array(BOUNDS_MS, dtype=np.int64)
        self._noted = deque([_Noted(0, self.counts.copy(), self._over.copy())])

    @classmethod
    def of(cls, catalogue: Catalogue) -> Ages:
        """For the tags in the order of their evaluation, then the segments: the engine's numbers."""
        promises = [catalogue.tag(name).freshness_ms for name in catalogue.tag_order]
        segments = [segment.name for segment in catalogue.segments]
        return cls([*catalogue.tag_order, *segments], [*promises, *(None for _ in segments)])

    def take(self, numbers: NDArray[np.int64], event_ms: NDArray[np.int64], wall_ms: int) -> None:
        """Count changes that are published now.

        Parameters
        ----------
        numbers, event_ms
            Shape (n,): whose change, and the time of the event that made it.
        wall_ms
            Now. An event of a clock that is ahead of ours counts as just happened.
        """
        ages = np.maximum(wall_ms - event_ms, 0)
        places = numbers * STEPS + np.searchsorted(self._bounds, ages)
        self.counts += np.bincount(places, minlength=self.counts.size).reshape(self.counts.shape)
        self.sum_ms += int(ages.sum())
        broken = numbers[ages > self._promises[numbers]]
        self._over += np.bincount(broken, minlength=len(self.names))

    def recent(self, now_ms: int) -> dict[str, TagStatus]:
        """What was counted within about `WINDOW_MS`, by name; names without a change are left out."""
        noted = self._noted
        if now_ms - noted[-1].at_ms >= EVERY_MS:
            noted.append(_Noted(now_ms, self.counts.copy(), self._over.copy()))
        while len(noted) > 1 and noted[1].at_ms <= now_ms - WINDOW_MS:
            noted.popleft()
        counts, over = self.counts - noted[0].counts, self._over - noted[0].over
        return {
            self.names[number]: TagStatus(int(counts[number].sum()), int(over[number]), counts[number].tolist())
            for number in np.flatnonzero(counts.any(axis=1)).tolist()
        }
