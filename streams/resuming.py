"""What triggers said behind a partition's last marker: it left already, though the state does not know."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from aiokafka import TopicPartition

from schemas.outreach import OutreachRequest, TriggerDecision
from schemas.topics import Role
from streams.cluster import Cluster, StateRefused
from streams.reaching import Said
from streams.store import Marker
from streams.tail import TailStuck, read_from

_request = msgspec.json.Decoder(OutreachRequest).decode
_decision = msgspec.json.Decoder(TriggerDecision).decode


async def said_behind(cluster: Cluster, markers: Mapping[int, Marker | None]) -> dict[int, list[Said]]:
    """By partition, the requests and decisions behind its marker (None: all of them), requests first.

    Raises
    ------
    StateRefused
        The topics can't be read.
    """
    requests, decisions = cluster.named(Role.OUTREACH), cluster.named(Role.TRIGGER_DECISIONS)
    offsets = {
        TopicPartition(topic, number): 0 if marker is None else marker.outputs.get(topic, 0)
        for topic in (requests, decisions)
        for number, marker in markers.items()
    }
    try:
        read = await read_from(cluster.address, offsets, committed=not cluster.embedded)
    except TailStuck as error:
        raise StateRefused(f"what triggers said before can't be read, so nobody is contacted: {error}") from None
    return {
        number: [
            *(_request(record.value) for record in read[TopicPartition(requests, number)]),
            *(_decision(record.value) for record in read[TopicPartition(decisions, number)]),
        ]
        for number in markers
    }
