"""Counts by size, in fixed steps: cheap to add to, and whole histograms can be added up and subtracted."""

from __future__ import annotations

import bisect
from collections.abc import Sequence


class Histogram:
    """How many values lay at or below each bound, and their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        """`bounds` rise; one more step, without bound, is above them."""
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect.bisect_left(self.bounds, value)] += 1
        self.sum += value


def quantile(counts: Sequence[int], bounds: Sequence[float], share: float) -> float | None:
    """The value that a share of those counted do not exceed, straight within its step; None where nothing was counted.

    Notes
    -----
    As Prometheus' `histogram_quantile`: of what lies above all bounds nothing is known but that.
    """
    rank, below = share * sum(counts), 0
    if not rank:
        return None
    for step, count in enumerate(counts[:-1]):
        if count and below + count >= rank:
            low = bounds[step - 1] if step else 0.0
            return low + (bounds[step] - low) * (rank - below) / count
        below += count
    return bounds[-1]
