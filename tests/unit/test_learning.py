"""A target at work: no example is lost or taken twice, and nothing is published that is not safe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from models.trainer import Trainer
from models.transform import transforms_of
from schemas.learning import ModelSnapshot
from schemas.loading import loads
from schemas.model_reports import Happening, ModelOrder, ModelReport, Order
from streams.cluster import Cluster
from streams.lane import Batch, Place
from streams.learning import NEWEST, Learning
from streams.store import LEARNED, SIDES, Entry, Marker, Rows
from streams.tables import Recovered
from streams.task import FlushRule, FlushTorn, LaneGap
from tests.generators_learning import stream

pytestmark = pytest.mark.anyio

CATALOGUE = loads(
    (Path(__file__).parents[1] / "everything.yaml")
    .read_text(encoding="utf-8")
    .replace(
        "segments:\n",
        "targets:\n  leaves:\n    label: {source: pay, where: way == 'out', within: 30d, arrives_within: 1d}\n"
        "    features: [in_30d, shops, idle, share, vip, active_days]\n    example_every: 7d\nsegments:\n",
    )
)
TARGET = CATALOGUE.targets[0]
EXAMPLES = stream(TARGET, days=60)
WANTED = Trainer(TARGET, transforms_of(CATALOGUE, TARGET), CATALOGUE.offset_ms).take(EXAMPLES)
PLACE = Place("training-examples", 0)
CLUSTER: Any = SimpleNamespace(id="cluster", topic_ids={PLACE.topic: "topic"}, partitions=1)
NOTHING = Recovered(Rows([], []), None, {prefix: [] for prefix in SIDES})


class Table:
    """The tables of one partition in memory; told to, it fails."""

    def __init__(self) -> None:
        self.kept: dict[bytes, bytes] = {}
        self.marker: Marker | None = None
        self.fails = False

    async def flush(self, partition: int, rows: Rows, marker: Marker, kept: Sequence[Entry] = ()) -> None:
        """As `streams.tables.Tables.flush`."""
        if self.fails:
            raise OSError("the broker is gone")
        self.marker = marker
        for entry in kept:
            if entry.value is None:
                self.kept.pop(entry.key, None)
            else:
                self.kept[entry.key] = entry.value

    def recovered(self) -> Recovered:
        """What a new owner finds."""
        learned = [(key.removeprefix(LEARNED), value) for key, value in self.kept.items()]
        return Recovered(Rows([], []), self.marker, {prefix: [] for prefix in SIDES} | {LEARNED: learned})


def batch(first: int, last: int) -> Batch:
    """The examples at those offsets."""
    records: list[Any] = [
        SimpleNamespace(
            topic=PLACE.topic, partition=0, offset=offset, value=msgspec.json.encode(EXAMPLES[offset]), headers=()
        )
        for offset in range(first, last)
    ]
    return Batch(PLACE, first, last, records)


async def flushed(one: Learning, table: Any, cluster: Cluster = CLUSTER) -> bool:
    """Flush it to the table."""
    return await one.flush(table, cluster, "fingerprint")


def newest(one: Learning) -> ModelSnapshot | None:
    """The snapshot that may be published."""
    return msgspec.json.decode(one.published, type=ModelSnapshot) if one.published else None


@pytest.mark.parametrize("limit", [1, 7, 10_000])
async def test_slices_and_overlapping_batches_change_nothing(limit: int) -> None:
    one, table = Learning(CATALOGUE, PLACE, NOTHING), Table()
    for first, last in ((0, 50), (20, 90), (0, 30), (90, len(EXAMPLES))):
        one.receive(batch(first, last), 0)
        while one.step(limit):
            pass
    assert await flushed(one, table)
    assert newest(one) == WANTED[-1]
    assert (one.standing(3).lag, one.standing(None).lag, one.next_offset) == (3, None, len(EXAMPLES))


async def test_what_was_received_and_not_learned_is_read_again() -> None:
    one, table = Learning(CATALOGUE, PLACE, NOTHING), Table()
    one.receive(batch(0, len(EXAMPLES)), 0)
    one.step(100)
    await flushed(one, table)
    again = Learning(CATALOGUE, PLACE, table.recovered())
    assert (one.next_offset, again.next_offset) == (len(EXAMPLES), 100)
    again.receive(batch(100, len(EXAMPLES)), 100)
    again.step(len(EXAMPLES))
    await flushed(again, table)
    assert newest(again) == WANTED[-1]
    assert again.standing(0) == _straight().standing(0)


def _straight() -> Learning:
    one = Learning(CATALOGUE, PLACE, NOTHING)
    one.receive(batch(0, len(EXAMPLES)), 0)
    one.step(len(EXAMPLES))
    return one


def test_missing_examples_are_an_error_unless_they_had_expired_when_reading_began() -> None:
    one = Learning(CATALOGUE, PLACE, NOTHING)
    one.receive(batch(0, 10), 0)
    with pytest.raises(LaneGap, match="training-examples/0: expected offset 10, got 12"):
        one.receive(batch(12, 20), 0)
    one.receive(batch(12, 20), 12)
    assert one.next_offset == 20


async def test_a_snapshot_may_be_published_only_when_its_flush_is_done() -> None:
    one, table = _straight(), Table()
    table.fails = True
    assert newest(one) is None
    with pytest.raises(OSError, match="gone"):
        await flushed(one, table)
    assert newest(one) is None
    with pytest.raises(FlushTorn, match="target leaves"):
        await flushed(one, table)
    whole = _straight()
    assert await flushed(whole, Table())
    assert newest(whole) == WANTED[-1]


async def test_a_new_owner_knows_the_newest_snapshot_that_was_flushed() -> None:
    one, table = _straight(), Table()
    await flushed(one, table)
    again = Learning(CATALOGUE, PLACE, table.recovered())
    assert again.published == one.published == table.kept[LEARNED + NEWEST]
    assert again.standing(0).version == WANTED[-1].version
    assert not await flushed(again, table)  # nothing new


async def test_a_flush_is_due_by_time_or_by_size_where_something_was_read() -> None:
    one = Learning(CATALOGUE, PLACE, NOTHING)
    by_time, by_size, never = FlushRule(0, 10**9), FlushRule(10**9, 1_000), FlushRule(10**9, 10**9)
    assert not one.flush_due(by_time, 1e9)
    one.receive(batch(0, 50), 0)
    one.step(50)
    assert [one.flush_due(rule, 1e9) for rule in (by_time, by_size)] == [True, True]
    assert not one.flush_due(never, 0)
    await flushed(one, Table())
    assert not one.flush_due(by_size, 1e9)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Asynchronous tests run on asyncio."""
    return "asyncio"


# ------------------------------------------------------------------------------------------------ what is told

PROMOTE = ModelOrder("1", TARGET.name, Order.PROMOTE, "2025-04-01T00:00:00.000Z")


async def test_a_decision_is_told_when_its_flush_is_done_and_once_more_after_a_restart() -> None:
    one, table = _straight(), Table()
    one.take_telling()
    await flushed(one, table)
    one.take_telling()
    one.follow(PROMOTE)
    assert one.take_telling() == []
    assert one.flush_due(FlushRule(0.0, 1), 1e12)
    assert await flushed(one, table)
    (event,) = one.take_telling()
    assert (event.what, event.by) == (Happening.PROMOTED, "1")
    assert one.take_telling() == []
    again = Learning(CATALOGUE, PLACE, table.recovered())
    assert again.take_telling() == [event]
    again.follow(PROMOTE)
    assert not await flushed(again, table)


async def test_what_was_told_is_forgotten_with_the_next_flush() -> None:
    one, table = _straight(), Table()
    one.follow(PROMOTE)
    await flushed(one, table)
    one.receive(batch(len(EXAMPLES) - 1, len(EXAMPLES)), 0)
    one.follow(ModelOrder("2", "another", Order.PROMOTE, ""))
    assert not await flushed(one, table)
    one.follow(ModelOrder("3", TARGET.name, Order.PROMOTE, "2025-04-02T00:00:00.000Z"))
    await flushed(one, table)
    told = Learning(CATALOGUE, PLACE, table.recovered()).take_telling()
    assert [event.by for event in told] == ["3"]


def test_a_report_comes_now_and_then_or_at_once_with_news_and_never_twice_the_same() -> None:
    one = _straight()
    first = one.report(100.0, at_once=False)
    assert first is not None
    assert msgspec.json.decode(first, type=ModelReport).target == TARGET.name
    assert one.report(105.0, at_once=False) is None
    one.follow(PROMOTE)
    assert one.report(106.0, at_once=False) is None
    assert one.report(106.0, at_once=True) not in (None, first)
    assert one.report(200.0, at_once=True) is None
