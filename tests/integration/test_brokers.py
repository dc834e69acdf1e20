"""The brokers that tests run on keep what they promise to tests: Apache Kafka remembers over its own death."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.cluster import Admin
from tests.brokers.interface import Kafka
from tests.integration.support import Bench, stream

pytestmark = pytest.mark.anyio


async def test_apache_kafka_that_was_killed_has_its_topics_records_and_cluster_id_again(
    own_kafka: Kafka, tmp_path: Path
) -> None:
    bench = Bench(own_kafka.address, "kept", tmp_path)
    await bench.topics(bench.settings(2), bench.catalogue())
    await bench.send(stream(40))
    with Admin(bench.address) as admin:
        before, embedded = admin.cluster_id(), admin.embedded()
    own_kafka.kill()
    own_kafka.start()
    with Admin(bench.address) as admin:
        assert admin.cluster_id() == before
    assert not embedded
    sources = [len(await bench.read(f"kept-{source}")) for source in ("pay", "look", "who")]
    assert sum(sources) == 40
