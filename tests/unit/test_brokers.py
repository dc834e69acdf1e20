"""Which broker tests run on, by what the environment says and what the machine has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streams.broker import BrokerError
from tests.brokers import container, finding, java
from tests.brokers.finding import Demand, Way


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    finding.way.cache_clear()
    yield
    finding.way.cache_clear()


@pytest.mark.parametrize(
    ("no_container", "no_java", "expected"),
    [
        ("", "", Way.CONTAINER),
        ("no container engine answers", "", Way.JAVA),
        ("no container engine answers", "there is no mvn", "no container engine answers, and there is no mvn"),
    ],
)
def test_a_container_comes_first_then_the_jars(
    monkeypatch: pytest.MonkeyPatch, no_container: str, no_java: str, expected: Way | str
) -> None:
    monkeypatch.setattr(container, "missing", lambda: no_container)
    monkeypatch.setattr(java, "missing", lambda: no_java)
    assert finding.way() == expected


def test_without_any_apache_kafka_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "missing", lambda: "there is no docker command")
    monkeypatch.setattr(java, "missing", lambda: "there is no java and no mvn")
    with pytest.raises(BrokerError, match="no docker command, and there is no java and no mvn"):
        finding.kafka()


@pytest.mark.parametrize(
    ("said", "demand"), [(None, Demand.WHERE_FOUND), ("required", Demand.REQUIRED), ("all", Demand.ALL)]
)
def test_the_environment_says_how_much_must_run_on_apache_kafka(
    monkeypatch: pytest.MonkeyPatch, said: str | None, demand: Demand
) -> None:
    if said is None:
        monkeypatch.delenv(finding.DEMANDED, raising=False)
    else:
        monkeypatch.setenv(finding.DEMANDED, said)
    assert finding.demand() is demand


def test_a_demand_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(finding.DEMANDED, "some")
    with pytest.raises(BrokerError, match="'some' is none of: required, all"):
        finding.demand()
