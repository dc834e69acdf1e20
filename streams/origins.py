"""Where records that were re-keyed came from, and which of them came twice.

A re-keyed record bears the partition, offset and timestamp that it had in its source's topic. Each partition of the
source is written on in order, so that its offsets only grow in a partition of the re-keyed topic: one that does not was
written again after a restart, or by a worker that had lost the partition meanwhile, and is dropped. So what is
delivered at least once counts once, over any distance.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from schemas.sources import Incoming

ORIGIN: Final = "livetags_origin"
KEY: Final = "livetags_key"
UNKNOWN: Final = -1
_KEYLESS: Final = b"/no key"

Headers = list[tuple[str, bytes]]


class Rekeyed(Incoming, frozen=True, gc=False):
    """A record as it came to its source's topic, and its place there; `offset` is that in the re-keyed topic.

    `lane` is the topic's id and the partition: within one, offsets grow.
    """

    lane: str = ""
    origin_partition: int = UNKNOWN
    origin_offset: int = 0


class _Came(msgspec.Struct, frozen=True, gc=False):
    """A record that is here: its offset, and the place it came from."""

    offset: int
    lane: str
    origin: int


def headers_of(record: Any, key: bytes | None, topic_id: str) -> Headers:
    """The headers of a record that is written on under `key`; its own key goes along where that is another.

    `topic_id` tells the topic from one of the same name that was there before.
    """
    place = b"%s/%d/%d/%d" % (topic_id.encode(), record.partition, record.offset, record.timestamp)
    if record.key is None and key is not None:
        return [(ORIGIN, place + _KEYLESS)]
    return [(ORIGIN, place)] if record.key == key else [(ORIGIN, place), (KEY, record.key)]


def _read(record: Any) -> Rekeyed:
    """A record of the re-keyed topic as it was before; one that livetags did not write stands for itself."""
    headers = dict(record.headers)
    if ORIGIN not in headers:
        return Rekeyed(record.value, record.key, record.offset, record.timestamp, "", UNKNOWN, record.offset)
    origin: bytes = headers[ORIGIN]
    key = None if origin.endswith(_KEYLESS) else headers.get(KEY, record.key)
    topic_id, partition, offset, timestamp = origin.removesuffix(_KEYLESS).split(b"/")
    lane = f"{topic_id.decode()}/{int(partition)}"
    return Rekeyed(record.value, key, record.offset, int(timestamp), lane, int(partition), int(offset))


class Origins:
    """One partition of one source's re-keyed topic.

    Attributes
    ----------
    repeated
        Records dropped since it was last set to 0.
    """

    def __init__(self) -> None:
        self._next: dict[str, int] = {}
        self._settled: dict[str, int] = {}
        self._waiting: deque[_Came] = deque()
        self.repeated = 0

    def fresh(self, records: Sequence[Any]) -> list[Rekeyed]:
        """Those that have not come before, as they were in their source's topic."""
        found = []
        for record in map(_read, records):
            if record.origin_offset < self._next.get(record.lane, 0):
                self.repeated += 1
                continue
            self._next[record.lane] = record.origin_offset + 1
            self._waiting.append(_Came(record.offset, record.lane, record.origin_offset))
            found.append(record)
        return found

    def state(self, position: int) -> dict[str, int]:
        """Per partition of the source's topic the next offset to come, as of a position in the re-keyed topic."""
        while self._waiting and self._waiting[0].offset < position:
            came = self._waiting.popleft()
            self._settled[came.lane] = came.origin + 1
        return dict(self._settled)

    def restore(self, state: dict[str, int]) -> None:
        """Go on from a state."""
        self._settled, self._next = dict(state), dict(state)
