"""A partition fed as a worker feeds it: batches per source, runs, markers, and restarts from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from schemas.records import Change, DeadLetter, LateEvent
from schemas.sources import Incoming
from streams.engine.plan import Plan
from streams.processor import Partition

Topics = Mapping[str, Sequence[Incoming]]


class Seen(msgspec.Struct):
    """What came out of a partition, in its order."""

    changes: list[Change] = msgspec.field(default_factory=list)
    dead: list[DeadLetter] = msgspec.field(default_factory=list)
    late: list[LateEvent] = msgspec.field(default_factory=list)
    applied: int = 0
    duplicates: int = 0


class Kept(msgspec.Struct):
    """The state as the markers left it: rows by customer, and the newest marker's positions and clock, as JSON."""

    rows: dict[bytes, bytes] = msgspec.field(default_factory=dict)
    positions: dict[str, int] = msgspec.field(default_factory=dict)
    clock: bytes = b""

    def flush(self, part: Partition) -> None:
        """Write what changed, and a marker."""
        dirty = part.take_dirty()
        self.rows.update(zip(dirty.customers, dirty.rows, strict=True))
        self.positions, self.clock = part.positions(), msgspec.json.encode(part.clock_state())

    def part(self, plan: Plan, **given: Any) -> Partition:
        """A partition that goes on from the marker."""
        part = Partition(plan, **given)
        if self.clock:
            part.load(list(self.rows), list(self.rows.values()))
            part.restore(self.positions, msgspec.json.decode(self.clock))
        return part


def feed(part: Partition, topics: Topics, seen: Seen, chunk: int, limit: int, most_runs: int | None = None) -> bool:
    """Push what is behind the positions, `chunk` at a time, and run `limit` records at a time; whether all is done.

    With `most_runs` it stops after so many runs.
    """
    at = {source: part.positions().get(source, 0) for source in topics}
    runs = 0
    while True:
        for source, records in topics.items():
            if not part.queued(source):
                part.push(source, records[at[source] : at[source] + chunk])
                at[source] = min(len(records), at[source] + chunk)
            part.ended(source, at[source] == len(records))
        before = part.positions(), seen.applied
        note(part, limit, seen)
        runs += 1
        done = all(at[source] == len(records) and not part.queued(source) for source, records in topics.items())
        if done or (most_runs is not None and runs >= most_runs):
            return done
        assert before != (part.positions(), seen.applied) or any(at[s] < len(r) for s, r in topics.items())


def note(part: Partition, limit: int, seen: Seen) -> None:
    """One run."""
    output = part.run(limit)
    seen.changes += output.changes()
    seen.dead += output.dead
    seen.late += output.late
    seen.applied += output.applied
    seen.duplicates += output.duplicates


def numbered(values: Iterable[tuple[bytes | None, bytes | None]]) -> list[Incoming]:
    """Keys and values as a topic's partition."""
    return [Incoming(value, key, offset) for offset, (key, value) in enumerate(values)]
