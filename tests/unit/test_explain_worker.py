"""`livetags explain --url`: a worker's page asked over HTTP, and what is said where no worker answers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any, ClassVar

import httpx
import msgspec
import pytest

from schemas.explanations import Dossier
from schemas.loading import loads
from schemas.rule_words import vocabulary
from streams.config import Clock, Settings, wall_ms
from streams.counters import Counters
from streams.engine.explain_score import explain_scores
from streams.engine.plan import build
from streams.explaining.decides import translated
from streams.model_follower import Reports
from streams.replay import Record, Replay
from streams.silence import Silence
from streams.watch import WorkerView
from streams.web.api import create_api
from streams.web.snapshots import Snapshots
from tests.explaining import CATALOGUE, STREAM, explain
from tests.unit.test_explain_score import VALUES, model

Answer = Callable[[str], tuple[int, bytes]]
CATALOGUE_READ = loads(CATALOGUE)


class Served:
    """An HTTP server on a free port of this machine; `answer` can be swapped."""

    def __init__(self, answer: Answer) -> None:
        outer, self.answer = self, answer

        class Handler(BaseHTTPRequestHandler):
            server_version: ClassVar[str] = "test"

            def do_GET(self) -> None:  # http.server's name for it
                status, body = outer.answer(self.path)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def api(view: Any) -> Answer:
    transport = httpx.ASGITransport(create_api(Snapshots(view)))

    async def asking(path: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get(path)

    def answer(path: str) -> tuple[int, bytes]:
        found = asyncio.run(asking(path))
        return found.status_code, found.content

    return answer


@pytest.fixture(scope="module")
def real() -> Answer:
    """The API of a worker that has applied the stream."""
    replay = Replay(build(CATALOGUE_READ), 2)
    counters = Counters([source.name for source in CATALOGUE_READ.sources], 50)
    records = [Record(name, msgspec.json.encode(value), value["customer"]) for name, value in STREAM]
    for output in replay.feed(records):
        counters.take(output)
    worker = SimpleNamespace(
        models=[], reports=Reports(CATALOGUE_READ, "real"),
        catalogue=CATALOGUE_READ, settings=Settings(clock=Clock.EVENT), counters=counters, ready=True,
        partitions=dict(enumerate(replay.parts)), recent=counters.recent, clock=wall_ms,
        silence=Silence(CATALOGUE_READ, "real"),
    )  # fmt: skip
    return api(WorkerView(worker))  # type: ignore[arg-type]  # what the view uses of a worker


@pytest.fixture
def worker(real: Answer) -> Iterator[Served]:
    served = Served(real)
    yield served
    served.close()


def text(*arguments: str) -> str:
    done = explain(*arguments)
    assert done.exit_code == 0, done.output
    return "\n".join(line.strip() for line in done.output.splitlines())


def refused(*arguments: str) -> str:
    done = explain(*arguments)
    assert done.exit_code == 1, done.output
    assert "Traceback" not in done.output
    return str(done.output)


def test_a_worker_is_asked_for_rule_values_since_and_cause(worker: Served) -> None:
    page = text("C1", "--url", worker.url + "/")
    assert "Large inflow (large_inflow): on  since 2025-01-05 09:12, by an event" in page
    assert "Inflow, 1 hour is at least 50,000 CNY and is at least 3 × Inflow, 30 days ÷ 30" in page
    assert "Inflow, 1 hour: 61,000.00 CNY" in page
    assert "met: Inflow, 1 hour is at least 50,000 CNY" in page
    assert "To call (to_call): in " in page
    assert "VIP (vip): off  has never changed" in page


def test_a_worker_also_tells_when_a_tag_turns_by_itself(worker: Served) -> None:
    page = text("C1", "--url", worker.url, "--tag", "life")
    assert "turns dormant at 2025-01-19 09:12 if nothing happens" in page
    assert "若无新记录，将于 2025-01-19 09:12 变为 dormant" in text(
        "C1", "--url", worker.url, "--tag", "life", "--lang", "zh"
    )


def test_a_worker_says_the_same_of_rules_in_chinese(worker: Served) -> None:
    page = text("C1", "--url", worker.url, "--lang", "zh")
    assert "近1小时入账不低于50,000 CNY且不低于3 × 近30天入账 ÷ 30" in page
    assert "已满足：近1小时入账不低于50,000 CNY" in page


def test_the_json_is_a_dossier(worker: Served) -> None:
    done = explain("C1", "--url", worker.url, "--json")
    read = msgspec.json.decode(done.output, type=Dossier)
    assert [tag.name for tag in read.tags] == [tag.name for tag in CATALOGUE_READ.tags]
    assert (read.currency, read.timezone, read.scores) == ("CNY", "Asia/Shanghai", [])


def test_scores_that_come_with_the_customer_are_told(worker: Served, real: Answer) -> None:
    def with_scores(path: str) -> tuple[int, bytes]:
        status, body = real(path)
        if "/customers/" in path:
            scores = explain_scores(CATALOGUE_READ, [model()], VALUES)
            body = msgspec.json.encode({**msgspec.json.decode(body), "scores": scores})
        return status, body

    assert "No model was learned" in text("C1", "--url", worker.url)
    worker.answer = with_scores
    page = text("C1", "--url", worker.url)
    assert "pushes up +1.22" in page
    assert "No model was learned" not in page


def test_a_customer_that_the_worker_does_not_have_is_said_with_the_workers_reason(worker: Served) -> None:
    assert "no such customer on this worker" in refused("nobody/at all", "--url", worker.url)


def test_an_address_that_is_none_is_refused_before_anything_is_asked() -> None:
    for address in ("localhost:8640", "file:///etc/hosts", "http://"):
        assert "is no address of a worker's page" in refused("C1", "--url", address)


def test_where_nothing_listens_it_says_so(worker: Served, real: Answer) -> None:
    gone = Served(real)
    gone.close()
    assert f"{gone.url}: no worker's page answers: " in refused("C1", "--url", gone.url)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, b"<html>hello</html>"), "what answers is no livetags worker of this version"),
        ((200, b'{"ok": true}'), "what answers is no livetags worker of this version"),
        ((404, b"<html>not here</html>"), "answers 404: is that a livetags worker's page?"),
        ((500, b""), "answers 500"),
    ],
)
def test_something_else_that_answers_is_not_taken_for_a_worker(
    worker: Served, answer: tuple[int, bytes], said: str
) -> None:
    worker.answer = lambda path: answer
    assert said in refused("C1", "--url", worker.url)


@pytest.mark.parametrize(
    ("flips", "said"),
    [
        ("", []),
        ("inflow_1h >= 50_000 does not hold", ["not met: Inflow, 1 hour is at least 50,000 CNY"]),
        ("not vip holds; large_inflow holds", ["met: VIP is off", "met: Large inflow is on"]),
        (
            "idle < 14d holds; turns off at 2025-01-18T16:30:00.000Z if nothing happens",
            ["met: Since the last payment is less than 14 days", "turns off at 2025-01-19 00:30 if nothing happens"],
        ),
        ("its model is not learned", ["its model is not learned"]),
        ("what >>> this holds", ["what >>> this holds"]),
    ],
)
def test_what_the_engine_says_of_flips_is_translated_and_left_alone_where_it_is_something_else(
    flips: str, said: list[str]
) -> None:
    assert translated(flips, vocabulary(CATALOGUE_READ, "en"), "Asia/Shanghai") == said
