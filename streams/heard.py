"""Whether a group still counts on its member: a consumer that notes when its heartbeats were answered.

A worker that was stopped for a while finds its sockets and its partitions as it left them, though others may have those
partitions by now. The group gives a member up when it has not heard of it for the session timeout, so that a member who
asked less long ago, and was answered, can't have been given up.
"""

from __future__ import annotations

import time
from typing import Any


class Heard:
    """For a thread of Faust's around an aiokafka consumer.

    Attributes
    ----------
    heard_s
        When it asked its group last and was answered that it is a member, on the monotonic clock.
    """

    heard_s = 0.0

    async def on_start(self: Any) -> None:
        """Note each heartbeat that the group answers."""
        await super().on_start()  # type: ignore[misc]
        coordinator = self._ensure_consumer()._coordinator
        beat = coordinator._do_heartbeat

        async def heard() -> bool:
            asked = time.monotonic()
            known: bool = await beat()
            if known:
                self.heard_s = asked
            return known

        coordinator._do_heartbeat = heard

    async def rejoin(self: Any) -> None:
        """Join the group anew."""
        await self.call_thread(self._rejoin)

    async def _rejoin(self: Any) -> None:
        self._ensure_consumer()._coordinator.request_rejoin()
