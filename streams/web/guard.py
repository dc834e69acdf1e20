"""Who may ask, and for what: a page on this machine is not to be read by a web site through the user's browser."""

from __future__ import annotations

import ipaddress
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "::1")
PATHS: Final = ("/api/", "/_nicegui")
HEADERS: Final = {
    # NiceGUI compiles templates in the browser and has its scripts in the page, hence the two 'unsafe-'
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; connect-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that host."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_name(header: str) -> str:
    """The host of a `Host` header, without port or brackets."""
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0].lower()


class Guard:
    """Passes on what the page and the API answer.

    On a loopback address it refuses other host names (a web site whose name was made to point here) and
    connections that another site's page opens. It answers unknown paths itself, so that nothing logs them.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self.app = app
        self._names = {*LOOPBACK_NAMES, host} if is_loopback(host) else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or connection."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
        elif refusal := self._refusal(scope):
            await refusal(scope, receive, send)
        else:
            await self.app(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._names is not None and host_name(host) not in self._names:
            return JSONResponse({"detail": "this address is served to this machine only"}, 421)
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            return JSONResponse({"detail": "another site's page may not ask"}, 403)
        path: str = scope["path"]
        if path not in ("/", "/models", "/favicon.ico", "/metrics") and not path.startswith(PATHS):
            return JSONResponse({"detail": "no such page; the dashboard is at /"}, 404)
        return None


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return sending
