"""docker-compose.yml in real containers: `up --wait` works, records become tags, a restart goes on, `down` cleans up.

The tests share one stack and run in their order. Where no engine answers they are skipped, with the reason; with
LIVETAGS_TEST_ENGINE=required they fail instead.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from kafka import KafkaConsumer, TopicPartition

from schemas.loading import load
from tests.integration.containers import ROOT, Stack, fetched, missing, until

CUSTOMERS = 300
WORKERS = ("worker-1", "worker-2")
KERNELS = """
import json, sys
from pathlib import Path
def kernels(top): return sorted(str(path.relative_to(top)) for path in (top / "numba").rglob("*.nb*"))
print(json.dumps([kernels(Path(sys.prefix) / "share" / "livetags"), kernels(Path("/data"))]))
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """All services with the demo's, running."""
    reason = missing()
    if reason and os.environ.get("LIVETAGS_TEST_ENGINE") == "required":
        pytest.fail(f"containers are required here, but {reason}")
    if reason:
        pytest.skip(f"docker-compose.yml needs a container engine: {reason}")
    stack = Stack(CUSTOMERS)
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


def records(stack: Stack) -> int:
    """How many records the sources' topics hold, asked from outside of the containers."""
    topics = [source.topic for source in load(ROOT / "schemas" / "bank.yaml").sources]
    consumer = KafkaConsumer(bootstrap_servers=f"127.0.0.1:{stack.kafka}")
    try:
        places = [TopicPartition(topic, n) for topic in topics for n in consumer.partitions_for_topic(topic) or ()]
        return sum(consumer.end_offsets(places).values())
    finally:
        consumer.close()


def applied(stack: Stack) -> int:
    """How many records both workers have applied since they started."""
    return sum(stack.page(worker, "summary")["events"] for worker in WORKERS)


def customers(stack: Stack) -> dict[str, int]:
    return {worker: stack.page(worker, "summary")["customers"] for worker in WORKERS}


def test_all_services_are_at_work_when_up_returns(stack: Stack) -> None:
    services = stack.services()
    health = {name: one["Health"] for name, one in services.items() if one["Health"]}
    assert health == dict.fromkeys(("kafka", *WORKERS, "trainer", "prometheus", "demo"), "healthy")
    assert (services["topics"]["State"], services["topics"]["ExitCode"]) == ("exited", 0)


def test_two_workers_apply_all_that_the_demo_sent(stack: Stack) -> None:
    until(lambda: applied(stack) >= records(stack), "every record is applied")
    assert records(stack) > 50 * CUSTOMERS
    assert sum(customers(stack).values()) == CUSTOMERS
    assert min(customers(stack).values()) > 0
    for worker in WORKERS:
        summary = stack.page(worker, "summary")
        assert (summary["clock"], summary["dead"]) == ("wall", 0)
    segments = [segment for worker in WORKERS for segment in stack.page(worker, "segments")]
    assert any(segment["customers"] for segment in segments)


def test_prometheus_scrapes_both_workers(stack: Stack) -> None:
    address = f"http://127.0.0.1:{stack.prometheus}/api/v1/"

    def scraped() -> bool:
        targets = fetched(f"{address}targets")["data"]["activeTargets"]
        return sorted(one["labels"]["instance"] for one in targets if one["health"] == "up") == [
            f"{worker}:8640" for worker in WORKERS
        ]

    until(scraped, "both workers are up for Prometheus")

    def counted() -> bool:
        found = fetched(f"{address}query?query=sum(livetags_customers)")["data"]["result"]
        return [one["value"][1] for one in found] == [str(CUSTOMERS)]

    until(counted, "Prometheus has seen every customer")


def test_nothing_runs_as_root_and_no_kernel_is_compiled_that_the_image_has(stack: Stack) -> None:
    for service in (*WORKERS, "trainer"):
        assert stack.python(service, "import os; print(os.getuid())") != 0
        installed, used = stack.python(service, KERNELS)
        assert installed
        assert used == installed


def test_a_stopped_workers_state_can_be_inspected_and_it_goes_on_from_there(stack: Stack) -> None:
    before = customers(stack)["worker-1"]
    stack.compose("stop", "worker-1")
    said = stack.compose("run", "--rm", "--no-deps", "worker-1", "state", "inspect")
    assert f" {before:,} rows" in said.splitlines()[-1]
    stack.compose("up", "--wait", "--no-recreate", "worker-1")
    until(lambda: sum(customers(stack).values()) == CUSTOMERS, "each customer is some worker's again")
    assert customers(stack)["worker-1"] > 0
    assert stack.page("worker-1", "summary")["events"] < CUSTOMERS  # the past was not read again


def test_a_demo_that_is_started_again_sends_nothing_twice(stack: Stack) -> None:
    before = records(stack)
    stack.compose("stop", "demo")
    stack.compose("up", "--wait", "--no-recreate", "demo")
    assert before <= records(stack) < before + CUSTOMERS
    assert sum(stack.page(worker, "summary")["duplicates"] for worker in WORKERS) == 0


def test_down_leaves_nothing_behind(stack: Stack) -> None:
    assert stack.left()
    stack.down()
    assert stack.left() == []
