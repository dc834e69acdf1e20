"""How far the workers say they are, followed on the control topic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from aiokafka import TopicPartition

from schemas.catalogue import Catalogue
from streams.control import Control
from streams.statuses import Statuses


class Standing:
    """What the workers of an app, whose topics bear its name, last said; an asynchronous context manager."""

    def __init__(self, address: str, catalogue: Catalogue, app: str) -> None:
        self._topics = {source.name: source.topic for source in catalogue.sources}
        self._control, self._statuses = Control(address, f"{app}-control", False), Statuses(app)
        self._control.follow(self._statuses.on_record)

    async def __aenter__(self) -> Standing:
        """Begin to follow."""
        await self._control.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Follow no more."""
        await self._control.stop()

    def behind(self, ends: Mapping[TopicPartition, int]) -> int:
        """How many records up to those ends no worker has dealt with yet."""
        reached: Counter[TopicPartition] = Counter()
        for status in self._statuses.latest():
            for source, places in status.places.items():
                for place in places:
                    at = TopicPartition(self._topics[source], place.partition)
                    reached[at] = max(reached[at], place.position or 0)
        return sum(max(0, end - reached[place]) for place, end in ends.items())
