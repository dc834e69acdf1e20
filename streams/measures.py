"""Cut-points and lifetime parameters together: made of what partitions count, and what customers are held against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from schemas.catalogue import Catalogue
from schemas.lifetime import Fit, Sample
from schemas.population import CutPoints, Population
from streams.cuts import Followed, Merger
from streams.fitting import Fitter, FollowedFits
from streams.gathering import Agreed, Cut

Part: TypeAlias = Population | Sample
Made: TypeAlias = CutPoints | Fit

FIRST_PARTITION = 0
"""The worker that has this partition makes them."""


class Makers:
    """Both makers, where all customers are in one partition."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._cuts, self._fits = Merger(catalogue), Fitter(catalogue)

    def know(self, made: Made) -> None:
        """Note what is in force."""
        if isinstance(made, Fit):
            self._fits.know(made)
        else:
            self._cuts.know(made)

    def at_once(self, parts: Sequence[Part]) -> list[Made]:
        """What follows right from what was counted."""
        fits = self._fits.at_once([part for part in parts if isinstance(part, Sample)])
        return [*fits, *self._cuts.at_once([part for part in parts if isinstance(part, Population)])]


class Measured(Protocol):
    """A partition at work."""

    publish: Callable[[list[Part]], None] | None

    def follow(self, news: Cut, /) -> None:
        """Measure by these."""


class Measures:
    """Both as the control topic has them."""

    def __init__(self, catalogue: Catalogue, group: str, together: bool = True) -> None:
        self._cuts, self._fits = Followed(catalogue, group, together), FollowedFits(catalogue, group, together)

    def follow(self, control: Agreed, tell: Callable[[Cut], None]) -> None:
        """Write to `control`, and have `tell` called with all that is new."""
        self._cuts.follow(control, tell)
        self._fits.follow(control, tell)

    def on_record(self, key: str, value: bytes | None, offset: int) -> None:
        """Take a record of the control topic."""
        self._cuts.on_record(key, value, offset)
        self._fits.on_record(key, value, offset)

    def serve(self, task: Measured) -> None:
        """Have a partition measure by what is in force, and tell what it counts."""
        task.publish = self.publish
        for cut in (*self._fits.held(), *self._cuts.held()):
            task.follow(cut)

    def publish(self, parts: Sequence[Part]) -> None:
        """Tell all workers what partitions of this one counted."""
        self._fits.publish([part for part in parts if isinstance(part, Sample)])
        self._cuts.publish([part for part in parts if isinstance(part, Population)])

    async def tick(self, makes: bool, now_s: float) -> None:
        """To be called about once a second; `makes` where it is this worker that does."""
        self._cuts.tick(makes, now_s)
        await self._fits.tick_aside(makes, now_s)  # seconds of arithmetic
