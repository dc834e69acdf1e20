"""How fresh sources and tags are, from what all workers last said, the catalogue and the time.

Pure. What it keeps apart: a source that is silent (read to its end, and nothing comes) from one that nobody reads (its
worker stopped), and both from one whose records wait (behind).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from schemas.catalogue import Catalogue, Source, Tag
from schemas.freshness import (
    Freshness,
    Promise,
    SourceFreshness,
    SourceState,
    TagFreshness,
    WorkerFreshness,
    WorkerState,
)
from schemas.resting import sources_of
from schemas.status import Clock, PlaceStatus, TagStatus, WorkerStatus
from schemas.values import iso
from streams.ages import BOUNDS_MS
from streams.histogram import quantile
from streams.open_hours import silent_until

MISSED_BEATS: Final = 3
FORGOTTEN_AFTER_MS: Final = 86_400_000
STALL_AFTER_MS: Final = 3_600_000
BEHIND_AFTER_MS: Final = 60_000
OVER_AT_MOST: Final = 0.01

Lags = Mapping[str, Mapping[int, int]]
"""Records that are there and not committed, by source and partition."""


def report(
    statuses: Iterable[WorkerStatus],
    catalogue: Catalogue,
    now_ms: int,
    partitions: int | None = None,
    lags: Lags | None = None,
    frozen: Mapping[str, int] | None = None,
) -> Freshness:
    """How fresh sources and tags are.

    Parameters
    ----------
    statuses
        The last one of every worker of the app, living or not.
    now_ms
        The wall's clock.
    partitions
        How many every source has, where that is known; else as workers say.
    lags
        The group's, for partitions that no worker speaks for.
    frozen
        The frozen sources, and since when (UTC ms).
    """
    known = sorted((one for one in statuses if now_ms - one.at_ms < FORGOTTEN_AFTER_MS), key=lambda one: one.at_ms)
    rests = {tag.name: sources_of(tag, catalogue) for tag in catalogue.tags}
    read = _Reading(known, now_ms, partitions, lags or {}, frozen or {}, catalogue.timezone)
    sources = [read.source(source, _promised_ms(source.name, catalogue, rests)) for source in catalogue.sources]
    by_name = {source.name: source for source in sources}
    counted = _counted([one.tags for one in read.living])
    tags = [_tag(tag, [by_name[name] for name in rests[tag.name]], counted, read.clock) for tag in catalogue.tags]
    workers = [_worker(one, now_ms) for one in sorted(known, key=lambda one: one.started_ms)]
    return Freshness(iso(now_ms), read.clock, sources, tags, workers)


def state_of(status: WorkerStatus, now_ms: int) -> WorkerState:
    """Whether that worker still works."""
    if status.stopped:
        return WorkerState.STOPPED
    heard = now_ms - status.at_ms <= MISSED_BEATS * status.interval_s * 1000
    return WorkerState.WORKING if heard else WorkerState.LOST


def _promised_ms(source: str, catalogue: Catalogue, rests: Mapping[str, Sequence[str]]) -> int:
    promises = [tag.freshness_ms for tag in catalogue.tags if tag.freshness_ms and source in rests[tag.name]]
    return min(promises, default=BEHIND_AFTER_MS)


class _Reading:
    """All statuses at a moment, oldest first, so that a later word on a partition counts."""

    def __init__(
        self,
        known: Sequence[WorkerStatus],
        now_ms: int,
        partitions: int | None,
        lags: Lags,
        frozen: Mapping[str, int],
        timezone: str,
    ) -> None:
        self._frozen, self._timezone = frozen, timezone
        self._known, self._now_ms, self._lags = known, now_ms, lags
        self.living = [one for one in known if state_of(one, now_ms) is WorkerState.WORKING]
        self.clock = known[-1].clock if known else None
        self._held = {number for one in self.living for number in one.partitions}
        said = max((one.partitions_total or 0 for one in known), default=0)
        self._partitions = partitions or said or None
        every = (place.newest_ms for one in known for places in one.places.values() for place in places)
        self._newest_ms = max((ms for ms in every if ms is not None), default=None)

    def _places(self, source: str) -> list[PlaceStatus]:
        """The last word on each partition, of whichever worker."""
        told = {place.partition: place for one in self._known for place in one.places.get(source, ())}
        told |= {place.partition: place for one in self.living for place in one.places.get(source, ())}
        return list(told.values())

    def source(self, source: Source, promised_ms: int) -> SourceFreshness:
        """How fresh a source is."""
        told = self._places(source.name)
        held = [place for place in told if place.partition in self._held]
        lag, waited_ms = self._lag(source.name, held), self._waited(held)
        heard_ms = self._heard_ms(source.name)
        silence_ms, stall_ms = self._silence_ms(heard_ms), source.stall_after_ms or STALL_AFTER_MS
        frozen_ms = self._frozen.get(source.name)
        silent = silence_ms is not None and self._is_silent(source, silence_ms, stall_ms)
        newest_ms = max((place.newest_ms for place in told if place.newest_ms is not None), default=None)
        return SourceFreshness(
            name=source.name,
            topic=source.topic,
            state=self._state(held, waited_ms, promised_ms, silent, frozen_ms is not None, heard_ms is None),
            newest=None if newest_ms is None else iso(newest_ms),
            age_s=_s(self._age_ms(newest_ms)),
            lag=lag,
            lag_s=_s(waited_ms),
            silence_s=_s(silence_ms),
            partitions=self._partitions,
            unread=self._unread(),
            promise_s=promised_ms / 1000,
            stall_after_s=stall_ms / 1000,
            frozen_at=None if frozen_ms is None else iso(frozen_ms),
        )

    def _is_silent(self, source: Source, silence_ms: int, stall_ms: int) -> bool:
        """Whether nothing came for so much of its open hours."""
        since_ms = self._now_ms - silence_ms
        return self._now_ms >= silent_until(source, self._timezone, since_ms, stall_ms)

    def _unread(self) -> list[int]:
        return sorted(set(range(self._partitions or 0)) - self._held)

    def _state(
        self,
        held: Sequence[PlaceStatus],
        waited_ms: int | None,
        promised_ms: int,
        silent: bool,
        frozen: bool,
        unheard: bool,
    ) -> SourceState:
        if not self._held or self._unread():
            return SourceState.UNREAD
        if frozen:
            return SourceState.FROZEN
        if waited_ms is None:
            return SourceState.UNKNOWN
        if waited_ms > promised_ms:
            return SourceState.BEHIND
        if silent and all(place.at_end for place in held):
            return SourceState.SILENT
        return SourceState.UNKNOWN if unheard else SourceState.FLOWING

    def _age_ms(self, newest_ms: int | None) -> int | None:
        now = self._newest_ms if self.clock is Clock.EVENT else self._now_ms
        return None if newest_ms is None or now is None else max(0, now - newest_ms)

    def _lag(self, source: str, held: Sequence[PlaceStatus]) -> int | None:
        """Records not applied: as workers say, and for partitions nobody has, as the group's commits say."""
        told = {place.partition: place.lag for place in held}
        group = self._lags.get(source, {})
        wanted = set(range(self._partitions)) if self._partitions else self._held
        lags = [told.get(number) if number in self._held else group.get(number) for number in wanted]
        known = [lag for lag in lags if lag is not None]
        return sum(known) if wanted and len(known) == len(lags) else None

    def _waited(self, held: Sequence[PlaceStatus]) -> int | None:
        """How long the record that has waited longest has waited; None before every partition said its lag."""
        if not self._held or len(held) < len(self._held) or any(place.lag is None for place in held):
            return None
        return max(_waited_ms(place, self._now_ms, self.clock) for place in held)

    def _heard_ms(self, source: str) -> int | None:
        """When a record of the source came last, to whichever worker."""
        every = (place.received_ms for one in self._known for place in one.places.get(source, ()))
        return max((ms for ms in every if ms is not None), default=None)

    def _silence_ms(self, heard_ms: int | None) -> int | None:
        """Since a record came; where none did, since the last of the living workers began to listen."""
        begun = max((one.started_ms for one in self.living), default=None)
        since = begun if heard_ms is None else heard_ms
        return None if since is None else max(0, self._now_ms - since)


def _waited_ms(place: PlaceStatus, now_ms: int, clock: Clock | None) -> int:
    """How long the records that wait in a partition have waited at most.

    Notes
    -----
    They came after the partition was last seen at its end, and after the last record that was received. Under the event
    clock Kafka's timestamps may be as old as the events; there it is how long the records that wait take at the rate
    of the last seconds (Little's law).
    """
    if not place.lag:
        return 0
    since_clear = now_ms - (place.clear_ms if place.clear_ms is not None else now_ms)
    if clock is Clock.EVENT:
        estimate = round(1000 * place.lag / place.per_s) if place.per_s > 0 else since_clear
    else:
        estimate = since_clear if place.stamp_ms is None else now_ms - place.stamp_ms
    return max(0, min(since_clear, estimate))


def _counted(said: Sequence[Mapping[str, TagStatus]]) -> dict[str, TagStatus]:
    """The tags' counts of all workers added up."""
    whole: dict[str, TagStatus] = {}
    for tags in said:
        for name, one in tags.items():
            before = whole.get(name, TagStatus(0, 0, [0] * len(one.ages)))
            ages = [a + b for a, b in zip(before.ages, one.ages, strict=False)]
            whole[name] = TagStatus(before.published + one.published, before.over + one.over, ages)
    return whole


def _tag(
    tag: Tag, sources: Sequence[SourceFreshness], counted: Mapping[str, TagStatus], clock: Clock | None
) -> TagFreshness:
    one = counted.get(tag.name, TagStatus(0, 0, [])) if clock is Clock.WALL else TagStatus(0, 0, [])
    p50_ms, p99_ms = (quantile(one.ages, BOUNDS_MS, share) for share in (0.5, 0.99))
    waited = [source.lag_s for source in sources]
    known = [s for s in waited if s is not None]
    age_s = max([*known, (p99_ms or 0.0) / 1000]) if len(known) == len(waited) else None
    promise_s = _s(tag.freshness_ms)
    return TagFreshness(
        name=tag.name,
        title=tag.title,
        sources=[source.name for source in sources],
        waits_for=[source.name for source in sources if source.state is not SourceState.FLOWING],
        promise_s=promise_s,
        promise=_promise(promise_s, sources, max(known, default=0.0) if age_s is not None else None, one),
        age_s=age_s,
        published=one.published,
        over=one.over,
        p50_s=_s(p50_ms),
        p99_s=_s(p99_ms),
        frozen=any(source.frozen_at is not None for source in sources),
    )


def _promise(
    promise_s: float | None, sources: Sequence[SourceFreshness], waited_s: float | None, one: TagStatus
) -> Promise:
    """Missed where records wait too long, or more than one change in a hundred was published too late."""
    if any(source.state is SourceState.UNREAD for source in sources):
        return Promise.NOBODY
    if promise_s is None:
        return Promise.NONE
    if waited_s is None:
        return Promise.UNKNOWN
    late = one.over > OVER_AT_MOST * one.published
    return Promise.MISSED if late or waited_s > promise_s else Promise.KEPT


def _worker(status: WorkerStatus, now_ms: int) -> WorkerFreshness:
    return WorkerFreshness(
        name=status.member,
        state=state_of(status, now_ms),
        started=iso(status.started_ms),
        heard=iso(status.at_ms),
        heard_s=max(0, now_ms - status.at_ms) / 1000,
        partitions=status.partitions,
    )


def _s(ms: float | None) -> float | None:
    return None if ms is None else ms / 1000
