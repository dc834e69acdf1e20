"""Serving an ASGI app from the event loop that is running, without signal handlers and without an access log."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator, Iterator

import msgspec
import uvicorn
from starlette.types import ASGIApp

from streams.web.guard import Guard

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8640
STOP_WITHIN_S = 1


class ServeError(Exception):
    """The page can't be served; the message says what to do."""


class PortTaken(ServeError):
    """Something else listens on the port."""


class Served(msgspec.Struct, frozen=True):
    """Where the page is."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """What to open in a browser."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}/"


class _Server(uvicorn.Server):
    """Says when it is ready, and leaves the process's signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def run_on(self, listening: socket.socket) -> None:
        """Serve until told to stop; uvicorn leaves the process where an app does not start, this raises."""
        try:
            await self.serve([listening])
        except SystemExit:
            raise ServeError("the dashboard did not start; the log says why") from None


@contextlib.asynccontextmanager
async def serve(app: ASGIApp, host: str = DEFAULT_HOST, port: int = DEFAULT_PORT) -> AsyncIterator[Served]:
    """Serve the app while the context lasts.

    Parameters
    ----------
    app
        From `streams.web.app.create_app`.
    host
        Address to listen on; the default is seen from this machine only.
    port
        0 takes a free one.

    Raises
    ------
    PortTaken
        Something else listens there.
    ServeError
        The address is not of this machine, or the app does not start.
    """
    listening = _listen(host, port)
    config = uvicorn.Config(
        Guard(app, host), log_config=None, log_level="warning", access_log=False, server_header=False,
        lifespan="on", ws_per_message_deflate=False, timeout_graceful_shutdown=STOP_WITHIN_S,
    )  # fmt: skip
    server = _Server(config)
    task = asyncio.create_task(server.run_on(listening), name="dashboard")
    try:
        ready = asyncio.create_task(server.ready.wait())
        await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if task.done():
            task.result()
        yield Served(host, listening.getsockname()[1])
    finally:
        server.should_exit = True
        try:
            await task
        finally:
            listening.close()


def _listen(host: str, port: int) -> socket.socket:
    """A bound socket, so that a taken port is known before anything starts."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen()
    except (OSError, OverflowError) as error:
        listening.close()
        raise _refused(host, port, error) from error
    listening.setblocking(False)
    return listening


def _refused(host: str, port: int, error: Exception) -> ServeError:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return PortTaken(
            f"port {port} on {host} is taken: stop what listens there or choose another port (0 takes a free one)"
        )
    if isinstance(error, OSError) and error.errno == errno.EACCES:
        return ServeError(f"port {port} on {host} is not allowed to this user: choose one above 1023")
    return ServeError(f"can't listen on {host}, port {port}: {error}")
