"""`livetags worker` as a process: it starts, stops when asked, survives being killed, and refuses with the way out."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from streams.broker import Embedded
from streams.replay import Record, run
from tests.integration.processes import command
from tests.integration.support import Bench, by_customer, stream

pytestmark = pytest.mark.anyio


@pytest.fixture
def catalogue(bench: Bench) -> Path:
    """The test's catalogue as a file."""
    path = bench.directory / "everything.yaml"
    path.write_text(bench.text(), encoding="utf-8")
    return path


async def test_ctrl_c_stops_it_cleanly_and_quietly(bench: Bench, catalogue: Path) -> None:
    async with command(bench, "worker", catalogue) as worker:
        assert (await worker.report())["state"] == "running"
        worker.process.send_signal(signal.SIGINT)
        assert await worker.ends() == 0
        assert worker.process.stderr is not None
        assert await worker.process.stderr.read() == b""


async def test_p6_p7_killed_at_work_it_goes_on_without_losing_a_change(bench: Bench, catalogue: Path) -> None:
    loaded, records = bench.catalogue(), stream()
    await bench.topics(bench.settings(2, worker="other"), loaded)
    await bench.send(records[:1_500])
    async with command(bench, "worker", catalogue) as worker:
        assert (await worker.report())["state"] == "running"
        await bench.some_changes(500)
        worker.process.send_signal(signal.SIGKILL)
        await worker.ends()
    await bench.send(records[1_500:])
    expected = run(loaded, [Record(r.source, r.value, r.key.decode()) for r in records], partitions=2)
    async with command(bench, "worker", catalogue) as worker:
        assert (await worker.report())["state"] == "running"
        await bench.some_changes(len(expected.changes))
        worker.process.send_signal(signal.SIGTERM)
        assert await worker.ends() == 0
    assert by_customer(await bench.changes()) == by_customer(expected.changes)


async def test_p10_it_refuses_a_changed_catalogue_and_says_the_command_that_rebuilds(
    bench: Bench, catalogue: Path
) -> None:
    await bench.topics(bench.settings(2, worker="other"), bench.catalogue(replaced={"in_1h >= 2.5": "in_1h >= 3.5"}))
    async with command(bench, "worker", catalogue) as worker:
        refused = await worker.report()
        assert await worker.ends() == 1
    assert f"livetags worker {catalogue} --rebuild" in refused["said"]
    assert "Traceback" not in refused["said"]
    async with command(bench, "worker", catalogue, "--rebuild") as worker:
        assert (await worker.report())["state"] == "running"


async def test_without_a_broker_it_says_how_to_name_one(bench: Bench, catalogue: Path) -> None:
    async with command(bench, "worker", catalogue, broker="127.0.0.1:9") as worker:
        refused = await worker.report()
        assert await worker.ends() == 1
    assert "no Kafka broker answers at 127.0.0.1:9" in refused["said"]
    assert "Traceback" not in refused["said"]


async def test_its_broker_gone_it_stops_in_time_and_says_what_was_not_written(bench: Bench, catalogue: Path) -> None:
    with Embedded() as doomed:
        shop = Bench(doomed.address, bench.name, bench.directory)
        async with command(shop, "worker", catalogue, flush_interval_s="10") as worker:
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
