"""The bench's plain peer does the same job as the engine: otherwise its numbers would mean nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bench.journey_models import Ranked
from bench.load import zipf
from bench.measure import Stopwatch
from bench.plain_learning import PlainFollowUp
from bench.plain_rules import PlainJob
from schemas.catalogue import Catalogue
from schemas.learning import Question
from schemas.loading import loads
from schemas.sources import Incoming
from streams.demo import bank
from streams.engine.plan import build
from streams.processor import Partition

BANK = Path(__file__).parents[2] / "schemas" / "bank.yaml"
CUSTOMERS = 12


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """The bank's catalogue without `hold`, whose ends are timers: the peer has none."""
    lines = BANK.read_text(encoding="utf-8").splitlines()
    return loads("\n".join(line for line in lines if not line.strip().startswith("hold:")))


def _stream() -> list[tuple[str, bytes]]:
    """A simulated year in order of its times."""
    timed = [
        (time, stream.name, line)
        for stream in bank.simulate(CUSTOMERS).streams
        for time, line in zip(stream.times_ms.tolist(), (x for some in stream.lines() for x in some), strict=True)
    ]
    return [(name, line) for _, name, line in sorted(timed, key=lambda one: one[0])]


def test_plain_peer_says_what_the_engine_says_after_every_event(catalogue: Catalogue) -> None:
    part, job, further = Partition(build(catalogue), keyed=False), PlainJob(catalogue), PlainFollowUp(catalogue)
    questions: tuple[set[str], set[str]] = set(), set()
    states: dict[str, dict[str, Any]] = {}
    flips = 0
    for offset, (source, line) in enumerate(_stream()):
        record = msgspec.json.decode(line)
        customer = record["customer_id"]
        output = part.feed([(source, Incoming(line, None, offset))])
        state = msgspec.json.decode(msgspec.json.encode(states.get(customer, {})))  # as the table's store does
        applied = job.apply(source, customer, record, state)
        flips += len(applied.flips)
        questions[0].update(one.id for one in output.examples if isinstance(one, Question))
        sent = further.apply(source, customer, applied, state)
        questions[1].update(record["id"] for _, record in sent if record.get("kind") == "question")
        states[customer] = state
        expected = part.customer_tags(customer)
        assert expected is not None
        said = {name: value for name, (value, _) in state["said"].items()}
        tags = {name: value for name, value in expected.tags.items() if name not in expected.status}
        assert {name: said.get(name, False if value is False else None) for name, value in tags.items()} == tags
        inside = {s.name for s in catalogue.segments if said.get(s.name)}
        assert inside == set(expected.segments)
    assert flips > 500
    assert questions[0] == questions[1] != set()


def test_keys_follow_zipf_and_a_shorter_load_is_the_beginning_of_a_longer_one() -> None:
    drawn = zipf(1_000, 1.0, 100_000)
    counts = np.bincount(drawn, minlength=1_000)
    assert counts[0] / counts[9] == pytest.approx(10, rel=0.15)
    assert (zipf(1_000, 1.0, 30_000) == drawn[:30_000]).all()
    assert np.bincount(zipf(10, 0.0, 100_000)).min() > 9_000


def test_stopwatch_counts_the_time_of_an_inner_function_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Work:
        def outer(self) -> int:
            return self.inner() + 1

        def inner(self) -> int:
            return 1

    ticks = iter(range(10))
    monkeypatch.setattr("bench.measure.time.thread_time", lambda: float(next(ticks)))
    watch = Stopwatch()
    watch.time(Work, "outer", "outer")
    watch.time(Work, "inner", "inner")
    assert Work().outer() == 2
    assert watch.calls == {"outer": 1, "inner": 1}
    assert watch.seconds == {"outer": 2.0, "inner": 1.0}


def test_ranks_within_strata_are_compared_within_strata_only() -> None:
    draw = np.random.default_rng(3)
    scores, strata, labels = draw.random(60).round(1), draw.integers(0, 4, 60), draw.random(60) < 0.4
    weights = draw.integers(0, 3, 60).astype(np.float64)
    pairs = won = 0.0
    for i, j in np.argwhere((labels[:, None] & ~labels) & (strata[:, None] == strata)):
        pairs += weights[i] * weights[j]
        won += weights[i] * weights[j] * (float(scores[i] > scores[j]) + float(scores[i] == scores[j]) / 2)
    assert Ranked.of(scores, strata).auc(labels, weights) == pytest.approx(won / pairs)
