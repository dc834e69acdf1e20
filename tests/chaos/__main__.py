"""`python -m tests.chaos`: kill, hold up and cut off for so many rounds, then compare; exit 1 on any difference."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

import click

from streams.compiled import keep_compiled

keep_compiled(Path(__file__).parents[2] / ".livetags")

from streams.broker import BrokerError  # noqa: E402 - after it is known where compiled kernels are kept
from tests.brokers import finding  # noqa: E402
from tests.chaos.faults import Fault  # noqa: E402
from tests.chaos.run import Report, Run  # noqa: E402

KINDS = click.Choice([fault.name for fault in Fault], case_sensitive=False)


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=10, show_default=True, help="How often something goes wrong.")
@click.option("--seed", type=click.IntRange(0), default=None, help="Decides what goes wrong; a fresh one by default.")
@click.option("--only", type=KINDS, multiple=True, help="Let only this go wrong; may be given several times.")
@click.option("--keep", is_flag=True, help="Keep the workers' logs and state even where nothing differs.")
def main(rounds: int, seed: int | None, only: tuple[str, ...], keep: bool) -> None:
    """Crash tests on Apache Kafka: nothing lost, nothing counted twice."""
    seed = Random().randrange(10**6) if seed is None else seed
    if isinstance(found := finding.way(), str):
        raise click.ClickException(f"crash tests need an Apache Kafka that they may kill: {found}")
    directory = Path(tempfile.mkdtemp(prefix="livetags-chaos-"))
    began = time.monotonic()

    def say(text: str) -> None:
        click.echo(f"{time.monotonic() - began:6.0f} s  {text}")

    click.echo(
        f"seed {seed}, {rounds} rounds, Apache Kafka from {'its jars' if found is finding.Way.JAVA else 'a container'}"
    )
    try:
        report = asyncio.run(Run(rounds, seed, directory, say, {Fault[name] for name in only}).run())
    except BrokerError as error:
        raise click.ClickException(str(error)) from None
    _print(report)
    if report.verdict.differences or keep:
        click.echo(f"the workers' logs and state are in {directory}")
    else:
        shutil.rmtree(directory, ignore_errors=True)
    if report.verdict.differences:
        click.echo(f"again with: make chaos ROUNDS={rounds} SEED={seed}", err=True)
        sys.exit(1)


def _print(report: Report) -> None:
    verdict = report.verdict
    for fault, count in report.faults.most_common():
        click.echo(f"{count:5,} x {fault.value}")
    click.echo(f"workers were started {report.starts:,} times, ended by themselves {len(report.ended):,} times")
    for said, count in Counter(f"code {one.code}: {one.said}" for one in report.ended).most_common():
        click.echo(f"{count:5,} x {said}")
    if report.left:
        slowest = max(report.left, key=lambda one: one.took_s)
        bad = sum(1 for one in report.left if one.code)
        click.echo(f"{len(report.left):,} were asked to stop: slowest {slowest.took_s:.1f} s, {bad} could not flush")
    click.echo(
        f"{verdict.records:,} records, {verdict.customers:,} customers, {verdict.changes:,} changes, "
        f"{verdict.repeats:,} of them repeated under the same id, in {report.took_s:.0f} s"
    )
    for difference in verdict.differences:
        click.echo(f"DIFFERENCE: {difference}")
    click.echo(f"{len(verdict.differences)} differences")


if __name__ == "__main__":
    main()
