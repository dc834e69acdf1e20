"""Places records come from, batches of them, and how a lane reads them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Final, Self

import msgspec
from aiokafka import ConsumerRecord

from streams.cluster import Cluster
from streams.config import Settings

EMBEDDED_SESSION_S: Final = 2.0


class Place(msgspec.Struct, frozen=True):
    """A partition of a topic."""

    topic: str
    partition: int


class Batch(msgspec.Struct, frozen=True):
    """Records of one fetch, in order: those at offsets `begin` to `end` (excluded); some offsets may hold none.

    `epoch` counts how often positions had been set when it was fetched, `fetch` the fetches, and `batches` what
    that one brought.
    """

    place: Place
    begin: int
    end: int
    records: Sequence[ConsumerRecord[bytes, bytes]]
    epoch: int = 0
    fetch: int = 0
    batches: int = 1


class Tuning(msgspec.Struct, frozen=True):
    """How the lane reads and holds its membership."""

    app_id: str
    address: str
    embedded: bool
    fetch_wait_ms: int
    fetch_bytes: int
    session_timeout_s: float
    member_id: str
    data_dir: str

    @property
    def session_s(self) -> float:
        """After how long without a heartbeat the group gives a member up."""
        return min(self.session_timeout_s, EMBEDDED_SESSION_S) if self.embedded else self.session_timeout_s

    @property
    def url(self) -> str:
        """What Faust's assignor knows the member by; nothing is served there.

        A static member that is back gets its old assignment, made out to its URL of then: so that lasts as it does.
        """
        host = uuid.uuid5(uuid.NAMESPACE_OID, self.member_id) if self.member_id else uuid.uuid4()
        return f"http://{host.hex}:80"

    @classmethod
    def of(cls, settings: Settings, group: str, cluster: Cluster) -> Self:
        """As a member of that group on that cluster."""
        return cls(
            app_id=group,
            address=cluster.address,
            embedded=cluster.embedded,
            fetch_wait_ms=settings.fetch_wait_ms,
            fetch_bytes=settings.fetch_bytes,
            session_timeout_s=settings.session_timeout_s,
            member_id=settings.member_id,
            data_dir=str(cluster.state_dir / "faust"),
        )
