"""How fresh sources and tags are at a moment: what the page, the API and `livetags freshness` show."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from schemas.status import Clock


class SourceState(StrEnum):
    """What is the matter with a source, the worst first."""

    UNREAD, FROZEN, UNKNOWN, BEHIND = "unread", "frozen", "unknown", "behind"
    SILENT, FLOWING = "silent", "flowing"


class Promise(StrEnum):
    """What became of a tag's promise."""

    NOBODY, UNKNOWN, NONE = "nobody works on it", "unknown", "no promise"
    MISSED, KEPT = "missed", "kept"


class WorkerState(StrEnum):
    """Whether a worker works, said that it stopped, or was not heard of for three of its intervals."""

    WORKING, STOPPED, LOST = "working", "stopped", "lost"


class SourceFreshness(msgspec.Struct, frozen=True):
    """A source over all workers; None where a figure is not known.

    Attributes
    ----------
    newest
        Newest event time applied, ISO 8601.
    age_s
        Of that: against the wall's clock, or with the event clock against the newest event of all sources.
    lag
        Records that are there and not applied.
    lag_s
        How long the oldest of those has waited, estimated: as `streams.freshness` tells.
    silence_s
        Since a record came last.
    unread
        Partitions that no living worker has.
    promise_s
        The tightest promise of a tag that rests on it, or a minute.
    stall_after_s
        After how long a silence is worth saying: the catalogue's, or an hour; of open hours only.
    frozen_at
        Since when its features stand still, ISO 8601; None where they go on.
    """

    name: str
    topic: str
    state: SourceState
    newest: str | None
    age_s: float | None
    lag: int | None
    lag_s: float | None
    silence_s: float | None
    partitions: int | None
    unread: list[int]
    promise_s: float
    stall_after_s: float
    frozen_at: str | None = None


class TagFreshness(msgspec.Struct, frozen=True):
    """A tag over all workers.

    Attributes
    ----------
    sources
        Those it rests on.
    waits_for
        Those of them that do not flow.
    age_s
        How old what is published may be: the larger of `p99_s` and its sources' `lag_s`; with the event clock only
        the latter, as event times say nothing of the wall's.
    published, over
        Changes that an event made within the last minutes, and those published later than promised.
    p50_s, p99_s
        From event to published change; None without such changes.
    frozen
        Whether a source that it rests on is frozen.
    """

    name: str
    title: dict[str, str]
    sources: list[str]
    waits_for: list[str]
    promise_s: float | None
    promise: Promise
    age_s: float | None
    published: int
    over: int
    p50_s: float | None
    p99_s: float | None
    frozen: bool = False


class WorkerFreshness(msgspec.Struct, frozen=True):
    """A worker, when it said something last (ISO 8601), and the partitions it said it had."""

    name: str
    state: WorkerState
    started: str
    heard: str
    heard_s: float
    partitions: list[int]


class Freshness(msgspec.Struct, frozen=True):
    """How fresh everything is, at a moment (ISO 8601); `clock` None where no worker ever said."""

    at: str
    clock: Clock | None
    sources: list[SourceFreshness]
    tags: list[TagFreshness]
    workers: list[WorkerFreshness]

    @property
    def good(self) -> bool:
        """Whether every source is read and every promise known to be kept."""
        read = all(source.state is not SourceState.UNREAD for source in self.sources)
        return read and all(tag.promise in (Promise.KEPT, Promise.NONE) for tag in self.tags)
