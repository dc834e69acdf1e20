"""Which of a target's two models is shown, why, and what was told of it; former snapshots that can be put back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from models.entries import Touched
from models.judge import Judge
from models.learner import Logits
from models.state import DeskState, TrialState
from models.trial import Trial
from models.watching import Found
from schemas.catalogue import Target
from schemas.learning import ModelSnapshot, Pipeline
from schemas.model_reports import Drift, Former, Happening, ModelEvent, ModelOrder, Order
from schemas.model_reports import Trial as TrialReport
from schemas.values import iso

PREFIX: Final = b"former/"
FORMERS: Final = 30
BY_TEST, BY_DRIFT, BY_RELIABILITY = "test", "drift", "reliability"


class Choosing:
    """The desk at which it is decided.

    Attributes
    ----------
    desk
        What was decided.
    trial
        The test of the challenger.
    put_back
        The former snapshot that the latest order followed puts back; None where it promotes.
    """

    def __init__(self, target: Target, offset_ms: int = 0) -> None:
        self.desk, self.trial = DeskState(), Trial(offset_ms)
        self.put_back: ModelSnapshot | None = None
        self._target, self._offset_ms = target, offset_ms
        self._version = 0
        self._formers: dict[int, ModelSnapshot] = {}
        self._touched: Touched[int] = Touched()
        self._events: list[ModelEvent] = []

    @property
    def champion(self) -> Pipeline:
        """The model whose scores are shown."""
        return self.desk.champion

    @property
    def challenger(self) -> Pipeline:
        """The other one."""
        return Pipeline.CROSSED if self.desk.champion is Pipeline.LINEAR else Pipeline.LINEAR

    @property
    def place(self) -> int:
        """Where the champion is among the log odds of both."""
        return int(self.desk.champion is Pipeline.CROSSED)

    def judge(self, shown: Logits, label: bool, time_ms: int) -> bool:
        """Take in what both showed and what came; whether a day is over by it."""
        champion, challenger = shown[self.place], shown[1 - self.place]
        return self.trial.update(champion, challenger, label, time_ms)

    def promote(self, now_ms: int) -> bool:
        """Have the challenger take the champion's place, where the test says so and nobody said otherwise."""
        wanted, desk = self._target.promotion, self.desk
        if not wanted.automatic or desk.pinned or self.trial.evidence < wanted.evidence:
            return False
        self._enthrone(self.challenger, Happening.PROMOTED, BY_TEST, iso(now_ms))
        return True

    # ------------------------------------------------------------------------------------------------ by hand

    def is_new(self, order: ModelOrder) -> bool:
        """Whether an order is for this target and was not followed yet."""
        return order.target == self._target.name and order.id != self.desk.order

    def follow(self, order: ModelOrder, *, ready: bool) -> bool:
        """Follow an order; whether a snapshot is to be made. One that can't be followed is told with the reason."""
        self.desk.order, self.put_back = order.id, None
        if not ready:
            return self._refuse(order, "nothing was learned yet")
        return self._promoted(order) if order.order is Order.PROMOTE else self._rolled_back(order)

    def _promoted(self, order: ModelOrder) -> bool:
        wanted = order.model or self.challenger
        if wanted is self.champion and not self.desk.pinned:
            return self._refuse(order, f"the {wanted.value} model is the champion already")
        self._enthrone(wanted, Happening.PROMOTED, order.id, order.at)
        return True

    def _rolled_back(self, order: ModelOrder) -> bool:
        version = order.version
        if version is None:
            version = self.desk.before
        if version is None:
            version = max((one for one in self._formers if one < self._version), default=None)
        former = None if version is None else self._formers.get(version)
        if former is None:
            named = "earlier snapshot" if version is None else f"snapshot of version {version}"
            return self._refuse(order, f"there is no {named} any more")
        self._enthrone(former.model, Happening.ROLLED_BACK, order.id, order.at)
        self.desk.pinned, self.desk.before, self.put_back = True, None, former
        return True

    def _refuse(self, order: ModelOrder, why: str) -> bool:
        self._tell(Happening.REFUSED, order.at, order.id, why=why)
        return False

    def _enthrone(self, wanted: Pipeline, what: Happening, by: str, at: str) -> None:
        """Make a model the champion; the test begins anew."""
        told, self.desk.before = self.report(), self._version or None
        self.desk.champion, self.desk.pinned = wanted, False
        self._tell(what, at, by, trial=told)
        self.trial = Trial(self._offset_ms)

    # ------------------------------------------------------------------------------------------------ telling

    def calibrated(self, pipeline: Pipeline, judge: Judge, now_ms: int) -> None:
        """Tell that a model's second stage came into force, or went out of it."""
        stage = judge.reliability
        what = Happening.CALIBRATED if stage.mending else Happening.UNCALIBRATED
        figures = {"quality": judge.raw_quality(), "calibration": stage.calibration}
        self._tell(what, iso(now_ms), BY_RELIABILITY, model=pipeline, **figures)

    def drifted(self, found: Found, now_ms: int, *, recentred: bool = False) -> None:
        """Tell of a change of level, and of what was done about it."""
        levels = (found.before, found.after, found.spreads, found.examples)
        self.desk.drifts += not recentred
        drift = Drift(found.series, found.feature, iso(found.began), *levels)
        self._tell(Happening.RECENTRED if recentred else Happening.DRIFTED, iso(now_ms), BY_DRIFT, drift=drift)

    def _tell(self, what: Happening, at: str, by: str, model: Pipeline | None = None, **figures: object) -> None:
        self.desk.events += 1
        name = self._target.name
        told = ModelEvent(f"{name}/{self.desk.events}", name, at, what, model or self.champion, self._version, by)
        self._events.append(msgspec.structs.replace(told, **figures))

    def take_events(self) -> list[ModelEvent]:
        """What was told since the last call."""
        events, self._events = self._events, []
        return events

    def report(self) -> TrialReport:
        """The test as it stands."""
        trial = self.trial
        return TrialReport(
            champion=self.champion,
            challenger=self.challenger,
            evidence=trial.evidence,
            needed=self._target.promotion.evidence,
            days=trial.days,
            gain=trial.gain,
            since=None if trial.since is None else iso(trial.since),
        )

    # ------------------------------------------------------------------------------------------------ former snapshots

    def published(self, snapshot: ModelSnapshot) -> None:
        """Keep a snapshot, so that it can be put back; the oldest is forgotten where there are too many."""
        self._version = snapshot.version
        self._formers[snapshot.version] = snapshot
        self._touched.opened(snapshot.version)
        for version in sorted(self._formers)[:-FORMERS]:
            if version != self.desk.before:
                del self._formers[version]
                self._touched.closed(version)

    def formers(self) -> list[Former]:
        """The snapshots that are kept, the newest first."""
        kept = sorted(self._formers.values(), key=lambda one: -one.version)
        return [Former(one.version, iso(one.at), one.model, one.log_loss, one.auc) for one in kept]

    def take_entries(self) -> list[tuple[bytes, bytes | None]]:
        """The snapshots to write or remove since the last call."""
        encode, kept = msgspec.json.encode, self._formers
        return [(PREFIX + b"%d" % n, encode(kept[n]) if n in kept else None) for n in self._touched.take()]

    def load(self, desk: DeskState, trial: TrialState, formers: Iterable[tuple[bytes, bytes]]) -> None:
        """Go on from a state and a table's snapshots."""
        self.desk = desk
        self.trial.load(trial)
        kept = (msgspec.json.decode(value, type=ModelSnapshot) for _, value in formers)
        self._formers = {one.version: one for one in kept}
        self._version = max(self._formers, default=0)
