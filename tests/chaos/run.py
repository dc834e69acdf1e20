"""One run: a broker, workers behind proxies, the load, so many rounds of faults, and the verdict."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from pathlib import Path
from random import Random
from typing import Final

import msgspec

from schemas.catalogue import Catalogue
from schemas.loading import loads
from schemas.records import CustomerTags
from streams.app import build
from streams.broker import free_port
from streams.cluster import prepare
from streams.config import Clock, Settings
from streams.engine import plan
from streams.logs import quiet
from streams.warm import warm
from tests.brokers import finding
from tests.brokers.interface import Kafka
from tests.chaos.faults import SESSION_S, Fault, Ground, Planned
from tests.chaos.faults import plan as planned
from tests.chaos.feeding import Feeder
from tests.chaos.judging import Verdict, differ_from_oracle, judge, right, write_differing
from tests.chaos.load import Line, catalogue, load
from tests.chaos.members import Ended, Left, Member
from tests.chaos.proxy import Proxy
from tests.chaos.standing import Standing
from tests.integration.support import Bench, partition_of, until

APP: Final = "chaos"
PARTITIONS: Final = 8
MEMBERS: Final = ("ONE", "TWO", "THREE")
STATIC: Final = ("ONE", "TWO")
"""These keep their partitions over a restart (static membership), the others do not."""
RATE_PER_S: Final = 200.0
CATCHES_UP_WITHIN_S: Final = 180.0
COMPACTING: Final = {
    # Segments are soon closed, and closed ones compacted at once: what is read back is what compaction left.
    "log.segment.bytes": "1048576",
    "log.cleaner.backoff.ms": "500",
    "log.cleaner.min.cleanable.ratio": "0.01",
}


class Report(msgspec.Struct):
    """What happened, and the verdict."""

    verdict: Verdict
    faults: Counter[Fault] = msgspec.field(default_factory=Counter)
    ended: list[Ended] = []
    left: list[Left] = []
    starts: int = 0
    took_s: float = 0.0


class Run:
    """A run with its broker and workers.

    Parameters
    ----------
    directory
        Where the workers' state and logs go.
    kinds
        What may go wrong; none means anything.
    say
        Told each round, and what goes on.
    """

    def __init__(
        self, rounds: int, seed: int, directory: Path, say: Callable[[str], None], kinds: Collection[Fault] = ()
    ) -> None:
        self._kinds = kinds
        self._rounds, self._seed, self._directory, self._say = rounds, seed, directory, say
        self._catalogue_file = directory / "bank.yaml"
        self._catalogue_file.write_text(catalogue(), encoding="utf-8")
        self._catalogue: Catalogue = loads(self._catalogue_file.read_text(encoding="utf-8"))
        self._members: list[Member] = []
        self._report = Report(Verdict())

    async def run(self) -> Report:
        """Carry it out."""
        began = time.monotonic()
        quiet()
        self._say("simulating the bank, and compiling the kernels where that was not done")
        await asyncio.to_thread(warm, plan.build(self._catalogue))
        records = await asyncio.to_thread(load, self._rounds, self._seed)
        async with contextlib.AsyncExitStack() as open_:
            ground = await open_.enter_async_context(self._broker())
            feeder = await open_.enter_async_context(Feeder(self._kafka.address, self._catalogue, PARTITIONS))
            standing = await open_.enter_async_context(Standing(self._kafka.address, self._catalogue, APP))
            await feeder.send(records.before)
            self._say(f"{len(feeder.sent):,} records are there before any worker")
            for member in self._members:
                await member.start()
            await self._caught_up(feeder, standing)
            await self._all_rounds(ground, feeder, records.live)
            self._say(f"{len(feeder.sent):,} records sent; the workers catch up")
            await self._caught_up(feeder, standing)
            for member in self._members:
                await member.leave()
            await self._judge(feeder)
        self._sum_up(time.monotonic() - began)
        return self._report

    async def _all_rounds(self, ground: Ground, feeder: Feeder, lines: Sequence[Line]) -> None:
        """Let things go wrong while records come."""
        chance, enough = Random(self._seed), asyncio.Event()
        feeding = asyncio.create_task(feeder.trickle(lines, RATE_PER_S, enough))
        try:
            for number in range(1, self._rounds + 1):
                faults = planned(chance, len(self._members), self._kinds)
                self._report.faults.update(one.fault for one in faults)
                said = "; ".join(_told(one) for one in faults)
                self._say(f"round {number} of {self._rounds}, {len(feeder.sent):,} records sent: {said}")
                await asyncio.gather(*(ground.happens(one) for one in faults))
        finally:
            enough.set()
            await feeding

    @contextlib.asynccontextmanager
    async def _broker(self) -> AsyncIterator[Ground]:
        """The broker with its topics, and the workers, not yet started, each behind a proxy of its own."""
        ports = {name: free_port() for name in MEMBERS}
        self._kafka: Kafka = finding.kafka(COMPACTING, {name: f"127.0.0.1:{port}" for name, port in ports.items()})
        proxies = [Proxy(port, lambda name=name: self._kafka.doors[name]) for name, port in ports.items()]  # type: ignore[misc]
        try:
            await asyncio.to_thread(self._kafka.start)
            await prepare(self._settings("none"), self._catalogue, plan.build(self._catalogue).fingerprint)
            for proxy, name in zip(proxies, MEMBERS, strict=True):
                await proxy.start()
                self._members.append(
                    Member(name.lower(), self._catalogue_file, self._directory, _environment(name, proxy))
                )
            yield Ground(self._kafka, self._members, proxies)
        finally:
            for member in self._members:
                member.resume()
                await member.kill()
            for proxy in proxies:
                await proxy.stop()
            await asyncio.to_thread(self._kafka.remove)

    def _settings(self, name: str) -> Settings:
        return Settings(
            broker=self._kafka.address,
            app_id=APP,
            topic_prefix=f"{APP}-",
            partitions=PARTITIONS,
            clock=Clock.EVENT,
            data_dir=self._directory / name,
            flush_interval_s=1.0,
        )

    async def _caught_up(self, feeder: Feeder, standing: Standing) -> None:
        """Wait until workers say that they have dealt with all that was sent."""
        try:
            await until(lambda: not standing.behind(feeder.ends), CATCHES_UP_WITHIN_S)
        except TimeoutError:
            left = standing.behind(feeder.ends)
            self._report.verdict.differences.append(f"the workers did not catch up: {left:,} records are left")

    async def _judge(self, feeder: Feeder) -> None:
        self._say("comparing with a replay, and with the oracle")
        changes = await Bench(self._kafka.address, APP, self._directory).changes()
        wanted = await asyncio.to_thread(right, self._catalogue, feeder.sent, PARTITIONS)
        before = self._report.verdict.differences
        self._report.verdict = judge(wanted, changes, await self._states(list(wanted.customers), len(feeder.sent)))
        self._report.verdict.records = len(feeder.sent)
        if self._report.verdict.differences:
            write_differing(wanted, changes, self._directory / "differing.ndjson")
        chance = Random(self._seed)
        differ = await asyncio.to_thread(differ_from_oracle, self._catalogue, feeder.sent, wanted, chance)
        self._report.verdict.differences += before + differ

    async def _states(self, customers: Sequence[str], records: int) -> dict[str, CustomerTags | None]:
        """What a machine that never was a worker says of each customer: its state comes from the changelog alone.

        Where the others left any of the `records`, it reads them.
        """
        worker = build(self._settings("new"), self._catalogue)
        await worker.start()
        try:
            await until(lambda: sum(sum(part.positions().values()) for part in worker.partitions.values()) == records)
            held = worker.partitions
            return {name: held[partition_of(name.encode(), PARTITIONS)].customer_tags(name) for name in customers}
        finally:
            await worker.stop()

    def _sum_up(self, took_s: float) -> None:
        self._report.took_s = took_s
        for member in self._members:
            self._report.ended += member.ended
            self._report.left += member.left
            self._report.starts += member.starts


def _environment(name: str, proxy: Proxy) -> dict[str, str]:
    """A worker's settings."""
    return {
        "LIVETAGS_BROKER": f"127.0.0.1:{proxy.port}",
        "LIVETAGS_APP_ID": APP,
        "LIVETAGS_TOPIC_PREFIX": f"{APP}-",
        "LIVETAGS_PARTITIONS": str(PARTITIONS),
        "LIVETAGS_CLOCK": Clock.EVENT.value,
        "LIVETAGS_FLUSH_INTERVAL_S": "1",
        "LIVETAGS_SESSION_TIMEOUT_S": str(SESSION_S),
        "LIVETAGS_STATUS_INTERVAL_S": "0.5",
        "LIVETAGS_MEMBER_ID": name.lower() if name in STATIC else "",
    }


def _told(one: Planned) -> str:
    whom = "" if one.fault.value.startswith("the broker") else f" ({MEMBERS[one.member].lower()})"
    return f"{one.fault.value}{whom} for {one.lasts_s:.1f} s"
