"""Apache Kafka in a container, through testcontainers, on whatever engine Docker's own tools find."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any, Final

from streams.broker import BrokerError, free_port
from tests.brokers.interface import SETTINGS, listening, wait_for

IMAGE: Final = "apache/kafka:3.9.1"
ITSELF: Final = 9090
CONTROLLER: Final = 9091
INSIDE: Final = 9092  # and the ports after it, for doors
ASKED_WITHIN_S: Final = 60.0
CLUSTER_ID: Final = "bGl2ZXRhZ3MtdGVzdHMtMQ"  # 16 bytes in base64, as Kafka wants it


def missing() -> str:
    """Why no such Kafka can run here; an empty text where one can."""
    if shutil.which("docker") is None:
        return "there is no docker command"
    try:
        import testcontainers.core.container  # noqa: F401 - here: only tests with containers need it
    except ImportError:
        return "testcontainers is not installed"
    if _fails("docker", "version"):
        return "no container engine answers"
    if _fails("docker", "image", "inspect", IMAGE) and _fails("docker", "pull", IMAGE):
        return f"the image {IMAGE} is not here and can't be pulled"
    return ""


def _fails(*command: str) -> bool:
    try:
        return bool(subprocess.run(command, capture_output=True, timeout=ASKED_WITHIN_S, check=False).returncode)
    except (subprocess.SubprocessError, OSError):
        return True


class ContainedKafka:
    """One node, broker and controller, in a container of its own; a `Kafka`.

    Parameters
    ----------
    settings
        Of server.properties, beside those of all tests.
    doors
        Further listeners by name (capital letters), and the address that the broker tells who comes in there to come to
        next: a proxy's, host:port. Where each really listens is in `doors`, host:port.
    """

    def __init__(self, settings: Mapping[str, str] | None = None, doors: Mapping[str, str] | None = None) -> None:
        # Its reaper is an image of its own, which a machine without a registry does not have; `remove` does its work.
        os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
        from testcontainers.core.container import DockerContainer

        told = doors or {}
        ports = {name: free_port() for name in ("PLAINTEXT", *told)}
        outside = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
        self.address = outside["PLAINTEXT"]
        self.doors = {name: outside[name] for name in told}
        inside = {name: INSIDE + number for number, name in enumerate(ports)}
        properties = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@localhost:{CONTROLLER}",
            # It asks itself of transactions, and can't reach the machine's port where clients come in.
            "inter.broker.listener.name": "ITSELF",
            "controller.listener.names": "CONTROLLER",
        }
        itself = {"ITSELF": f"localhost:{ITSELF}"}
        at = {name: f":{port}" for name, port in inside.items()} | {"CONTROLLER": f":{CONTROLLER}"} | itself
        properties |= listening(at, {**outside, **told, **itself}) | {**SETTINGS, **(settings or {})}
        made: Any = DockerContainer(IMAGE).with_env("CLUSTER_ID", CLUSTER_ID)
        for name, port in ports.items():
            made = made.with_bind_ports(inside[name], port)
        for name, value in properties.items():
            made = made.with_env("KAFKA_" + name.upper().replace(".", "_"), value)
        self._container, self._made = made, False

    def start(self) -> str:
        """Start it, or start it again with what it had, and return its address, host:port.

        Raises
        ------
        BrokerError
            It did not come up.
        """
        if self._made:
            self._container.get_wrapped_container().start()
        else:
            self._container.start()
            self._made = True
        if not wait_for(self.address):
            said = self._container.get_wrapped_container().logs(tail=20).decode(errors="replace")
            raise BrokerError(f"Apache Kafka did not start in its container; it said: {said}")
        return self.address

    def stop(self) -> None:
        """End it gently."""
        self._container.get_wrapped_container().stop()

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL)."""
        self._container.get_wrapped_container().kill()

    def pause(self) -> None:
        """Let it answer nobody, with its connections open."""
        self._container.get_wrapped_container().pause()

    def resume(self) -> None:
        """Let it answer again."""
        self._container.get_wrapped_container().unpause()

    def remove(self) -> None:
        """End it and drop what it kept."""
        if self._made:
            self._container.stop(force=True, delete_volume=True)
