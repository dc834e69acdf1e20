"""What a worker finds or makes on its cluster, and what it refuses to start on."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from schemas.topics import Changelog, Role, Spread, Topic, topics_of
from streams.broker import BrokerError, Embedded
from streams.cluster import Admin, StateRefused, prepare
from streams.commands.topics import topics as topics_command
from tests.integration.support import Bench

pytestmark = pytest.mark.anyio
FINGERPRINT = "0123456789abcdef"


async def test_topics_are_created_with_their_partitions_and_policies(bench: Bench) -> None:
    cluster = await prepare(bench.settings(3), bench.catalogue(), FINGERPRINT)
    with Admin(bench.address) as admin:
        found = admin.describe([topic.name for topic in cluster.topics])
        policies = {topic.role: admin.policy(topic.name) for topic in cluster.topics}
    assert {name: topic.partitions for name, topic in found.items()} == {
        topic.name: 1 if topic.spread is Spread.SINGLE else 3 for topic in cluster.topics
    }
    assert set(cluster.topic_ids) == set(found)
    if not cluster.embedded:  # which does not tell
        assert {role for role, policy in policies.items() if policy == "compact"} == {
            Role.CUSTOMER_TAGS,
            Role.CONTROL,
            Role.CHANGELOG,
        }


async def test_sources_that_are_there_decide_how_many_partitions_the_rest_gets(bench: Bench) -> None:
    _create(bench, {"pay": 5})
    cluster = await prepare(bench.settings(8), bench.catalogue(), FINGERPRINT)
    assert cluster.partitions == 5


async def test_sources_with_unequal_partitions_are_refused_by_name(bench: Bench) -> None:
    _create(bench, {"pay": 2, "look": 3})
    with pytest.raises(BrokerError, match=rf"{bench.name}-pay 2, {bench.name}-look 3"):
        await prepare(bench.settings(8), bench.catalogue(), FINGERPRINT)


def _create(bench: Bench, partitions: dict[str, int]) -> None:
    with Admin(bench.address) as admin:
        for topic in _topics(bench, Role.SOURCE):
            number = partitions.get(topic.name.removeprefix(f"{bench.name}-"))
            if number is not None:
                admin.create([topic], number, 1)


def _topics(bench: Bench, role: Role) -> list[Topic]:
    every = topics_of(bench.catalogue(), Changelog(1, FINGERPRINT, bench.name), f"{bench.name}-")
    return [topic for topic in every if topic.role is role]


async def test_p6_state_of_another_broker_is_refused(bench: Bench) -> None:
    await prepare(bench.settings(), bench.catalogue(), FINGERPRINT)
    with Embedded() as another:
        settings = bench.settings(broker=another.address)
        with pytest.raises(StateRefused, match=r"belongs to another cluster .* livetags worker shop.yaml --rebuild"):
            await prepare(settings, bench.catalogue(), FINGERPRINT, file="shop.yaml")
        await prepare(settings, bench.catalogue(), FINGERPRINT, rebuild=True)


async def test_the_topics_command_creates_and_lists(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(bench.text(), encoding="utf-8")
    for name, value in {"APP_ID": bench.name, "TOPIC_PREFIX": f"{bench.name}-", "PARTITIONS": "3"}.items():
        monkeypatch.setenv(f"LIVETAGS_{name}", value)

    def said(*options: str) -> str:
        result = CliRunner().invoke(topics_command, [str(file), "--broker", bench.address, *options])
        assert result.exit_code == 0, result.output
        return result.output

    assert "missing" in said()
    said("--create")
    assert said("--json").count('"found": 3') == len(_topics(bench, Role.SOURCE)) + 7
    assert f"{bench.name}-changelog" in said("--offline", "--json")
