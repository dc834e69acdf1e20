"""What is measured of a process: time, CPU, memory; and a stopwatch for parts of it."""

from __future__ import annotations

import functools
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import msgspec


class Measured(msgspec.Struct, frozen=True):
    """One worker process on one load.

    Attributes
    ----------
    seconds, cpu_s
        From the first record taken in until all are applied and written.
    whole_cpu_s
        CPU of the process from its start, imports and compiled code loaded included.
    peak_mb
        Its largest resident memory (VmHWM).
    flips
        Changes of tags and segments written.
    others
        Questions, answers, outreach requests and decisions written.
    stages
        CPU seconds per part of the work, where asked for.
    begin_s, end_s
        Of `seconds`, by a clock that the processes of a machine share.
    broker_cpu_s
        CPU of the broker's process while the worker ran, its start included; 0 where the broker is somebody else's.
    """

    peer: str
    events: int
    seconds: float
    cpu_s: float
    whole_cpu_s: float
    peak_mb: float
    flips: int
    others: int = 0
    stages: dict[str, float] = {}
    broker_cpu_s: float = 0.0
    begin_s: float = 0.0
    end_s: float = 0.0

    @property
    def per_second(self) -> float:
        """Events a second."""
        return self.events / self.seconds

    @property
    def cpu_per_million(self) -> float:
        """CPU seconds per million events, running."""
        return self.cpu_s / self.events * 1e6

    @property
    def whole_cpu_per_million(self) -> float:
        """CPU seconds per million events, whole process."""
        return self.whole_cpu_s / self.events * 1e6


class Moment(msgspec.Struct, frozen=True):
    """The wall's seconds and the process's CPU seconds at a moment."""

    wall_s: float
    cpu_s: float


def moment() -> Moment:
    """Now."""
    return Moment(time.perf_counter(), time.process_time())


def peak_mb() -> float:
    """The process's largest resident memory so far, in MB."""
    return _status_mb("VmHWM:")


def resident_mb(pid: int | None = None) -> float:
    """The resident memory of this process, or of another one, now, in MB."""
    return _status_mb("VmRSS:", pid)


def _status_mb(word: str, pid: int | None = None) -> float:
    for line in Path(f"/proc/{pid or 'self'}/status").read_text().splitlines():
        if line.startswith(word):
            return int(line.split()[1]) / 1000
    return 0.0


class Stopwatch:
    """CPU seconds of a thread spent in functions, one inside another counted once: for the inner one."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.calls: Counter[str] = Counter()
        self._threads = threading.local()  # who is inside whom is told apart by thread

    def time(self, owner: Any, name: str, label: str) -> None:
        """Replace `owner.name` by itself, timed; blocking functions of one thread only."""
        function = getattr(owner, name)

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            inside: list[float] = self._threads.__dict__.setdefault("inside", [])
            begin = time.thread_time()
            inside.append(0.0)
            try:
                return function(*args, **kwargs)
            finally:
                took = time.thread_time() - begin
                self.seconds[label] += took - inside.pop()
                self.calls[label] += 1
                if inside:
                    inside[-1] += took

        setattr(owner, name, timed)

    def clear(self) -> None:
        """Begin anew."""
        self.seconds.clear()
        self.calls.clear()
