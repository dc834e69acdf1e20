"""Commands as processes of their own: started, told to stop, killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from tests.integration.support import WITHIN_S, Bench

STOPS_WITHIN_S = 10.0


class Process:
    """A command's process and the JSON lines it reports."""

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
    bench: Bench, name: str, catalogue: Path, *options: str, broker: str = "", **settings_given: str
) -> AsyncIterator[Process]:
    """The command of that name as a process, killed in the end where it still runs; settings by their lower names."""
    settings = {
        "LIVETAGS_BROKER": broker or bench.address,
        "LIVETAGS_APP_ID": bench.name,
        "LIVETAGS_TOPIC_PREFIX": f"{bench.name}-",
        "LIVETAGS_DATA_DIR": str(bench.directory / "state"),
        "LIVETAGS_PARTITIONS": "2",
        "LIVETAGS_CLOCK": "event",
        "LIVETAGS_FLUSH_INTERVAL_S": "0.1",
    }
    settings |= {f"LIVETAGS_{setting.upper()}": value for setting, value in settings_given.items()}
    code = f"from streams.commands.{name} import {name}; {name}(prog_name='livetags {name}')"
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", code, str(catalogue), "--json", *options),
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
