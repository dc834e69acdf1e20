"""A target's examples in, in their topic's order; snapshots of its champion out, and what was decided about its models.

A question is scored at once by both models and kept with its scores until it is settled: when its answer is there and
its own time is over (`Label.settled_ms` after it was asked). Then they are judged by those scores, and only then learn
from it: no prediction is judged on what it could not have known.

An answer that is known earlier waits with its question. Outcomes are known within days and their absence only at the
end: were each learned from when it is known, what is learned at any moment would hold positives of newer questions than
negatives, and every feature that grows with time, or that goes before quick outcomes, would seem to foretell them.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from models.choosing import PREFIX as FORMER
from models.choosing import Choosing
from models.entries import Touched
from models.judge import Judge
from models.kept import Kept, Known, Packing, is_known
from models.lately import PREFIX as ANSWERED
from models.lately import Lately
from models.learner import Learner, Logits
from models.reliability import calibrated
from models.snapshot import fold
from models.state import Counters, Schedule, TrainerState
from models.transform import Transform, inputs
from models.trial import loss
from models.watching import PREFIX as WATCHED
from models.watching import SUDDEN, Found, Watch
from models.weeks import PREFIX as WEEKS
from models.weeks import Weeks
from schemas.catalogue import Target
from schemas.learning import Answer, Example, ModelSnapshot, Pipeline, Question
from schemas.model_reports import ModelEvent, ModelOrder, Series

MODEL: Final = b"model"
OPEN: Final = b"open/"
RECENTRES: Final = 1.0
"""By so many standard deviations among customers, and by `SUDDEN` ones among the means of days, a feature has to jump
from one day to the next for its values to mean something else; a window that fills, or a habit, does neither."""
FORGETS: Final = 0.02
"""What is left of the second stage's certainty after a drift of base rate or log loss, so that it follows quickly."""


class Trainer:
    """Learns one target.

    Parameters
    ----------
    target
        What to predict; the time a question takes, the time between snapshots and the prior are its.
    transforms
        Of the target's features, in its order (`models.transform.transforms_of`).
    offset_ms
        What local days and weeks are ahead of UTC.
    """

    def __init__(self, target: Target, transforms: tuple[Transform, ...], offset_ms: int = 0) -> None:
        self.target, self.transforms = target, transforms
        self.counters = Counters()
        self.judges = {pipeline: Judge() for pipeline in Pipeline}
        self.choosing = Choosing(target, offset_ms)
        self.weeks, self.watch = Weeks(offset_ms), Watch(transforms, target.label.settled_ms, offset_ms)
        self.learner = Learner(target.features, target.prior, target.crosses)
        self._schedule = Schedule()
        # Questions that are not settled by id, packed as in the table: a fifth of what the numbers take as objects.
        self._open: dict[str, bytes] = {}
        self._packing = Packing(len(transforms))
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
    def now(self) -> int:
        """The latest time of an example, UTC ms; 0 before any."""
        return self._schedule.now

    @property
    def version(self) -> int:
        """Of the newest snapshot; 0 before the first."""
        return self._schedule.version

    @property
    def waiting(self) -> int:
        """How many questions have no answer."""
        return len(self._open) - len(self._waiting)

    @property
    def settling(self) -> int:
        """How many answers wait for their question's time to be over."""
        return len(self._waiting)

    @property
    def champion(self) -> Judge:
        """What the predictions of the model whose scores are shown were worth."""
        return self.judges[self.choosing.champion]

    def kept(self, question_id: str) -> Kept | None:
        """The question of that id, until it is settled."""
        record = self._open.get(question_id)
        return None if record is None else self._packing.unpack(record)

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

    def take_events(self) -> list[ModelEvent]:
        """What was decided since the last call, in order."""
        return self.choosing.take_events()

    def follow(self, order: ModelOrder) -> list[ModelSnapshot]:
        """Do what was ordered; the snapshot that comes of it. An order that was followed before changes nothing."""
        if not self.choosing.is_new(order):
            return []
        self._changed = True
        if not self.choosing.follow(order, ready=self.ready and self.counters.learned > 0):
            return []
        put_back = self.choosing.put_back
        return [self._snapshot() if put_back is None else self._put_back(put_back)]

    # ------------------------------------------------------------------------------------------------ state

    def take_entries(self) -> list[tuple[bytes, bytes | None]]:
        """What has changed since the last call, for a durable table; None removes a key."""
        found = [(OPEN + one.encode(), self._open.get(one)) for one in self._touched.take()]
        for part in (self._lately, self.weeks, self.watch, self.choosing):
            found += part.take_entries()
        if self._changed:
            self._changed = False
            found.append((MODEL, msgspec.json.encode(self._state())))
        return found

    def _state(self) -> TrainerState:
        linear, crossed = (self.judges[pipeline].state() for pipeline in Pipeline)
        trial, desk = self.choosing.trial.state(), self.choosing.desk
        parts = (self.learner.state(), linear, crossed, trial, self.watch.state(), desk, self.counters, self._schedule)
        return TrainerState(*parts)

    def load(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Go on from a table's entries, in any order, as if there had been no break; for a new trainer only.

        Raises
        ------
        models.learner.OtherFeatures
            Where they are of a target with other features.
        """
        parts: dict[bytes, list[tuple[bytes, bytes]]] = {ANSWERED: [], WEEKS: [], WATCHED: [], FORMER: []}
        state: TrainerState | None = None
        for key, value in entries:
            if key.startswith(OPEN):
                self._open[key.removeprefix(OPEN).decode()] = value
            elif key == MODEL:
                state = msgspec.json.decode(value, type=TrainerState)
            else:
                next(part for prefix, part in parts.items() if key.startswith(prefix)).append((key, value))
        self._lately.load(parts[ANSWERED])
        self.weeks.load(parts[WEEKS])
        if state is not None:
            self._restore(state, parts[WATCHED], parts[FORMER])
        waiting = ((one, record) for one, record in self._open.items() if is_known(record))
        self._waiting = [(self._end(self._packing.unpack(record).at), one) for one, record in waiting]
        heapq.heapify(self._waiting)

    def _restore(
        self, state: TrainerState, watched: list[tuple[bytes, bytes]], formers: list[tuple[bytes, bytes]]
    ) -> None:
        self.learner.load(state.learner)
        self.judges = {Pipeline.LINEAR: Judge.of(state.linear), Pipeline.CROSSED: Judge.of(state.crossed)}
        self.choosing.load(state.desk, state.trial, formers)
        self.watch.load(state.watch, watched)
        self.counters, self._schedule = state.counters, state.schedule

    # ------------------------------------------------------------------------------------------------ time

    @property
    def _first_horizon(self) -> int | None:
        """When the first horizon is over, UTC ms; None before the first question."""
        first_at = self._schedule.first_at
        return None if first_at is None else self._end(first_at)

    def _end(self, at_ms: int) -> int:
        """When the time of a question asked then is over, UTC ms."""
        return at_ms + self.target.label.settled_ms

    def _pass_to(self, time_ms: int) -> None:
        """Let time pass, and settle what has waited for it; by end of its time, then id."""
        if time_ms <= self._schedule.now:
            return
        self._schedule.now = time_ms
        while self._waiting and self._waiting[0][0] <= time_ms:
            end, question_id = heapq.heappop(self._waiting)
            kept = self._packing.unpack(self._open[question_id])
            self._settle(question_id, kept, kept.known == Known.POSITIVE, end)

    # ------------------------------------------------------------------------------------------------ examples

    def _ask(self, question: Question) -> None:
        if question.id in self._open or question.id in self._lately:
            self.counters.repeated += 1
            return
        self.counters.questions += 1
        if self._schedule.first_at is None:
            self._schedule.first_at = question.at
        values = inputs(self.transforms, question.features)
        for found in self.watch.asked(values, question.at):
            self._drifted(found)
        raw = self.learner.logits(values)
        pairs = zip(self.judges.values(), raw, strict=True)
        shown = Logits(*(calibrated(judge.reliability.calibration, logit) for judge, logit in pairs))
        self._open[question.id] = self._packing.pack(Kept(Known.NOTHING, question.at, raw, shown, tuple(values)))
        self._touched.opened(question.id)
        self.weeks.asked(question.at)

    def _hear(self, answer: Answer) -> None:
        record = self._open.get(answer.id)
        if record is None and answer.id not in self._lately:
            self.counters.unasked += 1
            return
        if record is None or is_known(record):
            self.counters.repeated += 1
            return
        kept = self._packing.unpack(record)
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
        for judge, raw, shown in zip(self.judges.values(), kept.raw, kept.shown, strict=True):
            judge.settle(raw, shown, label, kept.at)
        self.weeks.settled(kept.at, kept.shown.linear, kept.shown.crossed, label)
        shown = kept.shown[self.choosing.place]
        for found in self.watch.settled(label, loss(shown, label), settled_at):
            self._drifted(found)
        said = self.learner.learn(self._teaching(kept), label)
        for judge, logit in zip(self.judges.values(), said, strict=True):
            judge.reliability.update(logit, label)
        self.counters.learned += 1
        self._schedule.learned_at = max(self._schedule.learned_at, settled_at)
        self._schedule.news = True
        if self.choosing.judge(kept.shown, label, settled_at):
            self._decide()

    def _teaching(self, kept: Kept) -> Sequence[float]:
        """A question's inputs, without those of features that meant something else when it was asked."""
        fresh = self.choosing.desk.fresh
        if not fresh:
            return kept.inputs
        pairs = zip(self.target.features, kept.inputs, strict=True)
        return [math.nan if kept.at < fresh.get(name, kept.at) else value for name, value in pairs]

    # ------------------------------------------------------------------------------------------------ decisions

    def _decide(self) -> None:
        """What there is to decide when a day is over."""
        self._mend()
        if self.ready and self.choosing.promote(self._schedule.now):
            self._schedule.due = self._schedule.now

    def _mend(self) -> None:
        """Look at the second stages."""
        for pipeline, judge in self.judges.items():
            if judge.reliability.decide(self._schedule.now, self.target.label.settled_ms):
                self.choosing.calibrated(pipeline, judge, self._schedule.now)

    def _drifted(self, found: Found) -> None:
        """Tell of a change of level, and follow it."""
        now, desk = self._schedule.now, self.choosing.desk
        if not self.ready:
            return  # all windows begin empty
        self.choosing.drifted(found, now)
        if found.series in (Series.BASE_RATE, Series.LOG_LOSS):
            for judge in self.judges.values():
                judge.reliability.forget(FORGETS)
        jump = abs(found.after - found.before)
        spread = self.learner.spread(found.feature) if found.series is Series.MEAN else 0.0
        if spread and jump >= RECENTRES * spread and found.spreads >= SUDDEN:
            desk.fresh[found.feature] = found.began
            self.learner.recentre(found.feature, found.after, found.variance, found.examples)
            self.choosing.drifted(found, now, recentred=True)

    def _is_due(self) -> bool:
        """Whether a snapshot is to be made: news, and the last (or the first horizon's end) long enough ago."""
        schedule, first_horizon = self._schedule, self._first_horizon
        if not schedule.news or first_horizon is None or self.choosing.desk.pinned:
            return False
        due = first_horizon + self.target.refresh_ms if schedule.due is None else schedule.due
        return schedule.now >= due

    def _snapshot(self) -> ModelSnapshot:
        schedule, counters = self._schedule, self.counters
        pipeline, judge = self.choosing.champion, self.champion
        schedule.version += 1
        schedule.due = schedule.now + self.target.refresh_ms
        schedule.news = False
        folded = fold(self.learner.state(), pipeline, judge.reliability.calibration)
        made = ModelSnapshot(
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
            log_loss=judge.shown.log_loss,
            auc=judge.shown.auc,
            deciles=judge.shown.deciles(),
            model=pipeline,
            spreads=folded.spreads,
            crosses=folded.crosses,
            calibration=judge.reliability.calibration,
            slope=judge.reliability.slope,
            in_large=self.weeks.in_large(pipeline),
            evidence=self.choosing.trial.evidence,
            drifts=self.choosing.desk.drifts,
        )
        self.choosing.published(made)
        return made

    def _put_back(self, former: ModelSnapshot) -> ModelSnapshot:
        """A former snapshot as the newest version."""
        self._schedule.version += 1
        made = msgspec.structs.replace(former, version=self._schedule.version, pinned=True)
        self.choosing.published(made)
        return made
