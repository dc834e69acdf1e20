"""Workers as processes that are killed, held up, sent away and started again, where they end by themselves too."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

ROOT: Final = Path(__file__).parents[2]
AGAIN_AFTER_S: Final = 0.5
LEAVES_WITHIN_S: Final = 30.0


class Ended(msgspec.Struct, frozen=True):
    """A worker that ended by itself, and the last thing it said."""

    member: str
    code: int
    said: str


class Left(msgspec.Struct, frozen=True):
    """A worker that was asked to stop: its exit code, and the seconds it took."""

    member: str
    code: int
    took_s: float


class Member:
    """One worker's process after the other, with the same data directory.

    Parameters
    ----------
    environment
        Its settings, as environment variables.
    """

    def __init__(self, name: str, catalogue: Path, directory: Path, environment: dict[str, str]) -> None:
        self.name, self.starts = name, 0
        self.ended: list[Ended] = []
        self.left: list[Left] = []
        self._catalogue, self.log = catalogue, directory / f"{name}.log"
        own = {"LIVETAGS_DATA_DIR": str(directory / name)}
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment, **own}
        self._process: asyncio.subprocess.Process | None = None
        self._wanted = False
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Have it run from now on; where it ends by itself it is started again, as a service manager does."""
        self._wanted = True
        await self._spawn()
        self._watch = asyncio.create_task(self._watched())

    async def _spawn(self) -> None:
        self.starts += 1
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(
                    sys.executable,
                    "-c",
                    "from streams.cli import main; main()",
                    "worker",
                    str(self._catalogue),
                    "--json",
                ),
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
            )

    async def _watched(self) -> None:
        while self._wanted and self._process is not None:
            code = await self._process.wait()
            if self._wanted:
                said = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
                self.ended.append(Ended(self.name, code, said[-1] if said else ""))
                await asyncio.sleep(AGAIN_AFTER_S)
                if self._wanted:
                    await self._spawn()

    @property
    def pid(self) -> int | None:
        """Its process now; None where none runs."""
        running = self._running
        return None if running is None else running.pid

    async def kill(self) -> None:
        """End it at once (SIGKILL), also where it is held up, and start it no more."""
        self._wanted = False
        while self._running is not None:  # twice, where it was just being started again
            self._running.kill()
            await self._unwatched()

    async def leave(self) -> None:
        """Ask it to stop (SIGTERM) and wait until it did; start it no more."""
        self._wanted = False
        while (process := self._running) is not None:
            began = time.monotonic()
            process.terminate()
            try:
                async with asyncio.timeout(LEAVES_WITHIN_S):
                    code = await process.wait()
            except TimeoutError:
                process.kill()
                code = await process.wait()
            self.left.append(Left(self.name, code, time.monotonic() - began))
            await self._unwatched()

    @property
    def _running(self) -> asyncio.subprocess.Process | None:
        return self._process if self._process is not None and self._process.returncode is None else None

    async def _unwatched(self) -> None:
        if self._watch is not None:
            await self._watch
            self._watch = None

    def pause(self) -> None:
        """Hold it up (SIGSTOP)."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._running is not None:
            self._running.send_signal(number)
