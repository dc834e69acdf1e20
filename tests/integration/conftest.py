"""The brokers of the integration suite, and names that no two tests share.

Most tests take `bench`, on the quick embedded broker unless the environment says otherwise (tests/brokers/finding.py).
What the embedded broker lacks (transactions, compaction, groups that last) is tested with `kafka_bench`, on one Apache
Kafka for the session, and with `own_kafka` where the test ends or holds up its broker.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.broker import BrokerError, Embedded
from tests.brokers import finding
from tests.brokers.finding import Demand
from tests.brokers.interface import Kafka
from tests.integration.support import Bench


@pytest.fixture(scope="session")
def session_kafka() -> Iterator[str]:
    """Address of an Apache Kafka for the whole session; asked for by `kafka` and `broker` only."""
    if finding.named():
        yield finding.named()
        return
    made = _kafka_or_skip()
    try:
        yield made.start()
    finally:
        made.remove()


@pytest.fixture(scope="module")
def broker(request: pytest.FixtureRequest) -> Iterator[str]:
    """Address of a broker: the one that is named, Apache Kafka where all are to run on it, else an embedded one."""
    if finding.named() or finding.demand() is Demand.ALL:
        yield request.getfixturevalue("session_kafka")
        return
    with Embedded() as embedded:
        yield embedded.address


@pytest.fixture(scope="module")
def kafka(session_kafka: str) -> str:
    """Address of an Apache Kafka, shared with other tests; where there is none the test is skipped, or fails in CI."""
    return session_kafka


@pytest.fixture
def own_kafka() -> Iterator[Kafka]:
    """An Apache Kafka that runs for this test alone, which may end it and start it again."""
    made = _kafka_or_skip()
    try:
        made.start()
        yield made
    finally:
        made.remove()


def _kafka_or_skip() -> Kafka:
    demand = finding.demand()
    try:
        return finding.kafka()
    except BrokerError as error:
        if demand is not Demand.WHERE_FOUND:
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Asynchronous tests run on asyncio."""
    return "asyncio"


@pytest.fixture
def bench(broker: str, tmp_path: Path) -> Bench:
    """Unique topics and a fresh data directory on the broker."""
    return Bench(broker, f"t{uuid.uuid4().hex[:10]}", tmp_path)


@pytest.fixture
def kafka_bench(kafka: str, tmp_path: Path) -> Bench:
    """The same on Apache Kafka."""
    return Bench(kafka, f"t{uuid.uuid4().hex[:10]}", tmp_path)
