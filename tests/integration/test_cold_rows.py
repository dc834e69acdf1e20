"""A worker with room for few rows says what replay says: its tables flush when there is no room, over a restart too."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest

from tests.integration.support import Bench, by_customer, in_order, stream, until
from tests.integration.test_worker import dealt_with, replayed

pytestmark = pytest.mark.anyio


async def test_p1_p6_more_customers_than_memory_has_room_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.residence.LEAST_ROWS", 24)
    catalogue, records, settings = bench.catalogue(), stream(2_000), bench.settings(2, arena_bytes=1)
    await bench.topics(settings, catalogue)
    for share in (records[:1_200], records[1_200:]):
        await bench.send(share)
        async with bench.worker(settings, catalogue) as worker:
            await until(partial(dealt_with, worker, len(share)))
            parts = list(worker.partitions.values())
            assert worker.counters.cold.evicted > 100
            assert worker.counters.cold.rows > worker.counters.cold.reads > 10
            said = {part: {name: part.customer_tags(name) for name in part.arena.customers} for part in parts}
    expected, found = replayed(catalogue, records, 2), await bench.changes()
    assert by_customer(found) == by_customer(expected.changes)
    assert in_order(found) == in_order(expected.changes)
    assert Counter(change.id for change in found).most_common(1)[0][1] == 1
    assert {name: tags for one in said.values() for name, tags in one.items() if tags} == expected.customers
