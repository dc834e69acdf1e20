"""What has to be known of a customer whose row is on disk: when it is due, where it counts, and some of its words.

It is kept beside the rows for every customer and written before each row, so that a start need not look at rows.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from streams.engine.codec import HEAD_BYTES
from streams.engine.kernel import State
from streams.engine.layout import NEVER, NOW
from streams.engine.plan import Plan
from streams.engine.population import BUCKETS, OUT

_NEVER_DUE: Final = -1  # one byte; due times are never below 0


class Heads:
    """The head of a plan's rows: the due time, a bucket for each quantile tag, and `words` of the row.

    Attributes
    ----------
    words
        The row's now and the times since which the features of quantile tags count; nothing where no tag needs them.
    width
        Words of a head.
    """

    def __init__(self, plan: Plan) -> None:
        stored = plan.tables.quantiles["stored"]
        times = np.unique(stored[stored >= 0]).tolist()
        self.words = np.array([NOW, *times] if times else [], dtype=np.int64)
        self._tags = len(plan.tables.quantiles)
        self.width = 1 + self._tags + len(self.words)

    @property
    def most_bytes(self) -> int:
        """What a written head takes at most."""
        return self.width * HEAD_BYTES

    def of(self, state: State, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """The heads of rows in memory, shape (slots, width)."""
        due = state.due.time[slots]
        words = state.rows[np.ix_(state.frames[slots], self.words)]
        return np.column_stack([np.where(due == NEVER, _NEVER_DUE, due), state.census.buckets[slots], words])

    def restore(self, state: State, slots: NDArray[np.int64], heads: NDArray[np.int64]) -> NDArray[np.int64]:
        """Have those slots counted in their buckets; their due times are the caller's to index, and their `words`."""
        state.due.time[slots] = np.where(heads[:, 0] == _NEVER_DUE, NEVER, heads[:, 0])
        buckets = heads[:, 1 : 1 + self._tags]
        state.census.buckets[slots] = buckets
        for tag in range(self._tags):
            counts = np.bincount(buckets[:, tag], minlength=BUCKETS)
            counts[OUT] = 0
            state.census.counts[tag] += counts
        return heads[:, 1 + self._tags :]
