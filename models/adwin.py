"""ADWIN on a few hundred numbers: whether a series of daily means went from one level to another, and since when.

Bifet and Gavalda, "Learning from time-changing data with adaptive windowing" (2007): the window of all numbers is cut
in two at every place; where the means of the parts differ by more than chance allows, the older part is dropped.
River's ADWIN keeps the window in buckets, as it is made for millions of numbers, and takes them to lie between 0 and 1;
daily means are few and of any scale, so here the window is kept whole, and its scale is the spread within the parts.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

CONFIDENCE: Final = 0.0005
"""About the probability that a look at a window without a change finds one."""
LONGEST: Final = 400
LEAST: Final = 2
"""A part has at least so many days, the window at least FIRST."""
FIRST: Final = 10


class Cut(msgspec.Struct, frozen=True):
    """Where a window was cut.

    Attributes
    ----------
    place
        Index of the first number of the new level.
    before, after
        Means of the two parts.
    spreads
        The difference, in standard deviations within the parts.
    """

    place: int
    before: float
    after: float
    spreads: float


def cut(window: NDArray[np.float64], confidence: float = CONFIDENCE) -> Cut | None:
    """The cut of a window where its parts differ most surely; None where they do not differ by more than chance.

    Parameters
    ----------
    window
        Shape (n,), the oldest first.

    Notes
    -----
    The bound is River's (theorem 3.2 of the paper): sqrt(2 v ln(2 ln(n) / confidence) / m) + 2 s ln(...) / (3 m) with
    m = 1 / (1/n0 + 1/n1), v the variance within the parts and s its root.
    """
    n = len(window)
    if n < FIRST:
        return None
    given, window = window, window - window[0]  # so that squares lose nothing where the level is far from 0
    place = np.arange(LEAST, n - LEAST + 1)
    total, squares = np.cumsum(window), np.cumsum(window * window)
    left, right = total[place - 1] / place, (total[-1] - total[place - 1]) / (n - place)
    within = squares[-1] - place * left**2 - (n - place) * right**2
    # What is left of equal numbers is rounding: a share of their size, not 0.
    scale = np.sqrt(np.maximum(within / (n - 2), 0.0)) + 1e-12 * (np.abs(given).max() + 1e-280)
    m = place * (n - place) / n
    chance = math.log(2.0 * math.log(n) / confidence)
    spreads = np.abs(right - left) / scale
    excess = spreads / (np.sqrt(2.0 * chance / m) + 2.0 * chance / (3.0 * m))
    best = int(np.argmax(excess))
    if excess[best] <= 1.0:
        return None
    before, after = float(left[best] + given[0]), float(right[best] + given[0])
    return Cut(int(place[best]), before, after, float(spreads[best]))
