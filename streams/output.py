"""What comes out of a partition's step, and what it holds."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum

import msgspec

from schemas.learning import Example
from schemas.lifetime import Sample
from schemas.population import Population
from schemas.records import Change, DeadLetter, LateEvent
from streams.written import Changes


class Fate(StrEnum):
    """What became of an outcome of a customer who had been asked about."""

    ANSWERED = "answered"  # it answered a question, or several
    LATE = "late"  # it answered none, and came when `arrives_within` was over: time had answered
    SPARE = "spare"  # it answered none though it came in time: another had, or nobody had asked for long


class Met(msgspec.Struct, frozen=True):
    """A kind of outcomes, to be counted. A target that waits for an absence has none."""

    target: str
    fate: Fate


class Output(msgspec.Struct):
    """What came out of a step; `more` says that there is something left to do at once."""

    written: list[Changes]
    dead: list[DeadLetter]
    late: list[LateEvent]
    examples: list[Example]
    populations: list[Population | Sample]
    applied: int = 0
    duplicates: int = 0
    superseded: int = 0
    more: bool = False
    outcomes: Counter[Met] = msgspec.field(default_factory=Counter)

    @classmethod
    def empty(cls) -> Output:
        """Nothing yet."""
        return cls([], [], [], [], [])

    def join(self, other: Output) -> None:
        """Add what came out of a later step."""
        self.written += other.written
        self.dead += other.dead
        self.late += other.late
        self.examples += other.examples
        self.populations += other.populations
        self.applied += other.applied
        self.duplicates += other.duplicates
        self.superseded += other.superseded
        self.outcomes.update(other.outcomes)
        self.more = other.more

    def changes(self) -> list[Change]:
        """Every change, decoded."""
        return [change for page in self.written for change in page]


class Rescored(msgspec.Struct):
    """What came of a slice of customers scored anew, the next slot, and whether more are left."""

    output: Output
    next_slot: int
    more: bool


class Dirty(msgspec.Struct):
    """Rows written since the last flush."""

    customers: list[bytes]
    rows: list[bytes]


class Overview(msgspec.Struct):
    """How many customers say what."""

    customers: int
    tags: dict[str, dict[str, int]]
    segments: dict[str, int]
