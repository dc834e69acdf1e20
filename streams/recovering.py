"""How far the recovery of a process's partitions is: for its terminal, its page and its metrics.

Counted in offsets of the changelog, where compaction leaves gaps: what is left is an upper bound.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator

import msgspec


class RecoveryStatus(msgspec.Struct, frozen=True):
    """A recovery that is at work.

    Attributes
    ----------
    partitions
        How many are recovered.
    done, left
        Offsets of the changelog that were read, and that are left; `left` is None until the broker has told the ends.
    left_s
        Estimated seconds until it is read; None where nothing tells yet.
    first
        Whether the worker has not been at work before.
    """

    partitions: int
    done: int
    left: int | None
    left_s: float | None
    first: bool = True


class _Span(msgspec.Struct):
    """A partition's part of the changelog; `end` is None until the broker has told it."""

    begin: int
    at: int
    end: int | None = None


class Recovery:
    """What recoveries of this process did, and how far the one at work is.

    Attributes
    ----------
    records
        Records of the changelog read by all of them.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds that never go back."""
        self._clock = clock
        self._spans: dict[int, _Span] = {}
        self._partitions: frozenset[int] = frozenset()
        self._begun_s = 0.0
        self._before = False
        self.records = 0

    @contextlib.contextmanager
    def of(self, partitions: Iterable[int]) -> Iterator[None]:
        """These partitions are recovered while one is inside."""
        self._partitions, self._begun_s = frozenset(partitions), self._clock()
        self._spans.clear()
        try:
            yield
        finally:
            self._partitions = frozenset()
            self._before = True

    def begins(self, positions: dict[int, int]) -> None:
        """The changelog is read from these offsets on, by partition."""
        self._spans = {number: _Span(at, at) for number, at in positions.items()}

    def reached(self, number: int, at: int, end: int, records: int) -> None:
        """So many records more were read of a partition's changelog, which is read to `at` and ends at `end`."""
        span = self._spans.setdefault(number, _Span(at, at))
        span.at, span.end = at, end
        self.records += records

    @property
    def status(self) -> RecoveryStatus | None:
        """How far it is; None while nothing is recovered."""
        if not self._partitions:
            return None
        spans = self._spans.values()
        done = sum(span.at - span.begin for span in spans)
        left, left_s = None, None
        if spans and all(span.end is not None for span in spans):
            left = sum(max(0, (span.end or 0) - span.at) for span in spans)
            if done:
                left_s = (self._clock() - self._begun_s) * left / done
        return RecoveryStatus(len(self._partitions), done, left, left_s, not self._before)
