"""Writing a row: tiles come and go, an event lands in its own tile, a profile is replaced (P2, P3)."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from streams.engine.evaluate import run_program, tile_of
from streams.engine.layout import MISSING, NOW, StoreKind
from streams.engine.plan import Tables

SUM_LIMIT: Final = 2**62 // 128
_COUNT, _SUM, _MIN, _VALUES = (int(StoreKind[n]) for n in ("COUNT", "SUM", "MIN", "VALUES"))
_LAST, _LATEST, _EARLIEST = (int(StoreKind[n]) for n in ("LAST", "LATEST", "EARLIEST"))
_PROFILE_STORE = int(StoreKind.PROFILE)


class Batch(NamedTuple):
    """Merged records of one partition, in order; `values[i]` holds the fields of record i's source.

    `time` is MISSING for a profile's removal that bears none; `removed` marks removals.
    """

    source: NDArray[np.int64]
    slot: NDArray[np.int64]
    time: NDArray[np.int64]
    id: NDArray[np.int64]
    removed: NDArray[np.bool_]
    values: NDArray[np.int64]
    reals: NDArray[np.float64]


class Scratch(NamedTuple):
    """A record's fields as registers, and which of its source's `where` rules hold."""

    fields: NDArray[np.float64]
    matches: NDArray[np.bool_]


@njit(cache=True, nogil=True)
def advance(tables: Tables, row: NDArray[np.int64], row32: NDArray[np.int32], to: int) -> None:
    """Clear the tiles that come into the windows as the row's now moves to `to`."""
    now = row[NOW]
    row[NOW] = to
    if now == MISSING:
        return
    for width in tables.widths:
        old, new = tile_of(now, width, tables.offset_ms), tile_of(to, width, tables.offset_ms)
        if new > old:
            for store in tables.stores:
                if store.width == width and store.kind <= _VALUES:
                    _clear(store, row, row32, old, new)


@njit(cache=True, nogil=True)
def _clear(store: object, row: NDArray[np.int64], row32: NDArray[np.int32], old: int, new: int) -> None:
    first = max(old + 1, new - store.tiles + 1)  # type: ignore[attr-defined]
    for tile in range(first, new + 1):
        slot = tile % store.tiles  # type: ignore[attr-defined]
        if store.kind == _COUNT:  # type: ignore[attr-defined]
            row32[2 * store.offset + slot] = 0  # type: ignore[attr-defined]
        elif store.kind == _SUM:  # type: ignore[attr-defined]
            row[store.offset + slot] = 0  # type: ignore[attr-defined]
        elif store.kind == _VALUES:  # type: ignore[attr-defined]
            base = 2 * store.offset + slot * store.values  # type: ignore[attr-defined]
            row32[base : base + store.values] = 0  # type: ignore[attr-defined]
        else:
            row[store.offset + slot] = MISSING  # type: ignore[attr-defined]


@njit(cache=True, nogil=True)
def match(tables: Tables, batch: Batch, i: int, scratch: Scratch) -> None:
    """Decide the source's `where` rules for a record."""
    source = tables.sources[batch.source[i]]
    first = tables.field_starts[batch.source[i]]
    for column in range(source.fields):
        if batch.values[i, column] == MISSING:
            scratch.fields[column] = np.nan
        elif tables.fields[first + column] == 0.0:
            scratch.fields[column] = batch.reals[i, column]
        else:
            scratch.fields[column] = float(batch.values[i, column]) / tables.fields[first + column]
    for place in range(source.wheres, source.wheres_end):
        program = tables.wheres[place]
        scratch.matches[place - source.wheres] = (
            run_program(tables.steps, tables.constants, program.start, program.end, scratch.fields) == 1.0
        )


@njit(cache=True, nogil=True)
def overflows(tables: Tables, row: NDArray[np.int64], batch: Batch, i: int, scratch: Scratch) -> bool:
    """Whether a sum would leave its bounds: |tile| at most 2**55, so that no window of 128 tiles overflows."""
    source = tables.sources[batch.source[i]]
    for place in range(source.uses, source.uses_end):
        use = tables.uses[place]
        store = tables.stores[use.store]
        matched = use.where < 0 or scratch.matches[use.where]
        if store.kind == _SUM and batch.values[i, store.field] != MISSING and matched:
            tile = tile_of(batch.time[i], store.width, tables.offset_ms)
            held = 0
            if row[NOW] != MISSING and tile <= tile_of(row[NOW], store.width, tables.offset_ms):
                held = row[store.offset + tile % store.tiles]
            if abs(held) + abs(batch.values[i, store.field]) > SUM_LIMIT:
                return True
    return False


@njit(cache=True, nogil=True)
def add(
    tables: Tables, row: NDArray[np.int64], row32: NDArray[np.int32], batch: Batch, i: int, scratch: Scratch
) -> None:
    """Apply an event to every store that takes it."""
    source = tables.sources[batch.source[i]]
    time, now = batch.time[i], row[NOW]
    in_time = time == now  # most are, and then their tile is in every window
    for place in range(source.uses, source.uses_end):
        use = tables.uses[place]
        if use.where >= 0 and not scratch.matches[use.where]:
            continue
        store = tables.stores[use.store]
        value = batch.values[i, store.field] if store.field >= 0 else 0
        if value == MISSING:
            continue
        if store.kind <= _VALUES:
            tile = tile_of(time, store.width, tables.offset_ms)
            if in_time or tile > tile_of(now, store.width, tables.offset_ms) - store.tiles:
                _add_to_tile(store, tile % store.tiles, row, row32, value)
        elif store.kind == _LATEST:
            row[store.offset] = max(row[store.offset], time)
        elif store.kind == _EARLIEST:
            row[store.offset] = min(row[store.offset], time)
        else:
            _add_ordered(store, row, time, batch.id[i], value)


@njit(cache=True, nogil=True)
def _add_to_tile(store: object, slot: int, row: NDArray[np.int64], row32: NDArray[np.int32], value: int) -> None:
    at = store.offset + slot  # type: ignore[attr-defined]
    kind = store.kind  # type: ignore[attr-defined]
    if kind == _COUNT:
        row32[2 * store.offset + slot] += 1  # type: ignore[attr-defined]
    elif kind == _SUM:
        row[at] += value
    elif kind == _VALUES:
        row32[2 * store.offset + slot * store.values + value] += 1  # type: ignore[attr-defined]
    elif row[at] == MISSING:
        row[at] = value
    elif store.real:  # type: ignore[attr-defined]
        # Doubles by bits: of two negative ones the larger bits are the smaller number.
        less = value < row[at] if value >= 0 or row[at] >= 0 else value > row[at]
        if value != row[at] and less == (kind == _MIN):
            row[at] = value
    elif kind == _MIN:
        row[at] = min(row[at], value)
    else:
        row[at] = max(row[at], value)


@njit(cache=True, nogil=True)
def _add_ordered(store: object, row: NDArray[np.int64], time: int, id_hash: int, value: int) -> None:
    """The last or first value by event time, then by id."""
    at = store.offset  # type: ignore[attr-defined]
    if store.kind == _LAST:  # type: ignore[attr-defined]
        wins = time > row[at] or (time == row[at] and id_hash > row[at + 1])
    else:
        wins = time < row[at] or (time == row[at] and id_hash < row[at + 1])
    if wins:
        row[at], row[at + 1], row[at + 2] = time, id_hash, value


@njit(cache=True, nogil=True)
def replace_profile(tables: Tables, row: NDArray[np.int64], batch: Batch, i: int) -> None:
    """The newest profile replaces the whole of the former."""
    source = tables.sources[batch.source[i]]
    for place in range(source.uses, source.uses_end):
        store = tables.stores[tables.uses[place].store]
        if store.kind == _PROFILE_STORE:
            row[store.offset] = MISSING if batch.removed[i] else batch.values[i, store.field]
