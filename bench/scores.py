"""`python -m bench.scores`: what scoring costs, the same load with and without models of all targets.

The load's months pass in seconds, so the daily tick (every customer is scored anew at midnight) weighs thousands of
times what it does live; it is in these figures. With `--live` the records come 10,000 a second of their own time.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median

import click
from rich.console import Console
from rich.table import Table

from bench.job import CATALOGUE
from bench.load import as_live, events
from bench.measure import Measured
from bench.run import Peer, Setting, run
from schemas.learning import Pipeline
from schemas.loading import load
from streams.config import Settings


@click.command("bench-scores")
@click.option("--events", "count", type=click.IntRange(1_000), default=200_000, show_default=True)
@click.option("--customers", type=click.IntRange(1), default=20_000, show_default=True)
@click.option("--zipf", type=click.FloatRange(0), default=1.0, show_default=True)
@click.option("--partitions", type=click.IntRange(1), default=4, show_default=True)
@click.option("--repeat", type=click.IntRange(1), default=3, show_default=True, help="Runs of each, taking turns.")
@click.option("--live", is_flag=True, help="Records at 10,000 a second of event time, not months in seconds.")
@click.option("--cache", type=click.Path(path_type=Path), default=None, help="Where the simulated bank is kept.")
def main(count: int, customers: int, zipf: float, partitions: int, repeat: int, live: bool, cache: Path | None) -> None:
    """Measure the bank catalogue at full load with and without a model of each target."""
    catalogue = load(CATALOGUE)
    given = events(catalogue, cache or Settings().data_dir / "demo", count, customers, zipf)
    given = as_live(given, catalogue, 0) if live else given
    found: dict[str, list[Measured]] = {"": [], **{model.value: [] for model in Pipeline}}
    for _ in range(repeat):
        for scored, runs in found.items():
            runs.append(run(Peer.LIVETAGS, Setting(CATALOGUE, partitions, scored=scored), given))
    table = Table("Models", "Events/s", "CPU s per million", "Changes an event", title="Scoring two targets, medians")
    for scored, runs in found.items():
        figures = [f"{_per_second(runs):,.0f}", f"{_cpu(runs):.1f}"]
        table.add_row(scored or "none", *figures, f"{runs[0].flips / runs[0].events:.2f}")
    console = Console()
    console.print(table)
    for model in Pipeline:
        slower = 1 - _per_second(found[model.value]) / _per_second(found[""])
        dearer = _cpu(found[model.value]) / _cpu(found[""]) - 1
        console.print(
            f"Scoring by {model.value} models costs {slower:.1%} of the events/s, {dearer:.1%} more CPU an event"
        )


def _per_second(runs: list[Measured]) -> float:
    return median(one.per_second for one in runs)


def _cpu(runs: list[Measured]) -> float:
    return median(one.cpu_per_million for one in runs)


if __name__ == "__main__":
    main()
