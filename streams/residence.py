"""Which rows are in memory: read from the store when they are needed, put out again when others need their room.

A row leaves memory only where the one on disk is the same: never while it is dirty or being written. So where it lies
shows in nothing that is said. The least recently used leave first, and of these those that only time or a round over
all customers looked at. The limit may be passed by the rows of one step, and is kept again before the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from streams.arena import Arena
from streams.engine import codec
from streams.engine import due as due_index
from streams.engine.layout import NEVER
from streams.engine.plan import Plan

LEAST_ROWS: Final = 1_024
SLICE: Final = 1_024
"""How many customers are brought in at a time where all of them, or those that are due, are gone through."""
_SHARE_OF_STEP, _SHARE_FLUSHED = 4, 4
_SPARE: Final = 16
_BUSY: Final = 0.625

Reader = Callable[[Sequence[bytes]], list[bytes | None]]
"""The rows of customers as last written, None where there is none."""


class RowLost(Exception):
    """The store has lost a row that was written to it."""


class Reads(msgspec.Struct):
    """What has been done so far: reads of many rows at once, the rows of all of them, rows put out of memory."""

    reads: int = 0
    rows: int = 0
    evicted: int = 0


class Cold(msgspec.Struct, frozen=True):
    """Where rows are read from that are not in memory, how many may be, and where what was done is counted.

    `lost` gives the error to raise where what is read is missing or is no row.
    """

    read: Reader
    rows: int
    done: Reads = msgspec.field(default_factory=Reads)
    lost: Callable[[str], Exception] = RowLost


def rows_within(limit_bytes: int, width: int, partitions: int) -> int:
    """How many rows of so many words each of a worker's partitions may hold in memory."""
    return max(LEAST_ROWS, limit_bytes // (8 * width * max(1, partitions)))


class Residence:
    """The rows of one partition that are in memory."""

    def __init__(self, plan: Plan, arena: Arena, cold: Cold) -> None:
        self._empty, self._arena, self._read = plan.rows.empty, arena, cold.read
        self._tick, self._pinned = 0, NEVER
        self._busy = 0
        self.done, self._lost = cold.done, cold.lost

    # ------------------------------------------------------------------------------------------------- how many

    @property
    def most(self) -> int:
        """How many rows may be in memory."""
        return self._arena.most or 0

    def resize(self, rows: int) -> None:
        """Have that many rows in memory at most, from the next step on."""
        self._arena.most = rows

    @property
    def step(self) -> int:
        """How many customers one step may need at most, so that the rows it writes have room."""
        return max(1, self.most // _SHARE_OF_STEP)

    def take_stock(self) -> None:
        """Count the rows that cannot leave."""
        count, arena = len(self._arena), self._arena
        self._busy = int(np.count_nonzero(arena.state.dirty[:count]) + np.count_nonzero(arena.held[:count]))

    @property
    def wants_flush(self) -> bool:
        """Whether rows are to be written, so that some can leave."""
        return self._busy * _SHARE_FLUSHED > self.most

    @property
    def choked(self) -> bool:
        """Whether there is no room for another step before rows are written."""
        return self._busy > _BUSY * self.most

    # ------------------------------------------------------------------------------------------------- in and out

    def know(self, slots: NDArray[np.int64], written: list[bytes]) -> None:
        """Take the heads of rows that are in the store, of all slots there are so far in turn.

        Raises
        ------
        CorruptRow
            Where the bytes do not begin with one.
        """
        arena, heads = self._arena, self._arena.heads
        arena.kept[slots] = heads.restore(arena.state, slots, codec.heads_of(written, heads.width))
        due_index.set_all(arena.state.due, arena.state.due.time[: len(arena)].copy())

    def begin(self, slots: NDArray[np.int64]) -> None:
        """Have the rows of a step's customers in memory, and keep them there until `end`."""
        self._tick += 1
        self.keep_limit()
        self.bring(slots)
        self._arena.frames.used[self._arena.state.frames[slots]] = self._tick
        self._pinned = self._tick

    def end(self) -> None:
        """The step is over."""
        self._pinned = NEVER

    def keep_limit(self) -> None:
        """Put rows out that went beyond the limit, if they can leave now."""
        if self._arena.frames.capacity > self.most:
            self._make_room(0, np.empty(0, dtype=np.int32))

    def bring(self, slots: NDArray[np.int64]) -> None:
        """Have the rows of those slots in memory; clean ones of others may leave.

        Raises
        ------
        RowLost
            One is not in the store that should be.
        """
        arena = self._arena
        frames = arena.state.frames[slots]
        away = np.unique(slots[frames < 0])
        if not len(away):
            return
        self._make_room(len(away), frames[frames >= 0])
        if arena.frames.capacity < self.most:
            arena.frames.extend(self.most)
        taken = arena.frames.take(len(away))
        arena.relocated()
        written = arena.stored[away]
        arena.state.rows[taken[~written]] = self._empty
        if written.any():
            self._read_rows(away[written], taken[written])
        arena.frames.owner[taken], arena.frames.used[taken] = away, 0
        arena.state.frames[away] = taken

    def bring_next(self, first: int, end: int) -> int:
        """Have the rows from slot `first` on in memory, of as many as can be; where these end."""
        end = min(end, first + min(SLICE, self.step))
        self.bring(np.arange(first, end))
        return end

    def bring_due(self, limit_ms: int) -> None:
        """Have the rows in memory that are next due, at or before a moment."""
        self.bring(due_index.upcoming(self._arena.state.due, limit_ms, min(SLICE, self.step)))

    def _read_rows(self, slots: NDArray[np.int64], frames: NDArray[np.int64]) -> None:
        arena = self._arena
        found = self._read([arena.customers[slot].encode() for slot in slots.tolist()])
        rows = [row for row in found if row is not None]
        if len(rows) < len(found):
            raise self._lost(
                f"{len(found) - len(rows)} of {len(found)} rows are missing in the local state. "
                "Remove it to fetch it from the changelog"
            )
        try:
            codec.decode(rows, arena.state.rows, frames, self._empty, arena.heads.width)
        except codec.CorruptRow as error:
            raise self._lost(str(error)) from None
        self.done.reads += 1
        self.done.rows += len(rows)

    def _make_room(self, count: int, needed: NDArray[np.int32]) -> None:
        """Put rows out so that so many more have room; not those in frames that are `needed`."""
        arena, frames = self._arena, self._arena.frames
        short = len(frames) + count - self.most
        if short > 0:
            out = self._idle(max(short, self.most // _SPARE), needed)
            slots = frames.owner[out]
            arena.kept[slots] = frames.rows[np.ix_(out, arena.heads.words)]
            arena.state.frames[slots] = -1
            frames.release(out)
            self.done.evicted += len(out)
        if frames.capacity > self.most and len(frames) + count <= self.most:
            self._shrink()

    def _idle(self, wanted: int, needed: NDArray[np.int32]) -> NDArray[np.int64]:
        """The frames of clean rows that were not used for longest, as many as wanted if there are."""
        state, frames = self._arena.state, self._arena.frames
        owner, used = frames.owner[: frames.touched], frames.used[: frames.touched]
        idle = (owner >= 0) & (used < self._pinned)
        idle &= ~(state.dirty[owner] | self._arena.held[owner])
        idle[needed] = False
        found = np.flatnonzero(idle)
        if len(found) > wanted:
            found = found[np.argpartition(used[found], wanted)[:wanted]]
        return found

    def _shrink(self) -> None:
        """Give back the memory of rows beyond the limit."""
        frames = self._arena.frames
        frames.shrink(self.most)
        in_use = np.arange(len(frames))
        self._arena.state.frames[frames.owner[in_use]] = in_use
        self._arena.relocated()
