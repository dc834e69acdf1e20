"""A `livetags` process that belongs to the demo: started, listened to, and ended with it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

import msgspec

import streams
from streams.broker import die_with_parent
from streams.config import PREFIX, Settings

STOP_WITHIN_S: Final = 4.0
LINES: Final = 40


class DemoFailed(Exception):
    """The demo can't go on; the message says why."""


class _Awaited(msgspec.Struct, frozen=True):
    """Somebody waits for a line; the answer is None where the process ends without it."""

    pattern: re.Pattern[str]
    answer: asyncio.Future[re.Match[str] | None]


class Child:
    """A `livetags` command as a child process.

    Parameters
    ----------
    name
        What messages call it.
    arguments
        The command and what follows it.
    settings
        Those that were given are the process's; what the environment says does not count.
    """

    def __init__(self, name: str, arguments: Sequence[str], settings: Settings) -> None:
        self.name, self._arguments, self._settings = name, arguments, settings
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._awaited: list[_Awaited] = []
        self.said: deque[str] = deque(maxlen=LINES)
        """The last lines it said, errors included."""

    async def start(self) -> None:
        """Start the process."""
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "streams.cli", *self._arguments),
            env=self._environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent if sys.platform == "linux" else None,
        )
        self._reading = asyncio.create_task(self._listen(process))

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        root = str(Path(streams.__file__).parents[1])
        path = os.pathsep.join(part for part in (root, kept.get("PYTHONPATH", "")) if part)
        chosen = {name: getattr(self._settings, name) for name in self._settings.model_fields_set}
        given = {PREFIX + name.upper(): str(value) for name, value in chosen.items()}
        return kept | given | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        """Keep the last lines it says, and wake who waits for one, or for its end."""
        if process.stdout is None:
            raise DemoFailed(f"the {self.name} was started without a pipe")
        while line := await process.stdout.readline():
            said = line.decode(errors="replace").rstrip()
            self.said.append(said)
            for awaited in self._awaited:
                if not awaited.answer.done() and (found := awaited.pattern.search(said)):
                    awaited.answer.set_result(found)
        await process.wait()
        for awaited in self._awaited:
            if not awaited.answer.done():
                awaited.answer.set_result(None)

    async def says(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Its first line that matches, of the last ones said or of those to come; None where it ends without."""
        found = next((found for said in self.said if (found := pattern.search(said))), None)
        if found is not None or self._reading is None or self._reading.done():
            return found
        awaited = _Awaited(pattern, asyncio.get_running_loop().create_future())
        self._awaited.append(awaited)
        try:
            return await awaited.answer
        finally:
            self._awaited.remove(awaited)

    async def wait(self) -> NoReturn:
        """Wait until it ends, which it never should by itself.

        Raises
        ------
        DemoFailed
            Always in the end, unless cancelled.
        """
        if self._reading is not None:
            await asyncio.wait([self._reading])
        self.fail()

    def fail(self) -> NoReturn:
        """Say why it ended.

        Raises
        ------
        DemoFailed
            Always.
        """
        errors = [line for line in self.said if line.startswith("Error: ")] or list(self.said)[-5:]
        said = "\n".join(line.removeprefix("Error: ") for line in errors)
        code = None if self._process is None else self._process.returncode
        raise DemoFailed(f"the {self.name} ended with code {code}: {said or 'it said nothing'}")

    async def stop(self) -> None:
        """Ask it to stop, and end it where it takes too long."""
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_WITHIN_S):
                    await process.wait()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if self._reading is not None:
            await self._reading
