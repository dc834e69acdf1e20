"""A container's health check: good once the worker works, and it says what is wrong before."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from streams.broker import free_port
from streams.web.healthy import trouble
from streams.web.view import State

ROOT = Path(__file__).parents[2]


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """The address of something that answers so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api/health"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("state", list(State))
def test_a_worker_is_healthy_once_it_has_begun(state: State) -> None:
    with answering(200, b'{"ok":true,"state":"%s"}' % state.value.encode()) as url:
        assert bool(trouble(url)) == (state is State.STARTING)


@pytest.mark.parametrize(("status", "body"), [(500, b"{}"), (200, b"{}"), (200, b"[]"), (200, b"not JSON"), (404, b"")])
def test_an_answer_that_is_no_workers_is_trouble(status: int, body: bytes) -> None:
    with answering(status, body) as url:
        assert trouble(url).startswith(f"no worker answers at {url}: ")


def test_where_nobody_answers_the_check_fails_and_says_so() -> None:
    url = f"http://127.0.0.1:{free_port()}/api/health"
    command = [sys.executable, "-m", "streams.web.healthy", url]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"no worker answers at {url}: ")
