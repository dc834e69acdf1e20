"""Levels by cut-points in the kernel, and which bucket of the population every row is in.

Cut-points come from outside. A row is measured by those it was last brought up to: while a new set goes round the rows
slot by slot, the rows from `stale` on are still held against the set before. So a level that changes because a
cut-point moved does so in that round, and what changes at any other time is the customer's own doing.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.engine.compiling import compiled, inlined
from streams.engine.layout import MISSING, NEVER
from streams.engine.machine import run_program
from streams.engine.population import BUCKETS, EDGES, LOWEST, OUT, UNKNOWN, bucket_of
from streams.engine.spans import UNTIL, Stands
from streams.engine.tables import Tables

IN_FORCE, BEFORE = 0, 1
NO_STOP: Final = NEVER
PARAMETERS: Final = 7
"""Of a lifetime model: r, alpha, a, b, p, q, v."""


class Cuts(NamedTuple):
    """The cut-points of every quantile tag and the parameters of lifetime models: those in force, and those before.

    Attributes
    ----------
    points
        Shape (2, tags, most levels - 1).
    ready
        Shape (2, tags): whether there are any. Without, a tag says what it said before.
    fits
        Shape (2, models, 7): the parameters of every lifetime model.
    fitted
        Shape (2, models): whether there are any. Without, its features are missing.
    stale
        The first slot that is still held against the set before.
    use
        Which set the next evaluation takes.
    """

    points: NDArray[np.float64]
    ready: NDArray[np.bool_]
    fits: NDArray[np.float64]
    fitted: NDArray[np.bool_]
    stale: NDArray[np.int64]
    use: NDArray[np.int64]


class Census(NamedTuple):
    """Who is in which bucket, shape (capacity, tags), and how many are, shape (tags, BUCKETS); `OUT` is not counted.

    Of features that only move with time it is just counted who belongs (`LOWEST`): their values are read when they are
    asked for. `edges` are `population.EDGES`; records are not applied when the clock has reached `stop`.
    """

    buckets: NDArray[np.int32]
    counts: NDArray[np.int64]
    edges: NDArray[np.float64]
    stop: NDArray[np.int64]


def no_cuts(tables: Tables) -> Cuts:
    """Where no cut-points and no parameters came yet."""
    tags, models = len(tables.quantiles), int(tables.outlooks["model"].max(initial=-1)) + 1
    most = int(tables.quantiles["cuts"].max(initial=1))
    return Cuts(
        np.zeros((2, tags, most)),
        np.zeros((2, tags), dtype=np.bool_),
        np.zeros((2, models, PARAMETERS)),
        np.zeros((2, models), dtype=np.bool_),
        np.full(1, NEVER, dtype=np.int64),
        np.zeros(1, dtype=np.int64),
    )


def census(capacity: int, tags: int) -> Census:
    """Nobody counted yet."""
    return Census(
        np.zeros((capacity, tags), dtype=np.int32),
        np.zeros((tags, BUCKETS), dtype=np.int64),
        EDGES,
        np.full(1, NO_STOP, dtype=np.int64),
    )


def grow(old: Census, capacity: int) -> Census:
    """The same census with room for more slots."""
    more = np.zeros((capacity - len(old.buckets), old.buckets.shape[1]), dtype=np.int32)
    return old._replace(buckets=np.concatenate([old.buckets, more]))


@inlined
def choose(cuts: Cuts, slot: int) -> None:
    """Have the next evaluation take the set that the row in this slot was last brought up to."""
    cuts.use[0] = BEFORE if slot >= cuts.stale[0] else IN_FORCE


@inlined
def _belongs(tables: Tables, quantile: Any, registers: NDArray[np.float64]) -> bool:
    return (
        quantile.start == quantile.end
        or run_program(tables.steps, tables.constants, quantile.start, quantile.end, registers) == 1.0
    )


@compiled
def quantile_code(tables: Tables, cuts: Cuts, index: int, old: int, registers: NDArray[np.float64]) -> int:
    """The code of a quantile tag (0 is level 1), -1 for who has no level; `old` before there are cut-points."""
    use = cuts.use[0]
    if not cuts.ready[use, index]:
        return old
    quantile = tables.quantiles[index]
    if not _belongs(tables, quantile, registers):
        return -1
    value = registers[quantile.register]
    if value != value:
        return 0 if quantile.missing else -1
    code = 0
    for place in range(quantile.cuts):
        cut = cuts.points[use, index, place]
        if (value <= cut) if quantile.falling else (value >= cut):
            code += 1
    return code


@compiled
def next_cut(tables: Tables, cuts: Cuts, at: int, row: NDArray[np.int64], frozen: bool, place: Stands) -> int:
    """When time alone next takes the row over a cut-point: of features that move with time. NEVER: not.

    Where a source is `frozen` its features move no further than their group does.
    """
    due, use = NEVER, cuts.use[0]
    for index in range(len(tables.quantiles)):
        quantile = tables.quantiles[index]
        if quantile.stored < 0 or not cuts.ready[use, index]:
            continue
        time = row[quantile.stored]
        if time in (MISSING, NEVER):
            continue
        until = place.groups[tables.features[quantile.register].group, UNTIL] if frozen else NEVER
        for cut in range(quantile.cuts):
            # A falling level is left behind its cut-point, a rising one is reached at it.
            moment = time + np.int64(cuts.points[use, index, cut]) + quantile.falling
            if at < moment <= until:
                due = min(due, moment)
    return due


@compiled
def count(tables: Tables, taken: Census, slot: int, registers: NDArray[np.float64]) -> None:
    """Have the row in this slot, just evaluated, counted in the buckets it is in now."""
    for index in range(len(tables.quantiles)):
        quantile = tables.quantiles[index]
        bucket = OUT
        if _belongs(tables, quantile, registers):
            value = registers[quantile.register]
            if value != value:
                bucket = UNKNOWN if quantile.missing else OUT
            else:
                bucket = LOWEST if quantile.stored >= 0 else bucket_of(value, taken.edges)
        old = taken.buckets[slot, index]
        if bucket == old:
            continue
        taken.buckets[slot, index] = bucket
        if old != OUT:
            taken.counts[index, old] -= 1
        if bucket != OUT:
            taken.counts[index, bucket] += 1
