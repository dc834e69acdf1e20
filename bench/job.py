"""What a measured worker is told on its command line, and the topics' names both sides use."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from schemas.catalogue import Catalogue, Quantiles
from schemas.loading import load
from schemas.loading_tags import rests_on
from schemas.records import Cause
from schemas.rules import names_in
from streams.config import Clock, Settings

CATALOGUE: Final = Path(__file__).parents[1] / "schemas" / "bank.yaml"
EVENT_CAUSES: Final = (Cause.EVENT, Cause.PROFILE, Cause.LATE)


def comparable(catalogue: Catalogue) -> Catalogue:
    """The catalogue without what rests on all customers together: nothing in Faust's documentation can say that."""
    dropped: set[str] = set()
    for feature in catalogue.features:
        if feature.outlook is not None or set(feature.rests_on) & dropped:
            dropped.add(feature.name)
    for name in catalogue.tag_order:
        rule = catalogue.tag(name).rule
        if isinstance(rule, Quantiles) or rests_on(rule) & dropped:
            dropped.add(name)
    return msgspec.structs.replace(
        catalogue,
        lifetimes=(),
        features=tuple(one for one in catalogue.features if one.name not in dropped),
        tags=tuple(tag for tag in catalogue.tags if tag.name not in dropped),
        tag_order=tuple(name for name in catalogue.tag_order if name not in dropped),
        segments=tuple(one for one in catalogue.segments if not {n.name for n in names_in(one.rule)} & dropped),
    )


class Job(msgspec.Struct, frozen=True):
    """One run of one worker: `name` starts the names of its topics, `directory` takes its state.

    The first `filled` records fill the state and are not measured. `progress` is a directory where the workers of
    one run tell each other how far they are, `worker` this one's number.
    """

    broker: str
    name: str
    directory: str
    events: int
    partitions: int
    catalogue: str = str(CATALOGUE)
    warm: str = ""
    filled: int = 0
    linger_ms: int = 50
    flush_interval_s: float = 0.0
    stages: bool = False
    profile: str = ""
    scored: str = ""
    populations: bool = False
    progress: str = ""
    worker: int = 0

    @classmethod
    def read(cls, text: str) -> Job:
        """The job as `text` writes it."""
        return msgspec.json.decode(text, type=cls)

    @property
    def text(self) -> str:
        """The job as JSON."""
        return msgspec.json.encode(self).decode()

    def loaded(self) -> Catalogue:
        """The catalogue over topics of this run."""
        found = load(Path(self.catalogue))
        sources = [msgspec.structs.replace(s, topic=f"{self.name}-{s.topic}") for s in found.sources]
        named = msgspec.structs.replace(found, sources=tuple(sources))
        return named if self.populations else comparable(named)

    def settings(self) -> Settings:
        """How the livetags worker runs: the shipped settings, with the event clock."""
        return Settings(
            broker=self.broker,
            app_id=self.name,
            topic_prefix=f"{self.name}-",
            data_dir=Path(self.directory) / str(self.worker),
            partitions=self.partitions,
            clock=Clock.EVENT,
            flush_interval_s=self.flush_interval_s,
        )
