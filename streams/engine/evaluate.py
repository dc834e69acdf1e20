"""Reading a row: features, tags and segments at a moment, and when the next of them may change. Nothing is written.

Reads the row as it would be at `at` (ms, never before the row's now) without moving it, so timers that change
nothing leave no trace, and a customer can be looked at in any state.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from streams.engine.layout import MISSING, NEVER, NOW, StoreKind
from streams.engine.plan import FeatureKind, RuleKind, Tables
from streams.engine.program import STACK, Code

# Plain integers, which numba compiles in.
_COUNT, _SUM, _MIN, _MAX, _VALUES = (int(StoreKind[n]) for n in ("COUNT", "SUM", "MIN", "MAX", "VALUES"))
_MEAN, _DAYS, _DISTINCT, _TOP = (int(FeatureKind[n]) for n in ("MEAN", "DAYS", "DISTINCT", "TOP"))
_STORED, _SINCE, _COMPUTE = int(FeatureKind.STORED), int(FeatureKind.SINCE), int(FeatureKind.COMPUTE)
_WHEN, _LEVELS, _CATEGORY = int(RuleKind.WHEN), int(RuleKind.LEVELS), int(RuleKind.CATEGORY)
_REGISTER, _CONSTANT = int(Code.REGISTER), int(Code.CONSTANT)
_ADD, _SUB, _MUL, _DIV, _NEGATE = (int(Code[n]) for n in ("ADD", "SUB", "MUL", "DIV", "NEGATE"))
_CMIN, _CMAX, _ABS = int(Code.MIN), int(Code.MAX), int(Code.ABS)
_LT, _LE, _GT, _GE, _EQ, _NE = (int(Code[n]) for n in ("LT", "LE", "GT", "GE", "EQ", "NE"))
_AND, _OR, _NOT, _KNOWN, _MISSING = (int(Code[n]) for n in ("AND", "OR", "NOT", "KNOWN", "MISSING"))
MOST_VALUES = 65


@njit(cache=True, nogil=True)
def tile_of(time: int, width: int, offset_ms: int) -> int:
    """Number of the tile a time lies in; 0 for `ever`."""
    return (time + offset_ms) // width if width > 0 else 0


@njit(cache=True, nogil=True)
def run_program(tables: Tables, start: int, end: int, registers: NDArray[np.float64]) -> float:
    """The value that a program leaves; NaN is missing."""
    stack = np.empty(STACK, dtype=np.float64)
    top = -1
    for at in range(start, end):
        code = tables.steps[at, 0]
        if code == _REGISTER:
            top += 1
            stack[top] = registers[tables.steps[at, 1]]
            continue
        if code == _CONSTANT:
            top += 1
            stack[top] = tables.constants[tables.steps[at, 1]]
            continue
        b = stack[top]
        if code == _NOT:
            stack[top] = 0.0 if b == 1.0 else 1.0
        elif code == _NEGATE:
            stack[top] = -b
        elif code == _ABS:
            stack[top] = abs(b)
        elif code == _KNOWN:
            stack[top] = 1.0 if b == b else 0.0
        elif code == _MISSING:
            stack[top] = 0.0 if b == b else 1.0
        else:
            top -= 1
            stack[top] = _binary(code, stack[top], b)
    return stack[0]


@njit(cache=True, nogil=True)
def _binary(code: int, a: float, b: float) -> float:
    """A step of two values; comparisons with missing are false, arithmetic with it is missing."""
    if code == _GE:
        return 1.0 if a >= b else 0.0
    if code == _LT:
        return 1.0 if a < b else 0.0
    if code == _AND:
        return 1.0 if a == 1.0 and b == 1.0 else 0.0
    if code == _OR:
        return 1.0 if a == 1.0 or b == 1.0 else 0.0
    if code == _EQ:
        return 1.0 if a == b else 0.0
    if code == _NE:
        return 1.0 if a < b or a > b else 0.0
    if code == _GT:
        return 1.0 if a > b else 0.0
    if code == _LE:
        return 1.0 if a <= b else 0.0
    if code == _MUL:
        return a * b
    if code == _ADD:
        return a + b
    if code == _SUB:
        return a - b
    if code == _DIV:
        return np.nan if b == 0.0 else a / b
    if a != a or b != b:
        return np.nan
    return min(a, b) if code == _CMIN else max(a, b)


@njit(cache=True, nogil=True)
def _empty_tile(kind: int, slot: int, store: object, row: NDArray[np.int64], row32: NDArray[np.int32]) -> bool:
    if kind == _COUNT:
        return row32[2 * store.offset + slot] == 0  # type: ignore[attr-defined]
    if kind == _SUM:
        return row[store.offset + slot] == 0  # type: ignore[attr-defined]
    if kind == _VALUES:
        first = 2 * store.offset + slot * store.values  # type: ignore[attr-defined]
        for value in range(store.values):  # type: ignore[attr-defined]
            if row32[first + value] != 0:
                return False
        return True
    return row[store.offset + slot] == MISSING  # type: ignore[attr-defined]


@njit(cache=True, nogil=True)
def _oldest(
    tables: Tables, index: int, at: int, row: NDArray[np.int64], row32: NDArray[np.int32]
) -> tuple[int, int, int]:
    """(slot of the window's oldest tile that holds something, tiles from it on, when it leaves)."""
    store = tables.stores[index]
    newest = tile_of(row[NOW], store.width, tables.offset_ms)
    first = tile_of(at, store.width, tables.offset_ms) - store.tiles + 1
    first = max(first, newest - store.tiles + 1)
    slot = first % store.tiles
    for tile in range(first, newest + 1):
        if not _empty_tile(store.kind, slot, store, row, row32):
            leaves = NEVER
            if store.width > 0:
                leaves = (tile + store.tiles) * store.width - tables.offset_ms
            return slot, newest - tile + 1, leaves
        slot += 1
        if slot == store.tiles:
            slot = 0
    return slot, 0, NEVER


@njit(cache=True, nogil=True)
def _total(tables: Tables, index: int, slot: int, count: int, row: NDArray[np.int64], row32: NDArray[np.int32]) -> int:
    """Sum over `count` tiles of a COUNT or SUM store from `slot` on."""
    store = tables.stores[index]
    before_wrap = min(count, store.tiles - slot)
    total = 0
    if store.kind == _COUNT:
        base = 2 * store.offset
        for i in range(slot, slot + before_wrap):
            total += row32[base + i]
        for i in range(count - before_wrap):
            total += row32[base + i]
    else:
        base = store.offset
        for i in range(slot, slot + before_wrap):
            total += row[base + i]
        for i in range(count - before_wrap):
            total += row[base + i]
    return total


@njit(cache=True, nogil=True)
def _extreme(
    tables: Tables, index: int, slot: int, count: int, row: NDArray[np.int64], reals: NDArray[np.float64]
) -> float:
    """Smallest or largest over the tiles of a MIN or MAX store; NaN where none holds anything."""
    store = tables.stores[index]
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


@njit(cache=True, nogil=True)
def _of_values(tables: Tables, index: int, slot: int, count: int, row32: NDArray[np.int32], top: bool) -> float:
    """How many values occur in the tiles, or with `top` the commonest one (ties: the first)."""
    store = tables.stores[index]
    sums = np.zeros(MOST_VALUES, dtype=np.int64)
    for _ in range(count):
        first = 2 * store.offset + slot * store.values
        for value in range(store.values):
            sums[value] += row32[first + value]
        slot += 1
        if slot == store.tiles:
            slot = 0
    best, distinct = -1, 0
    for value in range(store.values):
        if sums[value] > 0:
            distinct += 1
            if best < 0 or sums[value] > sums[best]:
                best = value
    if top:
        return np.nan if best < 0 else float(best)
    return float(distinct)


@njit(cache=True, nogil=True)
def _days(tables: Tables, index: int, slot: int, count: int, row32: NDArray[np.int32]) -> float:
    store = tables.stores[index]
    days = 0
    for _ in range(count):
        if row32[2 * store.offset + slot] != 0:
            days += 1
        slot += 1
        if slot == store.tiles:
            slot = 0
    return float(days)


@njit(cache=True, nogil=True)
def _stored(tables: Tables, index: int, row: NDArray[np.int64], reals: NDArray[np.float64]) -> float:
    """The value of a LAST, FIRST or PROFILE store."""
    store = tables.stores[index]
    at = store.offset + (0 if store.kind == 9 else 2)
    if row[at] == MISSING:
        return np.nan
    return reals[at] if store.real else float(row[at])


@njit(cache=True, nogil=True)
def read_feature(
    tables: Tables,
    index: int,
    at: int,
    row: NDArray[np.int64],
    row32: NDArray[np.int32],
    reals: NDArray[np.float64],
    registers: NDArray[np.float64],
) -> int:
    """Put a feature's value at `at` into its register; the moment its oldest tile leaves (or NEVER)."""
    feature = tables.features[index]
    kind = feature.kind
    leaves = NEVER
    if kind == _COMPUTE:
        registers[index] = run_program(tables, feature.start, feature.end, registers)
        return leaves
    if kind == _SINCE:
        time = row[tables.stores[feature.store].offset]
        registers[index] = np.nan if time == MISSING or time == NEVER else float(at - time)
        return leaves
    if kind == _STORED:
        registers[index] = _stored(tables, feature.store, row, reals) / feature.scale
        return leaves
    if kind == _MEAN:
        slot, count, leaves = _oldest(tables, feature.counts, at, row, row32)
        records = _total(tables, feature.counts, slot, count, row, row32)
        if records == 0:
            registers[index] = np.nan
        else:
            total = _total(tables, feature.store, slot, count, row, row32)
            registers[index] = float(total) / float(records) / feature.scale
        return leaves
    slot, count, leaves = _oldest(tables, feature.store, at, row, row32)
    if kind == _DAYS:
        registers[index] = _days(tables, feature.store, slot, count, row32)
    elif kind == _DISTINCT or kind == _TOP:
        registers[index] = _of_values(tables, feature.store, slot, count, row32, kind == _TOP)
    elif tables.stores[feature.store].kind <= _SUM:
        registers[index] = float(_total(tables, feature.store, slot, count, row, row32)) / feature.scale
    else:
        registers[index] = _extreme(tables, feature.store, slot, count, row, reals) / feature.scale
    return leaves


@njit(cache=True, nogil=True)
def _level(tables: Tables, rule: object, registers: NDArray[np.float64]) -> int:
    for at in range(rule.start, rule.end):  # type: ignore[attr-defined]
        program = tables.levels[at]
        if program.start == program.end or run_program(tables, program.start, program.end, registers) == 1.0:
            return at - rule.start  # type: ignore[attr-defined, no-any-return]
    return -1


@njit(cache=True, nogil=True)
def evaluate(
    tables: Tables,
    at: int,
    row: NDArray[np.int64],
    row32: NDArray[np.int32],
    reals: NDArray[np.float64],
    registers: NDArray[np.float64],
    codes: NDArray[np.int64],
) -> int:
    """Decide every tag and segment at `at`; the next moment at which one may change (NEVER: none).

    Parameters
    ----------
    row, row32, reals
        The same row as int64 words, as int32 halves and as doubles.
    registers
        Out, shape (features + tags,): live features, then tags in the order of evaluation.
    codes
        Out, shape (tags + segments,): the value of each, -1 for missing.
    """
    due = NEVER
    count = len(tables.features)
    for index in range(count):
        if tables.features[index].live:
            due = min(due, read_feature(tables, index, at, row, row32, reals, registers))
    for since in tables.sinces:
        time = row[tables.stores[tables.features[since.feature].store].offset]
        if time != MISSING and time != NEVER and time + since.after > at:
            due = min(due, time + since.after)
    for index in range(len(tables.rules)):
        rule = tables.rules[index]
        code = -1
        if rule.kind == _WHEN:
            code = 1 if run_program(tables, rule.start, rule.end, registers) == 1.0 else 0
            if code == 0 and rule.hold > 0 and (row[rule.said + 1] >> 4) - 1 == 1:
                ends = row[rule.said] + rule.hold
                if at < ends:
                    code = 1
                    due = min(due, ends)
        elif rule.kind == _LEVELS:
            code = _level(tables, rule, registers)
        elif rule.kind == _CATEGORY:
            value = registers[rule.start]
            code = int(value) if value == value else -1
        codes[index] = code
        if count + index < len(registers):
            registers[count + index] = float(code) if code >= 0 else np.nan
    return due
