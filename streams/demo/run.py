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
from streams.config import Settings
from streams.demo.child import DemoFailed
from streams.demo.coach import Coach
from streams.demo.dataset import Dataset
from streams.demo.ending import Ending, Lessons
from streams.demo.feed import Feed
from streams.demo.freshness_story import freshness_story
from streams.demo.gauge import Gauge, gauge
from streams.demo.member import Member, Reading
from streams.demo.story import EXPLAINED, Pick, Teller, picks, tell

READ_EVERY_S: Final = 0.5
BOARD_AGE_S: Final = 1.0
SILENT_S: Final = 60.0
LEARN_WITHIN_S: Final = 180.0
PUBLISH_INTERVAL_S: Final = 1
"""A second is days of the demo's year: new models are published as often as the trainer can."""
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


class _Cast:
    """The processes of a demo: the worker, and the trainer where the catalogue has targets."""

    def __init__(self, options: Options, catalogue: Catalogue, settings: Settings, total: int) -> None:
        self.member = Member(options.file, settings, total, options.port)
        self.coach: Coach | None = None
        if catalogue.targets:
            own = settings.model_copy(update={"flush_interval_s": PUBLISH_INTERVAL_S})
            self.coach = Coach(options.file, own, settings.trainer_group(catalogue.name))

    @property
    def members(self) -> list[Member | Coach]:
        """Those that there are."""
        return [self.member] if self.coach is None else [self.member, self.coach]

    async def start(self) -> None:
        """Start them; the worker works when this returns."""
        await self.member.start()
        if self.coach is not None:
            await self.coach.start()

    async def stop(self) -> None:
        """End them."""
        await asyncio.gather(*(one.stop() for one in self.members))


class _Demo:
    def __init__(self, options: Options, catalogue: Catalogue, dataset: Dataset, console: Console) -> None:
        self._options, self._catalogue, self._dataset, self._console = options, catalogue, dataset, console

    async def run(self) -> None:
        """Broker, topics, all records, worker and trainer, the tables."""
        options = self._options
        async with contextlib.AsyncExitStack() as open_:
            directory = open_.enter_context(
                tempfile.TemporaryDirectory(prefix="livetags-demo-", ignore_cleanup_errors=True)
            )
            settings = self._settings(open_.enter_context(Embedded()).address, directory)
            try:
                feed = await self._fed(settings.broker)
                cast = _Cast(options, self._catalogue, settings, feed.total)
                open_.push_async_callback(cast.stop)
                await self._started(cast)
                await self._play(cast, feed.total, Ending(self._catalogue, self._dataset, settings))
            except (OSError, TimeoutError) as error:
                raise DemoFailed("the worker does not answer any more") from error
            except KafkaError as error:
                raise DemoFailed(f"the embedded broker does not answer any more: {error}") from error
            if options.stay:
                self._console.print(f"\nThe page stays up at [bold]{cast.member.url}[/] until Ctrl-C.")
                await cast.member.wait()

    def _settings(self, address: str, directory: str) -> Settings:
        """What the demo's processes run with; what the environment says does not count."""
        return Settings.model_construct(
            broker=address,
            data_dir=Path(directory),
            partitions=self._options.partitions,
            flush_interval_s=FLUSH_INTERVAL_S,
            flush_bytes=FLUSH_BYTES,
        )

    async def _fed(self, address: str) -> Feed:
        """The feed, once all its records are on the broker."""
        await asyncio.to_thread(self._make_topics, address)
        feed = Feed(self._dataset, self._catalogue, address, self._options.partitions, self._options.records)
        with self._meanwhile(f"Sending {feed.total:,} records to the broker ..."):
            await feed.run()
        return feed

    def _make_topics(self, address: str) -> None:
        topics = topics_of(self._catalogue, Changelog(1, "", ""))
        with Admin(address) as admin:
            admin.create([topic for topic in topics if topic.role is Role.SOURCE], self._options.partitions, 1)

    async def _started(self, cast: _Cast) -> None:
        with self._meanwhile("Starting the worker; the first time it compiles its engine, in about a minute ..."):
            await cast.start()
        self._console.print(f"Dashboard: [bold]{cast.member.url}[/]")

    def _meanwhile(self, said: str) -> contextlib.AbstractContextManager[object]:
        """Say what takes a while: as long as it does, or without a terminal in a line."""
        if self._console.is_terminal:
            return self._console.status(said)
        self._console.print(said, soft_wrap=True, highlight=False)
        return contextlib.nullcontext()

    # ------------------------------------------------------------------------------------------------ the year

    async def _play(self, cast: _Cast, total: int, ending: Ending) -> None:
        """The year, and what there is to tell of it."""
        began_s = time.monotonic()
        through = await self._stream(cast, total)
        seconds = time.monotonic() - began_s
        reading = await self._settled(cast.member) if through else await cast.member.read()
        tell(self._console, reading, seconds)
        freshness = await cast.member.freshness()
        lessons = await ending.lessons()
        if through:
            await self._learned(cast, lessons)
        for shown in (
            *await ending.learned(lessons),
            *await ending.triggered(),
            *freshness_story(freshness, self._catalogue),
        ):
            self._console.print(shown)
        await self._explain(cast.member, reading)

    async def _stream(self, cast: _Cast, total: int) -> bool:
        """Show what the worker says until the year is through or the time is up; whether it is through."""
        with gauge(self._console, total) as shown:
            following = asyncio.create_task(self._follow(cast.member, total, shown))
            ended = [asyncio.create_task(one.wait()) for one in cast.members]
            try:
                await asyncio.wait(
                    [following, *ended], timeout=self._options.seconds, return_when=asyncio.FIRST_COMPLETED
                )
                for task in (*ended, following):
                    if task.done():
                        task.result()
                return following.done()
            finally:
                for task in (following, *ended):
                    await _cancelled(task)

    async def _follow(self, member: Member, total: int, shown: Gauge) -> None:
        """Show what the worker says until it has dealt with all records."""
        heard_s, records = time.monotonic(), 0
        while records < total:
            try:
                reading = await member.read()
            except (OSError, TimeoutError):
                if time.monotonic() - heard_s > SILENT_S:
                    raise
            else:
                heard_s, records = time.monotonic(), reading.records
                shown.show(reading)
            await asyncio.sleep(0 if records == total else READ_EVERY_S)

    async def _settled(self, member: Member) -> Reading:
        """The worker's figures after the last record, once its board is newer than that."""
        await asyncio.sleep(BOARD_AGE_S)
        return await member.read()

    async def _learned(self, cast: _Cast, lessons: Lessons) -> None:
        """Wait until the trainer has learned all there is, and have it publish that by ending it."""
        if cast.coach is None:
            return
        with self._meanwhile("The trainer learns from the last answers ..."):
            done = await cast.coach.learned_all(lessons.ends, LEARN_WITHIN_S)
            await cast.coach.stop()
        if not done:
            self._console.print(
                f"The trainer has not read all examples within {LEARN_WITHIN_S:.0f} s, on a machine as slow as this "
                "one; what follows is how far it was.",
                soft_wrap=True,
            )

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


async def _cancelled(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for its end; what it failed of was told elsewhere."""
    task.cancel()
    await asyncio.wait([task])
