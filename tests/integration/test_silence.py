"""P5 on a broker: a quiet source freezes for all workers and comes back with a backlog; the clock is ours."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from schemas.catalogue import Catalogue
from schemas.durations import HOUR, MINUTE
from schemas.freshness import Freshness, SourceState
from schemas.loading import loads
from schemas.records import Cause, Change, SegmentChange
from schemas.values import iso
from streams.app import Worker, build
from streams.cli import main
from streams.config import Clock, Settings, wall_ms
from streams.replay import Record, run
from streams.watch import WorkerView
from streams.web.fresh import freshness_card
from streams.web.snapshots import Snapshots
from streams.web.words import Language
from tests.integration.support import Bench, Sent, partition_of, until

pytestmark = pytest.mark.anyio

PARTITIONS = 2
SHOP = """
catalogue: quiet
timezone: UTC
sources:
  look: {{topic: {name}-look, key: customer, time: at, stall_after: 10m, fields: {{page: [home, help]}}}}
  pay: {{topic: {name}-pay, key: customer, time: at, fields: {{amount: count}}}}
features:
  idle: {{source: look, since: last}}
  seen: {{source: look, count: true, window: 30m}}
  paid: {{source: pay, count: true, window: 1d}}
tags:
  life: {{levels: {{active: idle < 30m, dormant: otherwise}}}}
  busy: {{when: seen >= 1}}
  buyer: {{when: paid >= 1}}
segments:
  lively: {{when: life == 'active' and busy}}
"""
REST_ON_LOOK = {"life", "busy", "lively"}
NAMES = [f"c{number}" for number in range(30)]
HERE, THERE = ([name for name in NAMES if partition_of(name.encode(), PARTITIONS) == n] for n in range(PARTITIONS))


class Story:
    """A clock that goes on when it is told to, and what is sent by it."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.start_ms = bench, (wall_ms() - 6 * HOUR) // MINUTE * MINUTE
        self.now_ms, self.sent = self.start_ms, list[Sent]()
        self.catalogue: Catalogue = loads(SHOP.format(name=bench.name))

    def clock(self) -> int:
        return self.now_ms

    def at(self, minutes: int) -> int:
        """So many minutes after the start."""
        return self.start_ms + minutes * MINUTE

    def settings(self, worker: str) -> Settings:
        return self.bench.settings(PARTITIONS, worker, clock=Clock.WALL, status_interval_s=0.2)

    async def send(self, source: str, customers: Sequence[str], *minutes: int) -> None:
        """A record of each customer at each of these times."""
        field: dict[str, object] = {"page": "home"} if source == "look" else {"amount": 1}
        some = [
            Sent(source, name.encode(), msgspec.json.encode({"customer": name, "at": self.at(m)} | field))
            for m in minutes
            for name in customers
        ]
        self.sent += some
        await self.bench.send(some)

    @contextlib.asynccontextmanager
    async def worker(self, name: str, *others: Worker) -> AsyncIterator[Worker]:
        """A worker that has started, and shares the partitions with the others."""
        worker = build(self.settings(name), self.catalogue, clock=self.clock)
        await worker.start()
        every = [worker, *others]
        try:
            await until(lambda: all(one.ready and len(one.partitions) == PARTITIONS // len(every) for one in every))
            yield worker
        finally:
            await worker.stop()

    async def applied(self, workers: Sequence[Worker]) -> None:
        """Wait until all that was sent is in the state."""

        def done() -> bool:
            for worker in workers:
                worker.check()
            parts = [part for worker in workers for part in worker.partitions.values()]
            reached = sum(offset for part in parts for offset in part.positions().values())
            return reached == len(self.sent) and all(worker.counters.flushes for worker in workers)

        await until(done)

    async def reached(self, workers: Sequence[Worker], minutes: int) -> None:
        """Wait until time has passed to then everywhere."""
        wanted = self.at(minutes) - MINUTE

        def passed() -> bool:
            for worker in workers:
                worker.check()
            standings = [one for worker in workers for one in worker.counters.standings["pay"].values()]
            marks = [one.watermark_ms for one in standings]
            return len(marks) == PARTITIONS and all(ms is not None and ms >= wanted for ms in marks)

        await until(passed)

    def undisturbed(self, minutes: int) -> list[Change]:
        """What the same records give in the order of their times, with nothing ever frozen."""
        in_order = sorted(self.sent, key=lambda one: msgspec.json.decode(one.value or b"")["at"])
        records = [Record(one.source, one.value, one.key.decode()) for one in in_order]
        return run(self.catalogue, records, until=self.at(minutes) - MINUTE).changes


def turns(changes: Sequence[Change], customer: str) -> list[tuple[str, object]]:
    """What became of a customer: each name, with its values in order."""
    found = [(one.segment if isinstance(one, SegmentChange) else one.tag, one.new) for one in changes
             if one.customer_id == customer]  # fmt: skip
    return sorted(found, key=lambda turn: turn[0])


async def freshness(story: Story, monkeypatch: pytest.MonkeyPatch) -> Freshness:
    """What `livetags freshness` says."""
    monkeypatch.setattr("streams.commands.freshness.wall_ms", story.clock)
    file = Path(story.bench.directory) / "quiet.yaml"
    file.write_text(SHOP.format(name=story.bench.name), encoding="utf-8")
    environment = {"LIVETAGS_TOPIC_PREFIX": f"{story.bench.name}-"}
    asked = ["freshness", str(file), "--broker", story.bench.address, "--app-id", story.bench.name, "--json"]
    result = await asyncio.to_thread(CliRunner().invoke, main, asked, env=environment)
    return msgspec.json.decode(result.output, type=Freshness)


@pytest.fixture
async def story(bench: Bench) -> Story:
    found = Story(bench)
    await bench.topics(found.settings("one"), found.catalogue)
    return found


async def test_a_quiet_source_freezes_for_all_workers_and_its_backlog_makes_nobody_dormant(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    steady, gone = [HERE[0], THERE[0]], [HERE[1], THERE[1]]
    async with contextlib.AsyncExitStack() as stack:
        first = await stack.enter_async_context(story.worker("one"))
        await story.send("look", [*steady, *gone], 0)
        await story.send("pay", [*steady, *gone], 0)
        await story.applied([first])
        workers = [first, await stack.enter_async_context(story.worker("two", first))]

        story.now_ms = story.at(15)
        await until(lambda: all(one.silence.frozen == {"look": story.at(10)} for one in workers))
        story.now_ms = story.at(120)
        await story.send("pay", [*steady, *gone], 100)
        await story.reached(workers, 120)
        await story.applied(workers)
        for worker in workers:
            for part in worker.partitions.values():
                tags = [part.customer_tags(name) for name in (*steady, *gone)]
                assert {one.tags["life"] for one in tags if one} == {"active"}
                assert [set(one.status) for one in tags if one] == [REST_ON_LOOK] * 2
            assert worker.heartbeat is not None
            view = WorkerView(worker, statuses=worker.heartbeat.everyone)
            assert 'livetags_source_state{source="look",state="frozen"} 1.0' in view.metrics("").body.decode()
            assert "frozen" in freshness_card(Snapshots(view).board(), Language.EN)
        told = await freshness(story, monkeypatch)
        assert (told.sources[0].state, told.sources[0].frozen_at) == (SourceState.FROZEN, iso(story.at(10)))
        assert {tag.name for tag in told.tags if tag.frozen} == {"life", "busy"}

        await story.send("look", steady, 20, 45, 70, 95, 119)
        await until(lambda: all(one.silence.frozen == {} for one in workers))
        await until(lambda: not any(part.frozen or part.sleeps for one in workers for part in one.partitions.values()))
        story.now_ms = story.at(121)
        await story.reached(workers, 121)
    found, expected = await story.bench.changes(), story.undisturbed(121)
    for name in steady:
        assert turns(found, name) == turns(expected, name)
        assert ("life", "dormant") not in turns(found, name)
    for name in gone:
        assert turns(found, name) == turns(expected, name)
        dormant = next(one for one in found if one.customer_id == name and one.new == "dormant")
        # The row had gone on to the payment, so what waited happened there.
        assert (dormant.at, dormant.cause) == (iso(story.at(100)), Cause.TIME)


async def test_one_quiet_partition_of_several_is_no_stall(story: Story) -> None:
    async with story.worker("one") as worker:
        await story.send("look", [HERE[0], THERE[0]], 0)
        await story.applied([worker])
        story.now_ms = story.at(9)
        await story.send("look", [THERE[0]], 9)
        await story.applied([worker])
        story.now_ms = story.at(15)
        await until(lambda: worker.counters.standings["look"][0].seen_ms == story.at(15))
        assert worker.silence.frozen == {}
        story.now_ms = story.at(25)
        # Had the quiet partition been taken for a stall, this would be the tenth minute.
        await until(lambda: worker.silence.frozen != {})
        assert worker.silence.frozen == {"look": story.at(19)}


async def test_a_restart_keeps_the_moment_and_wakes_no_one(story: Story) -> None:
    async with story.worker("one") as worker:
        await story.send("look", [HERE[0], THERE[0]], 0)
        await story.applied([worker])
        story.now_ms = story.at(15)
        await until(lambda: worker.silence.frozen == {"look": story.at(10)})
        story.now_ms = story.at(60)
        await story.send("pay", [HERE[0], THERE[0]], 55)
        await story.applied([worker])
    story.now_ms = story.at(90)
    async with story.worker("two") as worker:
        await story.reached([worker], 90)
        assert worker.silence.frozen == {"look": story.at(10)}
        for name, part in ((HERE[0], worker.partitions[0]), (THERE[0], worker.partitions[1])):
            assert part.frozen == {"look": story.at(10)}
            tags = part.customer_tags(name)
            assert tags is not None
            assert (tags.tags["life"], tags.features["idle"]) == ("active", 10 * MINUTE)
    assert not [one for one in await story.bench.changes() if one.new == "dormant"]
