"""`python -m bench.questions`: what the table of pending questions takes (`models.labels`), and how fast it is.

Each customer has some questions of each of the bank's targets open, asked over a horizon. One process asks them and
writes the table as flushes do, another reads it back as a worker does that takes the partition over.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

import click
import msgspec

from bench.measure import resident_mb
from models.labels import Labels
from schemas.catalogue import Target
from schemas.loading import load
from streams.store import LABELS, SLICE_ROWS, Entry, Store

CATALOGUE: Final = Path(__file__).parents[1] / "schemas" / "bank.yaml"
START: Final = 1_772_323_200_000
OUTCOMES: Final = 100_000  # looked at to time one
MB: Final = 1_000_000


class Written(msgspec.Struct, frozen=True):
    """The first process: all questions asked and written; microseconds a question or outcome."""

    ask_us: float
    outcome_us: float
    entry_bytes: int
    disk_bytes: int


class Read(msgspec.Struct, frozen=True):
    """The second: the table read back from disk, what it takes in memory then, and time answering all of it."""

    read_s: float
    load_s: float
    memory_bytes: int
    answer_us: float


@click.command()
@click.option("--customers", default=1_000_000, show_default=True)
@click.option("--each", default=5, show_default=True, help="Open questions of a customer and target.")
def main(customers: int, each: int) -> None:
    """Print what pending questions take."""
    targets = load(CATALOGUE).targets
    questions = customers * each * len(targets)
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as directory, spawn.Pool(1, maxtasksperchild=1) as apart:
        written = apart.apply(write, (directory, customers, each))
        read = apart.apply(recover, (directory,))
    click.echo(
        f"{questions:,} pending questions of {customers:,} customers, {each} of each of {len(targets)} targets:\n"
        f"  bytes a question: {read.memory_bytes / questions:.0f} in memory, {written.entry_bytes / questions:.0f} in"
        f" the changelog (one record a customer), {written.disk_bytes / questions:.0f} on disk\n"
        f"  in all: {read.memory_bytes / MB:,.0f} MB in memory, {written.disk_bytes / MB:,.0f} MB on disk\n"
        f"  recovery: {read.read_s + read.load_s:.1f} CPU s ({read.read_s:.1f} reading the disk, {read.load_s:.1f} "
        f"taking it in)\n"
        f"  CPU microseconds: {written.ask_us:.1f} to ask, {written.outcome_us:.1f} for an outcome,"
        f" {read.answer_us:.1f} for an answer that time gives"
    )


def write(directory: str, customers: int, each: int) -> Written:
    """Ask all questions in the order of their times, and write the table."""
    targets, labels = load(CATALOGUE).targets, Labels(load(CATALOGUE).targets)
    names = [f"c{number:07}" for number in range(customers)]
    store, entry_bytes = Store(Path(directory) / "store"), 0

    def ask() -> None:
        for turn in range(each):
            for number, name in enumerate(names):
                for index, target in enumerate(targets):
                    every = target.label.within_ms // each
                    labels.ask(index, name, START + turn * every + number * every // customers)

    ask_s = _cpu(ask)
    changed = labels.take_entries()
    for first in range(0, len(changed), SLICE_ROWS):
        entries = [Entry(LABELS + key, value) for key, value in changed[first : first + SLICE_ROWS]]
        entry_bytes += sum(len(one.key) + len(one.value or b"") for one in entries)
        store.write(entries, None, 0)
    store.close()
    disk_bytes = sum(file.stat().st_size for file in Path(directory).rglob("*") if file.is_file())
    return Written(ask_s / len(labels) * 1e6, _outcome_us(labels, targets, names, each), entry_bytes, disk_bytes)


def _outcome_us(labels: Labels, targets: tuple[Target, ...], names: list[str], each: int) -> float:
    """An outcome at the end of the first target's horizon answers nearly all of its questions of the customer."""
    draw, end = Random(1), START + targets[0].label.within_ms
    count = min(OUTCOMES, len(names))
    some = draw.sample(names, count)
    return _cpu(lambda: [labels.happened(0, name, end, end) for name in some]) / count * 1e6


def recover(directory: str) -> Read:
    """Read the table back, then let the horizon of all questions pass."""
    labels, store = Labels(load(CATALOGUE).targets), Store(Path(directory) / "store")
    before, found = resident_mb(), list[tuple[bytes, bytes]]()
    read_s = _cpu(lambda: found.extend(store.kept(LABELS)))
    load_s = _cpu(lambda: labels.load(found))
    found.clear()
    memory_bytes, questions = int((resident_mb() - before) * MB), len(labels)
    last = START + 3 * max(target.label.settled_ms for target in load(CATALOGUE).targets)
    hours = range(START, last, 3_600_000)
    answer_s = _cpu(lambda: [len(labels.advance(hour)) for hour in hours])
    store.close()
    return Read(read_s, load_s, memory_bytes, answer_s / questions * 1e6)


def _cpu(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    main()
