"""Headless Chromium over its DevTools socket: open a page, ask it things, see every request it makes."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

START_S = 30.0
ANSWER_S = 30.0
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
]
LOOPBACK_ONLY = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"


def find() -> str | None:
    """Chromium's path: `CHROMIUM`, else the first in PATH; None where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("CHROMIUM") or next((path for name in names if (path := shutil.which(name))), None)


class BrowserError(Exception):
    """Chromium did not do what it was told."""


class Tab:
    """One page.

    Attributes
    ----------
    requests
        Addresses asked for, sockets included, in order.
    complaints
        Errors that the page's scripts or the console reported.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._numbers = socket, itertools.count(1)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to a DevTools command."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=ANSWER_S))
            if message.get("id") == number:
                if "error" in message:
                    raise BrowserError(f"{method}: {message['error']['message']}")
                answer: dict[str, Any] = message["result"]
                return answer
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        seen = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(seen["request"]["url"])
            case "Network.webSocketCreated":
                self.requests.append(seen["url"])
            case "Runtime.exceptionThrown":
                details = seen["exceptionDetails"]
                self.complaints.append(details.get("exception", {}).get("description", details["text"]))
            case "Log.entryAdded" if seen["entry"]["level"] == "error":
                self.complaints.append(f"{seen['entry']['text']} {seen['entry'].get('url', '')}")

    def shape(self, width: int, height: int, *, dark: bool = False, phone: bool = False) -> None:
        """Take on a screen's size and the system's theme."""
        scale = 2 if phone else 1
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone
        )
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[theme])

    def open(self, url: str) -> None:
        """Go there."""
        self.call("Page.navigate", url=url)

    def ask(self, script: str) -> Any:
        """What the expression gives; a promise is waited for."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise BrowserError(f"{script}: {answer['exceptionDetails'].get('exception', {}).get('description')}")
        return answer["result"].get("value")

    def wait(self, condition: str, within_s: float = ANSWER_S) -> None:
        """Return when the expression is true; raises when it is not in time."""
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            with contextlib.suppress(BrowserError):  # the page may be between two documents
                if self.ask(f"new Promise(done => setTimeout(() => done(!!({condition})), 50))"):
                    return
        raise BrowserError(f"not within {within_s:g} s: {condition}; complaints: {self.complaints}")

    def click(self, selector: str) -> None:
        """Click the element, where it is on the screen."""
        element = f"document.querySelector({json.dumps(selector)})"
        self.ask(f"{element}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
        at = self.ask(f"(r => ({{x: r.x + r.width / 2, y: r.y + r.height / 2}}))({element}.getBoundingClientRect())")
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            button = "none" if kind == "mouseMoved" else "left"
            self.call("Input.dispatchMouseEvent", type=kind, x=at["x"], y=at["y"], button=button, clickCount=1)

    def point(self, x: float, y: float) -> None:
        """Move the mouse there."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def type(self, selector: str, text: str) -> None:
        """Type into a field and press Enter."""
        self.ask(f"document.querySelector({json.dumps(selector)}).focus()")
        self.call("Input.insertText", text=text)
        key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
        self.call("Input.dispatchKeyEvent", type="keyDown", **key)
        self.call("Input.dispatchKeyEvent", type="keyUp", **key)

    def text(self, selector: str) -> str:
        """The element's visible text, or an empty text."""
        return str(self.ask(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Save what is seen, or the whole page, as PNG."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))


@contextlib.contextmanager
def tab(executable: str) -> Iterator[Tab]:
    """A page in a browser of its own, with a profile of its own."""
    with tempfile.TemporaryDirectory(prefix="livetags-browser-", ignore_cleanup_errors=True) as profile:
        command = [executable, *FLAGS, LOOPBACK_ONLY, f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with connect(_address(Path(profile), process), max_size=None, proxy=None, ping_interval=None) as browser:
                target = _first_page(browser)
            with connect(target, max_size=None, proxy=None, ping_interval=None) as socket:
                yield Tab(socket)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _address(profile: Path, process: subprocess.Popen[bytes]) -> str:
    """The browser's DevTools socket, once it has written where that is."""
    port_file, end = profile / "DevToolsActivePort", time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        if port_file.exists() and len(lines := port_file.read_text().splitlines()) == 2:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        time.sleep(0.05)
    raise BrowserError("Chromium did not start")


def _first_page(browser: ClientConnection) -> str:
    browser.send(json.dumps({"id": 1, "method": "Target.getTargets"}))
    while (answer := json.loads(browser.recv(timeout=ANSWER_S))).get("id") != 1:
        pass
    page = next(target for target in answer["result"]["targetInfos"] if target["type"] == "page")
    host, port = browser.remote_address[:2]
    return f"ws://{host}:{port}/devtools/page/{page['targetId']}"
