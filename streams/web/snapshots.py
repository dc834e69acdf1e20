"""What all browsers see, taken from the worker at most once a second however many look, and never when none does."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from schemas.catalogue import Unit
from schemas.freshness import Freshness
from schemas.records import Change
from streams.web.trickle import Trickle
from streams.web.view import SegmentView, SourceView, Summary, TagView, TargetView, Titles, View

MAX_AGE_S: Final = 0.9
RATE_POINTS: Final = 90
RECENT: Final = 200


class Board(msgspec.Struct, frozen=True):
    """One moment of the worker.

    Attributes
    ----------
    changes
        Newest first; a few of them where there are many.
    changes_per_s
        Since the board before; 0 on the first.
    rates
        Events per second, oldest first, one for each board while somebody looked.
    titles
        Of features, tags and segments, by name.
    units
        Of features, by name.
    """

    summary: Summary
    sources: list[SourceView]
    tags: list[TagView]
    segments: list[SegmentView]
    changes: list[Change]
    changes_per_s: float
    rates: list[float]
    titles: dict[str, Titles]
    units: dict[str, Unit]
    freshness: Freshness
    models: list[TargetView] = []


class _Titled(Protocol):
    """Anything with a name and titles."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> Titles: ...


def _titles(*groups: Sequence[_Titled]) -> dict[str, Titles]:
    return {item.name: item.title for group in groups for item in group}


class Snapshots:
    """Boards of a worker, shared by every browser and the API."""

    def __init__(self, view: View, clock: Callable[[], float] = time.monotonic) -> None:
        self.view = view
        self._clock = clock
        self._rates: deque[float] = deque(maxlen=RATE_POINTS)
        self._board: Board | None = None
        self._taken_s = 0.0
        self._trickle = Trickle()

    def board(self) -> Board:
        """The newest board, taken anew where it is older than `MAX_AGE_S`."""
        now_s = self._clock()
        if self._board is None or now_s - self._taken_s >= MAX_AGE_S:
            self._board, self._taken_s = self._take(now_s), now_s
        return self._board

    def _take(self, now_s: float) -> Board:
        before, past_s = self._board, now_s - self._taken_s
        summary, tags, segments = self.view.summary(), self.view.tags(), self.view.segments()
        features = self.view.features()
        self._rates.append(summary.events_per_s)
        return Board(
            summary=summary,
            sources=self.view.sources(),
            tags=tags,
            segments=segments,
            changes=self._trickle.take(self.view.recent(RECENT)),
            changes_per_s=(summary.changes - before.summary.changes) / past_s if before else 0.0,
            rates=list(self._rates),
            titles=_titles(features, tags, segments),
            units={feature.name: feature.unit for feature in features},
            freshness=self.view.freshness(),
            models=self.view.models(),
        )
