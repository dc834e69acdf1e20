"""Which broker tests run on: one that is named, Apache Kafka in a container or from its jars, or the embedded one.

`LIVETAGS_TEST_BROKER=host:port` names one that runs already. `LIVETAGS_TEST_KAFKA` says how much Apache Kafka there
must be: empty, what needs it is skipped by name where there is none; `required`, that fails; `all`, every integration
test runs on it, none on the embedded broker.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import Enum
from functools import cache

from streams.broker import BrokerError
from tests.brokers import container, java
from tests.brokers.interface import Kafka

NAMED = "LIVETAGS_TEST_BROKER"
DEMANDED = "LIVETAGS_TEST_KAFKA"


class Demand(Enum):
    """How much Apache Kafka there must be."""

    WHERE_FOUND = ""
    REQUIRED = "required"
    ALL = "all"


class Way(Enum):
    """How Apache Kafka is run here."""

    CONTAINER = "container"
    JAVA = "java"


def named() -> str:
    """The broker that the environment names, host:port; an empty text where it names none."""
    return os.environ.get(NAMED, "")


def demand() -> Demand:
    """What the environment demands.

    Raises
    ------
    BrokerError
        It is none of the words above.
    """
    said = os.environ.get(DEMANDED, "")
    try:
        return Demand(said)
    except ValueError:
        raise BrokerError(f"{DEMANDED}={said!r} is none of: required, all") from None


@cache
def way() -> Way | str:
    """How Apache Kafka is run here, or why it can't be."""
    no_container = container.missing()
    if not no_container:
        return Way.CONTAINER
    no_java = java.missing()
    return f"{no_container}, and {no_java}" if no_java else Way.JAVA


def kafka(settings: Mapping[str, str] | None = None, doors: Mapping[str, str] | None = None) -> Kafka:
    """An Apache Kafka of the caller's own, not yet started; arguments as of `JavaKafka`.

    Raises
    ------
    BrokerError
        None can run here; the message says what is missing.
    """
    found = way()
    if isinstance(found, str):
        raise BrokerError(f"Apache Kafka can't run here: {found}")
    return (
        container.ContainedKafka(settings, doors) if found is Way.CONTAINER else java.JavaKafka(None, settings, doors)
    )
