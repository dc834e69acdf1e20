"""Serving from a running event loop: where, to whom, and how it stops."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket

import httpx
import pytest
from fastapi import FastAPI

from streams.web.app import create_app
from streams.web.guard import is_loopback
from streams.web.server import PortTaken, ServeError, serve
from tests.browser.fake_view import FakeView


def get(path: str, **headers: str) -> httpx.Response:
    """What the whole app answers, served on a free port."""

    async def asking() -> httpx.Response:
        async with serve(create_app(FakeView()), port=0) as served, httpx.AsyncClient(trust_env=False) as client:
            return await client.get(served.url.rstrip("/") + path, headers=headers)

    return asyncio.run(asking())


def test_page_and_api_share_a_port_on_loopback() -> None:
    async def asking() -> None:
        async with serve(create_app(FakeView()), port=0) as served, httpx.AsyncClient(trust_env=False) as client:
            assert served.host == "127.0.0.1"
            assert "Retail bank" in (await client.get(served.url)).text
            assert (await client.get(served.url + "api/health")).json()["ok"] is True

    asyncio.run(asking())


def test_the_page_is_in_chinese_where_the_browser_prefers_it() -> None:
    assert "各客群人数" in get("/", **{"accept-language": "zh-CN,zh;q=0.9"}).text
    assert "Customers by segment" in get("/?lang=en", **{"accept-language": "zh-CN"}).text


def test_the_page_may_load_nothing_from_elsewhere() -> None:
    answer = get("/")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_it_stops_with_its_context_and_gives_the_port_back() -> None:
    async def twice() -> list[int]:
        async with serve(create_app(FakeView()), port=0) as first:
            pass
        async with serve(create_app(FakeView()), port=first.port) as second:
            return [first.port, second.port]

    first, second = asyncio.run(twice())
    assert first == second


def test_it_stops_when_the_work_inside_fails() -> None:
    async def failing() -> None:
        async with serve(FastAPI(), port=0):
            raise KeyError("work")

    with pytest.raises(KeyError, match="work"):
        asyncio.run(failing())


def test_a_taken_port_is_named_with_what_to_do() -> None:
    async def again(port: int) -> None:
        async with serve(FastAPI(), port=port):
            pytest.fail("served on a taken port")

    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"port {port} on 127\.0\.0\.1 is taken.*choose another port"):
            asyncio.run(again(port))


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70_000), ("192.0.2.1", 0)])
def test_an_address_that_can_not_be_is_refused(host: str, port: int) -> None:
    async def trying() -> None:
        async with serve(FastAPI(), host=host, port=port):
            pytest.fail("served on an address that is not ours")

    with pytest.raises(ServeError, match="can't listen on"):
        asyncio.run(trying())


def test_an_app_that_does_not_start_is_an_error_and_does_not_end_the_process() -> None:
    def broken() -> None:
        raise ValueError("no")

    app = FastAPI(on_startup=[broken])

    async def trying() -> None:
        async with serve(app, port=0):
            pytest.fail("served an app that did not start")

    with pytest.raises(ServeError, match="did not start"):
        asyncio.run(trying())


def test_the_processs_signal_handlers_stay_as_they_were() -> None:
    async def serving() -> list[object]:
        async with serve(FastAPI(), port=0):
            return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    def mine(number: int, frame: object) -> None: ...

    before = signal.signal(signal.SIGTERM, mine)
    try:
        assert asyncio.run(serving())[1] is mine
    finally:
        signal.signal(signal.SIGTERM, before)


def test_metrics_are_on_the_pages_port() -> None:
    assert "# TYPE livetags_events_applied_total counter" in get("/metrics").text


def test_a_name_that_was_made_to_point_here_is_refused() -> None:
    answer = get("/api/summary", host="evil.example")
    assert answer.status_code == 421
    assert get("/api/summary", host="localhost:1234").status_code == 200


def test_another_sites_page_may_not_ask() -> None:
    assert get("/api/summary", origin="https://evil.example").status_code == 403


def test_an_unknown_page_is_refused_in_json() -> None:
    assert get("/customers/C104711").json() == {"detail": "no such page; the dashboard is at /"}


@pytest.mark.parametrize(
    "path", ["/api/customers/C104711", "/api/customers/C999999", "/api/customer/C104711", "/customers/C104711"]
)
def test_customer_ids_asked_for_are_not_logged(path: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    get(path)
    logged = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert not [record for record in logged if "C104711" in record.getMessage() or "C999999" in record.getMessage()]


@pytest.mark.parametrize(
    ("host", "only_here"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("10.0.0.7", False), ("bank", False)],
)
def test_which_addresses_only_this_machine_reaches(host: str, only_here: bool) -> None:
    assert is_loopback(host) is only_here
