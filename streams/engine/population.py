"""Histograms of a feature over a population, and the cut-points that divide it into equal parts.

Buckets are one per cent wide on either side of zero, which has its own; so is, where it counts, having no value. Counts
are whole numbers: histograms of partitions add up to the whole one in any order, and nothing but the bucket of every
customer decides what they hold. Values below 1e-9 and beyond 1e18 share the outermost bucket of their sign.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streams.engine.compiling import compiled

STEP: Final = 1.01
_LEAST_POWER: Final = -2_083
MAGNITUDES: Final = 6_250
EDGES: Final[NDArray[np.float64]] = STEP ** np.arange(_LEAST_POWER, _LEAST_POWER + MAGNITUDES, dtype=np.float64)
"""Where the buckets above zero begin; 1 begins one. The first also holds what is smaller, the last what is larger."""
OUT, UNKNOWN, LOWEST = 0, 1, 2
"""Not in the population; in it without a value; the bucket of the lowest values."""
ZERO: Final = LOWEST + MAGNITUDES
BUCKETS: Final = ZERO + 1 + MAGNITUDES
_LARGEST: Final = float(np.finfo(np.float64).max)


@compiled
def bucket_of(value: float, edges: NDArray[np.float64]) -> int:
    """The bucket of a known value; larger values are in higher ones."""
    if value == 0.0:
        return ZERO
    magnitude = abs(value)
    low, high = 0, len(edges)
    while high - low > 1:
        middle = (low + high) >> 1
        if edges[middle] <= magnitude:
            low = middle
        else:
            high = middle
    return ZERO + 1 + low if value > 0.0 else ZERO - 1 - low


def buckets_of(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The buckets of many known values."""
    place = np.maximum(np.searchsorted(EDGES, np.abs(values), side="right") - 1, 0)
    found: NDArray[np.int64] = np.where(values > 0, ZERO + 1 + place, np.where(values < 0, ZERO - 1 - place, ZERO))
    return found


def histogram(values: NDArray[np.float64], unknown: int = 0) -> NDArray[np.int64]:
    """The counts of known values, shape (BUCKETS,), and of so many customers without one."""
    counts = np.bincount(buckets_of(values), minlength=BUCKETS)
    counts[UNKNOWN] = unknown
    return counts


def _least_of(bucket: int) -> float:
    """The smallest value that is in a bucket."""
    if bucket == ZERO:
        return 0.0
    if bucket > ZERO:
        place = bucket - ZERO - 1
        return float(EDGES[place]) if place else math.ulp(0.0)
    place = ZERO - bucket  # the bucket holds what is above -EDGES[place], which begins the next one
    return math.nextafter(-float(EDGES[place]), math.inf) if place < MAGNITUDES else -_LARGEST


def cut_points(counts: NDArray[np.int64], levels: int, falling: bool, whole: bool) -> list[float]:
    """The values at which a level begins, that of level 2 first; empty where nobody has a value.

    Cut-point k is where the bucket of the value at rank `ceil((n - 1) k / levels)` begins: that of pandas' `quantile`
    with `interpolation="higher"`. With `falling` ranks count from the largest value down. Where many customers have the
    same value, several cut-points are that value, and all of these customers have the level above the last.

    Parameters
    ----------
    counts
        Shape (BUCKETS,). Customers without a value come before all others.
    whole
        Whether values are whole numbers, as cut-points then are.
    """
    known = counts[LOWEST:]
    buckets = np.flatnonzero(known)
    if not len(buckets):
        return []
    buckets = buckets[::-1] if falling else buckets
    reached = counts[UNKNOWN] + np.cumsum(known[buckets])
    ranks = [-(-(int(reached[-1]) - 1) * k // levels) for k in range(1, levels)]
    places = np.searchsorted(reached, ranks, side="right")
    return [_cut(int(buckets[place]) + LOWEST, falling, whole) for place in places]


def _cut(bucket: int, falling: bool, whole: bool) -> float:
    """Where a bucket begins, seen from below or, with `falling`, from above."""
    if not falling:
        return float(math.ceil(_least_of(bucket))) if whole else _least_of(bucket)
    last = -_least_of(2 * ZERO - bucket)  # the mirror image's first
    return float(math.floor(last)) if whole else last


def moved(old: Sequence[float], new: Sequence[float], tolerance: float) -> bool:
    """Whether some cut-point is off by more than that share of itself; then all of them are taken anew."""
    if len(old) != len(new):
        return bool(new)
    return any(abs(now - before) > tolerance * abs(before) for before, now in zip(old, new, strict=True))


def level(value: float, cuts: Sequence[float], falling: bool) -> int:
    """The level of a known value, from 1: one more than the cut-points it has reached."""
    return 1 + sum(value <= cut if falling else value >= cut for cut in cuts)


def is_ordered(cuts: Sequence[float], falling: bool) -> bool:
    """Whether these can be cut-points: finite, and none beyond the next."""
    pairs = itertools.pairwise(reversed(cuts) if falling else cuts)
    return all(map(math.isfinite, cuts)) and all(before <= after for before, after in pairs)
