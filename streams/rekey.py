"""Records of sources that say `rekey: true`, written on under their customer as key.

Such a source's topic may be keyed by anything and spread by any partitioner over any number of partitions. Its records
go through a topic of livetags' own, in which Kafka's partitioner puts each customer where its other records are; that
topic is what is applied. A record of which the customer can't be read goes along under the key it has, and is set aside
where it arrives.

Each partition is written on in its order, and those of one worker together by Kafka's timestamps: read one after the
other, a backlog would let time run to its end before half of it has come. A position is committed only after the broker
has what was written, so a restart writes some again, and `streams.origins` drops them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from schemas.catalogue import Catalogue, Source
from schemas.reasons import LONGEST_ID, Reason
from schemas.record_shape import customer_of
from schemas.records import DeadLetter
from schemas.topics import Role, read_from
from streams.beside import within
from streams.cluster import Cluster
from streams.config import Settings
from streams.counters import Counters
from streams.emit import Emitter, Outlet, Writer
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


class _Queue(msgspec.Struct):
    """Records of a partition that wait for those of others; `reached` is the largest timestamp so far."""

    records: deque[Any] = msgspec.field(default_factory=deque)
    reached: int = 0
    paused: bool = False


class _Share(ConsumerRebalanceListener):  # type: ignore[misc]
    """The partitions read here, once they are known, and what waits of each."""

    def __init__(self) -> None:
        self.joined = False
        self.queues: dict[TopicPartition, _Queue] = {}

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """They are dealt out anew; what waits is read again, by whoever has it then."""
        self.joined = False
        self.queues.clear()

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """They are known."""
        self.joined = True
        self.queues = {place: _Queue() for place in assigned}

    def take(self, ended: set[TopicPartition]) -> list[Any]:
        """What can be written on now, by timestamp: nothing that unread records of another partition may precede."""
        open_ = [queue for place, queue in self.queues.items() if place not in ended]
        if any(not queue.records for queue in open_):
            return []
        bound = min((queue.reached for queue in open_), default=None)
        found: list[tuple[int, Any]] = []
        for queue in self.queues.values():
            head = 0
            while queue.records:
                head = max(head, queue.records[0].timestamp)
                if bound is not None and head > bound:
                    break
                found.append((head, queue.records.popleft()))
        found.sort(key=itemgetter(0))
        return [record for _, record in found]


class Rekeyer:
    """A worker's share of the sources that are to be re-keyed."""

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
        self._share = _Share()

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
        reader.subscribe(list(self._routes), listener=self._share)
        return reader

    async def _round(self, reader: AIOKafkaConsumer) -> None:
        """Write on what can be, then commit."""
        got = await reader.getmany(timeout_ms=POLL_MS, max_records=AT_ONCE)
        self._behind = self._behind or bool(got)
        for place, records in got.items():
            if place in self._share.queues:
                queue = self._share.queues[place]
                queue.records.extend(records)
                queue.reached = max(queue.reached, *(record.timestamp for record in records))
        self._balance(reader)
        ended = await self._ended(reader)
        records = self._share.take(ended)
        for at in range(0, len(records), AT_ONCE):
            await self._write(reader, records[at : at + AT_ONCE])
        waiting = any(queue.records for queue in self._share.queues.values())
        self._behind = waiting or not self._share.joined or ended != set(self._share.queues)

    async def _ended(self, reader: AIOKafkaConsumer) -> set[TopicPartition]:
        """The partitions of which all there is has been read."""
        found = set()
        for place in list(self._share.queues):
            with contextlib.suppress(KafkaError):
                end = reader.highwater(place)
                if end is not None and await reader.position(place) >= end:
                    found.add(place)
        return found

    def _balance(self, reader: AIOKafkaConsumer) -> None:
        """Leave a partition unread that is far ahead of the others."""
        for place, queue in self._share.queues.items():
            ahead = len(queue.records) > (self._settings.max_queued if not queue.paused else 0)
            if ahead != queue.paused and place in reader.assignment():
                queue.paused = ahead
                (reader.pause if ahead else reader.resume)(place)

    async def _write(self, reader: AIOKafkaConsumer, records: Sequence[Any]) -> None:
        """Write records on, wait until the broker has them, and commit their positions."""
        positions: dict[TopicPartition, int] = {}
        for record in records:
            await self._forward(self._routes[record.topic], record)
            positions[TopicPartition(record.topic, record.partition)] = record.offset + 1
        ends = await asyncio.gather(*(writer.acknowledged(writer.cut()) for writer in self._writers.values()))
        self._ends |= {place: one.end for place, one in zip(self._writers, ends, strict=True) if one.end >= 0}
        # Partitions that went to another worker are that one's to commit; it writes on what it finds, from before.
        with contextlib.suppress(KafkaError):
            await reader.commit(positions)

    async def _forward(self, route: _Route, record: Any) -> None:
        """Add a record to the batch of where it belongs."""
        self._counters.rekeyed[route.source.name] += 1
        if len(record.value or b"") + 2 * len(record.key or b"") + OVERHEAD > route.most:
            await self._set_aside(route, record)
            return
        customer, partitions = _customer(route, record), self._cluster.partitions
        key = record.key if customer is None else customer
        number = record.partition % partitions if customer is None else of_kafka(customer, partitions)
        place = _Place(route.topic, number)
        if place not in self._writers:
            self._writers[place] = Writer(self._sender, place.topic, place.partition, most=route.most)
        topic_id = self._cluster.topic_ids.get(route.source.topic, "")
        self._writers[place].add(key, record.value, headers_of(record, key, topic_id))

    async def _set_aside(self, route: _Route, record: Any) -> None:
        """A record that is too large for its own topic becomes a dead letter here."""
        (value, encoding), (key, key_encoding) = readable(record.value), readable(record.key)
        place = route.source.name, record.topic, record.partition, record.offset
        expected = f"a record below max.message.bytes of {route.topic}, {route.most} bytes"
        letter = DeadLetter(*place, Reason.TOO_LARGE.value, "", expected, key, value, encoding, key_encoding)
        partition = record.partition % self._cluster.partitions
        emitter = Emitter(Outlet(self._sender), self._cluster, partition, self._ce_source, {})
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
