"""`livetags freshness` on a broker: with workers, with none left, and where none ever was."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from schemas.freshness import Freshness, Promise, SourceState, WorkerState
from schemas.status import Clock, PlaceStatus, WorkerStatus
from schemas.topics import Role
from streams.broker import free_port
from streams.cli import main
from streams.cluster import Admin
from streams.config import wall_ms
from streams.control import Control
from tests.integration.support import SOURCES, Bench, Sent, partition_of

pytestmark = pytest.mark.anyio
PARTITIONS = 2


@pytest.fixture
def catalogue(bench: Bench) -> Path:
    """The catalogue's file, with a promise."""
    file = bench.directory / "shop.yaml"
    file.write_text(bench.text(replaced={"blink: {when": "blink: {freshness: 5s, when"}), encoding="utf-8")
    return file


async def ask(bench: Bench, catalogue: Path, *options: str) -> Result:
    """What the command says."""
    environment = {"LIVETAGS_TOPIC_PREFIX": f"{bench.name}-"}
    arguments = ["freshness", str(catalogue), "--broker", bench.address, "--app-id", bench.name, *options]
    return await asyncio.to_thread(CliRunner().invoke, main, arguments, env=environment)


async def told(bench: Bench, catalogue: Path) -> Freshness:
    return msgspec.json.decode((await ask(bench, catalogue, "--json")).output, type=Freshness)


def status(bench: Bench, member: str, partitions: list[int], **given: Any) -> WorkerStatus:
    """A worker to whom a record of each source has just come."""
    now = wall_ms()
    places = {
        name: [
            PlaceStatus(n, newest_ms=now, lag=0, at_end=True, received_ms=now, clear_ms=now, position=1)
            for n in partitions
        ]
        for name in SOURCES
    }
    usual = WorkerStatus(bench.name, member, Clock.WALL, now - 60_000, now, 60.0, partitions, PARTITIONS, places=places)
    return msgspec.structs.replace(usual, **given)


async def say(bench: Bench, *statuses: WorkerStatus) -> None:
    """Put those on the control topic."""
    control = Control(bench.address, bench.topic(Role.CONTROL), embedded=True)
    await control.start()
    for one in statuses:
        control.put(one.key, msgspec.json.encode(one))
    async with asyncio.timeout(30):
        await control.drained()
    await control.stop()


async def prepared(bench: Bench) -> None:
    await bench.topics(bench.settings(PARTITIONS), bench.catalogue())


async def test_where_no_worker_ever_was_everything_is_unread(bench: Bench, catalogue: Path) -> None:
    await prepared(bench)
    result = await ask(bench, catalogue)
    assert result.exit_code == 1
    assert "No worker of this app has said anything within a day." in result.output
    assert result.output.count("unread") >= len(SOURCES)
    assert {source.state for source in (await told(bench, catalogue)).sources} == {SourceState.UNREAD}


async def test_before_there_is_any_topic_nothing_is_known_and_nothing_is_created(bench: Bench, catalogue: Path) -> None:
    result = await ask(bench, catalogue, "--json")
    assert result.exit_code == 1
    assert [source.partitions for source in (await told(bench, catalogue)).sources] == [None] * len(SOURCES)
    with Admin(bench.address) as admin:
        assert not [name for name in admin.names() if name.startswith(bench.name)]


async def test_workers_that_work_keep_the_promise_and_the_exit_code_says_so(bench: Bench, catalogue: Path) -> None:
    await prepared(bench)
    await say(bench, status(bench, "one", [0]), status(bench, "two", [1]))
    result = await ask(bench, catalogue)
    assert result.exit_code == 0, result.output
    assert "flowing" in result.output
    assert "kept" in result.output
    found = await told(bench, catalogue)
    assert [(one.name, one.state, one.partitions) for one in found.workers] == [
        ("one", WorkerState.WORKING, [0]),
        ("two", WorkerState.WORKING, [1]),
    ]


async def test_a_worker_that_stopped_leaves_its_partitions_unread(bench: Bench, catalogue: Path) -> None:
    await prepared(bench)
    await say(bench, status(bench, "one", [0]), status(bench, "two", [1], stopped=True))
    result = await ask(bench, catalogue)
    assert result.exit_code == 1
    assert "1 of 2 partitions" in result.output
    found = await told(bench, catalogue)
    assert {(source.state, tuple(source.unread)) for source in found.sources} == {(SourceState.UNREAD, (1,))}
    assert next(tag for tag in found.tags if tag.name == "blink").promise is Promise.NOBODY


async def test_workers_of_another_app_do_not_count(bench: Bench, catalogue: Path) -> None:
    await prepared(bench)
    await say(bench, status(bench, "one", [0, 1], app_id="another"))
    assert (await told(bench, catalogue)).workers == []


async def test_the_groups_lag_is_told_where_no_worker_is_left(bench: Bench, catalogue: Path) -> None:
    with Admin(bench.address) as admin:
        if admin.embedded():
            pytest.skip("the embedded broker's ends are wrong: the group's lag needs Apache Kafka")
    await prepared(bench)
    pays = [Sent("pay", f"c{n}".encode(), b"{}") for n in range(30)]
    await bench.send(pays)
    found = await told(bench, catalogue)
    assert [source.lag for source in found.sources] == [30, 0, 0]
    assert {partition_of(one.key, PARTITIONS) for one in pays} == {0, 1}


async def test_a_broker_that_is_not_there_is_named_with_what_to_do(catalogue: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    # in a process of its own: the admin client leaves sockets open that nobody answered
    command = [sys.executable, "-m", "streams.cli", "freshness", str(catalogue), "--broker", address]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"no Kafka broker answers at {address}" in done.stderr


async def test_wrong_use_has_an_exit_code_of_its_own(catalogue: Path) -> None:
    result = await asyncio.to_thread(CliRunner().invoke, main, ["freshness", str(catalogue), "--at", "now"])
    assert result.exit_code == 2
