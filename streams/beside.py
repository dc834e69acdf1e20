"""Work beside of a worker or a trainer: the first failure of any of it is the whole's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

CLOSE_WITHIN_S = 1.0
CLOSE_ALL_WITHIN_S = 1.5
WATCH_EVERY_S = 1.0


class Failed(Exception):
    """It stopped by itself; the cause says why."""


class Beside:
    """What runs beside until `halt` is set, or one of it fails."""

    def __init__(self, name: str, suspend: Callable[[], None]) -> None:
        """`name` is what fails, for the message; `suspend` is called at once when it does."""
        self.halt = asyncio.Event()
        self._name, self._suspend = name, suspend
        self._failure: asyncio.Future[None] | None = None
        self._works: set[asyncio.Task[None]] = set()

    def begin(self) -> None:
        """From now on failures are taken; to be called in the event loop."""
        self._failure = asyncio.get_running_loop().create_future()

    @property
    def failed(self) -> bool:
        """Whether anything has failed."""
        return self._failure is not None and self._failure.done()

    def fail(self, error: BaseException) -> None:
        """Note a failure; only the first counts."""
        if self._failure is not None and not self._failure.done():
            self._failure.set_exception(error)
            self._failure.exception()  # read: it is raised by whoever waits
            self._suspend()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work beside."""

        async def guarded() -> None:
            try:
                await work
            except Exception as error:  # it is the whole's failure, whatever it is
                self.fail(error)

        task = asyncio.create_task(guarded())
        self._works.add(task)
        task.add_done_callback(self._works.discard)

    async def watch(self, crashed: Callable[[], BaseException | None]) -> None:
        """Fail with what `crashed` tells, asked once a second: of what breaks without telling anybody."""
        while not self.halt.is_set():
            if (error := crashed()) is not None:
                self.fail(error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.halt.wait(), WATCH_EVERY_S)

    async def ended(self) -> None:
        """Wait until nothing runs any more."""
        await asyncio.gather(*self._works)

    async def first(self, start: Coroutine[Any, Any, None]) -> None:
        """Carry a start out, or raise what failed before it was done."""
        failure, started = self._begun(), asyncio.ensure_future(start)
        await asyncio.wait([started, failure], return_when=asyncio.FIRST_COMPLETED)
        if failure.done():
            started.cancel()
            with contextlib.suppress(BaseException):
                await started
            failure.result()
        await started

    def check(self) -> None:
        """Nothing while all goes well.

        Raises
        ------
        Failed
            Something failed.
        """
        if self._failure is not None and self._failure.done():
            error = self._failure.exception()
            raise Failed(f"the {self._name} stopped: {error}") from error

    async def wait(self) -> None:
        """Wait for the first failure.

        Raises
        ------
        Failed
            Always in the end, unless cancelled.
        """
        await asyncio.wait([self._begun()])
        self.check()

    def _begun(self) -> asyncio.Future[None]:
        if self._failure is None:
            raise Failed(f"the {self._name} was not started")
        return self._failure


async def within(close: Callable[[], Awaitable[None]]) -> None:
    """Close something, or leave it where it hangs on a broker that is gone."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_WITHIN_S):
            await close()


class Opened(contextlib.AsyncExitStack):
    """What is to be closed in the end, in reverse order.

    What hangs on a broker that is gone is left: all of it together has 1.5 s, so that a stop keeps within its time
    however much there is to close.
    """

    _until_s: float | None = None

    def connected(self, close: Callable[[], Awaitable[None]]) -> None:
        """Close something that speaks with the broker; it begins to close even where the time is over."""
        self.push_async_callback(self._within, close)

    async def _within(self, close: Callable[[], Awaitable[None]]) -> None:
        if self._until_s is None:
            self._until_s = asyncio.get_running_loop().time() + CLOSE_ALL_WITHIN_S
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self._until_s):
                await close()
