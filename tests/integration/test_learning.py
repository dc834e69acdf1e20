"""Questions, answers, models and triggers through the whole topology: topics in, a worker, topics out."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from schemas.catalogue import Catalogue
from schemas.durations import DAY, HOUR
from schemas.learning import Answer, Example, ModelSnapshot, model_key
from schemas.outreach import OutreachRequest, TriggerDecision
from schemas.records import SegmentChange
from schemas.topics import Role
from streams.app import Worker
from tests import outreach_checker
from tests.integration.lessons import MIDNIGHT, buy, lessons, life, look, passing
from tests.integration.support import Bench, Sent, until
from tests.integration.test_worker import dealt_with

pytestmark = pytest.mark.anyio


async def examples(bench: Bench) -> list[Example]:
    return [
        msgspec.json.decode(record.value, type=Example)
        for record in await bench.read(bench.topic(Role.TRAINING_EXAMPLES))
    ]


async def answers(bench: Bench, target: str, customer: str) -> dict[int, tuple[bool, int]]:
    """By the question's time, the label and when it was known."""
    found = [one for one in await examples(bench) if isinstance(one, Answer)]
    return {a.at: (a.label, a.known_at) for a in found if (a.target, a.customer_id) == (target, customer)}


async def told(bench: Bench, role: Role, kind: Any) -> list[Any]:
    return [msgspec.json.decode(record.value, type=kind) for record in await bench.read(bench.topic(role))]


async def through(bench: Bench, catalogue: Catalogue, records: list[Sent], partitions: int = 1) -> None:
    """Have a worker deal with the records."""
    settings = bench.settings(partitions)
    await bench.topics(settings, catalogue)
    await bench.send(records)
    async with bench.worker(settings, catalogue) as worker:
        await until(partial(dealt_with, worker, len(records)))


async def test_an_outcome_a_millisecond_before_its_question_is_no_positive_and_one_within_horizon_and_lag_is(
    bench: Bench,
) -> None:
    catalogue, asked = lessons(bench), MIDNIGHT + HOUR
    horizon = asked + 30 * DAY
    # Behind a later record of its own topic a record comes late; topics are merged by their records' times.
    records = [
        *(buy(customer, asked) for customer in ("before", "last", "beyond")),
        buy("before", asked - 1, "deposit"),
        *passing(asked + HOUR, 31),
        buy("clock0", horizon + 20 * HOUR),
        buy("last", horizon, "deposit"),
        buy("beyond", horizon + 1, "deposit"),
        *passing(horizon + 24 * HOUR, 2),
    ]
    await through(bench, catalogue, records)
    assert (await answers(bench, "deposit", "before"))[asked] == (False, horizon + DAY)
    assert (await answers(bench, "deposit", "last"))[asked] == (True, horizon)
    assert (await answers(bench, "deposit", "beyond"))[asked] == (False, horizon + DAY)


async def test_silence_answers_an_absence_and_a_record_ends_it(bench: Bench) -> None:
    catalogue, asked = lessons(bench), MIDNIGHT + HOUR
    some = [look("silent", asked), look("back", asked), *passing(asked + HOUR, 5)]
    await through(bench, catalogue, [*some, look("back", asked + 6 * DAY), *passing(asked + 6 * DAY + HOUR, 6)])
    assert await answers(bench, "churn", "silent") == {asked: (True, asked + 10 * DAY)}
    assert (await answers(bench, "churn", "back"))[asked] == (False, asked + 6 * DAY)


async def test_p6_restarts_neither_forget_nor_repeat_a_question_or_an_answer(bench: Bench) -> None:
    catalogue, records, settings = lessons(bench), life(3, 1_200), bench.settings(2)
    await bench.topics(settings, catalogue)
    for share in (records[:300], records[300:800], records[800:]):
        await bench.send(share)
        async with bench.worker(settings, catalogue) as worker:
            await until(partial(dealt_with, worker, len(share)))
    found = [msgspec.json.encode(one) for one in await examples(bench)]
    assert len(found) == len(set(found)) > 100
    whole = msgspec.structs.replace(bench, name=f"{bench.name}-whole")
    await through(whole, lessons(whole), records, 2)
    assert sorted(found) == sorted(msgspec.json.encode(one) for one in await examples(whole))


def model(catalogue: Catalogue, bias: float, version: int) -> bytes:
    target = catalogue.targets[0]
    count = len(target.features)
    figures = {"at": 0, "questions": 9, "answers": 9, "positives": 1, "learned": 9, "ready": True}
    zeros = [0.0] * count
    return msgspec.json.encode(
        ModelSnapshot(
            "deposit", version, **figures, features=list(target.features), means=zeros, weights=zeros, bias=bias
        )
    )


async def put(bench: Bench, catalogue: Catalogue, bias: float, version: int) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bench.address)
    await producer.start()
    try:
        key = model_key(bench.name, "deposit").encode()
        await producer.send_and_wait(bench.topic(Role.CONTROL), key=key, value=model(catalogue, bias, version))
    finally:
        await producer.stop()


async def test_models_on_control_move_scores_and_segments_and_are_there_after_a_restart(bench: Bench) -> None:
    catalogue, settings = lessons(bench), bench.settings(2)
    await bench.topics(settings, catalogue)
    records = [look(f"c{n}", MIDNIGHT + n) for n in range(50)]
    await bench.send(records)
    async with bench.worker(settings, catalogue) as worker:
        await until(partial(dealt_with, worker, 50))
        await put(bench, catalogue, 2.0, 1)
        await until(partial(scored, worker, 100))
        tags = next(found for part in worker.partitions.values() if (found := part.customer_tags("c7")))
        assert (tags.tags["intent"], "intent" in tags.status) == ("high", False)
    async with bench.worker(settings, catalogue) as worker:
        assert worker.counters.models["deposit"].version == 1
        await put(bench, catalogue, -2.0, 2)
        await until(partial(scored, worker, 100))
    moved = [c for c in await told(bench, Role.SEGMENT_CHANGES, SegmentChange) if c.segment == "hot"]
    assert Counter((c.new, c.cause.value) for c in moved) == {(True, "score"): 50, (False, "score"): 50}
    assert len({c.id for c in moved}) == 100


def scored(worker: Worker, changes: int) -> bool:
    worker.check()
    return worker.counters.changes["score"] >= changes


async def test_p7_triggers_keep_their_promises_over_restarts_by_the_topics_alone(bench: Bench) -> None:
    catalogue, records, settings = lessons(bench), life(5, 1_500), bench.settings(2)
    await bench.topics(settings, catalogue)
    for first in range(0, len(records), 300):
        share = records[first : first + 300]
        await bench.send(share)
        async with bench.worker(settings, catalogue) as worker:
            await until(partial(dealt_with, worker, len(share)))
    requests = await told(bench, Role.OUTREACH, OutreachRequest)
    decisions = await told(bench, Role.TRIGGER_DECISIONS, TriggerDecision)
    changes = await told(bench, Role.SEGMENT_CHANGES, SegmentChange)
    values = [msgspec.json.decode(r.value) for r in records if r.source == "who"]
    profiles = [outreach_checker.profile(catalogue, "who", value) for value in values]
    until_ms = max(msgspec.json.decode(r.value or b"{}")["at"] for r in records)
    lag_ms = max(source.allowed_skew_ms for source in catalogue.sources)
    assert len(requests) > 5
    assert len({decision.why for decision in decisions}) > 2
    found = outreach_checker.violations(catalogue, changes, profiles, requests, decisions, until_ms, lag_ms)
    assert found == []
    assert len({request.id for request in requests}) == len(requests)
