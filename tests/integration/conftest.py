"""The broker of the integration suite, and names that no two tests share."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.broker import Embedded
from tests.integration.support import Bench


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """Address of a broker: `LIVETAGS_TEST_BROKER`, else an embedded one for this module."""
    named = os.environ.get("LIVETAGS_TEST_BROKER")
    if named:
        yield named
        return
    with Embedded() as embedded:
        yield embedded.address


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Asynchronous tests run on asyncio."""
    return "asyncio"


@pytest.fixture
def bench(broker: str, tmp_path: Path) -> Bench:
    """Unique topics and a fresh data directory on the broker."""
    return Bench(broker, f"t{uuid.uuid4().hex[:10]}", tmp_path)
