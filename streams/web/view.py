"""What the dashboard and the API show, and what a worker has to answer for it.

The worker implements `View`; nothing here knows how. Every method is called on the worker's event loop, so it
answers from memory and at once. Times are ISO 8601 in UTC, titles are texts by language (`en`, `zh`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

import msgspec

from schemas.catalogue import TagKind, Unit
from schemas.explanations import ScoreExplanation
from schemas.freshness import Freshness
from schemas.records import Change, CustomerTags
from streams.engine.explain import Explanation as Explanation
from streams.metrics import Exposed
from streams.recovering import RecoveryStatus

Titles = dict[str, str]


class State(StrEnum):
    """Where the worker stands."""

    STARTING, RECOVERING, RUNNING, DONE = "starting", "recovering", "running", "done"


class Summary(msgspec.Struct, frozen=True):
    """The worker in a line.

    Attributes
    ----------
    clock
        `wall` or `event`.
    events, changes, dead, late, duplicates
        Counts since the worker started.
    event_time
        Newest event time applied; None before the first.
    progress
        Between 0 and 1 where the end of the input is known, else None.
    currency
        Code shown beside money; empty shows none.
    timezone
        Zone in which the page shows times.
    changes_by_cause
        The same changes by their cause.
    recovering
        How far the recovery of its partitions is; None while nothing is recovered.
    """

    catalogue: str
    title: Titles
    clock: str
    state: State
    events: int
    events_per_s: float
    changes: int
    customers: int
    event_time: str | None
    dead: int
    late: int
    duplicates: int
    progress: float | None = None
    currency: str = ""
    timezone: str = "UTC"
    changes_by_cause: dict[str, int] = {}
    recovering: RecoveryStatus | None = None


class SourceView(msgspec.Struct, frozen=True):
    """A source and how fresh it is; `lag` is the number of records not read yet, None where it is not known."""

    name: str
    topic: str
    events: int
    newest: str | None
    age_s: float | None
    lag: int | None
    at_end: bool


class TagView(msgspec.Struct, frozen=True):
    """A tag and how many customers have each value.

    Attributes
    ----------
    waits
        Why the tag can't be said yet (`warming`), or an empty text.
    counts
        Customers by value, in the order of the tag's values; a boolean tag's values are `false` and `true`.
    rule
        The rule in words, a sentence a line, by language.
    """

    name: str
    title: Titles
    kind: TagKind
    owner: str
    about: Titles
    waits: str
    boolean: bool
    counts: dict[str, int]
    rule: dict[str, list[str]] = {}


class SegmentView(msgspec.Struct, frozen=True):
    """A segment and how many customers are in it.

    Attributes
    ----------
    entered, left
        How often since the worker started.
    latest
        Some customers that entered last, newest first; they may have left since.
    rule
        The rule in words, a sentence a line, by language.
    """

    name: str
    title: Titles
    about: Titles
    customers: int
    entered: int = 0
    left: int = 0
    latest: list[str] = []
    rule: dict[str, list[str]] = {}


class FeatureView(msgspec.Struct, frozen=True):
    """What a feature is called and measured in, so that its values can be read."""

    name: str
    title: Titles
    unit: Unit


class CustomerDetail(CustomerTags, frozen=True):
    """All that is said about a customer, and why; `scores` of the targets that have a model."""

    explanations: list[Explanation]
    scores: list[ScoreExplanation] = msgspec.field(default_factory=list)


class View(Protocol):
    """What a worker tells about itself and its customers."""

    def summary(self) -> Summary:
        """The worker in a line."""

    def sources(self) -> list[SourceView]:
        """Every source, in the catalogue's order."""

    def freshness(self) -> Freshness:
        """How fresh sources and tags are, over all workers."""

    def metrics(self, accept: str) -> Exposed:
        """The worker's metrics for Prometheus, in a format that the `Accept` header allows."""

    def features(self) -> list[FeatureView]:
        """Every feature, in the catalogue's order."""

    def tags(self) -> list[TagView]:
        """Every tag, in the catalogue's order."""

    def segments(self) -> list[SegmentView]:
        """Every segment, in the catalogue's order."""

    def recent(self, limit: int) -> list[Change]:
        """The last changes, newest first, at most `limit`."""

    def customer(self, customer_id: str) -> CustomerTags | None:
        """What is said about a customer; None where this worker has no such customer."""

    def explain(self, customer_id: str) -> list[Explanation] | None:
        """Why, for every tag and segment; None where this worker has no such customer."""

    def scores(self, customer_id: str) -> list[ScoreExplanation]:
        """What models give the customer and which features push; of targets that have a model."""


def detail(view: View, customer_id: str) -> CustomerDetail | None:
    """A customer with explanations; None where this worker has no such customer."""
    found = view.customer(customer_id)
    if found is None:
        return None
    said = msgspec.structs.asdict(found)
    return CustomerDetail(**said, explanations=view.explain(customer_id) or [], scores=view.scores(customer_id))
