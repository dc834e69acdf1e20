"""What a partition says, sent to its topics in whole batches: changes, customer tags, dead letters, late events.

Records go to the partition's own number of each topic, keyed by customer, as CloudEvents in binary mode. `Writer` keeps
the order within a topic; nothing counts as written before the broker has acknowledged it.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import numpy as np
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError

from schemas.definitions import DEFINITION_HEADER
from schemas.learning import Example, Question
from schemas.outreach import OutreachRequest, TriggerDecision
from schemas.records import Change, DeadLetter, LateEvent, SegmentChange, TagChange
from schemas.topics import LARGE_RECORDS, Role
from streams.cluster import Cluster
from streams.parting import OVERHEAD, key_of, parted
from streams.patience import patient
from streams.record_batch import Frame, Parcel, events, of_lines, of_page
from streams.written import Changes, Customers

BATCH_BYTES = 786_432
_JSON = ("content-type", b"application/json")
_VERSION = ("ce_specversion", b"1.0")

Headers = list[tuple[str, bytes]]
_NO_FRAME = Frame(0)


def producer(address: str, *, idempotent: bool, transactions: str | None = None) -> AIOKafkaProducer:
    """A producer for whole batches, acknowledged by all replicas, that waits for a broker as long as it is away.

    `transactions` is the id of those it is to make.
    """
    made = AIOKafkaProducer(
        bootstrap_servers=address,
        acks="all",
        enable_idempotence=idempotent,
        transactional_id=transactions,
        max_batch_size=BATCH_BYTES,
        max_request_size=LARGE_RECORDS,
        linger_ms=0,
    )
    # aiokafka gives a batch up after its request timeout where no leader is known, as while a broker starts again.
    made._message_accumulator._batch_ttl = math.inf
    patient(made.client)
    return made


class Acknowledged(msgspec.Struct, frozen=True):
    """Where it lies in the topic's partition: first offset and the one after the last; -1 for none."""

    first: int
    end: int


class _Pending(msgspec.Struct):
    """A closed batch, and the producer's answer once it is handed over."""

    batch: Any
    answer: asyncio.Future[Any] | None = None


Batches = list[_Pending]
"""Those that hold what was added up to a moment and was not asked for before."""


class Writer:
    """One partition of one topic, written in batches and in order."""

    def __init__(
        self,
        sender: AIOKafkaProducer,
        topic: str,
        partition: int,
        headers: Headers | None = None,
        most: int = BATCH_BYTES,
        transactional: bool = False,
    ) -> None:
        """`headers` are those of every record that comes in a parcel, `most` the bytes of a batch of records added one
        by one: a topic's `max.message.bytes` bounds batches too. `transactional` is what the sender is.
        """
        self._most, self._transactional = min(most, BATCH_BYTES), transactional
        self._sender, self.topic, self._partition = sender, topic, partition
        self._headers, self._frame = headers or [], _NO_FRAME
        self._open: Any = None
        self._queue: deque[_Pending] = deque()
        self._uncut: Batches = []
        self._last: asyncio.Future[Any] | None = None
        self._sending = asyncio.Lock()
        self.waiting_since: float | None = None

    def add(self, key: bytes | None, value: bytes | None, headers: Headers | None = None) -> None:
        """Put a record into the open batch."""
        size = len(key or b"") + len(value or b"") + OVERHEAD
        if self._open is not None and self._open.size() + size > self._most:
            self._close()
        if self._open is None:
            self._open = self._sender.create_batch()
        if self._open.append(timestamp=None, key=key, value=value, headers=headers or []) is None:
            self._close()
            self._open = self._sender.create_batch()
            self._open.append(timestamp=None, key=key, value=value, headers=headers or [])
        if self.waiting_since is None:
            self.waiting_since = time.monotonic()

    def add_parcel(self, parcel: Parcel) -> None:
        """Put many records into the open batch, and into further ones where it is full."""
        if self._frame is _NO_FRAME:
            self._frame = Frame(BATCH_BYTES, self._headers)
        count, first = len(parcel.values.ends), 0
        while first < count:
            first = self._frame.fill(parcel, first)
            if first < count:
                self._close()
        if len(self._frame) and self.waiting_since is None:
            self.waiting_since = time.monotonic()

    def _close(self) -> None:
        if len(self._frame):
            self._queued(self._frame.take(self._transactional))
        if self._open is not None:
            self._open.close()
            self._queued(self._open)
            self._open = None
        self.waiting_since = None

    def _queued(self, batch: Any) -> None:
        pending = _Pending(batch)
        self._queue.append(pending)
        self._uncut.append(pending)

    def cut(self) -> Batches:
        """The batches since the cut before; what is added from now on goes into later ones."""
        self._close()
        cut, self._uncut = self._uncut, []
        return cut

    async def send(self, cut: Batches | None = None) -> None:
        """Hand every batch to the producer, or only those of a cut."""
        if cut is None:
            self._close()
        async with self._sending:
            while self._queue and (cut is None or cut[-1].answer is None):
                pending = self._queue[0]
                with contextlib.suppress(KafkaTimeoutError):  # the batch before could not leave yet: its broker is away
                    pending.answer = await self._sender.send_batch(pending.batch, self.topic, partition=self._partition)
                    self._last = pending.answer
                    self._queue.popleft()

    async def settled(self) -> None:
        """Wait until the broker has all that was handed to the producer."""
        if self._last is not None:
            await self._last
            self._last = None

    async def acknowledged(self, cut: Batches) -> Acknowledged:
        """Send what is left, wait until the broker has that cut, and return where it lies.

        In a transaction only the cut is sent: what came after it belongs to the next one.
        """
        if cut or not self._transactional:
            await self.send(cut if self._transactional else None)
        written = Acknowledged(-1, -1)
        for pending in cut:
            if pending.answer is None:
                raise RuntimeError(f"a batch for {self.topic} was never sent")
            offset = (await pending.answer).offset
            written = Acknowledged(
                written.first if written.first >= 0 else offset, offset + pending.batch.record_count()
            )
        return written


class Outlet(msgspec.Struct, frozen=True):
    """What a partition's output goes through.

    Attributes
    ----------
    sender
        A producer of aiokafka, or what has its `create_batch` and `send_batch`.
    transactional
        Whether it is the partition's own, of transactions: then nothing is sent before a flush.
    """

    sender: Any
    transactional: bool = False


class Cut(NamedTuple):
    """What a writer was given up to a moment."""

    writer: Writer
    batches: Batches


class Emitter:
    """The output topics of one partition.

    Requests for outreach are acknowledged before the decisions that speak of them are sent.

    Attributes
    ----------
    whole
        Whether all of it leaves with flushes, in their transactions.
    """

    def __init__(
        self,
        outlet: Outlet,
        cluster: Cluster,
        partition: int,
        source: str,
        ends: dict[str, int],
        definitions: Mapping[str, str] | None = None,
    ) -> None:
        """`source` is the CloudEvents source, `ends` the ends of the topics as the last marker has them.

        Examples go to one partition for each target of `definitions`, in its order; each bears its target's definition.
        """
        self._ends = dict(ends)
        sender, self.whole = outlet.sender, outlet.transactional
        self._most = {role: cluster.most_bytes(role) for role in (Role.DEAD_LETTERS, Role.LATE_EVENTS)}
        constant = [("ce_source", source.encode()), _VERSION, _JSON]
        self._headers = {role: [("ce_type", kind), *constant] for role, kind in _TYPES.items()}
        self._writers: dict[Role, Writer] = {
            role: Writer(
                sender,
                cluster.named(role),
                partition,
                self._headers[role],
                self._most.get(role, BATCH_BYTES),
                self.whole,
            )
            for role in _TYPES
            if role is not Role.TRAINING_EXAMPLES
        }
        self._examples = {
            target: Writer(
                sender,
                cluster.named(Role.TRAINING_EXAMPLES),
                number,
                [*self._headers[Role.TRAINING_EXAMPLES], (DEFINITION_HEADER, definition.encode())],
                transactional=self.whole,
            )
            for number, (target, definition) in enumerate((definitions or {}).items())
        }
        self._encode, self._encode_lines = msgspec.json.Encoder().encode, msgspec.json.Encoder().encode_lines

    def add(self, records: Iterable[Record]) -> None:
        """Put records into the open batches of their topics, in the order given; those too large for them in parts."""
        for record in self._fitting(records):
            role = _KINDS[type(record)]
            headers = [("ce_id", _id(record).encode()), ("ce_time", _time(record).encode()), *self._headers[role]]
            self._writers[role].add(_key(record), self._encode(record), headers)

    def _fitting(self, records: Iterable[Record]) -> Iterator[Record]:
        for record in records:
            if isinstance(record, DeadLetter | LateEvent):
                yield from parted(record, self._most[_KINDS[type(record)]])
            else:
                yield record

    def add_examples(self, examples: Sequence[Example]) -> None:
        """Put questions and answers into the open batches of their targets."""
        for target, writer in self._examples.items() if examples else ():
            some = [example for example in examples if example.target == target]
            times = [one.at if isinstance(one, Question) else one.known_at for one in some]
            keys, ids = [one.customer_id for one in some], [one.id for one in some]
            writer.add_parcel(events(keys, of_lines(self._encode_lines(some)), ids, times))

    def add_changes(self, changes: Changes) -> None:
        """Put changes into the open batches of the two topics, in their order."""
        self._writers[Role.TAG_CHANGES].add_parcel(of_page(changes, np.flatnonzero(~changes.segment)))
        self._writers[Role.SEGMENT_CHANGES].add_parcel(of_page(changes, np.flatnonzero(changes.segment)))

    def add_customers(self, customers: Customers) -> None:
        """Put what is said of customers into the open batch."""
        self._writers[Role.CUSTOMER_TAGS].add_parcel(of_page(customers, customers.known()))

    def due(self, linger_s: float) -> bool:
        """Whether a batch has waited that long; never where flushes send."""
        if self.whole:
            return False
        writers = (*self._writers.values(), *self._examples.values())
        waits = [writer.waiting_since for writer in writers if writer.waiting_since is not None]
        return bool(waits) and time.monotonic() - min(waits) >= linger_s

    async def send(self) -> None:
        """Send every open batch."""
        for role, writer in self._writers.items():
            if role is Role.TRIGGER_DECISIONS and writer.waiting_since is not None:
                await self._writers[Role.OUTREACH].settled()
            await writer.send()
        for writer in self._examples.values():
            await writer.send()

    def cut(self, *roles: Role) -> list[Cut]:
        """What was added since the cut before, for those topics or all."""
        every = [*self._writers.values(), *self._examples.values()]
        writers = [self._writers[role] for role in roles] if roles else every
        return [Cut(writer, writer.cut()) for writer in writers]

    async def acknowledged(self, cuts: Iterable[Cut]) -> dict[str, int]:
        """The end of each of the partition's topics as of its latest cut, once the broker has these.

        Examples go to partitions of their targets, which other tasks write to as well: there is no end to tell.
        """
        for writer, batches in cuts:
            written = await writer.acknowledged(batches)
            if written.end >= 0 and writer not in self._examples.values():
                self._ends[writer.topic] = written.end
        return dict(self._ends)


Record = DeadLetter | LateEvent | OutreachRequest | TriggerDecision | Change

_KINDS: dict[type, Role] = {
    TagChange: Role.TAG_CHANGES,
    SegmentChange: Role.SEGMENT_CHANGES,
    DeadLetter: Role.DEAD_LETTERS,
    LateEvent: Role.LATE_EVENTS,
    OutreachRequest: Role.OUTREACH,
    TriggerDecision: Role.TRIGGER_DECISIONS,
}
_TYPES = {
    Role.TAG_CHANGES: b"livetags.tag-change",
    Role.SEGMENT_CHANGES: b"livetags.segment-change",
    Role.CUSTOMER_TAGS: b"livetags.customer-tags",
    Role.DEAD_LETTERS: b"livetags.dead-letter",
    Role.LATE_EVENTS: b"livetags.late-event",
    Role.OUTREACH: b"livetags.outreach-request",
    Role.TRIGGER_DECISIONS: b"livetags.trigger-decision",
    Role.TRAINING_EXAMPLES: b"livetags.training-example",
}


def _id(record: Record) -> str:
    """An id that is the same when the record is written again."""
    if not isinstance(record, DeadLetter | LateEvent):
        return record.id
    place = f"{record.topic}/{record.partition}/{record.offset}"
    return place if record.parts == 1 else f"{place}/{record.part}"


def _time(record: Record) -> str:
    """The record's own time, or now where that can't be known."""
    match record:
        case LateEvent():
            return record.event_time
        case OutreachRequest() | TriggerDecision():
            return record.decided_at
        case TagChange() | SegmentChange():
            return record.at
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _key(record: Record) -> bytes | None:
    """The customer, or of a dead letter the key it came with."""
    return key_of(record) if isinstance(record, DeadLetter | LateEvent) else record.customer_id.encode()
