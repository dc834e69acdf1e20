"""What a measured worker is told on its command line, and the topics' names both sides use."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from schemas.catalogue import Catalogue
from schemas.loading import load
from schemas.records import Cause
from streams.config import Clock, Settings

CATALOGUE: Final = Path(__file__).parents[1] / "schemas" / "bank.yaml"
EVENT_CAUSES: Final = (Cause.EVENT, Cause.PROFILE, Cause.LATE)


class Job(msgspec.Struct, frozen=True):
    """One run of one worker: `name` starts the names of its topics, `directory` takes its state."""

    broker: str
    name: str
    directory: str
    events: int
    partitions: int
    catalogue: str = str(CATALOGUE)
    warm: str = ""
    linger_ms: int = 50
    flush_interval_s: float = 5.0
    stages: bool = False
    profile: str = ""
    scored: bool = False

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
        return msgspec.structs.replace(found, sources=tuple(sources))

    def settings(self) -> Settings:
        """How the livetags worker runs: the shipped settings, with the event clock."""
        return Settings(
            broker=self.broker,
            app_id=self.name,
            topic_prefix=f"{self.name}-",
            data_dir=Path(self.directory),
            partitions=self.partitions,
            clock=Clock.EVENT,
            flush_interval_s=self.flush_interval_s,
        )
