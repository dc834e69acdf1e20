"""A worker's status, built from its counters, and its way to and from the other workers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import uuid
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from schemas.catalogue import Catalogue
from schemas.status import PlaceStatus, WorkerStatus
from streams.config import Settings, wall_ms
from streams.counters import Counters
from streams.freshness import FORGOTTEN_AFTER_MS
from streams.statuses import Statuses


class Reporting(Protocol):
    """What a status is made of: a worker."""

    @property
    def settings(self) -> Settings:
        """How it runs."""

    @property
    def catalogue(self) -> Catalogue:
        """What it works on."""

    @property
    def counters(self) -> Counters:
        """What it has done."""

    @property
    def partitions(self) -> Mapping[int, object]:
        """Those it has, by number."""


class Outbox(Protocol):
    """Where a status is put: `streams.control.Control`."""

    def put(self, key: str, value: bytes | None) -> None:
        """Have that value under that key; None removes it."""


def member_name(settings: Settings) -> str:
    """The worker's name: the lasting one it was given, else one of this process alone."""
    return settings.member_id or f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:4]}"


def partitions_of(worker: Reporting) -> int | None:
    """How many partitions there are; None before the worker has looked at its cluster."""
    cluster = getattr(worker, "cluster", None)  # not set before `start`
    total: int | None = getattr(cluster, "partitions", None)
    return total


def status_of(worker: Reporting, member: str, started_ms: int, now_ms: int, *, stopped: bool = False) -> WorkerStatus:
    """What a worker says of itself now."""
    counters, settings = worker.counters, worker.settings
    held = sorted(worker.partitions)
    fields = [field for field in PlaceStatus.__struct_fields__ if field != "partition"]
    places = {
        source: [
            PlaceStatus(partition=number, **{field: getattr(standing, field) for field in fields})
            for number, standing in sorted(standings.items())
            if number in held
        ]
        for source, standings in counters.standings.items()
    }
    return WorkerStatus(
        app_id=settings.group(worker.catalogue.name),
        member=member,
        clock=settings.clock,
        started_ms=started_ms,
        at_ms=now_ms,
        interval_s=settings.status_interval_s,
        partitions=held,
        partitions_total=partitions_of(worker),
        stopped=stopped,
        places=places,
        tags={} if counters.ages is None else counters.ages.recent(now_ms),
    )


class Heartbeat:
    """Says every few seconds how far the worker is, and knows what the others said.

    Parameters
    ----------
    clock
        UTC ms of the wall.
    """

    def __init__(self, worker: Reporting, control: Outbox, clock: Callable[[], int] = wall_ms) -> None:
        self.member = member_name(worker.settings)
        self.statuses = Statuses(worker.settings.group(worker.catalogue.name))
        self._worker, self._control, self._clock = worker, control, clock
        self._started_ms = clock()

    def now(self) -> WorkerStatus:
        """The worker's own status at this moment."""
        return status_of(self._worker, self.member, self._started_ms, self._clock())

    def everyone(self) -> list[WorkerStatus]:
        """The last status of every worker, this one's as it is now."""
        own = self.now()
        return [*(one for one in self.statuses.latest() if one.key != own.key), own]

    def beat(self) -> None:
        """Say how far the worker is, and remove what workers said that ended long ago."""
        own = self.now()
        self._control.put(own.key, msgspec.json.encode(own))
        for one in self.statuses.latest():
            if one.key != own.key and own.at_ms - one.at_ms >= FORGOTTEN_AFTER_MS:
                self._control.put(one.key, None)

    def stopped(self) -> None:
        """Say that the worker stopped."""
        last = status_of(self._worker, self.member, self._started_ms, self._clock(), stopped=True)
        self._control.put(last.key, msgspec.json.encode(last))

    async def run(self, halt: asyncio.Event) -> None:
        """Beat until told to halt."""
        while not halt.is_set():
            self.beat()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(halt.wait(), self._worker.settings.status_interval_s)
