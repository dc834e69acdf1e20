"""Reading a row: features, tags and segments at a moment, and when the next of them may change. Nothing is written.

Reads the row as it would be at `at` (ms, never before the row's now) without moving it, so timers that change
nothing leave no trace, and a customer can be looked at in any state.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streams.engine.compiling import compiled, inlined
from streams.engine.layout import MISSING, NEVER, NOW, StoreKind
from streams.engine.machine import SPARE, run_program
from streams.engine.quantiles import Cuts, next_cut, no_cuts, quantile_code
from streams.engine.scoring import next_midnight, score_levels, scored
from streams.engine.spans import AT, COUNT, FIRST, SLOT, UNTIL, Freeze, Stands, span, stands
from streams.engine.tables import FeatureKind, Models, RuleKind, Tables, no_models

# Plain integers, which numba compiles in.
_COUNT, _SUM, _MIN, _MAX, _VALUES = (int(StoreKind[n]) for n in ("COUNT", "SUM", "MIN", "MAX", "VALUES"))
_MEAN, _DAYS, _DISTINCT, _TOP = (int(FeatureKind[n]) for n in ("MEAN", "DAYS", "DISTINCT", "TOP"))
_STORED, _SINCE, _COMPUTE = int(FeatureKind.STORED), int(FeatureKind.SINCE), int(FeatureKind.COMPUTE)
_WHEN, _LEVELS, _CATEGORY, _SCORE = (int(RuleKind[n]) for n in ("WHEN", "LEVELS", "CATEGORY", "SCORE"))
_QUANTILE, _CODE = int(RuleKind.QUANTILE), int(RuleKind.CODE)
_PROFILE = int(StoreKind.PROFILE)
Words: TypeAlias = NDArray[np.int64]
Halves: TypeAlias = NDArray[np.int32]
Doubles: TypeAlias = NDArray[np.float64]
EVERY, LIVE, EXTRA = 0, 1, 2


class Desk(NamedTuple):
    """Working space of an evaluation, and what it leaves.

    Attributes
    ----------
    registers
        Shape (features + tags + SPARE,): live features, then tags in the order of evaluation.
    codes
        Shape (tags + segments + 1,): the value of each, -1 for missing; last, how many differ from what the row says.
    stands
        Where the row's windows stand, and what is frozen.
    models, cuts
        Those in force.
    """

    registers: Doubles
    codes: Words
    stands: Stands
    models: Models
    cuts: Cuts


def desk(
    tables: Tables, names: int, models: Models | None = None, freeze: Freeze | None = None, cuts: Cuts | None = None
) -> Desk:
    """Working space for a plan with so many features and tags.

    Without `models` score tags stay what they are, without `cuts` quantile tags; without `freeze` every source flows.
    """
    return Desk(
        np.full(names + SPARE, np.nan),
        np.zeros(len(tables.rules) + 1, dtype=np.int64),
        stands(tables, freeze),
        no_models(tables) if models is None else models,
        no_cuts(tables) if cuts is None else cuts,
    )


@inlined
def _zeros(words: NDArray[Any], start: int, end: int) -> int:
    """How many zeros stand from `start` on, `end - start` at most; four are looked at together."""
    at = start
    while at + 4 <= end:
        if words[at] | words[at + 1] | words[at + 2] | words[at + 3]:
            break
        at += 4
    while at < end and words[at] == 0:
        at += 1
    return at - start


@inlined
def _skip_empty(store: Any, slot: int, count: int, row: Words, row32: Halves) -> int:
    """How many of `count` tiles from `slot` on hold nothing, up to the first that does."""
    kind, offset, tiles, values = store.kind, store.offset, store.tiles, store.values
    ahead = min(count, tiles - slot)
    if kind == _COUNT:
        skipped = _zeros(row32, 2 * offset + slot, 2 * offset + slot + ahead)
        return skipped if skipped < ahead else skipped + _zeros(row32, 2 * offset, 2 * offset + count - ahead)
    if kind == _SUM:
        skipped = _zeros(row, offset + slot, offset + slot + ahead)
        return skipped if skipped < ahead else skipped + _zeros(row, offset, offset + count - ahead)
    if kind == _VALUES:
        first = 2 * offset + slot * values
        skipped = _zeros(row32, first, first + ahead * values) // values
        return (
            skipped
            if skipped < ahead
            else ahead + _zeros(row32, 2 * offset, 2 * offset + (count - ahead) * values) // values
        )
    skipped = 0
    while skipped < count and row[offset + slot] == MISSING:
        skipped += 1
        slot += 1
        if slot == tiles:
            slot = 0
    return skipped


@compiled
def _total(kind: int, offset: int, tiles: int, slot: int, count: int, row: Words, row32: Halves) -> int:
    """Sum over `count` tiles of a COUNT or SUM store from `slot` on."""
    before_wrap = min(count, tiles - slot)
    total = 0
    if kind == _COUNT:
        for i in range(2 * offset + slot, 2 * offset + slot + before_wrap):
            total += row32[i]
        for i in range(2 * offset, 2 * offset + count - before_wrap):
            total += row32[i]
    else:
        for i in range(offset + slot, offset + slot + before_wrap):
            total += row[i]
        for i in range(offset, offset + count - before_wrap):
            total += row[i]
    return total


@compiled
def _extreme(store: Any, slot: int, count: int, row: Words, reals: Doubles) -> float:
    """Smallest or largest over the tiles of a MIN or MAX store; NaN where none holds anything."""
    best = np.nan
    for _ in range(count):
        if row[store.offset + slot] != MISSING:
            value = reals[store.offset + slot] if store.real else float(row[store.offset + slot])
            if best != best or (value < best if store.kind == _MIN else value > best):
                best = value
        slot += 1
        if slot == store.tiles:
            slot = 0
    return best


@compiled
def _of_values(store: Any, slot: int, count: int, row32: Halves, top: bool, registers: Doubles) -> float:
    """How many values occur in the tiles, or with `top` the commonest one (ties: the first)."""
    sums = len(registers) - SPARE
    registers[sums : sums + store.values] = 0.0
    for _ in range(count):
        first = 2 * store.offset + slot * store.values
        for value in range(store.values):
            registers[sums + value] += row32[first + value]
        slot += 1
        if slot == store.tiles:
            slot = 0
    best, distinct = -1, 0
    for value in range(store.values):
        if registers[sums + value] > 0:
            distinct += 1
            if best < 0 or registers[sums + value] > registers[sums + best]:
                best = value
    if top:
        return np.nan if best < 0 else float(best)
    return float(distinct)


@compiled
def _days(offset: int, tiles: int, slot: int, count: int, row32: Halves) -> float:
    days = 0
    for _ in range(count):
        if row32[2 * offset + slot] != 0:
            days += 1
        slot += 1
        if slot == tiles:
            slot = 0
    return float(days)


@inlined
def _untiled(kind: int, scale: float, store: Any, at: int, row: Words, reals: Doubles) -> float:
    """A since feature at `at`, or the value of a LAST, FIRST or PROFILE store."""
    if kind == _SINCE:
        time = row[store.offset]
        return np.nan if time in (MISSING, NEVER) else float(at - time)
    place = store.offset + (0 if store.kind == _PROFILE else 2)
    if row[place] == MISSING:
        return np.nan
    return (reals[place] if store.real else float(row[place])) / scale


@inlined
def _tiled(feature: Any, stores: Any, slot: int, count: int, row: Words, row32: Halves, registers: Doubles) -> float:
    """A feature over a window's tiles, from the oldest that holds something on."""
    kind, store = feature.kind, stores[feature.store]
    if kind == _MEAN:
        counts = stores[feature.counts]
        records = _total(_COUNT, counts.offset, counts.tiles, slot, count, row, row32)
        if records == 0:
            return np.nan
        total = _total(_SUM, store.offset, store.tiles, slot, count, row, row32)
        return float(total) / float(records) / feature.scale
    if kind == _DAYS:
        return _days(store.offset, store.tiles, slot, count, row32)
    if kind in (_DISTINCT, _TOP):
        return _of_values(store, slot, count, row32, kind == _TOP, registers)
    return float(_total(store.kind, store.offset, store.tiles, slot, count, row, row32)) / feature.scale


@inlined
def _read_features(tables: Tables, which: int, at: int, row: Words, row32: Halves, reals: Doubles, desk: Desk) -> int:
    """Put the features' values at `at` into their registers; the moment a first tile leaves (or NEVER).

    Those of `which` kind are read: `EVERY`, `LIVE` (rules rest on them), or `EXTRA` (only models do). The windows are
    spanned already.
    """
    features, stores, spans, registers = tables.features, tables.stores, desk.stands.spans, desk.registers
    due, frozen, groups = NEVER, desk.stands.freeze.on[0] != 0, desk.stands.groups
    for index in range(len(features)):
        feature = features[index]
        if which != EVERY and feature.live != which:
            continue
        if feature.kind == _COMPUTE:
            registers[index] = run_program(tables.steps, tables.constants, feature.start, feature.end, registers)
            continue
        if feature.kind == _SINCE or feature.kind == _STORED:
            moment = groups[feature.group, AT] if frozen else at
            registers[index] = _untiled(feature.kind, feature.scale, stores[feature.store], moment, row, reals)
            continue
        store = stores[feature.counts if feature.kind == _MEAN else feature.store]
        slot, count = spans[store.window, SLOT], spans[store.window, COUNT]
        skipped = _skip_empty(store, slot, count, row, row32)
        count -= skipped
        slot += skipped
        if slot >= store.tiles:
            slot -= store.tiles
        if count > 0 and store.width > 0:
            tile = spans[store.window, FIRST] + skipped
            leaves = (tile + store.tiles) * store.width - tables.offset_ms
            if not frozen or leaves <= groups[feature.group, UNTIL]:
                due = min(due, leaves)
        if store.kind == _MIN or store.kind == _MAX:
            registers[index] = _extreme(store, slot, count, row, reals) / feature.scale
        else:
            registers[index] = _tiled(feature, stores, slot, count, row, row32, registers)
    return due


@compiled
def read_features(tables: Tables, which: int, at: int, row: Words, row32: Halves, reals: Doubles, desk: Desk) -> None:
    """The same, as a call."""
    _read_features(tables, which, at, row, row32, reals, desk)


@compiled
def read_all(tables: Tables, at: int, row: Words, row32: Halves, reals: Doubles, desk: Desk) -> None:
    """Put every feature's value at `at` into its register."""
    span(tables, row, at, desk.stands)
    read_features(tables, EVERY, at, row, row32, reals, desk)


@compiled
def read_rows(
    tables: Tables, frames: Words, rows: Words, rows32: Halves, reals: Doubles, desk: Desk, out: Doubles
) -> None:
    """Put every feature of the rows in `frames`, each at its own now, into `out`, shape (frames, features)."""
    for i in range(len(frames)):
        frame = frames[i]
        read_all(tables, rows[frame, NOW], rows[frame], rows32[frame], reals[frame], desk)
        for feature in range(out.shape[1]):
            out[i, feature] = desk.registers[feature]


@compiled
def _level(tables: Tables, start: int, end: int, registers: Doubles) -> int:
    steps, constants, levels = tables.steps, tables.constants, tables.levels
    for at in range(start, end):
        program = levels[at]
        if program.start == program.end:
            return at - start
        if run_program(steps, constants, program.start, program.end, registers) == 1.0:
            return at - start
    return -1


@compiled
def decide(
    tables: Tables, at: int, row: Words, row32: Halves, reals: Doubles, rescore: bool, spanned: bool, desk: Desk
) -> int:
    """Decide every tag and segment at `at`; the next moment at which one may change (NEVER: none).

    Parameters
    ----------
    row, row32, reals
        The same row as int64 words, as int32 halves and as doubles.
    rescore
        Whether scores are decided anew; otherwise their tags keep what they say.
    spanned
        Whether the desk's windows stand at `at` already.
    desk
        Out: registers and codes.
    """
    if not spanned:
        span(tables, row, at, desk.stands)
    steps, constants, ruled, sinces = tables.steps, tables.constants, tables.rules, tables.sinces
    registers, codes, frozen = desk.registers, desk.codes, desk.stands.freeze.on[0] != 0
    count, tags, differing = len(tables.features), len(registers) - SPARE - len(tables.features), 0
    # Inlined, as most calls are here: handing over so many arrays costs a microsecond.
    due = _read_features(tables, LIVE, at, row, row32, reals, desk)
    for index in tables.scores:
        codes[index] = (row[ruled[index].said + 1] >> 4) - 1
    if scored(desk.models):
        due = min(due, next_midnight(at, tables.offset_ms))
        if rescore:
            read_features(tables, EXTRA, at, row, row32, reals, desk)
            score_levels(tables, desk.models, registers, codes)
    for place in range(len(sinces)):
        since = sinces[place]
        time = row[since.stored]
        if time != MISSING and time != NEVER and time + since.after > at:
            waits = frozen and time + since.after > desk.stands.groups[since.group, UNTIL]
            due = due if waits else min(due, time + since.after)
    if len(tables.quantiles) > 0:
        due = min(due, next_cut(tables, desk.cuts, at, row, frozen, desk.stands))
    for index in range(len(ruled)):
        rule = ruled[index]
        code, old = -1, (row[rule.said + 1] >> 4) - 1
        if rule.kind == _WHEN:
            code = 1 if run_program(steps, constants, rule.start, rule.end, registers) == 1.0 else 0
            if code == 0 and rule.hold > 0 and old == 1:
                ends = row[rule.said] + rule.hold
                if at < ends:
                    code = 1
                    due = min(due, ends)
        elif rule.kind == _LEVELS:
            code = _level(tables, rule.start, rule.end, registers)
        elif rule.kind == _CATEGORY:
            value = registers[rule.start]
            code = int(value) if value == value else -1
        elif rule.kind == _SCORE:
            code = codes[index]
        elif rule.kind == _QUANTILE:
            code = quantile_code(tables, desk.cuts, rule.start, old, registers)
        elif rule.kind == _CODE:
            value = run_program(steps, constants, rule.start, rule.end, registers)
            code = int(value) if value == value else -1
        codes[index] = code
        differing += int(code != old)
        if index < tags:
            registers[count + index] = float(code) if code >= 0 else np.nan
    codes[len(ruled)] = differing
    return due
