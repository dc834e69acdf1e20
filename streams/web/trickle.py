"""Which changes the page shows: all of them while they are few, else a few a second, so that they can be read."""

from __future__ import annotations

from itertools import takewhile
from typing import Final

from schemas.records import Change, SegmentChange

ROWS: Final = 40
A_TURN: Final = 5


class Trickle:
    """The rows of the list; each turn puts at most `A_TURN` on top."""

    def __init__(self) -> None:
        self._shown: list[Change] = []
        self._newest: str | None = None

    def take(self, recent: list[Change]) -> list[Change]:
        """The rows to show now, newest first.

        Parameters
        ----------
        recent
            The worker's last changes, newest first; where a turn brings more than these, older ones are not seen.
        """
        known = {change.id for change in self._shown}
        fresh = [change for change in takewhile(lambda one: one.id != self._newest, recent) if change.id not in known]
        if recent:
            self._newest = recent[0].id
        self._shown = [*(_few(fresh) if self._shown else fresh), *self._shown][:ROWS]
        return self._shown


def _few(fresh: list[Change]) -> list[Change]:
    """At most a turn of them, of both kinds, in their order."""
    segments: list[Change] = [change for change in fresh if isinstance(change, SegmentChange)]
    tags: list[Change] = [change for change in fresh if not isinstance(change, SegmentChange)]
    half = A_TURN // 2
    chosen = [*segments[:half], *tags[: A_TURN - half], *segments[half:], *tags[A_TURN - half :]][:A_TURN]
    kept = {change.id for change in chosen}
    return [change for change in fresh if change.id in kept]
