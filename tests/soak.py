"""`python -m tests.soak`: fresh catalogues and streams against every law for as long as it is let.

It ends at the first law that does not hold, and prints the case, made small, as a test to paste. The same seed goes
through the same cases.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Final

import click

from streams.compiled import keep_compiled

keep_compiled(Path(__file__).parents[1] / ".livetags")

from tests import laws  # noqa: E402 - after it is known where compiled kernels are kept
from tests.generators_records import Case, case  # noqa: E402
from tests.laws import Law  # noqa: E402
from tests.shrinking import as_test, shrink  # noqa: E402

STREAMS: Final = 6
SAY_EVERY_S: Final = 30.0


@click.command()
@click.option("--minutes", type=click.FloatRange(0), default=10.0, show_default=True, help="How long to look.")
@click.option("--seed", type=click.IntRange(0), default=None, help="Where to begin; a fresh one by default.")
def main(minutes: float, seed: int | None) -> None:
    """Look at fresh cases; exit 1 where a law does not hold."""
    seed = Random().randrange(10**9) if seed is None else seed
    click.echo(f"seed {seed}: every law over fresh catalogues and streams for {minutes:g} minutes")
    began, said, counts = time.monotonic(), time.monotonic(), Counter[str]()
    ends = began + 60 * minutes
    number = seed
    while time.monotonic() < ends:
        look(number, counts)
        number += 1
        if time.monotonic() - said > SAY_EVERY_S:
            said = time.monotonic()
            click.echo(f"{said - began:6.0f} s  {counts['cases']:,} cases of {counts['catalogues']:,} catalogues: fine")
    click.echo(f"{counts['cases']:,} cases of {counts['catalogues']:,} catalogues, every law held (seed {seed})")


def look(seed: int, counts: Counter[str]) -> None:
    """Some streams over the catalogue of a seed; one law that needs an orderly stream has one of its own."""
    draw = Random(seed)
    first = case(draw)
    streams = [first, *(case(draw, first.text) for _ in range(STREAMS - 1))]
    orderly = case(draw, first.text, orderly=True)
    counts["catalogues"] += 1
    for one in streams:
        counts["cases"] += 1
        for law in laws.ANY:
            check(law, one, seed)
    counts["cases"] += 1
    check(laws.partitions_do_not_show, orderly, seed)


def check(law: Law, one: Case, seed: int) -> None:
    """Hold a case against a law; where that fails, print it as a test and end."""
    if broken(law, one, seed) is None:
        return
    click.echo(f"\nSeed {seed}: {law.__name__} does not hold. Made small, as a test:\n", err=True)
    small = shrink(one, lambda other: broken(law, other, seed) is not None)
    click.echo(as_test(small, law.__name__, seed))
    click.echo(f"It fails with: {broken(law, small, seed)!r}"[:2_000], err=True)
    sys.exit(1)


def broken(law: Law, one: Case, seed: int) -> Exception | None:
    """What a law fails with, or None."""
    try:
        law(one, Random(seed))
    except Exception as error:  # whatever an engine with a fault does
        return error
    return None


if __name__ == "__main__":
    main()
