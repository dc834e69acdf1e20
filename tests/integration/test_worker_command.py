"""`livetags worker` as a process: it starts, stops when asked, survives being killed, and refuses with the way out."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams.broker import Embedded
from streams.replay import Record, run
from tests.integration.support import WITHIN_S, Bench, by_customer, stream

pytestmark = pytest.mark.anyio

COMMAND = "from streams.commands.worker import worker; worker(prog_name='livetags worker')"
STOPS_WITHIN_S = 10.0


class Process:
    """A worker's process and the JSON lines it reports."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def report(self) -> dict[str, Any]:
        """Its next report; a text of what it complained of where there is none."""
        if self.process.stdout is None or self.process.stderr is None:
            raise ValueError("the process was started without pipes")
        async with asyncio.timeout(WITHIN_S):
            line = await self.process.stdout.readline()
            if not line:
                return {"state": "ended", "said": (await self.process.stderr.read()).decode()}
        found: dict[str, Any] = msgspec.json.decode(line)
        return found

    async def ends(self, within_s: float = STOPS_WITHIN_S) -> int:
        """Its exit code."""
        async with asyncio.timeout(within_s):
            return await self.process.wait()


@contextlib.asynccontextmanager
async def command(
    bench: Bench, catalogue: Path, *options: str, broker: str = "", flush_interval_s: str = "0.1"
) -> AsyncIterator[Process]:
    """The command as a process, killed in the end where it still runs."""
    settings = {
        "LIVETAGS_BROKER": broker or bench.address,
        "LIVETAGS_APP_ID": bench.name,
        "LIVETAGS_TOPIC_PREFIX": f"{bench.name}-",
        "LIVETAGS_DATA_DIR": str(bench.directory / "state"),
        "LIVETAGS_PARTITIONS": "2",
        "LIVETAGS_CLOCK": "event",
        "LIVETAGS_FLUSH_INTERVAL_S": flush_interval_s,
    }
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", COMMAND, str(catalogue), "--json", *options),
        env={**os.environ, **settings},
        stdout=pipe,
        stderr=pipe,
        cwd=Path(__file__).parents[2],
    )
    try:
        yield Process(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.fixture
def catalogue(bench: Bench) -> Path:
    """The test's catalogue as a file."""
    path = bench.directory / "everything.yaml"
    path.write_text(bench.text(), encoding="utf-8")
    return path


async def test_ctrl_c_stops_it_cleanly_and_quietly(bench: Bench, catalogue: Path) -> None:
    async with command(bench, catalogue) as worker:
        assert (await worker.report())["state"] == "running"
        worker.process.send_signal(signal.SIGINT)
        assert await worker.ends() == 0
        assert worker.process.stderr is not None
        assert await worker.process.stderr.read() == b""


async def test_p6_p7_killed_at_work_it_goes_on_without_losing_a_change(bench: Bench, catalogue: Path) -> None:
    loaded, records = bench.catalogue(), stream()
    await bench.topics(bench.settings(2, worker="other"), loaded)
    await bench.send(records[:1_500])
    async with command(bench, catalogue) as worker:
        assert (await worker.report())["state"] == "running"
        await bench.some_changes(500)
        worker.process.send_signal(signal.SIGKILL)
        await worker.ends()
    await bench.send(records[1_500:])
    expected = run(loaded, [Record(r.source, r.value, r.key.decode()) for r in records], partitions=2)
    async with command(bench, catalogue) as worker:
        assert (await worker.report())["state"] == "running"
        await bench.some_changes(len(expected.changes))
        worker.process.send_signal(signal.SIGTERM)
        assert await worker.ends() == 0
    assert by_customer(await bench.changes()) == by_customer(expected.changes)


async def test_p10_it_refuses_a_changed_catalogue_and_says_the_command_that_rebuilds(
    bench: Bench, catalogue: Path
) -> None:
    await bench.topics(bench.settings(2, worker="other"), bench.catalogue(replaced={"in_1h >= 2.5": "in_1h >= 3.5"}))
    async with command(bench, catalogue) as worker:
        refused = await worker.report()
        assert await worker.ends() == 1
    assert f"livetags worker {catalogue} --rebuild" in refused["said"]
    assert "Traceback" not in refused["said"]
    async with command(bench, catalogue, "--rebuild") as worker:
        assert (await worker.report())["state"] == "running"


async def test_without_a_broker_it_says_how_to_name_one(bench: Bench, catalogue: Path) -> None:
    async with command(bench, catalogue, broker="127.0.0.1:9") as worker:
        refused = await worker.report()
        assert await worker.ends() == 1
    assert "no Kafka broker answers at 127.0.0.1:9" in refused["said"]
    assert "Traceback" not in refused["said"]


async def test_its_broker_gone_it_stops_in_time_and_says_what_was_not_written(bench: Bench, catalogue: Path) -> None:
    with Embedded() as doomed:
        shop = Bench(doomed.address, bench.name, bench.directory)
        async with command(shop, catalogue, flush_interval_s="10") as worker:
            assert (await worker.report())["state"] == "running"
            await shop.send(stream(50))
            await shop.some_changes(10)
            doomed.stop()
            worker.process.send_signal(signal.SIGTERM)
            assert await worker.ends() == 1
            assert worker.process.stderr is not None
            said = (await worker.process.stderr.read()).decode()
    assert "did not take the last flush" in said
    assert "Traceback" not in said
