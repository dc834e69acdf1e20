"""The stalls in force, as they come on the control topic, and how one worker decides about them for all."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from schemas.catalogue import Catalogue
from schemas.silence import Stall, stall_key
from schemas.status import WorkerStatus
from streams.stalls import decide

log = logging.getLogger("livetags")


class Topic(Protocol):
    """Where stalls are read and put: `streams.control.Control`."""

    def follow(self, on_record: Callable[[str, bytes | None, int], None]) -> None:
        """Have `on_record` called for every record."""

    def put(self, key: str, value: bytes | None) -> None:
        """Have that value under that key."""

    @property
    def is_caught_up(self) -> bool:
        """Whether all that was there at the start has been read."""


class Stalling(Protocol):
    """What freezes: a partition's `streams.task.Task`."""

    def stall(self, stall: Stall) -> None:
        """Freeze a source, or let it flow again."""


class Silence:
    """What workers agree on about the sources of an app.

    All follow the control topic, whose order is the same for all. The worker that has partition 0 decides; whoever has
    it next goes on from what stands there.
    """

    def __init__(self, catalogue: Catalogue, group: str) -> None:
        self._catalogue, self._group = catalogue, group
        self._sources = {stall_key(group, source.name): source.name for source in catalogue.sources}
        self._held: dict[str, Stall] = {}
        self._put: dict[str, Stall] = {}
        self._control: Topic | None = None
        self._tasks: Mapping[int, Stalling] = {}

    def follow(self, control: Topic, tasks: Mapping[int, Stalling]) -> None:
        """Follow the topic, and freeze and thaw the tasks that are there then; before the topic is started."""
        self._control, self._tasks = control, tasks
        control.follow(self.on_record)

    def held(self) -> list[Stall]:
        """The last word on every source of which there is one."""
        return list(self._held.values())

    @property
    def frozen(self) -> dict[str, int]:
        """The frozen sources, and since when (UTC ms)."""
        return {name: stall.frozen_ms for name, stall in self._held.items() if stall.frozen_ms is not None}

    def on_record(self, key: str, value: bytes | None, _offset: int = 0) -> None:
        """Take a record of the control topic; one of another app, or that can't be read, is left out."""
        source = self._sources.get(key)
        if source is None:
            return
        try:
            stall = Stall(source, None, 0) if value is None else msgspec.json.decode(value, type=Stall)
        except msgspec.MsgspecError as error:
            log.warning("what stands of %s on the control topic can't be read: %s", source, error)
            return
        self._put.pop(source, None)
        self._held[source] = stall
        for task in self._tasks.values():
            task.stall(stall)

    def decide(self, statuses: Sequence[WorkerStatus], now_ms: int, partitions: int | None) -> None:
        """Put what is to change now onto the control topic; nothing before it has been read."""
        if self._control is None or not self._control.is_caught_up:
            return
        # Until the put record comes back, what it says is what stands.
        for stall in decide(self._catalogue, statuses, self._held | self._put, now_ms, partitions):
            self._put[stall.source] = stall
            self._control.put(stall_key(self._group, stall.source), msgspec.json.encode(stall))
