"""What all workers agree on, as the control topic has it, told to the partitions of one of them."""

from __future__ import annotations

import time
from collections.abc import Mapping

from schemas.catalogue import Catalogue
from streams.config import Clock, Settings
from streams.control import Control
from streams.counters import Counters
from streams.gathering import Cut
from streams.measures import FIRST_PARTITION, Measures
from streams.model_follower import Model, Models, Reports
from streams.silence import Silence
from streams.task import Task


class News:
    """Models, their reports, frozen sources, cut-points and lifetime parameters.

    Attributes
    ----------
    models, reports, silence
        Each as it stands now.
    """

    def __init__(self, settings: Settings, catalogue: Catalogue, counters: Counters, tasks: Mapping[int, Task]) -> None:
        """`tasks` are the worker's partitions, as they come and go."""
        group, self._wall = settings.group(catalogue.name), settings.clock is Clock.WALL
        self._counters, self._tasks = counters, tasks
        self.models, self.reports = Models(catalogue, group), Reports(catalogue, group)
        self.silence = Silence(catalogue, group)
        self._measures = Measures(catalogue, group, self._wall)

    def follow(self, control: Control) -> None:
        """Take what comes from there, and write there what this worker has to say."""
        control.follow(self.models.on_record)
        control.follow(self.reports.on_record)
        self.models.follow(self._adopt)
        if self._wall:  # the event clock knows no silence
            self.silence.follow(control, self._tasks)
        control.follow(self._measures.on_record)
        self._measures.follow(control, self._measure)

    def brief(self, task: Task) -> None:
        """Tell a partition that has just come all that is in force."""
        for model in self.models.held():
            task.follow(model)
        for stall in self.silence.held():
            task.follow(stall)
        self._measures.serve(task)

    async def tick(self) -> None:
        """Make cut-points and parameters where it is this worker that does; to be called about once a second."""
        await self._measures.tick(FIRST_PARTITION in self._tasks, time.monotonic())

    def _adopt(self, model: Model) -> None:
        """Score with a new model, or with none where it was withdrawn."""
        self._counters.scores(model.target, model.snapshot)
        for task in self._tasks.values():
            task.follow(model)

    def _measure(self, cut: Cut) -> None:
        """Measure by new cut-points or parameters."""
        for task in self._tasks.values():
            task.follow(cut)
