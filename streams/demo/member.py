"""The demo's worker: a process of its own, and what it tells over its page's API."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import quote

import msgspec

from schemas.freshness import Freshness
from streams.broker import free_port
from streams.config import Settings
from streams.demo.child import Child, DemoFailed
from streams.web.view import CustomerDetail, SegmentView, SourceView, Summary

ANSWER_WITHIN_S: Final = 5.0
ATTEMPTS: Final = 12
"""Of a question that is not answered in time: a worker that compiles something answers nobody meanwhile."""
_PAGE: Final = re.compile(r"page at (http://\S+?:(\d+)/)")
_TAKEN: Final = "is taken"


class Reading(msgspec.Struct, frozen=True):
    """What the worker says at one moment."""

    summary: Summary
    segments: list[SegmentView]
    records: int


class Member:
    """`livetags worker` as a child process.

    Parameters
    ----------
    catalogue
        The catalogue's file.
    settings
        As of a `Child`.
    expect
        How many records will come.
    port
        Where the page should be; a free one where that is taken.
    """

    def __init__(self, catalogue: Path, settings: Settings, expect: int, port: int) -> None:
        self._catalogue, self._settings, self._expect, self._wanted = catalogue, settings, expect, port
        self._child = self._with_page_at(port)
        self._port = 0
        self.url = ""

    async def start(self) -> None:
        """Start it and wait until it works and its page answers.

        Raises
        ------
        DemoFailed
            It ended instead.
        """
        port = self._wanted if is_free(self._wanted) else free_port()
        while not self.url:
            self._child = self._with_page_at(port)
            await self._child.start()
            if found := await self._child.says(_PAGE):
                self.url, self._port = found[1], int(found[2])
            elif not any(_TAKEN in line for line in self._child.said):
                self._child.fail()
            port = free_port()

    async def stop(self) -> None:
        """End it, where it runs."""
        await self._child.stop()

    def _with_page_at(self, port: int) -> Child:
        command = "worker", str(self._catalogue), "--clock", "event"
        page = "--web-port", str(port), "--expect", str(self._expect)
        return Child("worker", [*command, *page], self._settings)

    async def wait(self) -> NoReturn:
        """Wait until it ends, which it never should by itself.

        Raises
        ------
        DemoFailed
            Always in the end, unless cancelled.
        """
        await self._child.wait()

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

    async def freshness(self) -> Freshness:
        """How fresh sources and tags are."""
        found: Freshness = await self._ask("freshness", Freshness)
        return found

    async def _ask(self, path: str, kind: Any) -> Any:
        """An answer of the API, None where there is no such thing."""
        for _ in range(ATTEMPTS - 1):
            with contextlib.suppress(TimeoutError):
                return await self._asked_once(path, kind)
        return await self._asked_once(path, kind)

    async def _asked_once(self, path: str, kind: Any) -> Any:
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
            raise DemoFailed(
                f"the worker can't tell its {path.partition('/')[0]}: {(list(self._child.said) or [''])[-1]}"
            )
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
