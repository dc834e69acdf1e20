"""A network that can be cut: a TCP proxy between one worker and the broker."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

BLOCK: Final = 65_536


class Proxy:
    """Forwards what comes to its port while it is whole; cut, it keeps connections open and carries nothing.

    Parameters
    ----------
    port
        Where it listens.
    to
        Where the broker is now, host:port.
    """

    def __init__(self, port: int, to: Callable[[], str]) -> None:
        self.port, self._to = port, to
        self._whole = asyncio.Event()
        self._whole.set()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._works: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", self.port)

    def cut(self) -> None:
        """Carry nothing from now on; nobody is told."""
        self._whole.clear()

    def mend(self) -> None:
        """Carry again; connections of before are reset, as a peer that was waited for too long does."""
        self._whole.set()
        for writer in list(self._open):
            writer.close()

    async def stop(self) -> None:
        """End, with every connection."""
        if self._server is not None:
            self._server.close()
        for work in list(self._works):
            work.cancel()
        await asyncio.gather(*self._works, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._works.add(task)
            task.add_done_callback(self._works.discard)
        await self._whole.wait()
        host, port = self._to().rsplit(":", 1)
        try:
            there, back = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.close()
            return
        ways = [asyncio.ensure_future(self._carry(*way)) for way in ((reader, back), (there, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for end in (writer, back):
                end.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            with contextlib.suppress(OSError):
                while block := await reader.read(BLOCK):
                    await self._whole.wait()
                    writer.write(block)
                    await writer.drain()
        finally:
            self._open.discard(writer)
