"""A target at work: its training examples in, snapshots of its model out, what it has learned written back.

A snapshot is published only when the flush that holds it is done: what is on the control topic is never ahead of the
state, so that no version can come twice with two contents. The newest one is part of the state, and so are decisions
not told yet; a trainer that was stopped between the flush and the publication makes up for both when it starts.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter, deque
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec

from models.report import report
from models.trainer import Trainer
from models.transform import transforms_of
from schemas.catalogue import Catalogue, Target
from schemas.definitions import DEFINITION_HEADER, definition
from schemas.learning import Example, ModelSnapshot, Question
from schemas.model_reports import ModelEvent, ModelOrder
from schemas.reasons import TIME_LIMITS
from streams.cluster import Cluster
from streams.lane import Batch, Lane, Place
from streams.store import LEARNED, Entry, Marker, Rows
from streams.tables import Recovered, Tables
from streams.task import FlushRule, FlushTorn, LaneGap

# Beside the trainer's own entries: the newest snapshot, and what was decided and may not have been told.
NEWEST: Final = b"newest"
UNTOLD: Final = b"untold"
REPORT_EVERY_S: Final = 10.0

log = logging.getLogger("livetags")


class Unfit(StrEnum):
    """Why an example was passed over."""

    UNREADABLE = "unreadable"
    OTHER_TARGET = "of another target"
    OTHER_FEATURES = "with another number of features"
    NO_TIME = "with an impossible time"
    OTHER_DEFINITION = "of another definition"


class Standing(msgspec.Struct, frozen=True):
    """How far a target is; counts as in `models.state.Counters`, and for each reason what was passed over.

    Attributes
    ----------
    settling
        Answers that wait for their question's time to be over.
    version
        Of the newest snapshot; 0 before the first.
    log_loss, auc
        Progressive, now; None before there is any.
    lag
        Examples that are there and not taken in; None where that is not known yet.
    """

    target: str
    version: int
    ready: bool
    questions: int
    answers: int
    positives: int
    learned: int
    settling: int
    repeated: int
    unasked: int
    unfit: dict[str, int]
    log_loss: float | None
    auc: float | None
    lag: int | None


class Reader:
    """Makes examples of a partition's records; `unfit` counts those it passed over.

    Examples bear personal data: only their places are logged.
    """

    def __init__(self, catalogue: Catalogue, target: Target) -> None:
        self.unfit: Counter[Unfit] = Counter()
        self._target = target
        self._definition = definition(catalogue, target).encode()
        self._decode = msgspec.json.Decoder(Example).decode

    def read(self, records: Sequence[Any]) -> list[Example]:
        """The examples among those records, in their order."""
        found: list[Example] = []
        for record in records:
            example = self._read(record)
            if isinstance(example, Unfit):
                if not self.unfit[example]:
                    place = f"of target {self._target.name!r} at offset {record.offset}"
                    log.warning("an example %s, %s, is passed over; more of these are only counted", place, example)
                self.unfit[example] += 1
            else:
                found.append(example)
        return found

    def _read(self, record: Any) -> Example | Unfit:
        if any(name == DEFINITION_HEADER and value != self._definition for name, value in record.headers):
            return Unfit.OTHER_DEFINITION
        try:
            example: Example = self._decode(record.value or b"")
        except (msgspec.DecodeError, UnicodeDecodeError):
            return Unfit.UNREADABLE
        if example.target != self._target.name:
            return Unfit.OTHER_TARGET
        if isinstance(example, Question):
            times: tuple[int, ...] = (example.at,)
            if len(example.features) != len(self._target.features):
                return Unfit.OTHER_FEATURES
        else:
            times = (example.at, example.known_at)
        fits = all(TIME_LIMITS[0] <= at < TIME_LIMITS[1] for at in times)
        return example if fits else Unfit.NO_TIME


class Learning:
    """A target of this trainer.

    Attributes
    ----------
    published
        The newest snapshot that may be on the control topic, as it stands there; None before the first.
    """

    def __init__(self, catalogue: Catalogue, place: Place, recovered: Recovered) -> None:
        self.place, self.target = place, catalogue.targets[place.partition]
        self._catalogue = catalogue
        self.trainer = Trainer(self.target, transforms_of(catalogue, self.target), catalogue.offset_ms)
        self.reader = Reader(catalogue, self.target)
        kept = dict(recovered.kept[LEARNED])
        self.published = kept.pop(NEWEST, None)
        # Told once more: they have the same ids.
        self._telling = self._untold = msgspec.json.decode(kept.pop(UNTOLD, b"[]"), type=list[ModelEvent])
        self.trainer.load(kept.items())
        self._ordered = False
        self._reported, self._reported_at = b"", -math.inf
        self._newest = self.published
        snapshot = msgspec.json.decode(self.published, type=ModelSnapshot) if self.published else None
        self._version = snapshot.version if snapshot else 0
        marker = recovered.marker
        self.position = None if marker is None else marker.positions[place.topic]
        self._expected = self.position
        self._queue: deque[Any] = deque()
        self._paused = False
        self._flushing = asyncio.Lock()
        self._flushed_at, self._flushed_position = time.monotonic(), self.position
        self._bytes = 0
        self._torn = False

    # ------------------------------------------------------------------------------------------------ examples in

    @property
    def next_offset(self) -> int | None:
        """Where its examples are read on, None where they never were."""
        return self._expected

    def receive(self, batch: Batch, placed: int | None) -> None:
        """Take a batch in; what was here before is passed over.

        Parameters
        ----------
        placed
            Where reading began after the latest assignment; what expired before it is given up.

        Raises
        ------
        LaneGap
            Records before it are missing.
        """
        expected = self._expected
        if expected is not None and batch.begin > expected and batch.begin != placed:
            place = f"{self.place.topic}/{self.place.partition}"
            raise LaneGap(f"{place}: expected offset {expected}, got {batch.begin}")
        self._queue.extend(record for record in batch.records if expected is None or record.offset >= expected)
        self._expected = max(batch.end, expected or 0)

    def step(self, limit: int) -> bool:
        """Learn at most so many of the examples that are here; whether there were any."""
        if not self._queue:
            return False
        records = [self._queue.popleft() for _ in range(min(limit, len(self._queue)))]
        self._made(self.trainer.take(self.reader.read(records)))
        self._bytes += sum(len(record.value or b"") for record in records)
        self.position = records[-1].offset + 1 if self._queue else self._expected
        return True

    def follow(self, order: ModelOrder) -> None:
        """Do what was ordered by hand, unless it was done before."""
        if self.trainer.choosing.is_new(order):
            self._made(self.trainer.follow(order))
            self._ordered = True

    def _made(self, snapshots: Sequence[ModelSnapshot]) -> None:
        if snapshots:
            self._version = snapshots[-1].version
            self._newest = msgspec.json.encode(snapshots[-1])

    def balance(self, lane: Lane, limit: int) -> None:
        """Read no further while so many are here, until half of them are learned."""
        if len(self._queue) > limit and not self._paused:
            self._paused = True
            lane.pause([self.place])
        elif self._paused and len(self._queue) <= limit // 2:
            self._paused = False
            lane.resume([self.place])

    def reassigned(self) -> None:
        """After a rebalance every place is read again."""
        self._paused = False

    def standing(self, behind: int | None) -> Standing:
        """How far it is; `behind` is how many examples were not received yet."""
        counters, progress = self.trainer.counters, self.trainer.champion.shown
        return Standing(
            target=self.target.name,
            version=self._version,
            ready=self.trainer.ready,
            questions=counters.questions,
            answers=counters.answers,
            positives=counters.positives,
            learned=counters.learned,
            settling=self.trainer.settling,
            repeated=counters.repeated,
            unasked=counters.unasked,
            unfit={str(why): count for why, count in self.reader.unfit.items()},
            log_loss=progress.log_loss,
            auc=progress.auc,
            lag=None if behind is None else behind + len(self._queue),
        )

    # ------------------------------------------------------------------------------------------------ state back

    def flush_due(self, rule: FlushRule, now_s: float) -> bool:
        """Whether state is to be written now."""
        if self._flushing.locked() or not self._dirty:
            return False
        return now_s - self._flushed_at >= rule.interval_s or self._bytes >= rule.bytes

    @property
    def _dirty(self) -> bool:
        return self.position != self._flushed_position or self._ordered

    async def flush(self, tables: Tables, cluster: Cluster, fingerprint: str) -> bool:
        """Write the state as it is now; whether there is a new snapshot to publish.

        Raises
        ------
        FlushTorn
            An earlier flush did not end.
        """
        async with self._flushing:
            self._flushed_at = time.monotonic()
            if self._torn:
                raise FlushTorn(f"a flush of target {self.target.name} was cut off; what it held is in no later one")
            position = self.position
            if position is None or not self._dirty:
                return False
            self._torn, self._bytes, self._ordered = True, 0, False
            newest, events = self._newest, self.trainer.take_events()
            kept = [Entry(LEARNED + key, value) for key, value in self.trainer.take_entries()]
            if events or self._untold:
                kept.append(Entry(LEARNED + UNTOLD, msgspec.json.encode(events)))
            if newest != self.published:
                kept.append(Entry(LEARNED + NEWEST, newest))
            marker = Marker(
                positions={self.place.topic: position},
                clock={},
                fingerprint=fingerprint,
                cluster=cluster.id,
                topics={self.place.topic: cluster.topic_ids.get(self.place.topic, "")},
                partitions=cluster.partitions,
                outputs={},
            )
            await tables.flush(self.place.partition, Rows([], []), marker, kept)
            news, self.published = newest != self.published, newest
            self._untold = events
            self._telling = self._telling + events
            self._torn, self._flushed_position = False, position
            return news

    # ------------------------------------------------------------------------------------------------ told

    def take_telling(self) -> list[ModelEvent]:
        """The decisions that are safe in the state and were not told by this trainer yet."""
        telling, self._telling = self._telling, []
        return telling

    def report(self, now_s: float, *, at_once: bool) -> bytes | None:
        """What there is to see of the target's models; None where it was reported a moment ago, or is the same."""
        if not at_once and now_s - self._reported_at < REPORT_EVERY_S:
            return None
        made = msgspec.json.encode(report(self._catalogue, self.trainer))
        self._reported_at = now_s
        if made == self._reported:
            return None
        self._reported = made
        return made
