"""A stack of docker-compose.yml under a name and ports of its own, on whatever engine Docker's own tools find."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from streams.broker import free_port

ROOT: Final = Path(__file__).parents[2]
IMAGES: Final = ("python:3.11-slim", "apache/kafka:3.9.1", "prom/prometheus:v2.42.0")
IMAGE: Final = "livetags:test"
WITHIN_S: Final = 120.0
POLL_S: Final = 0.5


def docker(*arguments: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """A docker command, run at the top of the repository.

    Raises
    ------
    AssertionError
        It failed, with what it said.
    """
    done = subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, cwd=ROOT, env={**os.environ, **environment}, check=False
    )
    if check and done.returncode:
        raise AssertionError(
            f"docker {' '.join(arguments)} ended with code {done.returncode}: {done.stdout}{done.stderr}"
        )
    return done


def missing() -> str:
    """Why no stack can run here; an empty text where one can."""
    if shutil.which("docker") is None:
        return "there is no docker command"
    if docker("version", check=False).returncode:
        return "no container engine answers"
    if docker("compose", "version", check=False).returncode:
        return "docker has no compose"
    for image in IMAGES:
        if docker("image", "inspect", image, check=False).returncode and docker("pull", image, check=False).returncode:
            return f"the image {image} is not here and can't be pulled"
    return ""


class Stack:
    """The services, once `up`; all that is left of them is gone after `down`.

    Parameters
    ----------
    customers
        Of the simulated bank.
    """

    def __init__(self, customers: int) -> None:
        self.project = f"livetags-test-{uuid.uuid4().hex[:8]}"
        self.kafka, self.prometheus = free_port(), free_port()
        self.pages = {"worker-1": free_port(), "worker-2": free_port()}
        self._environment = {
            "LIVETAGS_IMAGE": IMAGE,
            "LIVETAGS_DEMO_CUSTOMERS": str(customers),
            "LIVETAGS_KAFKA_PORT": str(self.kafka),
            "LIVETAGS_PROMETHEUS_PORT": str(self.prometheus),
            "LIVETAGS_PAGE_PORT": str(self.pages["worker-1"]),
            "LIVETAGS_PAGE_2_PORT": str(self.pages["worker-2"]),
        }

    def compose(self, *arguments: str, check: bool = True) -> str:
        """What a compose command of this stack says."""
        named = "compose", "--project-name", self.project, "--profile", "demo"
        return docker(*named, *arguments, check=check, **self._environment).stdout

    def up(self) -> None:
        """Build and start all, and wait until it is healthy."""
        try:
            self.compose("up", "--build", "--wait")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.compose('logs', '--tail', '30', check=False)}") from None

    def down(self) -> None:
        """Stop all and remove its containers, network and volumes."""
        self.compose("down", "--volumes", "--timeout", "15", check=False)

    def services(self) -> dict[str, dict[str, Any]]:
        """Each service's container, ended ones too."""
        lines = self.compose("ps", "--all", "--format", "json").splitlines()
        return {found["Service"]: found for found in map(json.loads, lines)}

    def python(self, service: str, code: str) -> Any:
        """What code in the container of a service prints, which is JSON."""
        return json.loads(self.compose("exec", "-T", service, "python", "-c", code))

    def page(self, service: str, path: str) -> Any:
        """An answer of a worker's API."""
        return fetched(f"http://127.0.0.1:{self.pages[service]}/api/{path}")

    def left(self) -> list[str]:
        """Containers, networks and volumes of the stack that are there."""
        wanted = "--quiet", "--filter", f"label=com.docker.compose.project={self.project}"
        kinds = ("ps", "--all"), ("network", "ls"), ("volume", "ls")
        return [line for kind in kinds for line in docker(*kind, *wanted).stdout.splitlines()]


def fetched(url: str) -> Any:
    """The JSON that is served there."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def until(condition: Callable[[], bool], what: str) -> None:
    """Ask until it is so; fail where it never is."""
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {WITHIN_S:.0f} s: {what}"
        time.sleep(POLL_S)
