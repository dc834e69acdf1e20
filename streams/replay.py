"""The same engine over files and lists: what would have come out (P11)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec
from aiokafka.partitioner import murmur2

from schemas.catalogue import Catalogue
from schemas.records import Change, CustomerTags, DeadLetter, LateEvent
from schemas.silence import Stall
from schemas.sources import Incoming
from streams.engine.plan import Plan, build
from streams.measures import Made, Makers, Part
from streams.output import Output
from streams.processor import Partition
from streams.written import Customers

if TYPE_CHECKING:
    from streams.replay_stalls import EventStalls


class Outcome(msgspec.Struct):
    """All that came out of a replay; changes are in order per customer."""

    changes: list[Change]
    customers: dict[str, CustomerTags]
    dead: list[DeadLetter]
    late: list[LateEvent]
    counts: Counter[str]


class Record(msgspec.Struct, frozen=True):
    """A record of a source in arrival order; a null value needs the key."""

    source: str
    value: bytes | None
    key: str | None = None


class Replay:
    """A run over records in arrival order, in one partition or dealt over several by Kafka's partitioner.

    In one partition cut-points of quantile tags are made at each refresh in event time, and are in force from there on.
    """

    def __init__(self, plan: Plan, partitions: int = 1, part: Partition | None = None) -> None:
        """`part` is the one partition, where it is not to be a plain one."""
        self.plan = plan
        plain = (Partition(plan, number, partitions, keyed=False) for number in range(partitions))
        self.parts = list(plain) if part is None else [part]
        self.merger = Makers(plan.catalogue)
        if partitions == 1:  # several are cut where the merger of a cluster does it: on its control topic
            self.parts[0].merger = self._merge
        self._keys = {source.name: source.key for source in plan.catalogue.sources}
        self.records = 0

    def _merge(self, populations: list[Part]) -> list[Made]:
        return self.merger.at_once(populations)

    def feed(self, records: list[Record]) -> Iterator[Output]:
        """Apply records in the order given."""
        dealt: list[list[tuple[str, Incoming]]] = [[] for _ in self.parts]
        for record in records:
            key = record.key.encode() if record.key is not None else None
            number = self._partition(record) if len(self.parts) > 1 else 0
            dealt[number].append((record.source, Incoming(record.value, key, self.records)))
            self.records += 1
        for part, some in zip(self.parts, dealt, strict=True):
            if some:
                yield part.feed(some)

    def _partition(self, record: Record) -> int:
        key = record.key
        if key is None and record.value is not None:
            try:
                found = msgspec.json.decode(record.value)
                key = str(found[self._keys[record.source]])
            except (msgspec.MsgspecError, KeyError, TypeError):
                key = ""
        return int(murmur2((key or "").encode()) & 0x7FFFFFFF) % len(self.parts)

    def advance(self, to_ms: int) -> Iterator[Output]:
        """Let time pass to a moment in every partition."""
        for part in self.parts:
            yield part.advance(to_ms)

    def turn(self, stall: Stall) -> Iterator[Output]:
        """Freeze a source in every partition, or let it flow again and bring every customer up to it."""
        for part in self.parts:
            if stall.frozen_ms is not None:
                part.freeze(stall.source, stall.frozen_ms)
            else:
                part.thaw(stall.source)
            while part.sleeps:
                yield part.wake()

    def all(self, records: Iterable[Record | Stall], batch: int) -> Iterator[Output]:
        """Apply records in the order given, many at once; sources freeze and flow again between them."""
        some: list[Record] = []
        for one in records:
            if isinstance(one, Record):
                some.append(one)
                if len(some) < batch:
                    continue
            yield from self.feed(some)
            some = []
            if isinstance(one, Stall):
                yield from self.turn(one)
        yield from self.feed(some)

    def customers(self) -> Iterator[Customers]:
        """What is said about every customer, many at a time."""
        for part in self.parts:
            yield from part.all_customer_tags()


def driven(
    replay: Replay, records: Iterable[Record], batch: int, until: int | None, stalls: EventStalls | None
) -> Iterator[Output]:
    """All that comes out, as it comes; arguments as of `run`."""
    yield from replay.all(records if stalls is None else stalls.between(records), batch)
    if until is not None:
        for stall in () if stalls is None else stalls.until(until):
            yield from replay.turn(stall)
        yield from replay.advance(until)


def run(
    catalogue: Catalogue,
    records: Iterable[Record],
    *,
    batch: int = 4096,
    partitions: int = 1,
    until: int | None = None,
    stalls: EventStalls | None = None,
) -> Outcome:
    """Everything that comes out of records in arrival order.

    Parameters
    ----------
    batch
        How many records are applied at once; what comes out does not depend on it (P1).
    until
        At the end time passes to this moment (UTC ms).
    stalls
        Which sources stall; without, none does.
    """
    replay = Replay(build(catalogue), partitions)
    outcome = Outcome([], {}, [], [], Counter())

    def note(outputs: Iterable[Output]) -> None:
        for output in outputs:
            outcome.changes += output.changes()
            outcome.dead += output.dead
            outcome.late += output.late
            outcome.counts["applied"] += output.applied
            outcome.counts["duplicates"] += output.duplicates
            outcome.counts["superseded"] += output.superseded

    note(driven(replay, records, batch, until, stalls))
    outcome.customers = {found.customer_id: found for some in replay.customers() for found in some}
    return outcome
