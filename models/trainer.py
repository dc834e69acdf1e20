"""A target's examples in, in their topic's order; snapshots of its model out.

A question is scored at once and kept with its score until its answer; the answer is judged by that score, and only then
learned from: no prediction is judged on what it could not have known. For the first horizon only positives can have
come, so what is known before its end is discarded: learned from, it would push every score up.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
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


class Kept(msgspec.Struct, frozen=True, gc=False):
    """An open question: when it was asked, its score then, and the transformed inputs (NaN is missing)."""

    at: int
    logit: float
    inputs: tuple[float, ...]


class Trainer:
    """Learns one target.

    Parameters
    ----------
    target
        What to predict; the first horizon, the time between snapshots and the prior are its.
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
        # Open questions by id, packed as in the table: a fifth of what the same numbers take as objects.
        self._open: dict[str, bytes] = {}
        self._packing = struct.Struct(f"<qd{len(transforms)}d")
        self._lately = Lately()
        self._touched: Touched[str] = Touched()
        self._changed = False

    @property
    def ready(self) -> bool:
        """Whether the first horizon has passed, so that scores may be shown."""
        end = self._first_horizon
        return end is not None and self._schedule.now >= end

    def kept(self, question_id: str) -> Kept | None:
        """The open question of that id."""
        record = self._open.get(question_id)
        if record is None:
            return None
        at, logit, *values = self._packing.unpack(record)
        return Kept(at, logit, tuple(values))

    def take(self, examples: Sequence[Example]) -> list[ModelSnapshot]:
        """Take in the next examples; the snapshots that became due among them.

        How examples are cut into batches changes nothing.
        """
        made: list[ModelSnapshot] = []
        for example in examples:
            if isinstance(example, Question):
                self._ask(example)
                self._pass_to(example.at)
            else:
                self._settle(example)
                self._pass_to(example.known_at)
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

    def _restore(self, state: TrainerState) -> None:
        self._learner.load(state.learner)
        self.progress = Progress.of(state.progress)
        self.counters, self._schedule = state.counters, state.schedule

    @property
    def _first_horizon(self) -> int | None:
        """When the first horizon is over, UTC ms; None before the first question."""
        first_at = self._schedule.first_at
        return None if first_at is None else first_at + self.target.label.settled_ms

    def _ask(self, question: Question) -> None:
        if question.id in self._open or question.id in self._lately:
            self.counters.repeated += 1
            return
        self.counters.questions += 1
        if self._schedule.first_at is None:
            self._schedule.first_at = question.at
        values = inputs(self._transforms, question.features)
        self._open[question.id] = self._packing.pack(question.at, self._learner.logit(values), *values)
        self._touched.opened(question.id)

    def _settle(self, answer: Answer) -> None:
        record = self._open.pop(answer.id, None)
        if record is None:
            self.counters.unasked += 1
            return
        self._touched.closed(answer.id)
        self._lately.add(answer.id)
        self.counters.answers += 1
        self.counters.positives += answer.label
        first_horizon = self._first_horizon
        if first_horizon is None or answer.known_at < first_horizon:
            self.counters.discarded += 1
            return
        _, logit, *values = self._packing.unpack(record)
        self.progress.update(logit, answer.label)
        self._learner.learn(values, answer.label)
        self.counters.learned += 1
        self._schedule.learned_at = max(self._schedule.learned_at, answer.known_at)
        self._schedule.news = True

    def _pass_to(self, time_ms: int) -> None:
        self._schedule.now = max(self._schedule.now, time_ms)

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
