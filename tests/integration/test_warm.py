"""A worker compiles before its first record, not under load."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams import app
from tests.integration import lessons
from tests.integration.support import EVERYTHING, Bench, Sent, stream, until

LONGEST_COMPILE_S = 0.5


@pytest.mark.parametrize(
    ("catalogue", "records"),
    [(EVERYTHING, stream(300)), (lessons.LESSONS, lessons.life(1, 600))],
    ids=["everything", "lessons"],
)
def test_no_kernel_is_compiled_once_a_worker_is_warm(catalogue: Path, records: list[Sent], tmp_path: Path) -> None:
    lines = tmp_path / "records.ndjson"
    lines.write_bytes(
        b"\n".join(msgspec.json.encode({"source": r.source, "value": msgspec.Raw(r.value)}) for r in records)
    )
    probe = [sys.executable, "-m", "tests.warm_probe", str(catalogue), str(lines)]
    done = subprocess.run(probe, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


@pytest.mark.anyio
async def test_no_record_is_applied_before_the_kernels_are_compiled(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A worker that read while it compiled had read a year before it could pass cut-points on or say how far it was.
    reading, compiled, order = threading.Event(), threading.Event(), []

    def compile_for_long(_: Any) -> None:
        reading.wait(LONGEST_COMPILE_S)  # a worker that reads meanwhile is noticed at once
        compiled.set()

    positions = app.Worker._positions

    async def noted(worker: app.Worker, *given: Any) -> Any:
        found = await positions(worker, *given)
        order.append(compiled.is_set())
        reading.set()
        return found

    monkeypatch.setattr(app, "warm", compile_for_long)
    monkeypatch.setattr(app.Worker, "_positions", noted)
    catalogue, settings, records = bench.catalogue(), bench.settings(1), stream(50)
    await bench.topics(settings, catalogue)
    await bench.send(records)
    async with bench.worker(settings, catalogue) as worker:
        await until(lambda: worker.counters.events > 0)
    assert order
    assert all(order)
