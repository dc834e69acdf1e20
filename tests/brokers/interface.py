"""What tests ask of a broker of their own: to come up, and to fail in every way a broker can."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

UP_WITHIN_S: Final = 60.0
ANSWERS_WITHIN_S: Final = 2.0
POLL_S: Final = 0.05

SETTINGS: Final[Mapping[str, str]] = {
    # One node: what Kafka keeps for itself can have no second replica.
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    # Few partitions of those, as each costs a file and a moment at the start.
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "group.initial.rebalance.delay.ms": "0",
    # Tests of lost members shall not wait six seconds, Kafka's least session.
    "group.min.session.timeout.ms": "1000",
    # After a kill -9 the node's old registration has to expire before the new one is taken.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # Tests of compaction shall not wait for it a quarter of a minute.
    "log.cleaner.backoff.ms": "500",
    # A topic nobody created is a mistake of the test.
    "auto.create.topics.enable": "false",
}
"""Of every Apache Kafka that tests start; a test may add its own."""

# Metadata, version 1, correlation id 1, no client id, no topics; the answer: a length, the correlation id, the brokers.
_METADATA: Final = struct.pack(">hhihi", 3, 1, 1, -1, 0)
_BROKERS: Final = slice(8, 12)


class Kafka(Protocol):
    """An Apache Kafka that a test may start, stop, kill and hold up; it keeps what it had over all of that.

    Attributes
    ----------
    address
        Where it is found, host:port.
    doors
        Where further listeners are, host:port, each for one who is to come through a proxy.
    """

    address: str
    doors: dict[str, str]

    def start(self) -> str:
        """Start it, or start it again with what it had, and return its address, host:port."""
        ...

    def stop(self) -> None:
        """End it gently."""
        ...

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL)."""
        ...

    def pause(self) -> None:
        """Let it answer nobody, with its connections open (SIGSTOP)."""
        ...

    def resume(self) -> None:
        """Let it answer again."""
        ...

    def remove(self) -> None:
        """End it and drop what it kept."""
        ...


def listening(at: Mapping[str, str], told: Mapping[str, str]) -> dict[str, str]:
    """The properties of listeners: where each listens, and where those that clients use are said to."""
    return {
        "listeners": ",".join(f"{name}://{address}" for name, address in at.items()),
        "advertised.listeners": ",".join(f"{name}://{address}" for name, address in told.items()),
        "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in at),
    }


def answers(address: str) -> bool:
    """Whether a broker there counts itself among the cluster's brokers.

    Asked over a socket of our own: a client's library leaves sockets open where a broker is half way up.
    """
    host, port = address.rsplit(":", 1)
    try:
        with socket.create_connection((host, int(port)), timeout=ANSWERS_WITHIN_S) as asked:
            asked.sendall(len(_METADATA).to_bytes(4, "big") + _METADATA)
            said = b""
            while len(said) < _BROKERS.stop and (more := asked.recv(1024)):
                said += more
    except OSError:
        return False
    return len(said) >= _BROKERS.stop and int.from_bytes(said[_BROKERS], "big") > 0


def wait_for(address: str, alive: Callable[[], bool] = lambda: True) -> bool:
    """Whether a broker answers there in time; where it is no longer `alive` there is none to wait for."""
    deadline = time.monotonic() + UP_WITHIN_S
    while time.monotonic() < deadline and alive():
        if answers(address):
            return True
        time.sleep(POLL_S)
    return False
