"""Records of sources that say `rekey: true`, written on under their customer as key.

Such a source's topic may be keyed by anything and spread by any partitioner over any number of partitions. Its records go
through a topic of livetags' own, in which Kafka's partitioner puts each customer where its other records are; that topic
is what is applied. A record of which the customer can't be read goes along under the key it has, and is set aside where
it arrives. Each partition is written on in order; its position in the group is committed only after the broker has what
was written, so a restart writes some again, and `streams.origins` drops them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from schemas.catalogue import Catalogue, Source
from schemas.reasons import LONGEST_ID, Reason
from schemas.record_shape import customer_of
from schemas.records import DeadLetter
from schemas.topics import Role, read_from
from streams.closing import within
from streams.cluster import Cluster
from streams.config import Settings
from streams.counters import Counters
from streams.emit import Emitter, Writer
from streams.lane import EMBEDDED_SESSION_S, Lane
from streams.origins import headers_of
from streams.parting import OVERHEAD, readable
from streams.partitioners import of_kafka

POLL_MS: Final = 50
AT_ONCE: Final = 2_000


class _Route(msgspec.Struct, frozen=True):
    """A source whose records are written on, where to, and what reads whose they are."""

    source: Source
    topic: str
    most: int
    customer: Callable[[bytes], str]


class _Place(msgspec.Struct, frozen=True):
    """A partition of a topic that is written to."""

    topic: str
    partition: int


class _Membership(ConsumerRebalanceListener):  # type: ignore[misc]
    """Whether it is known which partitions are read here."""

    joined = False

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """They are dealt out anew."""
        self.joined = False

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """They are known."""
        self.joined = True


class Rekeyer:
    """This worker's share of the sources that are to be re-keyed."""

    def __init__(
        self, settings: Settings, catalogue: Catalogue, cluster: Cluster, sender: AIOKafkaProducer, counters: Counters
    ) -> None:
        self._settings, self._cluster, self._sender, self._counters = settings, cluster, sender, counters
        self._group = f"{settings.group(catalogue.name)}-rekey"
        self._ce_source = f"/livetags/{catalogue.name}"
        self._routes: dict[str, _Route] = {}
        for source in catalogue.sources:
            if source.rekey:
                topic = read_from(source, settings.topic_prefix)
                self._routes[source.topic] = _Route(source, topic, cluster.largest[topic], customer_of(source))
        self._writers: dict[_Place, Writer] = {}
        self._ends: dict[_Place, int] = {}
        self._behind = True
        self._membership = _Membership()

    def hold(self, lane: Lane) -> None:
        """Keep the lane from taking a re-keyed topic for read while there is something to write on."""
        for route in self._routes.values():
            lane.hold(route.topic, self._floor(route.topic))

    def _floor(self, topic: str) -> Callable[[int], int | None]:
        return lambda partition: None if self._behind else self._ends.get(_Place(topic, partition), 0)

    async def run(self, halt: asyncio.Event) -> None:
        """Write on what comes, until told to stop; at once where no source is to be re-keyed."""
        if not self._routes:
            return
        reader = self._reader()
        await reader.start()
        try:
            while not halt.is_set():
                await self._round(reader)
        finally:
            await within(reader.stop)

    def _reader(self) -> AIOKafkaConsumer:
        session_s = self._settings.session_timeout_s
        if self._cluster.embedded:
            session_s = min(session_s, EMBEDDED_SESSION_S)
        reader = AIOKafkaConsumer(
            bootstrap_servers=self._cluster.address,
            group_id=self._group,
            group_instance_id=self._settings.member_id or None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=self._settings.fetch_wait_ms,
            max_partition_fetch_bytes=self._settings.fetch_bytes,
            session_timeout_ms=int(session_s * 1000),
            heartbeat_interval_ms=int(session_s * 250),
        )
        reader.subscribe(list(self._routes), listener=self._membership)
        return reader

    async def _round(self, reader: AIOKafkaConsumer) -> None:
        """Write on what is there, then commit."""
        got = await reader.getmany(timeout_ms=POLL_MS, max_records=AT_ONCE)
        if got:
            self._behind = True
            for place, records in got.items():
                await self._forward(self._routes[place.topic], records)
            await self._written()
            # Partitions that went to another worker are that one's to commit; it writes on what it finds, from before.
            with contextlib.suppress(KafkaError):
                await reader.commit({place: records[-1].offset + 1 for place, records in got.items()})
        self._behind = not await self._at_end(reader)

    async def _at_end(self, reader: AIOKafkaConsumer) -> bool:
        """Whether all there is of this worker's share is written on."""
        if not self._membership.joined:
            return False
        with contextlib.suppress(KafkaError):
            for place in reader.assignment():
                if not await _read_whole(reader, place):
                    return False
            return True
        return False

    async def _forward(self, route: _Route, records: Sequence[Any]) -> None:
        """Add a partition's records to the batches of where they belong."""
        topic_id, partitions = self._cluster.topic_ids.get(route.source.topic, ""), self._cluster.partitions
        for record in records:
            size = len(record.value or b"") + 2 * len(record.key or b"") + OVERHEAD
            if size > route.most:
                await self._set_aside(route, record)
                continue
            customer = _customer(route, record)
            key = record.key if customer is None else customer
            number = record.partition % partitions if customer is None else of_kafka(customer, partitions)
            place = _Place(route.topic, number)
            if place not in self._writers:
                self._writers[place] = Writer(self._sender, place.topic, place.partition)
            self._writers[place].add(key, record.value, headers_of(record, key, topic_id))
        self._counters.rekeyed[route.source.name] += len(records)

    async def _written(self) -> None:
        """Wait until the broker has what was added, and note how far each topic goes with it."""
        ends = await asyncio.gather(*(writer.acknowledged(writer.cut()) for writer in self._writers.values()))
        self._ends |= {place: one.end for place, one in zip(self._writers, ends, strict=True) if one.end >= 0}

    async def _set_aside(self, route: _Route, record: Any) -> None:
        """A record that is too large for its own topic becomes a dead letter here."""
        (value, encoding), (key, key_encoding) = readable(record.value), readable(record.key)
        place = route.source.name, record.topic, record.partition, record.offset
        expected = f"a record below max.message.bytes of {route.topic}, {route.most} bytes"
        letter = DeadLetter(*place, Reason.TOO_LARGE.value, "", expected, key, value, encoding, key_encoding)
        emitter = Emitter(self._sender, self._cluster, record.partition % self._cluster.partitions, self._ce_source, {})
        emitter.add([letter])
        await emitter.acknowledged(emitter.cut(Role.DEAD_LETTERS))
        self._counters.dead[letter.reason] += 1


def _customer(route: _Route, record: Any) -> bytes | None:
    """Whose record it is; None where that can't be read."""
    if record.value is None:
        return record.key if route.source.profile else None
    try:
        customer = route.customer(record.value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
        return None
    return customer.encode() if 0 < len(customer) <= LONGEST_ID else None


async def _read_whole(reader: AIOKafkaConsumer, place: TopicPartition) -> bool:
    end = reader.highwater(place)
    return end is not None and bool(await reader.position(place) >= end)
