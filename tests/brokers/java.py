"""Apache Kafka from its Maven artifacts, one node, as a process: for `java` and `mvn`, without Docker."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from streams.broker import BrokerError, die_with_parent, free_port
from tests.brokers.interface import SETTINGS, listening, wait_for

POM: Final = Path(__file__).with_name("pom.xml")
JARS: Final = Path(__file__).parents[2] / ".livetags" / "kafka-3.9.1"
FETCH_WITHIN_S: Final = 300.0
FORMAT_WITHIN_S: Final = 60.0
STOPS_WITHIN_S: Final = 20.0
HEAP_MB: Final = 512
STARTS_FAST: Final = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
"""For tests: a broker that is soon up on few cores. Measurements leave these out."""


def missing() -> str:
    """Why no such Kafka can run here; an empty text where one can."""
    lacking = [name for name in ("java", "mvn") if shutil.which(name) is None]
    if not (JARS.exists() and "java" not in lacking) and lacking:
        return f"there is no {' and no '.join(lacking)}"
    try:
        jars()
    except BrokerError as error:
        return str(error)
    return ""


def jars() -> Path:
    """The directory with Kafka's jars, fetched once.

    Raises
    ------
    BrokerError
        They can't be had.
    """
    if JARS.exists():
        return JARS
    JARS.parent.mkdir(parents=True, exist_ok=True)
    fetched = Path(tempfile.mkdtemp(prefix="kafka-", dir=JARS.parent))
    command = "mvn", "--batch-mode", "--quiet", "--file", str(POM), "dependency:copy-dependencies"
    try:
        subprocess.run(
            [*command, f"-DoutputDirectory={fetched}"],
            check=True,
            capture_output=True,
            text=True,
            timeout=FETCH_WITHIN_S,
        )
    except (subprocess.SubprocessError, OSError) as error:
        shutil.rmtree(fetched, ignore_errors=True)
        said = str(getattr(error, "stdout", "") or error)[-500:]
        raise BrokerError(f"Apache Kafka's jars could not be fetched with mvn: {said}") from error
    try:
        fetched.rename(JARS)
    except OSError:  # another run was faster
        shutil.rmtree(fetched)
    return JARS


class JavaKafka:
    """One node, broker and controller, with its own directory and ports; a `Kafka`.

    Parameters
    ----------
    directory
        Where it keeps its data; None for one of its own, dropped with it.
    settings
        Of server.properties, beside those of all tests.
    doors
        Further listeners by name (capital letters), and the address that the broker tells who comes in there to come to
        next: a proxy's, host:port. Where each really listens is in `doors`, host:port.
    flags
        Of the Java machine.
    """

    def __init__(
        self,
        directory: Path | None = None,
        settings: Mapping[str, str] | None = None,
        doors: Mapping[str, str] | None = None,
        heap_mb: int = HEAP_MB,
        flags: tuple[str, ...] = STARTS_FAST,
    ) -> None:
        self._own = directory is None
        self.directory = Path(tempfile.mkdtemp(prefix="livetags-kafka-")) if directory is None else directory
        self.address = f"127.0.0.1:{free_port()}"
        self._told = dict(doors or {})
        self.doors = {name: f"127.0.0.1:{free_port()}" for name in self._told}
        self._java = ("java", f"-Xmx{heap_mb}m", *flags, "-cp", f"{jars()}/*")
        self._properties = self.directory / "server.properties"
        self._settings = dict(SETTINGS) | dict(settings or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its process, None where none runs."""
        return None if self._process is None else self._process.pid

    def start(self) -> str:
        """Start it, or start it again with what it had, and return its address, host:port.

        Raises
        ------
        BrokerError
            It did not come up.
        """
        if not self._properties.exists():
            self._format()
        log = self.directory / "out.log"
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [*self._java, "kafka.Kafka", str(self._properties)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent if sys.platform == "linux" else None,
                env={**os.environ, "LOG_DIR": str(self.directory)},
            )
        if not wait_for(self.address, self._alive):
            self.kill()
            said = log.read_text(encoding="utf-8", errors="replace")[-500:]
            raise BrokerError(f"Apache Kafka did not start; it said: {said}")
        return self.address

    def _alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _format(self) -> None:
        """Write its properties and prepare its log directory (KRaft)."""
        data, controller = self.directory / "data", f"127.0.0.1:{free_port()}"
        properties = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{controller}",
            "inter.broker.listener.name": "PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": str(data),
        }
        at = {"PLAINTEXT": self.address, **self.doors}
        properties |= listening({**at, "CONTROLLER": controller}, {**at, **self._told}) | self._settings
        self.directory.mkdir(parents=True, exist_ok=True)
        lines = [f"{name}={value}\n" for name, value in properties.items()]
        self._properties.write_text("".join(lines), encoding="utf-8")
        cluster = self._tool("random-uuid").split()[-1]
        self._tool("format", "-t", cluster, "-c", str(self._properties))

    def _tool(self, *arguments: str) -> str:
        """What Kafka's storage tool says."""
        command = [*self._java, "kafka.tools.StorageTool", *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=FORMAT_WITHIN_S)
        return done.stdout

    def stop(self) -> None:
        """End it gently, or else at once."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOPS_WITHIN_S)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Let it answer nobody, with its connections open (SIGSTOP)."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it answer again."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def remove(self) -> None:
        """End it and drop what it kept."""
        self.kill()
        if self._own:
            shutil.rmtree(self.directory, ignore_errors=True)
