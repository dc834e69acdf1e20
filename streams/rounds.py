"""Bringing every customer of a partition up to something new, slice by slice, so that records are not held up (P4)."""

from __future__ import annotations

from collections.abc import Callable

from streams.output import Output, Rescored

AT_ONCE = 2_048


class Round:
    """One way through the customers.

    Attributes
    ----------
    over
        Whether all have been reached.
    """

    def __init__(self, bring: Callable[[int, str, int], Rescored], anchor: str) -> None:
        """`bring` takes the first slot, what names the new thing in changes' ids, and how many at most."""
        self._bring, self._anchor, self._slot = bring, anchor, 0
        self.over = False

    def step(self) -> Output:
        """Bring some more customers up to it."""
        done = self._bring(self._slot, self._anchor, AT_ONCE)
        self._slot, self.over = done.next_slot, not done.more
        return done.output
