"""What goes wrong in a round, drawn from a seed: the same seed gives the same faults, though never the same moments."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from enum import Enum
from random import Random
from typing import Final

import msgspec

from tests.brokers.interface import Kafka
from tests.chaos.members import Member
from tests.chaos.proxy import Proxy

SESSION_S: Final = 6.0
"""How long a worker may be silent before it loses its partitions; holding up and cutting goes on for less and more."""


class Fault(Enum):
    """What may go wrong."""

    KILL = "a worker is killed (SIGKILL) and started again"
    LEAVE = "a worker is stopped (SIGTERM) and started again"
    PAUSE = "a worker is held up (SIGSTOP)"
    CUT = "a worker's network is cut"
    BROKER_KILL = "the broker is killed (SIGKILL) and started again"
    BROKER_STOP = "the broker is restarted"
    BROKER_PAUSE = "the broker is held up (SIGSTOP)"


WEIGHTS: Final = {
    Fault.KILL: 8,
    Fault.LEAVE: 3,
    Fault.PAUSE: 4,
    Fault.CUT: 4,
    Fault.BROKER_KILL: 2,
    Fault.BROKER_STOP: 1,
    Fault.BROKER_PAUSE: 1,
}
AFTER_S: Final = (0.2, 6.0)
"""How far into a round something goes wrong: workers are at work again, or still about to be."""
OF_THE_BROKER: Final = frozenset({Fault.BROKER_KILL, Fault.BROKER_STOP, Fault.BROKER_PAUSE})
TOGETHER: Final = 0.25
"""How often two faults overlap."""


class Planned(msgspec.Struct, frozen=True):
    """A fault: it hits the member of that number `after_s` seconds into the round and lasts for `lasts_s`."""

    fault: Fault
    member: int
    after_s: float
    lasts_s: float


def plan(chance: Random, members: int, kinds: Collection[Fault] = ()) -> list[Planned]:
    """One round's faults, one or two, of those kinds or all; two never hit the same worker, nor the broker twice."""
    first = _drawn(chance, members, kinds)
    if chance.random() >= TOGETHER:
        return [first]
    second = _drawn(chance, members, kinds)
    broker = [one.fault in OF_THE_BROKER for one in (first, second)]
    same = all(broker) or (not any(broker) and first.member == second.member)
    return [first] if same else [first, second]


def _drawn(chance: Random, members: int, kinds: Collection[Fault]) -> Planned:
    among = [fault for fault in WEIGHTS if fault in kinds or not kinds]
    fault = chance.choices(among, [WEIGHTS[fault] for fault in among])[0]
    return Planned(fault, chance.randrange(members), chance.uniform(*AFTER_S), chance.uniform(0.1, 1.5 * SESSION_S))


class Ground:
    """What faults happen to."""

    def __init__(self, kafka: Kafka, members: Sequence[Member], proxies: Sequence[Proxy]) -> None:
        self._kafka, self._members, self._proxies = kafka, members, proxies

    async def happens(self, planned: Planned) -> None:
        """Carry a fault out; whole again afterwards."""
        await asyncio.sleep(planned.after_s)
        member, proxy = self._members[planned.member], self._proxies[planned.member]
        match planned.fault:
            case Fault.KILL:
                await member.kill()
                await asyncio.sleep(planned.lasts_s)
                await member.start()
            case Fault.LEAVE:
                await member.leave()
                await asyncio.sleep(planned.lasts_s)
                await member.start()
            case Fault.PAUSE:
                member.pause()
                await asyncio.sleep(planned.lasts_s)
                member.resume()
            case Fault.CUT:
                proxy.cut()
                await asyncio.sleep(planned.lasts_s)
                proxy.mend()
            case Fault.BROKER_KILL | Fault.BROKER_STOP:
                end = self._kafka.kill if planned.fault is Fault.BROKER_KILL else self._kafka.stop
                await asyncio.to_thread(end)
                await asyncio.sleep(planned.lasts_s)
                await asyncio.to_thread(self._kafka.start)
            case Fault.BROKER_PAUSE:
                await asyncio.to_thread(self._kafka.pause)
                await asyncio.sleep(planned.lasts_s)
                await asyncio.to_thread(self._kafka.resume)
