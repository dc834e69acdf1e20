"""What a demo tells in the end of learning, triggers and freshness, from the topics as they stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from aiokafka.errors import KafkaTimeoutError
from rich.console import RenderableType

from schemas.catalogue import Catalogue, Trigger
from schemas.learning import ModelSnapshot, model_key
from schemas.outreach import TriggerDecision
from schemas.topics import Role
from streams.config import Settings
from streams.control import read_whole
from streams.demo import bank_truth
from streams.demo.dataset import Dataset
from streams.demo.examples import Examples
from streams.demo.learned import TRUE_TARGET, Learned, Odds, learned
from streams.demo.learned_story import learned_story
from streams.demo.moments import Moments
from streams.demo.outreach import Outreach, Picked, pick, tally
from streams.demo.outreach_story import OutreachTeller, triggers_table
from streams.demo.topics import read_to_end

CONTROL_WITHIN_S: Final = 20.0
EACH: Final = 3
TOLD: Final = {"bank": ("call_on_inflow", "churn_alert", "keep_funds"), "retail": ("coupon_for_the_best",)}
"""The triggers of which single cases are told."""


class Lessons(msgspec.Struct, frozen=True):
    """The examples of every target, in the catalogue's order, and where their partitions end."""

    targets: list[Examples]
    ends: dict[int, int]


class Ending:
    """Reads the topics of one demo and tells what is in them.

    Parameters
    ----------
    settings
        Those of its worker.
    """

    def __init__(self, catalogue: Catalogue, dataset: Dataset, settings: Settings) -> None:
        self._catalogue, self._dataset, self._settings = catalogue, dataset, settings

    async def lessons(self) -> Lessons:
        """What there is to be learned from."""
        targets = [Examples(target.label.settled_ms) for target in self._catalogue.targets]
        ends = dict.fromkeys(range(len(targets)), 0)
        if targets:
            async for batch in read_to_end(self._settings.broker, self._topic(Role.TRAINING_EXAMPLES), ends):
                targets[batch.partition].take(batch.values)
                ends[batch.partition] = batch.end
        return Lessons(targets, ends)

    async def learned(self, lessons: Lessons) -> Iterator[RenderableType]:
        """Tables about the targets, by the models that are published now."""
        models = await self._models()
        odds = Odds.load(self._dataset.directory / "truth.npz", bank_truth.YEAR_START_MS)
        known: list[Learned] = []
        for target, examples in zip(self._catalogue.targets, lessons.targets, strict=True):
            truth = odds if target.name == TRUE_TARGET else None
            known.append(learned(target, examples, models.get(target.name), truth))
        return learned_story(known)

    async def _models(self) -> dict[str, ModelSnapshot]:
        """The newest model of each target that has one."""
        topic, group = self._topic(Role.CONTROL), self._settings.group(self._catalogue.name)
        try:
            whole = await read_whole(self._settings.broker, topic, embedded=True, within_s=CONTROL_WITHIN_S)
        except TimeoutError:
            raise KafkaTimeoutError(f"topic {topic!r} can't be read to its end") from None
        keys = {target.name: model_key(group, target.name) for target in self._catalogue.targets}
        return {name: msgspec.json.decode(whole[key], type=ModelSnapshot) for name, key in keys.items() if key in whole}

    async def triggered(self) -> list[RenderableType]:
        """A table of the triggers, and some cases of those that are told."""
        triggers = self._catalogue.triggers
        if not triggers:
            return []
        outreach = await self._outreach()
        cases = {trigger.name: outreach.cases(trigger.name) for trigger in triggers}
        found: list[RenderableType] = [triggers_table(triggers, {name: tally(each) for name, each in cases.items()})]
        told = [trigger for trigger in triggers if trigger.name in TOLD.get(self._catalogue.name, ())]
        picked = {trigger.name: pick(cases[trigger.name], EACH) for trigger in told}
        return found + await self._examples([trigger for trigger in told if picked[trigger.name].cases], picked)

    async def _outreach(self) -> Outreach:
        outreach, partitions = Outreach(), range(self._settings.partitions)
        # Decisions first: a request is there before the decision that speaks of it.
        async for batch in read_to_end(self._settings.broker, self._topic(Role.TRIGGER_DECISIONS), partitions):
            outreach.take_decisions(batch.values)
        async for batch in read_to_end(self._settings.broker, self._topic(Role.OUTREACH), partitions):
            outreach.take_requests(batch.values)
        return outreach

    async def _examples(self, triggers: Sequence[Trigger], picked: dict[str, Picked]) -> list[RenderableType]:
        teller = OutreachTeller(self._catalogue)
        moments = await self._moments([case.decision for each in picked.values() for case in each.cases])
        return [teller.examples(trigger, picked[trigger.name], moments.of) for trigger in triggers]

    async def _moments(self, decisions: list[TriggerDecision]) -> Moments:
        moments, partitions = Moments(decisions), range(self._settings.partitions)
        async for batch in read_to_end(self._settings.broker, self._topic(Role.SEGMENT_CHANGES), partitions):
            moments.take_segments(batch)
        async for batch in read_to_end(self._settings.broker, self._topic(Role.TAG_CHANGES), partitions):
            moments.take_tags(batch)
        return moments

    def _topic(self, role: Role) -> str:
        return self._settings.topic_prefix + role.value
