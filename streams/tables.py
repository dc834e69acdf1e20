"""The customer table of a worker, and what else is kept under the same marker: flush and recovery of its partitions.

A flush writes the dirty rows, the entries of the tables beside them and then a marker to the changelog, and then the
same as one RocksDB write. An entry counts when a marker follows it. Recovery opens the database, reads the changelog's
tail after its position in raw batches, and drops entries that no marker follows; those are overwritten in the changelog
with what counts, so that compaction never keeps what was never committed.

On a broker with transactions all of a flush is one, so that entries and marker become visible together, and whoever
recovers a partition claims its transactions first: a former owner that still runs commits nothing more. On the embedded
broker, which has none, the marker is written when the broker has the entries.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any

import msgspec
from aiokafka import TopicPartition
from aiokafka.errors import TransactionalIdAuthorizationFailed

from schemas.topics import Role
from streams.cluster import Cluster, StateRefused, rebuild_command
from streams.emit import Outlet, Writer, producer
from streams.record_batch import plain
from streams.recovering import Recovery
from streams.store import MARKER, ROW, SIDES, SLICE_ROWS, Entry, Marker, NewerFormat, Rows, Store, marker_of
from streams.tail import TailShorter, TailStuck, read_to_end
from streams.torn import StoreTorn
from streams.transactions import Transactions

log = logging.getLogger("livetags")

Publish = Callable[[], Awaitable[Marker]]
"""Publishes what belongs to a flush and gives its marker; called within the transaction, where there is one."""


class Recovered(msgspec.Struct, frozen=True):
    """A partition's state as the last marker left it; no marker: nothing was ever flushed.

    Attributes
    ----------
    kept
        By prefix, every one of `SIDES`: keys without it, in their order, and values.
    """

    rows: Rows
    marker: Marker | None
    kept: dict[bytes, list[tuple[bytes, bytes]]]


class Tables:
    """The stores of the partitions this worker has, and the changelog they share."""

    def __init__(
        self,
        cluster: Cluster,
        sender: Any,
        file: str = "CATALOGUE",
        role: Role = Role.CHANGELOG,
        *,
        row_bytes: int | None = None,
        whole: bool = False,
        recovery: Recovery | None = None,
    ) -> None:
        """The tables of one process.

        Parameters
        ----------
        sender
            What has a producer's `create_batch` and `send_batch`, without transactions.
        file
            The catalogue's file, for messages.
        role
            The changelog's, as each process has its own.
        row_bytes
            How much of each row is recovered; None: all of it.
        whole
            Whether what a partition publishes goes into its flushes' transactions.
        recovery
            Is told how far recoveries are.
        """
        self._row_bytes, self._whole = row_bytes, whole
        self._cluster, self._sender = cluster, sender
        self._rebuild = rebuild_command(file, role)
        self._topic = cluster.named(role)
        self._recovery = recovery or Recovery()
        self.stores: dict[int, Store] = {}
        self._standing: dict[int, Store] = {}
        self._transactions: Transactions | None = None
        if not cluster.embedded:
            address, group = cluster.address, cluster.changelog.app_id
            self._transactions = Transactions(group, lambda name: producer(address, idempotent=True, transactions=name))

    @property
    def topic(self) -> str:
        """The changelog's."""
        return self._topic

    async def recover(self, partitions: Sequence[int]) -> dict[int, Recovered]:
        """The state of those partitions, local database and changelog together.

        Raises
        ------
        StateRefused
            It does not belong to this cluster or catalogue, or the changelog ends before it.
        """
        await self._claim(partitions)
        for _ in partitions:
            try:
                return await self._recover(partitions)
            except StoreTorn:
                self.close(partitions)  # it is moved aside as it is opened again
        return await self._recover(partitions)

    async def _recover(self, partitions: Sequence[int]) -> dict[int, Recovered]:
        """The same; a database that turns out to be damaged only as it is read is left to the next attempt.

        Raises
        ------
        StoreTorn
            A database is damaged; it is marked so, and moved aside when it is opened again.
        """
        stores = {number: await asyncio.to_thread(self._open, number) for number in partitions}
        tails = {number: Tail(store) for number, store in stores.items()}
        await self._read_tails(tails)
        recovered = {}
        for number, tail in tails.items():
            await self._mend(number, tail)
            marker = tail.store.marker
            if marker is not None:
                self._check(number, marker)
            recovered[number] = await asyncio.to_thread(_recovered, tail.store, self._row_bytes)
        return recovered

    async def rebuild(self, number: int, why: str) -> Recovered:
        """A partition's state from the changelog alone, as what its database holds is not what was written."""
        self.stores[number].condemn(why)
        self.close([number])
        return (await self.recover([number]))[number]

    async def flush(self, partition: int, rows: Rows, marker: Marker | Publish, kept: Sequence[Entry] = ()) -> None:
        """Make those rows, what is kept beside them and the marker the partition's state.

        Raises
        ------
        streams.transactions.Fenced
            Another worker has the partition; nothing was written.
        """
        entries = [Entry(ROW + customer, row) for customer, row in zip(rows.customers, rows.rows, strict=True)]
        await self._commit(partition, self.stores[partition], [*entries, *kept], marker)

    def outlet(self, partition: int) -> Outlet:
        """What the output of a partition that was recovered goes through."""
        if self._whole and self._transactions is not None:
            return Outlet(self._transactions.producer(partition), transactional=True)
        return Outlet(self._sender)

    def row(self, partition: int, customer: bytes) -> bytes | None:
        """The customer's row as last flushed."""
        return self.stores[partition].row(customer)

    def some_rows(self, partition: int, customers: Sequence[bytes]) -> list[bytes | None]:
        """The rows of customers as last flushed, read all at once; None where there is none."""
        return self.stores[partition].some_rows(customers)

    def condemn(self, partition: int, why: str) -> StoreTorn:
        """Have the next start fetch a partition's state from the changelog; the error to raise."""
        return self.stores[partition].condemn(why)

    @property
    def standing(self) -> frozenset[int]:
        """Other workers' partitions whose stores are open."""
        return frozenset(self._standing)

    def stand_by(self, number: int) -> Store:
        """The store of a partition that another worker has, to be kept up to date until this one takes it over."""
        if number not in self._standing:
            self._standing[number] = self._opened(number)
        return self._standing[number]

    def stand_down(self, partitions: Iterable[int] | None = None) -> None:
        """Close the stores of those partitions that another worker has, or of all."""
        for number in list(self._standing if partitions is None else partitions):
            store = self._standing.pop(number, None)
            if store is not None:
                store.close()

    def close(self, partitions: Sequence[int] | None = None) -> None:
        """Close the stores of those partitions, or all there are."""
        if partitions is None:
            self.stand_down()
        for number in list(self.stores) if partitions is None else partitions:
            store = self.stores.pop(number, None)
            if store is not None:
                store.close()
            if self._transactions is not None:
                self._transactions.release([number])

    async def stop(self) -> None:
        """Close all, and leave the broker."""
        self.close()
        if self._transactions is not None:
            await self._transactions.stop()

    def retain(self, partitions: set[int]) -> None:
        """Close the stores of all other partitions."""
        self.close([number for number in self.stores if number not in partitions])

    async def _claim(self, partitions: Sequence[int]) -> None:
        """Have nobody else commit anything of those partitions."""
        if self._transactions is None:
            return
        try:
            await self._transactions.claim(partitions)
        except TransactionalIdAuthorizationFailed:
            raise StateRefused(
                f"the broker does not let this user have transactions named {self._transactions.group}-...: allow it "
                "to WRITE and DESCRIBE transactional ids that begin so"
            ) from None

    def _open(self, number: int) -> Store:
        if number not in self.stores:
            standing = self._standing.pop(number, None)
            self.stores[number] = self._opened(number) if standing is None else standing
        return self.stores[number]

    def _opened(self, number: int) -> Store:
        path = self._cluster.state_dir / self._topic / str(number)
        try:
            store = Store(path)
        except NewerFormat as error:
            raise self._newer(str(path), error) from None
        if store.aside is not None:
            log.warning(
                "the state of partition %d was damaged (%s): it is moved to %s and fetched anew from the changelog",
                *(number, store.aside.why, store.aside.path),
            )
        return store

    @contextlib.asynccontextmanager
    async def _together(self, partition: int) -> AsyncIterator[Writer]:
        """A writer into the changelog; what it wrote becomes visible together at the end, where the broker can."""
        if self._transactions is None:
            yield Writer(self._sender, self._topic, partition)
            return
        async with self._transactions.transaction(partition) as sender:
            yield Writer(sender, self._topic, partition, transactional=True)

    async def _commit(
        self, partition: int, store: Store, entries: list[Entry], marker: Marker | Publish | None
    ) -> None:
        """Entries, then the marker that makes them count, then the database: each only after the one before is safe."""
        async with self._together(partition) as writer:
            if callable(marker):
                marker = await marker()
            for at in range(0, len(entries), SLICE_ROWS):
                some = entries[at : at + SLICE_ROWS]
                writer.add_parcel(plain((entry.key for entry in some), (entry.value for entry in some)))
                await writer.send()
            await writer.acknowledged(writer.cut())
            writer.add(MARKER, msgspec.json.encode(marker))
            written = await writer.acknowledged(writer.cut())
        await asyncio.to_thread(store.write, entries, marker, written.end)

    async def _mend(self, number: int, tail: Tail) -> None:
        """Overwrite entries of an unfinished flush by what counts."""
        if tail.pending:
            entries = [Entry(key, tail.store.value(key)) for key in tail.pending]
            await self._commit(number, tail.store, entries, tail.store.marker)

    async def _read_tails(self, tails: dict[int, Tail]) -> None:
        """Bring the stores to the end of their changelogs."""
        offsets = {TopicPartition(self._topic, number): tail.store.changelog_position for number, tail in tails.items()}

        async def take(place: TopicPartition, records: list[Any]) -> None:
            await asyncio.to_thread(tails[place.partition].take, records)

        def told(place: TopicPartition, at: int, end: int, records: int) -> None:
            self._recovery.reached(place.partition, at, end, records)

        self._recovery.begins({place.partition: offset for place, offset in offsets.items()})
        try:
            ends = await read_to_end(
                self._cluster.address, offsets, take, committed=not self._cluster.embedded, told=told
            )
        except TailShorter:
            raise self._shorter() from None
        except NewerFormat as error:
            raise self._newer(f"changelog {self._topic!r}", error) from None
        except TailStuck:
            raise StateRefused(
                f"the changelog {self._topic!r} could not be read to its end: the broker does not answer"
            ) from None
        for place, end in ends.items():
            await asyncio.to_thread(tails[place.partition].finish, end)

    def _shorter(self) -> StateRefused:
        return StateRefused(
            f"the changelog {self._topic!r} ends before the state in {self._cluster.state_dir}: it was created anew, "
            f"or the broker forgot it. Compute the state anew with: {self._rebuild}"
        )

    def _newer(self, where: str, error: NewerFormat) -> StateRefused:
        return StateRefused(
            f"the state in {where} was written by a newer livetags ({error}). Run that version, "
            f"or compute the state anew with: {self._rebuild}"
        )

    def _check(self, number: int, marker: Marker) -> None:
        """Refuse a marker of another cluster, topic, spread or catalogue."""
        cluster, mend = self._cluster, f"Compute the state anew with: {self._rebuild}"
        if marker.cluster != cluster.id:
            raise StateRefused(
                f"the state of partition {number} belongs to cluster {marker.cluster}, this is {cluster.id}. {mend}"
            )
        if marker.partitions != cluster.partitions:
            raise StateRefused(
                f"the state was kept over {marker.partitions} partitions, "
                f"the topics have {cluster.partitions} now. {mend}"
            )
        for topic, kept in marker.topics.items():
            if topic in cluster.topic_ids and cluster.topic_ids[topic] != kept:
                raise StateRefused(
                    f"topic {topic!r} was created anew since the state was kept, so its offsets mean others. {mend}"
                )


def _recovered(store: Store, row_bytes: int | None) -> Recovered:
    return Recovered(store.rows(row_bytes), store.marker, {prefix: store.kept(prefix) for prefix in SIDES})


class Tail:
    """The changelog after a store's position, taken in until its end."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.pending: dict[bytes, bytes | None] = {}

    def take(self, records: Sequence[Any]) -> None:
        """Take records in; entries wait for their marker."""
        for record in records:
            if record.key != MARKER:
                self.pending[record.key] = record.value
                continue
            marker = marker_of(record.value)
            self.store.fill(self.pending.items(), marker, record.offset + 1)
            self.pending.clear()

    def finish(self, position: int) -> None:
        """Note the end where nothing is left over."""
        if not self.pending and position > self.store.changelog_position:
            self.store.fill((), self.store.marker, position)
        self.store.settle()
