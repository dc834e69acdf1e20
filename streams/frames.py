"""Where rows lie in memory: a frame for each, whose it is and when it was last used.

Knows nothing of what rows hold. A limit is kept by whoever takes frames; here there is always room for more.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

NOBODY: Final = -1
_MORE: Final = 4  # where there is no room left, a quarter more than there was


class Frames:
    """The frames of one partition.

    Attributes
    ----------
    rows
        Shape (capacity, width). Memory is taken by a frame when it is first used.
    owner
        Shape (capacity,): the slot whose row lies in a frame; `NOBODY` in one that is free.
    used
        Shape (capacity,): a number that grows from use to use.
    """

    def __init__(self, capacity: int, width: int) -> None:
        self.rows = np.empty((capacity, width), dtype=np.int64)
        self.owner = np.full(capacity, NOBODY, dtype=np.int32)
        self.used = np.zeros(capacity, dtype=np.int64)
        self._free = np.empty(capacity, dtype=np.int64)
        self._freed = 0
        self._fresh = 0

    def __len__(self) -> int:
        """How many are in use."""
        return self._fresh - self._freed

    @property
    def capacity(self) -> int:
        """How many there are."""
        return len(self.rows)

    @property
    def touched(self) -> int:
        """How many have ever been used: these take memory."""
        return self._fresh

    def take(self, count: int) -> NDArray[np.int64]:
        """So many free frames, in use from now on; those that were used before come first."""
        again = min(count, self._freed)
        self._freed -= again
        found = self._free[self._freed : self._freed + again].copy()
        fresh = count - again
        if self._fresh + fresh > self.capacity:
            self._move(np.arange(self._fresh), self._fresh + fresh + self.capacity // _MORE)
        self._fresh += fresh
        return np.concatenate([found, np.arange(self._fresh - fresh, self._fresh)])

    def release(self, frames: NDArray[np.int64]) -> None:
        """Free those frames."""
        self.owner[frames] = NOBODY
        self._free[self._freed : self._freed + len(frames)] = frames
        self._freed += len(frames)

    def shrink(self, capacity: int) -> None:
        """Have only so many, or as many as are in use; rows move to the first ones, `owner` with them."""
        in_use = np.flatnonzero(self.owner[: self._fresh] != NOBODY)
        self._move(in_use, max(capacity, len(in_use)))
        self._fresh, self._freed = len(in_use), 0

    def extend(self, capacity: int) -> None:
        """Have so many, without moving any."""
        self._move(np.arange(self.capacity), capacity)

    def _move(self, kept: NDArray[np.int64], capacity: int) -> None:
        """Have so many frames, the first of which hold what was in the kept ones."""
        rows = np.empty((capacity, self.rows.shape[1]), dtype=np.int64)
        np.take(self.rows, kept, axis=0, out=rows[: len(kept)], mode="clip")  # the other modes copy twice
        owner, used = np.full(capacity, NOBODY, dtype=np.int32), np.zeros(capacity, dtype=np.int64)
        owner[: len(kept)], used[: len(kept)] = self.owner[kept], self.used[kept]
        free = np.empty(capacity, dtype=np.int64)
        free[: self._freed] = self._free[: self._freed] if self._freed <= capacity else 0
        self.rows, self.owner, self.used, self._free = rows, owner, used, free
