"""Records that expired from a topic before they were read are counted and said, and stop no worker."""

from __future__ import annotations

from typing import Any, cast

import pytest
from aiokafka.structs import TopicPartition
from faust.types import TP

from schemas.loading import loads
from streams.counters import Counters
from streams.engine.plan import build
from streams.lane import Batch, Place, _Thread
from streams.processor import Partition
from streams.reaching import Reaching
from streams.task import LaneGap, Task
from tests.live import numbered

CATALOGUE = loads("""
catalogue: visits
timezone: UTC
currency: CNY
sources:
  web: {topic: web, key: customer, time: at, fields: {}}
features: {all: {source: web, count: true}}
tags: {seen: {when: all > 0, title: {en: Seen}}}
""")
WEB = Place("web", 0)


def task_at(position: int) -> tuple[Task, Counters]:
    """A task whose state stands at that position of its only source."""
    part, counters = Partition(build(CATALOGUE)), Counters(["web"], 10)
    part.restore({"web": position}, {"confirmed": 0, "candidate": 0, "customer": ""})
    nobody, reaching = cast(Any, None), Reaching(CATALOGUE, part, None)
    return Task(part, 0, CATALOGUE.sources, nobody, counters, 100, reaching, nobody), counters


def batch(begin: int, end: int) -> Batch:
    records = cast(Any, [one for one in numbered([(b"ann", b"{}")] * end) if one.offset >= begin])
    return Batch(WEB, begin, end, [_stamped(record) for record in records])


def _stamped(record: Any) -> Any:
    return type(record)(record.value, record.key, record.offset, 0)


def test_records_that_expired_before_the_first_batch_are_counted_and_given_up() -> None:
    task, counters = task_at(5)
    task.receive(batch(9, 12), placed=9)
    assert counters.lost == {"web": 4}
    assert task.next_offsets() == {WEB: 12}
    task.receive(batch(12, 13), placed=9)
    assert counters.lost == {"web": 4}


@pytest.mark.parametrize("placed", [None, 5, 8])
def test_a_gap_that_no_expiry_explains_is_still_an_error(placed: int | None) -> None:
    task, counters = task_at(5)
    with pytest.raises(LaneGap, match="expected offset 5, got 9"):
        task.receive(batch(9, 12), placed=placed)
    assert not counters.lost


class _Consumer:
    """A consumer of a topic whose first records are gone."""

    def __init__(self) -> None:
        self.sought: dict[TopicPartition, int] = {}

    async def beginning_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 9)

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.sought[place] = offset


class _Bare:
    """As much of the consumer's thread as placing needs."""

    def __init__(self) -> None:
        self.consumer = _Consumer()

    def _ensure_consumer(self) -> _Consumer:
        return self.consumer


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_expired_is_said_in_one_line_with_place_and_number(caplog: pytest.LogCaptureFixture) -> None:
    thread = _Bare()
    placed = await _Thread._place_at(cast(Any, thread), {TP("web", 0): 5, TP("web", 1): 9, TP("web", 2): None})
    assert placed == {TP("web", 0): 9, TP("web", 1): 9, TP("web", 2): 9}
    assert [record.getMessage() for record in caplog.records] == [
        "web/0: 4 records (offsets 5 to 8) expired before they were read and are lost: see retention.ms"
    ]
