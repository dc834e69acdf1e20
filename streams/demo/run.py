"""A demo from the first topic to the last table: a broker, a worker with its page, a year of records.

Everything it starts and writes ends with it, whenever that is; only the data set stays for the next time.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

import msgspec
from aiokafka.errors import KafkaError
from rich.console import Console

from schemas.catalogue import Catalogue
from schemas.topics import Changelog, Role, topics_of
from streams.broker import Embedded
from streams.cluster import Admin
from streams.demo.child import DemoFailed
from streams.demo.dataset import Dataset
from streams.demo.feed import Feed
from streams.demo.gauge import Gauge, gauge
from streams.demo.member import Member, Reading
from streams.demo.story import EXPLAINED, Pick, Teller, picks, tell

READ_EVERY_S: Final = 0.5
BOARD_AGE_S: Final = 1.0
SILENT_S: Final = 60.0
FLUSH_INTERVAL_S: Final = 10
FLUSH_BYTES: Final = 64_000_000
"""Written rarely: the embedded broker keeps every version of a row in memory."""


class Options(msgspec.Struct, frozen=True):
    """What a demo is asked for.

    Attributes
    ----------
    seconds
        End after so long, whether or not the year is through.
    records
        Feed no more than so many.
    stay
        Keep the page up in the end until told to stop.
    """

    file: Path
    port: int
    partitions: int
    seconds: float | None = None
    records: int | None = None
    stay: bool = False


def play(options: Options, catalogue: Catalogue, dataset: Dataset, console: Console) -> None:
    """Run the demo until it is through or told to stop (SIGINT, SIGTERM).

    Raises
    ------
    DemoFailed, BrokerError
        It could not go on.
    """
    asyncio.run(_until_told(_Demo(options, catalogue, dataset, console).run(), console))


async def _until_told(work: Coroutine[Any, Any, None], console: Console) -> None:
    """Do the work, or give it up at a signal; either way it has cleaned up."""
    task, told = asyncio.ensure_future(work), asyncio.Event()
    if sys.platform != "win32":
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, told.set)
    waiting = asyncio.ensure_future(told.wait())
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not task.done():
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        console.print("Stopped.")
        return
    task.result()


class _Demo:
    def __init__(self, options: Options, catalogue: Catalogue, dataset: Dataset, console: Console) -> None:
        self._options, self._catalogue, self._dataset, self._console = options, catalogue, dataset, console

    async def run(self) -> None:
        """Broker, topics, the first records, worker, the rest, the tables."""
        options = self._options
        async with contextlib.AsyncExitStack() as open_:
            directory = open_.enter_context(
                tempfile.TemporaryDirectory(prefix="livetags-demo-", ignore_cleanup_errors=True)
            )
            address = open_.enter_context(Embedded()).address
            await asyncio.to_thread(self._make_topics, address)
            feed = Feed(self._dataset, self._catalogue, address, options.partitions, options.records)
            feeding = asyncio.create_task(feed.run())
            open_.push_async_callback(_cancelled, feeding)
            await feed.ahead.wait()
            if feeding.done():
                feeding.result()
            settings = self._settings(address, directory)
            member = await open_.enter_async_context(Member(options.file, settings, feed.total, options.port))
            await self._started(member)
            try:
                reading = await self._stream(feed, feeding, member)
                await self._explain(member, reading)
            except (OSError, TimeoutError) as error:
                raise DemoFailed("the worker does not answer any more") from error
            except KafkaError as error:
                raise DemoFailed(f"the embedded broker does not answer any more: {error}") from error
            if options.stay:
                self._console.print(f"\nThe page stays up at [bold]{member.url}[/] until Ctrl-C.")
                await member.wait()

    def _make_topics(self, address: str) -> None:
        topics = topics_of(self._catalogue, Changelog(1, "", ""))
        with Admin(address) as admin:
            admin.create([topic for topic in topics if topic.role is Role.SOURCE], self._options.partitions, 1)

    def _settings(self, address: str, directory: str) -> dict[str, str]:
        return {
            "broker": address,
            "data_dir": directory,
            "partitions": str(self._options.partitions),
            "flush_interval_s": str(FLUSH_INTERVAL_S),
            "flush_bytes": str(FLUSH_BYTES),
        }

    async def _started(self, member: Member) -> None:
        waiting = "Starting the worker; the first time it compiles its engine, which takes up to a minute ..."
        with self._console.status(waiting) if self._console.is_terminal else contextlib.nullcontext():
            if not self._console.is_terminal:
                self._console.print(waiting, soft_wrap=True)
            await member.start()
        self._console.print(f"Dashboard: [bold]{member.url}[/]")

    async def _stream(self, feed: Feed, feeding: asyncio.Task[None], member: Member) -> Reading:
        """Feed and show until the year is through or the time is up; what the worker said then."""
        began_s = time.monotonic()
        with gauge(self._console, feed.total) as shown:
            following = asyncio.create_task(self._follow(feed, member, shown))
            ended = asyncio.create_task(member.wait())
            try:
                await asyncio.wait(
                    [following, ended, *([] if feeding.done() else [asyncio.create_task(_failed(feeding))])],
                    timeout=self._options.seconds,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for task in (feeding, ended, following):
                    if task.done():
                        task.result()
                seconds = time.monotonic() - began_s
            finally:
                await _cancelled(following)
                await _cancelled(ended)
                await _cancelled(feeding)
        reading = await self._settled(member) if feed.through else await member.read()
        tell(self._console, reading, seconds)
        return reading

    async def _follow(self, feed: Feed, member: Member, shown: Gauge) -> None:
        """Show what the worker says, and make room in the feed, until all is applied."""
        heard_s = time.monotonic()
        while not feed.through:
            try:
                reading = await member.read()
            except (OSError, TimeoutError):
                if time.monotonic() - heard_s > SILENT_S:
                    raise
            else:
                heard_s = time.monotonic()
                feed.applied(reading.records)
                shown.show(reading)
            await asyncio.sleep(0 if feed.through else READ_EVERY_S)

    async def _settled(self, member: Member) -> Reading:
        """The worker's figures after the last record, once its board is newer than that."""
        await asyncio.sleep(BOARD_AGE_S)
        return await member.read()

    async def _explain(self, member: Member, reading: Reading) -> None:
        teller = Teller(self._catalogue)
        told: set[str] = set()
        for pick in picks(reading.segments):
            if len(told) == EXPLAINED:
                return
            await self._explain_one(member, pick, teller, told)

    async def _explain_one(self, member: Member, pick: Pick, teller: Teller, told: set[str]) -> None:
        """Explain the first of the picked who is still in the segment and was not told yet."""
        for customer in pick.customers:
            found = await member.customer(customer) if customer not in told else None
            if found is not None and pick.segment in found.segments:
                told.add(customer)
                self._console.print(teller.explain(found, pick.segment))
                return


async def _failed(task: asyncio.Task[None]) -> None:
    """Return once the task has failed; a task that ends well is waited for in vain."""
    await asyncio.wait([task])
    if task.cancelled() or task.exception() is None:
        await asyncio.Event().wait()


async def _cancelled(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait for its end; what it failed of was told elsewhere."""
    task.cancel()
    await asyncio.wait([task])
