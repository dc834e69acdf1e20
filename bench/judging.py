"""`python -m bench.models`: both models of each target judged by a simulated year of the bank, for seeds of its own.

The engine makes the examples, a trainer learns them in their order, and its kept log odds are judged by what came; for
deposits next to the simulator's own probability at the question's moment. Then the same examples are spoiled, to show
what is noticed: outcomes dealt out anew within each week leave nothing to learn; a doubled base rate and a feature in
another unit are reported.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC
from itertools import islice
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench.job import CATALOGUE
from bench.journey_models import Ranked
from models.snapshot import probability
from models.trainer import Trainer
from models.transform import transforms_of
from schemas.catalogue import Catalogue, Target
from schemas.durations import DAY
from schemas.learning import Answer, Example, Question
from schemas.loading import load
from schemas.model_reports import Happening, ModelEvent, Series
from schemas.sources import Incoming
from schemas.values import parse_iso
from streams.demo import bank
from streams.demo.bank_truth import YEAR_START_MS, Truth
from streams.demo.dataset import merged, opened, write
from streams.demo.learned import TRUE_TARGET, Odds, auc
from streams.engine.plan import build
from streams.processor import Partition

AT_ONCE = 8_192
QUARTER = 91 * DAY
CHANGE = 196 * DAY
"""In mid-month: three in ten questions come on months' last days, and a change is told of by days."""
SPOILED = {"deposit": "inflow_30d", "churn": "visits_30d"}


class Said(msgspec.Struct, frozen=True):
    """What was said of the questions that were answered since the first horizon; arrays of shape (questions,)."""

    at: NDArray[np.int64]
    customers: NDArray[np.int64]
    labels: NDArray[np.bool_]
    raw: NDArray[np.float64]
    shown: NDArray[np.float64]
    events: list[ModelEvent]
    per_second: float


def simulated(catalogue: Catalogue, customers: int, seed: int) -> tuple[list[Example], Truth]:
    """All examples of a simulated year in their order, and the truth about deposits."""
    simulation, found = bank.simulate(customers, seed), list[Example]()
    part, done = Partition(build(catalogue), keyed=False), 0
    with tempfile.TemporaryDirectory() as directory:
        write(simulation.streams, Path(directory))
        records = merged(opened("bank", Path(directory)))
        while some := list(islice(records, AT_ONCE)):
            given = [(source, Incoming(line, None, done + n)) for n, (source, line) in enumerate(some)]
            found += part.feed(given).examples
            done += len(some)
    return found, simulation.truth


def judged(catalogue: Catalogue, target: Target, examples: Sequence[Example]) -> Said:
    """Have a trainer learn them, and keep what it said."""
    trainer, kept = Trainer(target, transforms_of(catalogue, target), catalogue.offset_ms), dict[str, Any]()
    labels = {one.id: one.label for one in examples if isinstance(one, Answer)}
    begin = time.process_time()
    for example in examples:
        trainer.take([example])
        if isinstance(example, Question) and (found := trainer.kept(example.id)) is not None:
            kept[example.id] = example, found
    spent = time.process_time() - begin
    last, settled = max(one.at for one in examples), target.label.settled_ms
    first = examples[0].at + settled
    rows = [(q, k, labels[q.id]) for q, k in kept.values() if first <= q.at <= last - settled and q.id in labels]
    return Said(
        at=np.array([q.at for q, _, _ in rows]),
        customers=np.array([int(q.customer_id[1:]) for q, _, _ in rows]),
        labels=np.array([label for _, _, label in rows]),
        raw=np.array([k.raw for _, k, _ in rows]).T,
        shown=np.array([k.shown for _, k, _ in rows]).T,
        events=trainer.take_events(),
        per_second=trainer.counters.learned / spent,
    )


def slope(logits: NDArray[np.float64], labels: NDArray[np.bool_]) -> float:
    """Of a logistic regression of what came on what was foretold."""
    x, found = np.stack([logits, np.ones(len(logits))], axis=1), np.array([1.0, 0.0])
    for _ in range(30):
        p = 1.0 / (1.0 + np.exp(-x @ found))
        found = found + np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x, x.T @ (labels - p))
    return float(found[0])


def dealt_out(examples: Iterable[Example]) -> list[Example]:
    """The same with outcomes dealt out anew among the questions of each week, each known at the end of its time."""
    weeks, draw, found = defaultdict[int, list[Answer]](list), random.Random(0), list[Example]()
    for one in examples:
        if isinstance(one, Answer):
            weeks[one.at // (7 * DAY)].append(one)
        else:
            found.append(one)
    for answers in weeks.values():
        labels = draw.sample([one.label for one in answers], len(answers))
        found += [msgspec.structs.replace(one, label=label) for one, label in zip(answers, labels, strict=True)]
    return sorted(found, key=lambda one: one.known_at if isinstance(one, Answer) else one.at)


def drifting(target: Target, examples: Iterable[Example], rate: float) -> Iterator[Example]:
    """The same where the base rate doubles and a feature comes in another unit, from a day on."""
    draw, place = random.Random(1), target.features.index(SPOILED[target.name])
    for one in examples:
        if one.at < YEAR_START_MS + CHANGE:
            yield one
        elif isinstance(one, Answer):
            yield one if one.label else msgspec.structs.replace(one, label=draw.random() < rate / (1.0 - rate))
        else:
            values = list(one.features)
            value = values[place]
            values[place] = None if value is None else value / 1_000.0
            yield msgspec.structs.replace(one, features=values)


def drift_told(said: Said, target: Target) -> str:
    """After how many examples each of the two changes was told; the base rate's settle a horizon later."""
    found = []
    for series in (Series.BASE_RATE, Series.MEAN):
        drifts = (event.drift for event in said.events if event.what is Happening.DRIFTED)
        told = [one for one in drifts if one is not None and one.series is series]
        since = YEAR_START_MS + CHANGE - 2 * DAY
        after = [
            one for one in told if parse_iso(one.began, UTC) >= since and (one.feature in ("", SPOILED[target.name]))
        ]
        found.append(f"{series.value}: {after[0].examples:,}" if after else f"{series.value}: not told")
    return ", ".join(found)


@click.command("bench-models")
@click.option("--customers", type=click.IntRange(100), default=20_000, show_default=True)
@click.option("--seed", "seeds", type=int, multiple=True, default=(101, 202, 303), show_default=True)
@click.option("--spoiled/--whole", default=True, help="Judge spoiled examples too.")
def main(customers: int, seeds: tuple[int, ...], spoiled: bool) -> None:
    """Judge both models of the bank's targets."""
    catalogue, console = load(CATALOGUE), Console(width=150)
    columns = ("AUC linear", "crossed", "truth", "Slope, last quarter", "In large", "Promoted", "Examples/CPU s")
    table = Table(
        "Seed", "Target", *columns, title="Progressive, each question by the log odds it had when it was asked"
    )
    for seed in seeds:
        everything, truth = simulated(catalogue, customers, seed)
        for target in catalogue.targets:
            examples = [one for one in everything if one.target == target.name]
            said = judged(catalogue, target, examples)
            table.add_row(str(seed), target.name, *_figures(said, truth if target.name == TRUE_TARGET else None))
            if spoiled:
                dealt = judged(catalogue, target, dealt_out(examples))
                console.print(f"{seed} {target.name}: outcomes dealt out anew, AUC within weeks {_within(dealt):.3f}")
                drift = judged(catalogue, target, list(drifting(target, examples, float(said.labels.mean()))))
                console.print(f"{seed} {target.name}: drift told after examples, {drift_told(drift, target)}")
                console.print(f"{seed} {target.name}: after the drift, {_recovered(drift)}")
    console.print(table)


def _within(said: Said) -> float:
    """AUC of the crossed model among questions of one week: across weeks a base rate that moves can be foretold."""
    weeks = Ranked.of(said.raw[1], said.at // (7 * DAY))
    return weeks.auc(said.labels, np.ones(len(said.labels)))


def _recovered(said: Said) -> str:
    """How what is shown fits what comes in the last quarter, months after a change."""
    quarter = said.at >= said.at.max() - QUARTER
    labels, shown = said.labels[quarter], said.shown[1][quarter]
    foretold = np.array([probability(logit) for logit in shown.tolist()])
    return f"last quarter: in large {labels.mean() / foretold.mean():.3f}, slope {slope(shown, labels):.3f}"


def _figures(said: Said, truth: Truth | None) -> list[str]:
    quarter = said.at >= said.at.max() - QUARTER
    promoted = [event.at[:10] for event in said.events if event.what is Happening.PROMOTED]
    foretold = np.array([probability(logit) for logit in said.shown[1][quarter].tolist()])
    odds = None if truth is None else Odds(truth.day, truth.p, YEAR_START_MS, truth.fallen)
    known = None if odds is None else odds.at(said.customers, said.at)
    return [
        *(f"{auc(logits, said.labels) or 0.5:.4f}" for logits in said.raw),
        "" if known is None else f"{auc(known, said.labels) or 0.5:.4f}",
        " ".join(f"{slope(logits[quarter], said.labels[quarter]):.3f}" for logits in said.shown),
        f"{said.labels[quarter].mean() / foretold.mean():.3f}",
        ", ".join(promoted) or "no",
        f"{said.per_second:,.0f}",
    ]
