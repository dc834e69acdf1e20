"""What comes into a partition: records decoded, and those that are not its own or can't be read set aside.

What is set aside waits until the source's position has passed it: so a restart says it again only where the position
that was kept is before it, never because good records beside it still waited.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from schemas.catalogue import Source
from schemas.records import DeadLetter, LateEvent
from schemas.sources import Bad, Decoded, Decoder, Incoming, Reason
from schemas.values import iso
from streams.engine.plan import Plan
from streams.origins import Origins, Rekeyed
from streams.parting import readable
from streams.partitioners import of_kafka, suspects


class _Aside(msgspec.Struct, frozen=True):
    """A dead letter, and the offset of its record in what is read."""

    offset: int
    letter: DeadLetter


class Intake:
    """The decoders of one partition.

    Parameters
    ----------
    partition, partitions
        Its number and how many there are; with `keyed` records must bear their customer as key and belong here.
    known
        Customers that are known to belong here.
    """

    def __init__(self, plan: Plan, partition: int, partitions: int, keyed: bool, known: Container[str]) -> None:
        catalogue = plan.catalogue
        self._sources, self._known = catalogue.sources, known
        self._partition, self._partitions, self._keyed = partition, partitions, keyed
        self._decoders = [Decoder(catalogue, s, plan.text_codes[s.name]) for s in catalogue.sources]
        self._dead: list[deque[_Aside]] = [deque() for _ in catalogue.sources]
        self._origins = {n: Origins() for n, source in enumerate(catalogue.sources) if source.rekey and keyed}

    def fresh(self, number: int, records: Sequence[Any]) -> Sequence[Incoming]:
        """A source's records as they came to its topic, without those that were re-keyed twice."""
        return self._origins[number].fresh(records) if number in self._origins else records

    def decode(self, number: int, records: Sequence[Incoming]) -> Decoded:
        """A source's records as columns; bad ones are dead letters now."""
        source = self._sources[number]
        decoded = self._decoders[number].decode(records, self._keyed and not source.rekey)
        if self._partitions > 1 and self._keyed:
            self._check_partition(source, decoded)
        for bad in sorted(decoded.bad, key=lambda bad: bad.index):
            record = records[bad.index]
            self._dead[number].append(_Aside(record.offset, self.dead(source, record, bad)))
        return decoded

    def waiting(self, number: int) -> int:
        """How many dead letters of a source wait for its position."""
        return len(self._dead[number])

    def take_dead(self, positions: Mapping[str, int] | None = None) -> list[DeadLetter]:
        """The dead letters before those positions, by source; all of them where none are given."""
        found = []
        for source, dead in zip(self._sources, self._dead, strict=True):
            while dead and (positions is None or dead[0].offset < positions.get(source.name, 0)):
                found.append(dead.popleft().letter)
        return found

    def take_repeated(self) -> int:
        """How many records came that were re-keyed before, since the last call."""
        found = sum(origins.repeated for origins in self._origins.values())
        for origins in self._origins.values():
            origins.repeated = 0
        return found

    def state(self, positions: Mapping[str, int]) -> dict[str, dict[str, int]]:
        """What re-keyed records have been taken up to those positions, by source."""
        return {
            self._sources[number].name: origins.state(positions.get(self._sources[number].name, 0))
            for number, origins in self._origins.items()
        }

    def restore(self, state: Mapping[str, dict[str, int]]) -> None:
        """Go on from a state."""
        for number, origins in self._origins.items():
            origins.restore(state.get(self._sources[number].name, {}))

    def _origin(self, source: Source, record: Incoming) -> tuple[str, int, int]:
        """Where a record came from: topic, partition, offset."""
        if isinstance(record, Rekeyed):
            return source.topic, record.origin_partition, record.origin_offset
        return source.topic, self._partition, record.offset

    def dead(self, source: Source, record: Incoming, bad: Bad) -> DeadLetter:
        """A record set aside, whole."""
        (value, encoding), (key, key_encoding) = readable(record.value), readable(record.key)
        said = bad.reason.value, bad.field, bad.expected
        return DeadLetter(source.name, *self._origin(source, record), *said, key, value, encoding, key_encoding)

    def late(self, source: Source, record: Incoming, customer: str, time: int, newest: int) -> LateEvent:
        """A record that came too late to count, whole; times in UTC ms."""
        value, encoding = readable(record.value)
        times = iso(time), iso(newest)
        return LateEvent(source.name, customer, *self._origin(source, record), *times, value or "", encoding)

    def _check_partition(self, source: Source, decoded: Decoded) -> None:
        """Set aside records of customers that do not hash to this partition (Kafka's murmur2)."""
        here, among = self._partition, self._partitions
        strangers = [customer for customer in set(decoded.customers) if customer not in self._known]
        lost = {c for c in strangers if of_kafka(c.encode(), among) != here}
        wrong = [i for i, customer in enumerate(decoded.customers) if customer in lost] if lost else []
        if not wrong:
            return
        for i in wrong:
            by = suspects(decoded.customers[i].encode(), here, among)
            expected = f"a key that Kafka's murmur2 puts here ({by}); or 'rekey: true' on the source"
            decoded.bad.append(Bad(int(decoded.index[i]), Reason.WRONG_PARTITION, source.key, expected))
        keep = np.setdiff1d(np.arange(len(decoded.customers)), wrong)
        decoded.customers = [decoded.customers[i] for i in keep]
        decoded.ids = [decoded.ids[i] for i in keep]
        decoded.index, decoded.times = decoded.index[keep], decoded.times[keep]
        decoded.id_hashes, decoded.removed = decoded.id_hashes[keep], decoded.removed[keep]
        decoded.values = decoded.values[keep]
