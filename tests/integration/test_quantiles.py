"""Quantile tags through the whole topology: partitions count, one worker cuts, all follow, also after a restart."""

from __future__ import annotations

from functools import partial
from typing import Final

import msgspec
import pytest

from schemas.catalogue import Catalogue
from schemas.loading import loads
from schemas.population import CutPoints, Population
from schemas.topics import Role
from streams.app import Worker
from tests.integration.support import HOUR_MS, START_MS, Bench, Sent, until
from tests.integration.test_worker import dealt_with
from tests.oracle_population import exact_cuts, near

pytestmark = pytest.mark.anyio

CUSTOMERS: Final = 40
TEXT: Final = """
catalogue: shop
timezone: UTC
currency: CNY
sources:
  buys: {topic: NAME-buys, key: who, time: at, id: id, fields: {paid: money}}
features:
  most: {source: buys, max: paid, window: ever}
tags:
  worth: {quantiles: {of: most, levels: 4, least: 30, refresh: 1h}}
"""


def shop(bench: Bench) -> Catalogue:
    return loads(TEXT.replace("NAME", bench.name))


def buy(who: int, at: int, paid: float) -> Sent:
    value = {"who": f"c{who}", "at": at, "id": f"{who}-{at}", "paid": paid}
    return Sent("buys", f"c{who}".encode(), msgspec.json.encode(value))


def hours(first: int, last: int) -> list[Sent]:
    """Everybody buys for the own amount every 20 minutes: 1.00, 2.00, ..."""
    times = range(START_MS + first * HOUR_MS, START_MS + last * HOUR_MS, HOUR_MS // 3)
    return [buy(who, at + who, who + 1.0) for at in times for who in range(CUSTOMERS)]


def cut(worker: Worker) -> bool:
    """Whether every customer has a level."""
    worker.check()
    held = [part.overview().tags["worth"] for part in worker.partitions.values()]
    return sum(sum(counts.values()) for counts in held) == CUSTOMERS


def levels(worker: Worker) -> dict[str, str | bool | None]:
    found = [page for part in worker.partitions.values() for page in part.all_customer_tags()]
    return {one.customer_id: one.tags["worth"] for page in found for one in page if not one.status}


async def published(bench: Bench) -> list[CutPoints]:
    records = await bench.read(bench.topic(Role.CONTROL))
    return [
        msgspec.json.decode(record.value, type=CutPoints)
        for record in records
        if (record.key or b"").startswith(b"cut-points/")
    ]


async def test_partitions_count_one_worker_cuts_and_a_restart_goes_on(bench: Bench) -> None:
    catalogue, settings = shop(bench), bench.settings(2)
    await bench.topics(settings, catalogue)
    records = hours(0, 4)
    await bench.send(records)
    async with bench.worker(settings, catalogue) as worker:
        await until(partial(dealt_with, worker, len(records)))
        await until(partial(cut, worker))
        before = levels(worker)
    (points,) = await published(bench)
    rule = catalogue.tag("worth").rule
    exact = exact_cuts(rule, [100.0 * (who + 1) for who in range(CUSTOMERS)])  # type: ignore[arg-type]
    assert (points.version, points.customers) == (1, CUSTOMERS)
    assert all(near(one, value, falling=False) for one, value in zip(points.cuts, exact, strict=True))
    wanted = {f"c{n}": str(1 + sum(100.0 * (n + 1) >= one for one in points.cuts)) for n in range(CUSTOMERS)}
    assert before == wanted
    counted = [r for r in await bench.read(bench.topic(Role.CONTROL)) if (r.key or b"").startswith(b"population/")]
    assert {msgspec.json.decode(r.value, type=Population).partition for r in counted} == {0, 1}
    changes = [change for change in await bench.changes() if change.name == "worth"]
    assert {change.cause.value for change in changes} == {"cut-point"}
    async with bench.worker(settings, catalogue) as worker:
        assert levels(worker) == wanted
        own = [buy(0, START_MS + 4 * HOUR_MS, 1_000.0), *hours(4, 6)]
        await bench.send(own)
        await until(partial(dealt_with, worker, len(own)))
        assert levels(worker)["c0"] == "4"
    moved = [change for change in await bench.changes() if change.name == "worth"][len(changes) :]
    assert [(one.customer_id, one.cause.value) for one in moved if one.customer_id == "c0"][:1] == [("c0", "event")]


async def test_two_workers_share_the_counting_and_follow_the_same_cut_points(bench: Bench) -> None:
    catalogue = shop(bench)
    settings = [bench.settings(2, worker) for worker in ("one", "two")]
    await bench.topics(settings[0], catalogue)
    async with bench.worker(settings[0], catalogue) as one, bench.worker(settings[1], catalogue) as two:
        await until(lambda: len(one.partitions) == len(two.partitions) == 1)
        await bench.send(hours(0, 4))

        def both() -> bool:
            one.check()
            two.check()
            return len(levels(one)) + len(levels(two)) == CUSTOMERS

        await until(both)
        (points,) = await published(bench)
        found = levels(one) | levels(two)
    assert points.customers == CUSTOMERS
    assert found == {f"c{n}": str(1 + sum(100.0 * (n + 1) >= cut_ for cut_ in points.cuts)) for n in range(CUSTOMERS)}
