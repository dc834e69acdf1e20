"""What workers tell each other about how far they are: the records under `worker/` on the control topic.

Times are UTC milliseconds of the wall's clock, unless they are said to be event times.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

PREFIX = "worker/"


class Clock(StrEnum):
    """What moves time: the wall's clock, or only the records."""

    WALL, EVENT = "wall", "event"


class PlaceStatus(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A partition of a source, as far as its worker is; None where that is not known yet.

    Attributes
    ----------
    newest_ms
        Largest event time applied.
    watermark_ms
        Event time up to which the partition's timers have fired.
    lag
        Records that are there and not applied.
    at_end
        Whether all there is was applied.
    received_ms
        When a record came last.
    stamp_ms
        Kafka's timestamp of the last record that came.
    clear_ms
        When it was last seen at its end; before the first time, when the worker had it first.
    per_s
        Records dealt with per second, over the last few seconds.
    position
        Offset after the last record dealt with.
    """

    partition: int
    newest_ms: int | None = None
    watermark_ms: int | None = None
    lag: int | None = None
    at_end: bool = False
    received_ms: int | None = None
    stamp_ms: int | None = None
    clear_ms: int | None = None
    per_s: float = 0.0
    position: int | None = None


class TagStatus(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """How old a tag's changes were when they were published, lately.

    Attributes
    ----------
    published
        Changes that an event made.
    over
        Those published later than the catalogue promises.
    ages
        Those by age, as `streams.ages` counts them.
    """

    published: int
    over: int
    ages: list[int]


class WorkerStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a worker says of itself every `interval_s`, and a last time when it stops.

    Attributes
    ----------
    app_id
        The consumer group: other apps may share the control topic.
    at_ms
        When it said so.
    partitions
        Those it has, of `partitions_total`.
    places
        By source.
    tags
        By name; those without a change lately are left out.
    """

    app_id: str
    member: str
    clock: Clock
    started_ms: int
    at_ms: int
    interval_s: float
    partitions: list[int]
    partitions_total: int | None = None
    stopped: bool = False
    places: dict[str, list[PlaceStatus]] = {}
    tags: dict[str, TagStatus] = {}

    @property
    def key(self) -> str:
        """Its key on the control topic."""
        return f"{PREFIX}{self.app_id}/{self.member}"


def read_status(value: bytes) -> WorkerStatus | None:
    """The status in a record; None where another version wrote something that can't be read."""
    try:
        return msgspec.json.decode(value, type=WorkerStatus)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
