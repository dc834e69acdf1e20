"""What comes into a partition: records decoded, and those that are not its own or can't be read set aside."""

from __future__ import annotations

import base64
from collections.abc import Container, Sequence

import numpy as np
from aiokafka.partitioner import murmur2

from schemas.catalogue import Source
from schemas.records import DeadLetter
from schemas.sources import Bad, Decoded, Decoder, Incoming, Reason
from streams.engine.plan import Plan


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
        self._dead: list[DeadLetter] = []

    def decode(self, number: int, records: Sequence[Incoming]) -> Decoded:
        """A source's records as columns; bad ones are dead letters now."""
        decoded = self._decoders[number].decode(records, self._keyed)
        source = self._sources[number]
        if self._partitions > 1 and self._keyed:
            self._check_partition(source, decoded)
        self._dead += [self.dead(source, records[bad.index], bad) for bad in decoded.bad]
        return decoded

    def take_dead(self) -> list[DeadLetter]:
        """The dead letters since the last call."""
        dead, self._dead = self._dead, []
        return dead

    def dead(self, source: Source, record: Incoming, bad: Bad) -> DeadLetter:
        """A record set aside, whole."""
        value, encoding = readable(record.value)
        key = readable(record.key)[0]
        place = (source.name, source.topic, self._partition, record.offset)
        return DeadLetter(*place, bad.reason.value, bad.field, bad.expected, key, value, encoding)

    def _check_partition(self, source: Source, decoded: Decoded) -> None:
        """Set aside records of customers that do not hash to this partition (Kafka's murmur2)."""
        strangers = [customer for customer in set(decoded.customers) if customer not in self._known]
        lost = {c for c in strangers if (murmur2(c.encode()) & 0x7FFFFFFF) % self._partitions != self._partition}
        wrong = [i for i, customer in enumerate(decoded.customers) if customer in lost] if lost else []
        if not wrong:
            return
        expected = "a key that Kafka's default partitioner puts here; or 'rekey: true' on the source"
        decoded.bad += [Bad(int(decoded.index[i]), Reason.WRONG_PARTITION, source.key, expected) for i in wrong]
        keep = np.setdiff1d(np.arange(len(decoded.customers)), wrong)
        decoded.customers = [decoded.customers[i] for i in keep]
        decoded.ids = [decoded.ids[i] for i in keep]
        decoded.index, decoded.times = decoded.index[keep], decoded.times[keep]
        decoded.id_hashes, decoded.removed = decoded.id_hashes[keep], decoded.removed[keep]
        decoded.values = decoded.values[keep]


def readable(value: bytes | None) -> tuple[str | None, str]:
    """Bytes as text, or as base64 where they are no UTF-8, and which of the two."""
    if value is None:
        return None, "utf-8"
    try:
        return value.decode(), "utf-8"
    except UnicodeDecodeError:
        return base64.b64encode(value).decode(), "base64"
