"""Learning in a replay: the same questions, answers, trainers and models as over topics, and the same every time.

Lessons are at whole hours of event time, on the partition's watermark. What was asked and answered until then is taken
in by the targets' trainers, in the order of the moments at which it was known, so that it does not matter how records
were cut into batches. A snapshot that a trainer makes of it is in force from that hour on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import msgspec

from models.report import report
from models.snapshot import probability
from models.trainer import Trainer
from models.transform import transforms_of
from schemas.catalogue import Catalogue, Feature
from schemas.durations import HOUR
from schemas.learned import LearnedTarget, ScoredExample
from schemas.learning import Example, ModelSnapshot, Question
from schemas.model_reports import ModelEvent
from schemas.records import Value
from schemas.sources import Incoming
from schemas.values import iso, saying
from streams.engine import kernel
from streams.engine.layout import MISSING, NEVER
from streams.engine.plan import Plan
from streams.output import Output
from streams.processor import Partition
from streams.say import Anchoring


class Teacher:
    """The trainers of a catalogue's targets, and every example with the score that it got.

    Attributes
    ----------
    scored
        The examples answered since this was emptied, in the order in which their answers were taken in.
    events
        What was decided about models since this was emptied.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.scored: list[ScoredExample] = []
        self.events: list[ModelEvent] = []
        self._features = {one.name: [catalogue.feature(name) for name in one.features] for one in catalogue.targets}
        self._catalogue = catalogue
        self._trainers = {
            one.name: Trainer(one, transforms_of(catalogue, one), catalogue.offset_ms) for one in catalogue.targets
        }
        self._newest: dict[str, ModelSnapshot] = {}
        self._waiting: dict[str, ScoredExample] = {}

    def take(self, examples: Iterable[Example]) -> list[ModelSnapshot]:
        """Learn from examples, in any order; the newest snapshots that came of it, of a target one at most."""
        made: dict[str, ModelSnapshot] = {}
        for example in sorted(examples, key=_by_moment):
            trainer = self._trainers[example.target]
            for snapshot in trainer.take([example]):
                made[example.target] = self._newest[example.target] = snapshot
            self.events += trainer.take_events()
            if isinstance(example, Question):
                self._ask(example, trainer)
            elif (asked := self._waiting.pop(example.id, None)) is not None:
                self.scored.append(_answered(asked, example.label, example.known_at))
        return list(made.values())

    def trainer(self, target: str) -> Trainer:
        """The trainer of a target."""
        return self._trainers[target]

    def waiting(self) -> list[ScoredExample]:
        """The examples without an answer, in the order in which they were asked."""
        return list(self._waiting.values())

    def learned(self, in_force: Mapping[str, ModelSnapshot]) -> list[LearnedTarget]:
        """The targets as they are now, in the catalogue's order, with the models in force."""
        asked = {name: one.counters.questions for name, one in self._trainers.items()}
        reports = {name: report(self._catalogue, one) for name, one in self._trainers.items() if asked[name]}
        return [LearnedTarget(name, in_force.get(name), reports.get(name)) for name in self._trainers]

    def _ask(self, question: Question, trainer: Trainer) -> None:
        kept = trainer.kept(question.id)
        if kept is None or question.id in self._waiting:
            return
        newest, place = self._newest.get(question.target), trainer.choosing.place
        self._waiting[question.id] = ScoredExample(
            customer_id=question.customer_id,
            target=question.target,
            at=iso(question.at),
            model=trainer.choosing.champion,
            model_version=newest.version if newest else 0,
            features=_shown(self._features[question.target], question, self._catalogue.exponent),
            score=probability(kept.shown[place]),
            challenger_score=probability(kept.shown[1 - place]),
        )


class Pupil(Partition):
    """A partition whose models come of its own examples, hour by hour."""

    def __init__(self, plan: Plan, teacher: Teacher) -> None:
        super().__init__(plan, keyed=False)
        self._teacher = teacher
        self._unheard: list[Example] = []
        self._heard = 0  # of the examples of the output that is being made
        self._next_ms = MISSING
        self._stop_at(MISSING + 1)  # the first record of all says when the first lesson is

    def feed(self, records: Iterable[tuple[str, Incoming]], timers: int | None = None) -> Output:
        """As of a partition, with lessons in between."""
        return self._noted(super().feed(records, timers))

    def advance(self, to_ms: int, timers: int | None = None) -> Output:
        """As of a partition, with a lesson at the end."""
        return self._noted(super().advance(to_ms, timers))

    def wake(self, most: int = 10_000) -> Output:
        """As of a partition."""
        return self._noted(super().wake(most))

    def finish(self) -> None:
        """Learn what was asked and answered after the last whole hour too; nobody is scored by it."""
        self._teacher.take(self._unheard)
        self._unheard = []

    def _noted(self, output: Output) -> Output:
        """Keep the examples that no lesson had for the next one."""
        self._unheard += output.examples[self._heard :]
        self._heard = 0
        return output

    def _count(self, reached_ms: int | None, output: Output, anchors: Anchoring) -> None:
        """Hold a lesson where its hour has come."""
        super()._count(reached_ms, output, anchors)
        if reached_ms is None:
            return
        if MISSING < self._next_ms <= reached_ms:
            lesson_ms = reached_ms // HOUR * HOUR
            self._fire(lesson_ms, output, anchors)
            self._learn(lesson_ms, output)
        self._next_ms = max(self._next_ms, (reached_ms // HOUR + 1) * HOUR)
        census = int(self.arena.state.census.stop[0]) if self.census else NEVER
        self._stop_at(min(census, self._next_ms + self.plan.skew_ms))

    def _learn(self, lesson_ms: int, output: Output) -> None:
        known = [*self._unheard, *output.examples[self._heard :]]
        self._heard = len(output.examples)
        self._unheard = [example for example in known if example.reached > lesson_ms]
        for snapshot in self._teacher.take(example for example in known if example.reached <= lesson_ms):
            if self.adopt(snapshot):
                self._score_all(f"{snapshot.target}/{snapshot.version}", lesson_ms, output)

    def _score_all(self, anchor: str, at_ms: int, output: Output) -> None:
        slot, end = 0, len(self.arena)
        while slot < end:
            stop = self._bring_next(slot, end)
            slot = kernel.rescore(self._still.tables, self.arena.state, self._out, slot, stop, at_ms)
            self._drain(output, lambda _: [anchor])

    def _stop_at(self, clock_ms: int) -> None:
        self.arena.state.census.stop[0] = clock_ms


def _by_moment(example: Example) -> tuple[int, bool, str]:
    """What is known at a moment comes before what is asked then."""
    return example.reached, isinstance(example, Question), example.id


def _shown(features: list[Feature], question: Question, exponent: int) -> dict[str, Value]:
    pairs = zip(features, question.features, strict=True)
    return {one.name: saying(one, exponent)(math.nan if value is None else value) for one, value in pairs}


def _answered(asked: ScoredExample, label: bool, known_at: int) -> ScoredExample:
    return msgspec.structs.replace(asked, label=label, label_at=iso(known_at))
