"""Every topic of a catalogue in one table: name, key, value, partitions, cleanup.

Those of customers hold the same number of partitions and are keyed alike, so that one worker owns a customer; those of
targets have one partition for each, in the catalogue's order, so that one trainer owns a target.
"""

from __future__ import annotations

import re
from enum import StrEnum

import msgspec

from schemas.catalogue import Catalogue, Source

CONTROL_PARTITIONS = 1
CONTROL_SEGMENT_MS = 600_000
LARGE_RECORDS = 16_777_216
FINGERPRINT_DIGITS = 8


class Role(StrEnum):
    """What a topic is for."""

    SOURCE, TAG_CHANGES, SEGMENT_CHANGES = "source", "tag-changes", "segment-changes"
    CUSTOMER_TAGS, DEAD_LETTERS, LATE_EVENTS = "customer-tags", "dead-letters", "late-events"
    OUTREACH, TRIGGER_DECISIONS = "outreach", "trigger-decisions"
    CONTROL, CHANGELOG = "control", "changelog"
    TRAINING_EXAMPLES, TRAINER_CHANGELOG = "training-examples", "trainer-changelog"
    MODEL_EVENTS = "model-events"
    REKEYED = "rekeyed"


class Spread(StrEnum):
    """How many partitions a topic has: as many as all that workers share, any, one, or one for each target."""

    SHARED, ANY, SINGLE, TARGETS = "shared", "any", "single", "targets"


class Cleanup(StrEnum):
    """What Kafka does with old records."""

    DELETE, COMPACT = "delete", "compact"


class Topic(msgspec.Struct, frozen=True):
    """A topic that livetags reads or writes; `targets` is how many the catalogue has, where it is spread over them."""

    name: str
    role: Role
    key: str
    value: str
    spread: Spread
    cleanup: Cleanup
    about: str
    targets: int = 0

    @property
    def large(self) -> bool:
        """Whether it takes records as large as any source's."""
        return self.role in (Role.DEAD_LETTERS, Role.LATE_EVENTS, Role.REKEYED)

    @property
    def config(self) -> dict[str, str]:
        """The topic's settings, in Kafka's words."""
        found = {"cleanup.policy": self.cleanup.value}
        if self.large:
            found["max.message.bytes"] = str(LARGE_RECORDS)
        if self.role is Role.CONTROL:
            # Every worker writes its status every few seconds and reads the topic whole when it starts: only closed
            # segments are compacted, and Kafka would close one a week.
            found |= {"segment.ms": str(CONTROL_SEGMENT_MS), "min.cleanable.dirty.ratio": "0.1"}
        return found

    def partitions(self, shared: int) -> int:
        """How many partitions it has where those that workers share have `shared`."""
        match self.spread:
            case Spread.SHARED | Spread.ANY:
                return shared
            case Spread.SINGLE:
                return CONTROL_PARTITIONS
        return self.targets


class Changelog(msgspec.Struct, frozen=True, order=True):
    """A generation of the state's changelog; a rebuild starts the next one, so that old rows never mix in."""

    generation: int
    fingerprint: str
    app_id: str

    @property
    def topic(self) -> str:
        """The name of its topic."""
        return f"{self.app_id}-changelog-{self.generation}-{self.fingerprint[:FINGERPRINT_DIGITS]}"

    def holds(self, fingerprint: str) -> bool:
        """Whether its rows mean what rows of that fingerprint mean."""
        return self.fingerprint[:FINGERPRINT_DIGITS] == fingerprint[:FINGERPRINT_DIGITS]


def newest_changelog(app_id: str, topics: list[str]) -> Changelog | None:
    """The changelog in force among those topics (`fingerprint` has its first digits); None where the app never ran."""
    pattern = re.compile(rf"{re.escape(app_id)}-changelog-(\d+)-([^-]+)\Z")
    found = [Changelog(int(match[1]), match[2], app_id) for match in map(pattern.match, topics) if match]
    return max(found, default=None)


_OUTPUTS = (
    (Role.TAG_CHANGES, "TagChange", Cleanup.DELETE, "a tag going from one value to another"),
    (Role.SEGMENT_CHANGES, "SegmentChange", Cleanup.DELETE, "a customer entering or leaving a segment"),
    (Role.CUSTOMER_TAGS, "CustomerTags", Cleanup.COMPACT, "all that is said about a customer, the newest state"),
    (Role.DEAD_LETTERS, "DeadLetter", Cleanup.DELETE, "a record that could not be read, whole, and why"),
    (Role.LATE_EVENTS, "LateEvent", Cleanup.DELETE, "a record too late to count"),
    (Role.OUTREACH, "OutreachRequest", Cleanup.DELETE, "a request to contact a customer"),
    (Role.TRIGGER_DECISIONS, "TriggerDecision", Cleanup.DELETE, "why a change led to a request, or did not"),
)


def topics_of(catalogue: Catalogue, changelog: Changelog, prefix: str = "") -> tuple[Topic, ...]:
    """Every topic of a catalogue's workers: its sources, what livetags writes (named with the prefix), control and
    changelog; training examples where it has targets.
    """
    sources = [topic for source in catalogue.sources for topic in _of_source(source, prefix)]
    outputs = [
        Topic(prefix + role.value, role, "customer", value, Spread.SHARED, cleanup, about)
        for role, value, cleanup, about in _OUTPUTS
    ]
    rows = Topic(
        changelog.topic,
        Role.CHANGELOG,
        "row or marker",
        "bytes",
        Spread.SHARED,
        Cleanup.COMPACT,
        "the customer table, for recovery",
    )
    examples = [_examples(catalogue, prefix)] if catalogue.targets else []
    return (*sources, *outputs, *examples, _control(prefix), rows)


def read_from(source: Source, prefix: str = "") -> str:
    """The topic whose records are applied: the source's own, or the one it is re-keyed into."""
    return f"{prefix}{source.topic}-{Role.REKEYED.value}" if source.rekey else source.topic


def _of_source(source: Source, prefix: str) -> list[Topic]:
    value, about = f"JSON of {source.name}", f"records of {source.name}, keyed by {source.key}"
    if not source.rekey:
        return [Topic(source.topic, Role.SOURCE, "customer", value, Spread.SHARED, Cleanup.DELETE, about)]
    given = f"records of {source.name}, whatever their keys and partitions"
    return [
        Topic(source.topic, Role.SOURCE, "any", value, Spread.ANY, Cleanup.DELETE, given),
        Topic(read_from(source, prefix), Role.REKEYED, "customer", value, Spread.SHARED, Cleanup.DELETE, about),
    ]


def trainer_topics(catalogue: Catalogue, changelog: Changelog, prefix: str = "") -> tuple[Topic, ...]:
    """Every topic of a catalogue's trainers: training examples, control, what was decided about models, and the
    changelog of what they learned.
    """
    events = Topic(
        prefix + Role.MODEL_EVENTS.value,
        Role.MODEL_EVENTS,
        "id of the event",
        "ModelEvent",
        Spread.SINGLE,
        # All that was ever decided is kept; what is told again, as a trainer was stopped meanwhile, replaces itself.
        Cleanup.COMPACT,
        "what was decided about models, and on which numbers",
    )
    learned = Topic(
        changelog.topic,
        Role.TRAINER_CHANGELOG,
        "entry or marker",
        "bytes",
        Spread.TARGETS,
        Cleanup.COMPACT,
        "what trainers have learned, for recovery",
        len(catalogue.targets),
    )
    return (_examples(catalogue, prefix), _control(prefix), events, learned)


def _examples(catalogue: Catalogue, prefix: str) -> Topic:
    return Topic(
        prefix + Role.TRAINING_EXAMPLES.value,
        Role.TRAINING_EXAMPLES,
        "customer",
        "Question or Answer",
        Spread.TARGETS,
        Cleanup.DELETE,
        "what models learn from, a partition for each target in the catalogue's order",
        len(catalogue.targets),
    )


def _control(prefix: str) -> Topic:
    return Topic(
        prefix + Role.CONTROL.value,
        Role.CONTROL,
        "name",
        "JSON",
        Spread.SINGLE,
        Cleanup.COMPACT,
        "what all workers agree on, in one order",
    )
