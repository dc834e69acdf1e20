"""How far a consumer group is behind, as the cluster tells it: ends of the topics less what the group committed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Any, Final

from kafka import TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import CoordinatorNotAvailableError, KafkaError

from streams.broker import BrokerError
from streams.cluster import Admin

ATTEMPTS: Final = 20
AGAIN_AFTER_S: Final = 0.25


class GroupAdmin(Admin):
    """Questions about a consumer group; not for the embedded broker, whose ends are wrong."""

    def lags(self, group: str, topics: Mapping[str, str], partitions: int) -> dict[str, dict[int, int]]:
        """Records not committed, by name of the source and partition; where nothing was, all that are there.

        Parameters
        ----------
        topics
            Of the sources, by their names; each has `partitions`.

        Raises
        ------
        BrokerError
            The cluster did not tell.
        """
        places = [TopicPartition(topic, number) for topic in topics.values() for number in range(partitions)]
        try:
            ends = self._offsets(places, OffsetSpec.LATEST)
            begins = self._offsets(places, OffsetSpec.EARLIEST)
            committed = self._committed(group, places)
        except KafkaError as error:
            raise BrokerError(f"the offsets of group {group!r} can't be read at {self.address}: {error}") from error
        lags: dict[str, dict[int, int]] = {name: {} for name in topics}
        for name, topic in topics.items():
            for number in range(partitions):
                place = TopicPartition(topic, number)
                found = committed.get(place)
                at = begins[place] if found is None or found.offset < 0 else found.offset
                lags[name][number] = max(0, ends[place] - at)
        return lags

    def _committed(self, group: str, places: list[Any]) -> dict[Any, Any]:
        """What the group committed; a cluster that never had a group makes room for it when first asked."""
        for _ in range(ATTEMPTS):
            with contextlib.suppress(CoordinatorNotAvailableError):
                found: dict[Any, Any] = self._client.list_group_offsets({group: places}).get(group, {})
                return found
            time.sleep(AGAIN_AFTER_S)
        raise BrokerError(f"no broker at {self.address} speaks for the group {group!r}")

    def _offsets(self, places: list[Any], spec: Any) -> dict[Any, int]:
        found: dict[Any, Any] = self._client.list_partition_offsets(dict.fromkeys(places, spec)) if places else {}
        return {place: int(one.offset) for place, one in found.items()}
