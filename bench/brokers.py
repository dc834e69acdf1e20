"""The broker a measurement runs on, and what CPU it took itself."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from streams.broker import Embedded
from tests.brokers.java import JavaKafka

KAFKA: Final = "kafka"
"""Named so, a broker is Apache Kafka from its Maven artifacts, started for the run."""
HEAP_MB: Final = 1_024


class Running(msgspec.Struct, frozen=True):
    """A broker at work; `pid` is its process where it is ours, else None."""

    address: str
    pid: int | None

    def cpu_s(self) -> float:
        """CPU seconds of its process so far; 0 where it is somebody else's."""
        return 0.0 if self.pid is None else cpu_of(self.pid)


def cpu_of(pid: int) -> float:
    """CPU seconds that a process has taken, its own and the system's for it."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def running(named: str) -> Iterator[Running]:
    """The broker at that address; `kafka` starts an Apache Kafka for as long, nothing an embedded one.

    Raises
    ------
    BrokerError
        It can't be started.
    """
    if not named:
        with Embedded() as embedded:
            yield Running(embedded.address, embedded.pid)
    elif named == KAFKA:
        kafka = JavaKafka(heap_mb=HEAP_MB, flags=())
        try:
            yield Running(kafka.start(), kafka.pid)
        finally:
            kafka.remove()
    else:
        yield Running(named, None)
