"""A trainer on a broker: the models on the control topic are those of the examples, whatever becomes of the process."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from models.trainer import Trainer
from models.transform import transforms_of
from schemas.catalogue import Catalogue
from schemas.definitions import DEFINITION_HEADER
from schemas.durations import DAY
from schemas.learning import Example, ModelSnapshot, Pipeline, model_key
from schemas.loading import loads
from schemas.model_reports import Happening, ModelEvent, ModelOrder, ModelReport, Order, order_key, report_key
from schemas.topics import Role
from streams.broker import BrokerError
from streams.cluster import Admin, StateRefused
from streams.control import Control
from streams.trainer_app import NothingToLearn, TrainerApp, build
from tests.generators_learning import START, answer, features, question, stream
from tests.integration.processes import command
from tests.integration.support import POLL_S, WITHIN_S, Bench, Sent, until

pytestmark = pytest.mark.anyio

TARGETS = """targets:
  leaves:
    title: {en: Leaves, zh: 离开}
    label: {source: pay, where: way == 'out', within: 30d, arrives_within: 1d}
    features: [in_30d, shops, idle, share, vip, active_days]
    example_every: 7d
    prior: 10%
  sleeps:
    title: {en: Sleeps, zh: 休眠}
    label: {absent: [pay, look], within: 14d}
    features: [in_30d, shops, idle, share, vip, active_days]
    example_every: 7d
segments:
"""


def text(bench: Bench, replaced: Mapping[str, str] | None = None) -> str:
    """tests/everything.yaml with two targets; `replaced` swaps texts in them."""
    targets = TARGETS
    for old, new in (replaced or {}).items():
        assert old in targets
        targets = targets.replace(old, new)
    return bench.text(replaced={"segments:\n": targets})


def examples_of(catalogue: Catalogue) -> list[list[Example]]:
    """Questions and answers of each target."""
    return [stream(target, seed=number) for number, target in enumerate(catalogue.targets)]


def wanted(catalogue: Catalogue, examples: Sequence[Sequence[Example]]) -> list[list[ModelSnapshot]]:
    """The snapshots of each target, as a trainer without a broker makes them."""
    pairs = zip(catalogue.targets, examples, strict=True)
    offset = catalogue.offset_ms
    return [Trainer(target, transforms_of(catalogue, target), offset).take(found) for target, found in pairs]


def sent(examples: Sequence[Sequence[Example]], first: int = 0, last: int | None = None) -> list[Sent]:
    """Those of the examples, on their way to their targets' partitions."""
    return [
        Sent("training-examples", one.customer_id.encode(), msgspec.json.encode(one), number)
        for number, found in enumerate(examples)
        for one in found[first:last]
    ]


@asynccontextmanager
async def running(
    bench: Bench, catalogue: Catalogue, worker: str = "one", *, rebuild: bool = False
) -> AsyncIterator[TrainerApp]:
    """A trainer that has started, stopped in the end."""
    trainer = build(bench.settings(2, worker=worker), catalogue, rebuild=rebuild, file="everything.yaml")
    await trainer.start()
    try:
        yield trainer
    finally:
        await trainer.stop()


async def published(bench: Bench, target: str) -> list[ModelSnapshot]:
    """A target's snapshots on the control topic, in their order; a removal begins anew."""
    found: list[ModelSnapshot] = []
    for record in await bench.read(bench.topic(Role.CONTROL)):
        if record.key == model_key(bench.name, target).encode():
            found = [*found, msgspec.json.decode(record.value, type=ModelSnapshot)] if record.value else []
    return found


async def reached(bench: Bench, target: str, version: int) -> list[ModelSnapshot]:
    """The target's snapshots once that version is there."""
    async with asyncio.timeout(WITHIN_S):
        while not (found := await published(bench, target)) or found[-1].version < version:
            await asyncio.sleep(POLL_S)
    return found


async def expect(bench: Bench, catalogue: Catalogue, examples: Sequence[Sequence[Example]]) -> None:
    """Wait for the last snapshots, and compare every one there is with what is wanted, bit for bit."""
    for target, snapshots in zip(catalogue.targets, wanted(catalogue, examples), strict=True):
        found = await reached(bench, target.name, snapshots[-1].version)
        by_version = {snapshot.version: snapshot for snapshot in snapshots}
        assert found == [by_version[snapshot.version] for snapshot in found]
        assert [snapshot.version for snapshot in found] == sorted(snapshot.version for snapshot in found)
        assert found[-1] == snapshots[-1]


@pytest.fixture
def catalogue(bench: Bench) -> Catalogue:
    """The test's catalogue."""
    return loads(text(bench))


@pytest.fixture
def file(bench: Bench) -> Path:
    """The test's catalogue as a file."""
    path = bench.directory / "everything.yaml"
    path.write_text(text(bench), encoding="utf-8")
    return path


async def test_models_on_control_are_those_of_the_examples_bit_for_bit(bench: Bench, catalogue: Catalogue) -> None:
    examples = examples_of(catalogue)
    async with running(bench, catalogue) as trainer:
        await bench.send(sent(examples))
        await expect(bench, catalogue, examples)
        await until(lambda: [standing.lag for standing in trainer.standings()] == [0, 0])
        counts = [(one.target, one.questions + one.answers, one.unfit) for one in trainer.standings()]
    assert counts == [("leaves", len(examples[0]), {}), ("sleeps", len(examples[1]), {})]


async def test_stopped_and_started_again_it_goes_on_where_it_was(bench: Bench, catalogue: Catalogue) -> None:
    examples = examples_of(catalogue)
    for first, last in ((0, 130), (130, 131), (131, None)):
        async with running(bench, catalogue) as trainer:
            await bench.send(sent(examples, first, last))
            taken = [len(found[:last]) for found in examples]
            await until(lambda t=trainer, n=taken: [s.questions + s.answers for s in t.standings()] == n)  # type: ignore[misc]
    await expect(bench, catalogue, examples)


async def test_killed_at_work_it_ends_with_the_same_models(bench: Bench, file: Path, catalogue: Catalogue) -> None:
    examples = examples_of(catalogue)
    # Flushed by size only, so that what was learned since the last flush is lost with the process.
    settings = {"flush_interval_s": "10", "flush_bytes": "15000"}
    async with command(bench, "trainer", file, **settings) as trainer:
        assert (await trainer.report())["state"] == "running"
        await bench.send(sent(examples, 0, 200))
        await reached(bench, "leaves", 1)
        trainer.process.send_signal(signal.SIGKILL)
        await trainer.ends()
    await bench.send(sent(examples, 200))
    async with command(bench, "trainer", file) as trainer:
        assert (await trainer.report())["state"] == "running"
        await expect(bench, catalogue, examples)
        trainer.process.send_signal(signal.SIGTERM)
        assert await trainer.ends() == 0
        assert trainer.process.stderr is not None
        assert await trainer.process.stderr.read() == b""


async def test_a_state_lost_on_disk_is_fetched_from_the_changelog(bench: Bench, catalogue: Catalogue) -> None:
    examples = examples_of(catalogue)
    async with running(bench, catalogue):
        await bench.send(sent(examples, 0, 200))
        await reached(bench, "leaves", 1)
    async with running(bench, catalogue, "two"):
        await bench.send(sent(examples, 200))
        await expect(bench, catalogue, examples)


async def test_a_second_trainer_takes_a_target_over_in_the_middle(bench: Bench, catalogue: Catalogue) -> None:
    examples = examples_of(catalogue)
    async with running(bench, catalogue) as one:
        await bench.send(sent(examples, 0, 200))
        async with running(bench, catalogue, "two") as two:
            await until(lambda: sorted([*one.targets, *two.targets]) == [0, 1] and bool(one.targets and two.targets))
            await bench.send(sent(examples, 200))
            await expect(bench, catalogue, examples)


async def test_a_snapshot_that_control_has_lost_is_published_again_and_only_then(
    bench: Bench, catalogue: Catalogue
) -> None:
    examples = examples_of(catalogue)
    async with running(bench, catalogue):
        await bench.send(sent(examples))
        await expect(bench, catalogue, examples)
    before = {target.name: await published(bench, target.name) for target in catalogue.targets}
    await put(bench, model_key(bench.name, "leaves"), None)
    assert await published(bench, "leaves") == []
    async with running(bench, catalogue):
        await expect(bench, catalogue, examples)
    assert await published(bench, "leaves") == before["leaves"][-1:]
    assert await published(bench, "sleeps") == before["sleeps"]


async def test_an_order_by_hand_is_followed_told_and_reported(bench: Bench, catalogue: Catalogue) -> None:
    examples = examples_of(catalogue)
    order = ModelOrder("by-me", "leaves", Order.PROMOTE, "2025-04-01T00:00:00.000Z")
    async with running(bench, catalogue):
        await bench.send(sent(examples))
        await expect(bench, catalogue, examples)
        last = (await published(bench, "leaves"))[-1]
        await put(bench, order_key(bench.name, "leaves"), msgspec.json.encode(order))
        snapshots = await reached(bench, "leaves", last.version + 1)
    other = Pipeline.LINEAR if last.model is Pipeline.CROSSED else Pipeline.CROSSED
    assert [one.model for one in snapshots[-2:]] == [last.model, other]
    told = [msgspec.json.decode(r.value, type=ModelEvent) for r in await bench.read(bench.topic(Role.MODEL_EVENTS))]
    assert [(one.what, one.model) for one in told if one.by == "by-me"] == [(Happening.PROMOTED, other)]
    keys = report_key(bench.name, "leaves").encode()
    reports = [r.value for r in await bench.read(bench.topic(Role.CONTROL)) if r.key == keys]
    newest = msgspec.json.decode(reports[-1], type=ModelReport)
    assert (newest.version, newest.models[0].model) == (last.version + 1, other)


async def put(bench: Bench, key: str, value: bytes | None) -> None:
    """Write to the control topic."""
    control = Control(bench.address, bench.topic(Role.CONTROL), embedded=True)
    await control.start()
    control.put(key, value)
    await control.drained()
    await control.stop()


async def test_bad_and_foreign_examples_are_counted_and_change_nothing(bench: Bench, catalogue: Catalogue) -> None:
    examples, target = examples_of(catalogue), catalogue.targets[0]
    asked = question(target, "x", START, features(Random(0)))
    foreign = answer(question(catalogue.targets[1], "x", START, []), True, START + DAY)
    bad = [
        b"{",
        None,
        b'{"kind":"\xff"}',
        msgspec.json.encode(foreign),
        msgspec.json.encode(msgspec.structs.replace(asked, features=[1.0])),
        msgspec.json.encode(msgspec.structs.replace(asked, at=2**62)),
        msgspec.json.encode(answer(asked, True, -1)),
    ]
    async with running(bench, catalogue) as trainer:
        await bench.send([Sent("training-examples", b"x", value, 0) for value in bad])
        await send_of_another_definition(bench, msgspec.json.encode(asked))
        await bench.send(sent(examples))
        await expect(bench, catalogue, examples)
        unfit = trainer.standings()[0].unfit
    assert unfit == {
        "unreadable": 3,
        "of another target": 1,
        "with another number of features": 1,
        "with an impossible time": 2,
        "of another definition": 1,
    }


async def send_of_another_definition(bench: Bench, value: bytes) -> None:
    """Write an example as a worker of an older catalogue left it."""
    producer = AIOKafkaProducer(bootstrap_servers=bench.address)
    await producer.start()
    try:
        topic = bench.topic(Role.TRAINING_EXAMPLES)
        await producer.send_and_wait(topic, value, b"x", 0, headers=[(DEFINITION_HEADER, b"0123456789abcdef")])
    finally:
        await producer.stop()


async def test_a_changed_target_is_refused_and_a_rebuild_learns_anew(bench: Bench, catalogue: Catalogue) -> None:
    examples, changed = examples_of(catalogue), loads(text(bench, {"prior: 10%": "prior: 5%"}))
    async with running(bench, catalogue):
        await bench.send(sent(examples))
        await expect(bench, catalogue, examples)
    with pytest.raises(StateRefused, match=r"livetags trainer everything\.yaml --rebuild"):
        await build(bench.settings(2), changed, file="everything.yaml").start()
    with pytest.raises(StateRefused, match=r"livetags trainer everything\.yaml --rebuild"):
        await build(bench.settings(2, worker="two"), changed, file="everything.yaml").start()
    async with running(bench, loads(text(bench, {"en: Leaves": "en: Goes"}))):
        pass  # a title changes nothing
    async with running(bench, changed, rebuild=True):
        await removed(bench, "leaves")
        await expect(bench, changed, examples)


async def removed(bench: Bench, target: str) -> None:
    """Wait until what an earlier trainer published has been taken away."""
    key = model_key(bench.name, target).encode()
    async with asyncio.timeout(WITHIN_S):
        while not any(r.key == key and r.value is None for r in await bench.read(bench.topic(Role.CONTROL))):
            await asyncio.sleep(POLL_S)


async def test_examples_spread_otherwise_than_over_the_targets_are_refused(bench: Bench, catalogue: Catalogue) -> None:
    async with running(bench, catalogue) as trainer:
        topics = trainer.cluster.topics
    fewer = loads(text(bench, {TARGETS[TARGETS.index("  sleeps:") : TARGETS.index("segments:")]: ""}))
    with Admin(bench.address) as admin:
        assert admin.describe([t.name for t in topics])[bench.topic(Role.TRAINING_EXAMPLES)].partitions == 2
    with pytest.raises(BrokerError, match=r"has 2 partitions, it must have 1: one for each target"):
        await build(bench.settings(2, worker="two"), fewer, rebuild=True).start()


async def test_a_catalogue_without_targets_has_nothing_to_learn(bench: Bench) -> None:
    with pytest.raises(NothingToLearn, match="'everything' has no targets"):
        await build(bench.settings(2), bench.catalogue()).start()


async def test_the_command_reports_and_stops_when_told_to(bench: Bench, file: Path) -> None:
    async with command(bench, "trainer", file) as trainer:
        first = await trainer.report()
        assert [(one["target"], one["version"]) for one in first["targets"]] == [("leaves", 0), ("sleeps", 0)]
        trainer.process.send_signal(signal.SIGINT)
        assert await trainer.ends() == 0
        reports = [first]
        while (report := await trainer.report())["state"] != "ended":
            reports.append(report)
    assert [reports[0]["state"], reports[-1]["state"], report["said"]] == ["running", "stopped", ""]
