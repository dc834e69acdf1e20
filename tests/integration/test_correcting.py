"""P7: after a take-over nothing published stays wrong, whatever came between a worker that was killed and the next."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import msgspec
import pytest

from schemas.catalogue import Catalogue
from schemas.durations import HOUR
from schemas.records import Cause, Change, CustomerTags, SegmentChange
from schemas.topics import Role
from schemas.values import said_values
from streams.app import Worker, build
from streams.config import Settings, wall_ms
from tests.integration.lessons import MIDNIGHT, lessons, look
from tests.integration.support import Bench, Sent, until
from tests.integration.test_learning import put, scored
from tests.integration.test_quantiles import CUSTOMERS, cut, hours, published, shop
from tests.integration.test_worker import DAY_MS, DEFAULT_SKEW_MS, dealt_with

pytestmark = pytest.mark.anyio

UNFLUSHED = {"flush_interval_s": 10.0}


async def killed_after(settings: Settings, catalogue: Catalogue, done: Callable[[Worker], bool]) -> None:
    """A worker that ends without a flush once something is done; what it published is on the topics."""
    worker = build(settings, catalogue)
    await worker.start()
    await until(partial(done, worker))
    tasks = list(worker._tasks.values())
    for task in tasks:
        await task._emitter.acknowledged(task._emitter.cut())
    worker._beside.fail(RuntimeError("killed"))
    await worker.stop()


def last_words(changes: Iterable[Change], *, once: bool) -> dict[tuple[str, str], object]:
    """The last word on each customer's tags and segments, to a reader of all changes or of each id once."""
    seen, words = set[str](), dict[tuple[str, str], object]()
    for change in changes:
        if not once or change.id not in seen:
            words[change.customer_id, change.name] = change.new
        seen.add(change.id)
    return words


def held(worker: Worker) -> dict[tuple[str, str], object]:
    """What the rows say of every tag and segment, where it is not what is said of a new customer."""
    found: dict[tuple[str, str], object] = {}
    for part in worker.partitions.values():
        for tags in (tags for page in part.all_customer_tags() for tags in page):
            said = tags.tags | {one.name: one.name in tags.segments for one in worker.catalogue.segments}
            found |= {(tags.customer_id, name): value for name, value in said.items()}
    return found


async def assert_nothing_is_wrong(bench: Bench, worker: Worker) -> list[Change]:
    """The last words are what the rows say, to every reader; all changes."""
    changes, rows = await bench.changes(), held(worker)
    first = {one.name: said_values(one)[0] for one in (*worker.catalogue.tags, *worker.catalogue.segments)}
    for once in (True, False):
        words = last_words(changes, once=once)
        assert {key: words.get(key, first[key[1]]) for key in rows} == rows
    return changes


def corrected(worker: Worker, number: int) -> bool:
    worker.check()
    return worker.counters.changes[Cause.CORRECTION] >= number


async def test_p7_what_a_model_said_that_is_gone_is_corrected(bench: Bench) -> None:
    catalogue, settings = lessons(bench), bench.settings(2)
    records = [look(f"c{n}", MIDNIGHT + n) for n in range(50)]
    await bench.topics(settings, catalogue)
    await bench.send(records)
    async with bench.worker(settings, catalogue) as worker:
        await until(partial(dealt_with, worker, 50))
        await put(bench, catalogue, -2.0, 1)
        await until(partial(scored, worker, 50))
    await put(bench, catalogue, 2.0, 2)
    await killed_after(bench.settings(2, **UNFLUSHED), catalogue, partial(scored, changes=100))
    await put(bench, catalogue, -2.0, 3)
    async with bench.worker(settings, catalogue) as worker:
        await until(partial(corrected, worker, 100))
        changes = await assert_nothing_is_wrong(bench, worker)
    mended = [change for change in changes if change.cause is Cause.CORRECTION]
    assert {(one.name, one.old, one.new) for one in mended} == {("intent", "high", "low"), ("hot", True, False)}
    assert len({one.id for one in mended}) == len(mended) == 100
    assert all(one.because for one in mended if isinstance(one, SegmentChange))
    newest = {record.key: record.value for record in await bench.read(bench.topic(Role.CUSTOMER_TAGS))}
    found = [msgspec.json.decode(value, type=CustomerTags) for value in newest.values()]
    assert all(one.tags["intent"] == "low" and "hot" not in one.segments for one in found)
    async with bench.worker(settings, catalogue) as worker:  # which has nothing left to correct
        await until(lambda: worker.ready)
        assert len(await assert_nothing_is_wrong(bench, worker)) == len(changes)


async def test_p7_what_time_did_before_a_record_came_is_corrected(bench: Bench) -> None:
    catalogue = bench.catalogue(replaced={"allowed_skew: 10m": "allowed_skew: 0s"})
    settings = bench.settings(1, clock="wall", **UNFLUSHED)
    at = wall_ms() - DAY_MS - DEFAULT_SKEW_MS + 2_000  # a day after it is two seconds from now, by the watermark

    def visit(at_ms: int) -> Sent:
        return Sent("look", b"ann", msgspec.json.encode({"customer": "ann", "at": at_ms, "page": "home"}))

    def cooling(worker: Worker) -> bool:
        worker.check()
        return any(change.cause is Cause.TIME for change in worker.counters.recent)

    await bench.topics(settings, catalogue)
    await bench.send([visit(at)])
    await killed_after(settings, catalogue, cooling)
    await bench.send([visit(at + 10 * HOUR)])
    async with bench.worker(settings, catalogue) as worker:
        await until(partial(corrected, worker, 1))
        changes = await assert_nothing_is_wrong(bench, worker)
    said = [(one.old, one.new, one.cause.value) for one in changes if one.name == "life"]
    assert said[-1] == ("cooling", "active", "correction")
    assert (None, "active", "event") in said


async def test_p7_what_older_cut_points_said_does_not_stay(bench: Bench) -> None:
    catalogue, settings = shop(bench), bench.settings(2, **UNFLUSHED)
    await bench.topics(settings, catalogue)
    await bench.send(hours(0, 4))
    await killed_after(settings, catalogue, cut)
    await bench.send(hours(4, 6))
    async with bench.worker(settings, catalogue) as worker:
        await until(partial(dealt_with, worker, CUSTOMERS * 18))
        await until(partial(cut, worker))
        await assert_nothing_is_wrong(bench, worker)
    assert len(await published(bench)) > 0


async def test_p7_a_worker_killed_before_its_first_flush_is_corrected_too(bench: Bench) -> None:
    catalogue, settings = lessons(bench), bench.settings(2, **UNFLUSHED)
    await bench.topics(settings, catalogue)
    await put(bench, catalogue, 2.0, 1)
    await bench.send([look(f"c{n}", MIDNIGHT + n) for n in range(20)])
    await killed_after(settings, catalogue, partial(scored_or_made, changes=40))
    await put(bench, catalogue, -2.0, 2)
    async with bench.worker(settings, catalogue) as worker:
        await until(partial(dealt_with, worker, 20))
        await until(lambda: not [task for task in worker._tasks.values() if task._correcting is not None])
        await assert_nothing_is_wrong(bench, worker)


def scored_or_made(worker: Worker, changes: int) -> bool:
    worker.check()
    return worker.counters.changes.total() >= changes
