"""What a partition published behind its last marker: it left already, though the state does not know."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from aiokafka import TopicPartition

from schemas.outreach import OutreachRequest, TriggerDecision
from schemas.records import Change, SegmentChange, TagChange
from schemas.topics import Role
from streams.cluster import Cluster, StateRefused
from streams.reaching import Said
from streams.store import Marker, Rows
from streams.tables import Recovered, Tables
from streams.tail import TailStuck, ends_of, read_from

_request = msgspec.json.Decoder(OutreachRequest).decode
_decision = msgspec.json.Decoder(TriggerDecision).decode
_CHANGES: dict[Role, Callable[[bytes], Any]] = {
    Role.TAG_CHANGES: msgspec.json.Decoder(TagChange).decode,
    Role.SEGMENT_CHANGES: msgspec.json.Decoder(SegmentChange).decode,
}
_READ = (Role.OUTREACH, Role.TRIGGER_DECISIONS, *_CHANGES, Role.CUSTOMER_TAGS)


class Behind(msgspec.Struct, frozen=True):
    """What stands behind a marker.

    Attributes
    ----------
    said
        What triggers said, requests first.
    changes
        In the order of their topics.
    customers
        Those of whom all that is said was published.
    """

    said: list[Said]
    changes: list[Change]
    customers: list[str]


class Resumed(msgspec.Struct, frozen=True):
    """A partition's state, and what was published behind it."""

    state: Recovered
    behind: Behind


async def resume(tables: Tables, cluster: Cluster, partitions: Sequence[int], fingerprint: str) -> dict[int, Resumed]:
    """Recover those partitions; one that never flushed gets a marker before anything of it is published.

    Raises
    ------
    StateRefused
        The state is not this job's, or can't be read.
    """
    recovered = await tables.recover(partitions)
    if not cluster.embedded:
        await _begin(tables, cluster, recovered, fingerprint)
    behind = await _behind(cluster, {number: one.marker for number, one in recovered.items()})
    return {number: Resumed(one, behind[number]) for number, one in recovered.items()}


async def _begin(tables: Tables, cluster: Cluster, recovered: dict[int, Recovered], fingerprint: str) -> None:
    """Note where the topics of changes end for partitions without a marker: what is there, others published.

    Triggers are to know of all that was ever said, so their topics are left out.
    """
    new = [number for number, one in recovered.items() if one.marker is None]
    topics = [cluster.named(role) for role in _CHANGES]
    ends = await ends_of(cluster.address, [TopicPartition(topic, number) for topic in topics for number in new])
    of_sources = (topic.name for topic in cluster.topics if topic.role in (Role.SOURCE, Role.REKEYED))
    sources = {name: cluster.topic_ids.get(name, "") for name in of_sources}
    for number in new:
        outputs = {topic: ends[TopicPartition(topic, number)] for topic in topics}
        marker = Marker(
            positions={},
            clock={},
            fingerprint=fingerprint,
            cluster=cluster.id,
            topics=sources,
            partitions=cluster.partitions,
            outputs=outputs,
        )
        await tables.flush(number, Rows([], []), marker)
        recovered[number] = msgspec.structs.replace(recovered[number], marker=marker)


async def _behind(cluster: Cluster, markers: Mapping[int, Marker | None]) -> dict[int, Behind]:
    """By partition, what stands behind its marker; None: all there is."""
    names = {role: cluster.named(role) for role in _READ}
    offsets = {
        TopicPartition(topic, number): 0 if marker is None else marker.outputs.get(topic, 0)
        for topic in names.values()
        for number, marker in markers.items()
    }
    try:
        read = await read_from(cluster.address, offsets, committed=not cluster.embedded)
    except TailStuck as error:
        raise StateRefused(f"what was published before can't be read, so nothing is published: {error}") from None
    return {
        number: _of({role: read[TopicPartition(topic, number)] for role, topic in names.items()}) for number in markers
    }


def _of(read: Mapping[Role, list[Any]]) -> Behind:
    return Behind(
        said=[
            *(_request(record.value) for record in read[Role.OUTREACH]),
            *(_decision(record.value) for record in read[Role.TRIGGER_DECISIONS]),
        ],
        changes=[change for role in _CHANGES for change in _changes(role, read[role])],
        customers=[record.key.decode() for record in read[Role.CUSTOMER_TAGS]],
    )


def _changes(role: Role, records: Iterable[Any]) -> Iterator[Change]:
    """The changes among those records; what somebody else wrote there is not ours to mend."""
    for record in records:
        try:
            change: Change = _CHANGES[role](record.value or b"")
            yield change
        except msgspec.DecodeError:
            continue
