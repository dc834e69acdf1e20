"""The demo's worker: a process of its own, and what it tells over its page's API."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import msgspec

import streams
from streams.broker import die_with_parent, free_port
from streams.config import PREFIX
from streams.web.view import CustomerDetail, SegmentView, SourceView, Summary

STOP_WITHIN_S: Final = 4.0
ANSWER_WITHIN_S: Final = 5.0
LINES: Final = 40
_PAGE: Final = re.compile(r"page at (http://\S+?:(\d+)/)")
_TAKEN: Final = "is taken"


class DemoFailed(Exception):
    """The demo can't go on; the message says why."""


class Reading(msgspec.Struct, frozen=True):
    """What the worker says at one moment."""

    summary: Summary
    segments: list[SegmentView]
    records: int


class Member:
    """`livetags worker` as a child process; a context manager that ends it.

    Parameters
    ----------
    catalogue
        The catalogue's file.
    settings
        `LIVETAGS_*` settings by their lower-case name; those of the environment do not count.
    expect
        How many records will come.
    port
        Where the page should be; a free one where that is taken.
    """

    def __init__(self, catalogue: Path, settings: dict[str, str], expect: int, port: int) -> None:
        self._catalogue, self._settings, self._expect, self._wanted = catalogue, settings, expect, port
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._said: deque[str] = deque(maxlen=LINES)
        self._port = 0
        self.url = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start it and wait until it works and its page answers.

        Raises
        ------
        DemoFailed
            It ended instead.
        """
        port = self._wanted if is_free(self._wanted) else free_port()
        while not await self._up(port):
            if not any(_TAKEN in line for line in self._said):
                raise DemoFailed(self._why())
            self._said.clear()
            port = free_port()

    async def _up(self, port: int) -> bool:
        """Whether it came up with that port."""
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "streams.cli", "worker", str(self._catalogue), "--clock", "event"),
            *("--web-port", str(port), "--expect", str(self._expect)),
            env=self._environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent if sys.platform == "linux" else None,
        )
        up = asyncio.Event()
        self._reading = asyncio.create_task(self._read(process, up))
        await up.wait()
        return bool(self.url)

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        root = str(Path(streams.__file__).parents[1])
        path = os.pathsep.join(part for part in (root, kept.get("PYTHONPATH", "")) if part)
        given = {PREFIX + name.upper(): value for name, value in self._settings.items()}
        return kept | given | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}

    async def _read(self, process: asyncio.subprocess.Process, up: asyncio.Event) -> None:
        """Keep the last lines it says, and note when its page is up."""
        if process.stdout is None:
            raise DemoFailed("the worker was started without a pipe")
        while line := await process.stdout.readline():
            said = line.decode(errors="replace").rstrip()
            self._said.append(said)
            if not self.url and (found := _PAGE.search(said)):
                self.url, self._port = found[1], int(found[2])
                up.set()
        await process.wait()
        up.set()

    async def wait(self) -> None:
        """Wait until it ends, which it never should by itself.

        Raises
        ------
        DemoFailed
            Always in the end, unless cancelled.
        """
        if self._reading is not None:
            await asyncio.wait([self._reading])
        raise DemoFailed(self._why())

    def _why(self) -> str:
        errors = [line for line in self._said if line.startswith("Error: ")] or list(self._said)[-5:]
        said = "\n".join(line.removeprefix("Error: ") for line in errors)
        code = None if self._process is None else self._process.returncode
        return f"the worker ended with code {code}: {said or 'it said nothing'}"

    async def stop(self) -> None:
        """Ask it to stop, and end it where it takes too long."""
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_WITHIN_S):
                    await process.wait()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if self._reading is not None:
            await self._reading

    async def read(self) -> Reading:
        """What it says now; at most a second old."""
        summary = await self._ask("summary", Summary)
        segments = await self._ask("segments", list[SegmentView])
        sources = await self._ask("sources", list[SourceView])
        return Reading(summary, segments, sum(source.events for source in sources))

    async def customer(self, customer: str) -> CustomerDetail | None:
        """All about a customer; None where there is none."""
        found: CustomerDetail | None = await self._ask(f"customers/{quote(customer, safe='')}", CustomerDetail)
        return found

    async def _ask(self, path: str, kind: Any) -> Any:
        """An answer of the API, None where there is no such thing."""
        async with asyncio.timeout(ANSWER_WITHIN_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            try:
                head = f"GET /api/{path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nConnection: close\r\n\r\n"
                writer.write(head.encode())
                answer = await reader.read()
            finally:
                writer.close()
        start, _, body = answer.partition(b"\r\n\r\n")
        status = start.partition(b"\r\n")[0].split(b" ")[1:2]
        if status == [b"404"]:
            return None
        if status and status != [b"200"]:
            raise DemoFailed(f"the worker can't tell its {path.partition('/')[0]}: {(list(self._said) or [''])[-1]}")
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.DecodeError:
            raise ConnectionResetError("the answer was cut off") from None


def is_free(port: int) -> bool:
    """Whether the page could listen on that port; 0 is never taken and never wanted."""
    if not port:
        return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except OSError:
            return False
    return True
