"""A target's examples in, in their topic's order; snapshots of its model out.

A question is scored at once and kept with its score until it is settled: when its answer is there and its own time is
over (`Label.settled_ms` after it was asked). Then it is judged by that score, and only then learned from: no prediction
is judged on what it could not have known.

An answer that is known earlier waits with its question. Outcomes are known within days and their absence only at the
end: were each learned from when it is known, what is learned at any moment would hold positives of newer questions than
negatives, and every feature that grows with time, or that goes before quick outcomes, would seem to foretell them.
"""

from __future__ import annotations

import heapq
import struct
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Final

import msgspec

from models.entries import Touched
from models.lately import PREFIX as ANSWERED
from models.lately import Lately
from models.learner import Learner
from models.progress import Progress
from models.snapshot import fold
from models.state import Counters, Schedule, TrainerState
from models.transform import Transform, inputs
from schemas.catalogue import Target
from schemas.learning import Answer, Example, ModelSnapshot, Question

MODEL: Final = b"model"
OPEN: Final = b"open/"


class Known(IntEnum):
    """What is known of the answer to a question that is kept: the first byte of its record."""

    NEGATIVE = 0
    POSITIVE = 1
    NOTHING = 2


class Kept(msgspec.Struct, frozen=True, gc=False):
    """A question that is not settled.

    Attributes
    ----------
    known
        Its answer, where that waits for the question's time to be over.
    at
        When it was asked, UTC ms.
    logit
        Its score then, as log odds.
    inputs
        Transformed, in the features' order; NaN is missing.
    """

    known: Known
    at: int
    logit: float
    inputs: tuple[float, ...]


class Trainer:
    """Learns one target.

    Parameters
    ----------
    target
        What to predict; the time a question takes, the time between snapshots and the prior are its.
    transforms
        Of the target's features, in its order (`models.transform.transforms_of`).
    """

    def __init__(self, target: Target, transforms: tuple[Transform, ...]) -> None:
        self.target = target
        self.counters = Counters()
        self.progress = Progress()
        self._transforms = transforms
        self._learner = Learner(target.features, target.prior)
        self._schedule = Schedule()
        # Questions that are not settled by id, packed as in the table: a fifth of what the numbers take as objects.
        self._open: dict[str, bytes] = {}
        self._packing = struct.Struct(f"<Bqd{len(transforms)}d")
        # (end of its time, id) of each whose answer waits, the earliest first; the table needs none of it.
        self._waiting: list[tuple[int, str]] = []
        self._lately = Lately()
        self._touched: Touched[str] = Touched()
        self._changed = False

    @property
    def ready(self) -> bool:
        """Whether the first horizon has passed, so that scores may be shown."""
        end = self._first_horizon
        return end is not None and self._schedule.now >= end

    @property
    def settling(self) -> int:
        """How many answers wait for their question's time to be over."""
        return len(self._waiting)

    def kept(self, question_id: str) -> Kept | None:
        """The question of that id, until it is settled."""
        record = self._open.get(question_id)
        return None if record is None else self._unpack(record)

    def take(self, examples: Sequence[Example]) -> list[ModelSnapshot]:
        """Take in the next examples; the snapshots that became due among them.

        How examples are cut into batches changes nothing.
        """
        made: list[ModelSnapshot] = []
        for example in examples:
            if isinstance(example, Question):
                self._pass_to(example.reached)
                self._ask(example)
            else:
                self._pass_to(example.reached)
                self._hear(example)
            if self._is_due():
                made.append(self._snapshot())
        self._changed = self._changed or bool(examples)
        return made

    def take_entries(self) -> list[tuple[bytes, bytes | None]]:
        """What has changed since the last call, for a durable table; None removes a key."""
        found = [(OPEN + one.encode(), self._open.get(one)) for one in self._touched.take()]
        found += self._lately.take_entries()
        if self._changed:
            self._changed = False
            state = TrainerState(self._learner.state(), self.progress.state(), self.counters, self._schedule)
            found.append((MODEL, msgspec.json.encode(state)))
        return found

    def load(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Go on from a table's entries, in any order, as if there had been no break; for a new trainer only.

        Raises
        ------
        models.learner.OtherFeatures
            Where they are of a target with other features.
        """
        pages: list[tuple[bytes, bytes]] = []
        for key, value in entries:
            if key.startswith(OPEN):
                self._open[key.removeprefix(OPEN).decode()] = value
            elif key.startswith(ANSWERED):
                pages.append((key, value))
            elif key == MODEL:
                self._restore(msgspec.json.decode(value, type=TrainerState))
        self._lately.load(pages)
        waiting = ((one, record) for one, record in self._open.items() if record[0] != Known.NOTHING)
        self._waiting = [(self._end(self._unpack(record).at), one) for one, record in waiting]
        heapq.heapify(self._waiting)

    def _restore(self, state: TrainerState) -> None:
        self._learner.load(state.learner)
        self.progress = Progress.of(state.progress)
        self.counters, self._schedule = state.counters, state.schedule

    @property
    def _first_horizon(self) -> int | None:
        """When the first horizon is over, UTC ms; None before the first question."""
        first_at = self._schedule.first_at
        return None if first_at is None else self._end(first_at)

    def _end(self, at_ms: int) -> int:
        """When the time of a question asked then is over, UTC ms."""
        return at_ms + self.target.label.settled_ms

    def _unpack(self, record: bytes) -> Kept:
        known, at, logit, *values = self._packing.unpack(record)
        return Kept(Known(known), at, logit, tuple(values))

    def _pass_to(self, time_ms: int) -> None:
        """Let time pass, and settle what has waited for it; by end of its time, then id."""
        if time_ms <= self._schedule.now:
            return
        self._schedule.now = time_ms
        while self._waiting and self._waiting[0][0] <= time_ms:
            end, question_id = heapq.heappop(self._waiting)
            kept = self._unpack(self._open[question_id])
            self._settle(question_id, kept, kept.known == Known.POSITIVE, end)

    def _ask(self, question: Question) -> None:
        if question.id in self._open or question.id in self._lately:
            self.counters.repeated += 1
            return
        self.counters.questions += 1
        if self._schedule.first_at is None:
            self._schedule.first_at = question.at
        values = inputs(self._transforms, question.features)
        logit = self._learner.logit(values)
        self._open[question.id] = self._packing.pack(Known.NOTHING, question.at, logit, *values)
        self._touched.opened(question.id)

    def _hear(self, answer: Answer) -> None:
        record = self._open.get(answer.id)
        if record is None and answer.id not in self._lately:
            self.counters.unasked += 1
            return
        if record is None or record[0] != Known.NOTHING:
            self.counters.repeated += 1
            return
        kept = self._unpack(record)
        self.counters.answers += 1
        self.counters.positives += answer.label
        end = self._end(kept.at)
        if end <= self._schedule.now:
            self._settle(answer.id, kept, answer.label, max(end, answer.known_at))
            return
        self._open[answer.id] = bytes([Known.POSITIVE if answer.label else Known.NEGATIVE]) + record[1:]
        self._touched.changed(answer.id)
        heapq.heappush(self._waiting, (end, answer.id))

    def _settle(self, question_id: str, kept: Kept, label: bool, settled_at: int) -> None:
        """Judge a question by its answer, then learn from it."""
        del self._open[question_id]
        self._touched.closed(question_id)
        self._lately.add(question_id)
        self.progress.update(kept.logit, label)
        self._learner.learn(kept.inputs, label)
        self.counters.learned += 1
        self._schedule.learned_at = max(self._schedule.learned_at, settled_at)
        self._schedule.news = True

    def _is_due(self) -> bool:
        """Whether a snapshot is to be made: news, and the last (or the first horizon's end) long enough ago."""
        schedule, first_horizon = self._schedule, self._first_horizon
        if not schedule.news or first_horizon is None:
            return False
        due = first_horizon + self.target.refresh_ms if schedule.due is None else schedule.due
        return schedule.now >= due

    def _snapshot(self) -> ModelSnapshot:
        schedule, counters, progress = self._schedule, self.counters, self.progress
        schedule.version += 1
        schedule.due = schedule.now + self.target.refresh_ms
        schedule.news = False
        folded = fold(self._learner.state())
        return ModelSnapshot(
            target=self.target.name,
            version=schedule.version,
            at=schedule.learned_at,
            questions=counters.questions,
            answers=counters.answers,
            positives=counters.positives,
            learned=counters.learned,
            ready=self.ready,
            features=list(self.target.features),
            means=folded.means,
            weights=folded.weights,
            bias=folded.bias,
            log_loss=progress.log_loss,
            auc=progress.auc,
            deciles=progress.deciles(),
        )
