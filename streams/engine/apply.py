"""Writing a row: tiles come and go, an event lands in its own tile, a profile is replaced (P2, P3)."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.engine.compiling import inlined
from streams.engine.evaluate import Halves, Words
from streams.engine.layout import MISSING, NOW, StoreKind
from streams.engine.machine import run_program
from streams.engine.spans import FIRST, NEW, OLD, SLOT, Stands, note_stands, tile_of
from streams.engine.tables import Tables

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


@inlined
def advance(tables: Tables, row: Words, row32: Halves, to: int, place: Stands) -> None:
    """Clear the tiles that come into the windows as the row's now moves to `to`; `place` is that of the move."""
    row[NOW] = to
    spans = place.spans
    if place.freeze.on[0] != 0:
        note_stands(tables, row, place)
    for index in range(len(tables.windows)):
        old, new = spans[index, OLD], spans[index, NEW]
        if new > old:
            window = tables.windows[index]
            count = min(new - old, window.tiles)
            slot = (new - count + 1) % window.tiles
            for at in range(window.stores, window.stores_end):
                _clear(tables.stores[tables.window_stores[at]], row, row32, slot, count)


@inlined
def _clear(store: Any, row: Words, row32: Halves, slot: int, count: int) -> None:
    kind, offset, tiles, values = store.kind, store.offset, store.tiles, store.values
    for _ in range(count):
        if kind == _COUNT:
            row32[2 * offset + slot] = 0
        elif kind == _SUM:
            row[offset + slot] = 0
        elif kind == _VALUES:
            base = 2 * offset + slot * values
            row32[base : base + values] = 0
        else:
            row[offset + slot] = MISSING
        slot += 1
        if slot == tiles:
            slot = 0


@inlined
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


@inlined
def _slot(tables: Tables, store: Any, time: int, in_time: bool, spans: Words) -> int:
    """The slot of the tile an event lands in, -1 where that has left the window; most land in the newest."""
    if in_time:
        slot = spans[store.window, SLOT] - 1
        return slot if slot >= 0 else store.tiles - 1
    tile = tile_of(time, store.width, tables.offset_ms)
    return tile % store.tiles if tile >= spans[store.window, FIRST] else -1


@inlined
def overflows(tables: Tables, row: Words, batch: Batch, i: int, in_time: bool, scratch: Scratch, spans: Words) -> bool:
    """Whether a sum would leave its bounds: |tile| at most 2**55, so that no window of 128 tiles overflows.

    The row has not moved yet: what stands in a tile that is new by `spans` is about to be cleared.
    """
    source = tables.sources[batch.source[i]]
    for place in range(source.uses, source.uses_end):
        use = tables.uses[place]
        store = tables.stores[use.store]
        if store.kind != _SUM or (use.where >= 0 and not scratch.matches[use.where]):
            continue
        value = batch.values[i, store.field]
        if value == MISSING:
            continue
        held, slot = 0, _slot(tables, store, batch.time[i], in_time, spans)
        newest = spans[store.window, NEW] if in_time else tile_of(batch.time[i], store.width, tables.offset_ms)
        if slot >= 0 and newest <= spans[store.window, OLD]:
            held = row[store.offset + slot]
        if abs(held) + abs(value) > SUM_LIMIT:
            return True
    return False


@inlined
def add(
    tables: Tables, row: Words, row32: Halves, batch: Batch, i: int, in_time: bool, scratch: Scratch, spans: Words
) -> None:
    """Apply an event to every store that takes it; one that is `in_time` lands in the newest tiles."""
    source = tables.sources[batch.source[i]]
    time = batch.time[i]
    for place in range(source.uses, source.uses_end):
        use = tables.uses[place]
        if use.where >= 0 and not scratch.matches[use.where]:
            continue
        store = tables.stores[use.store]
        value = batch.values[i, store.field] if store.field >= 0 else 0
        if value == MISSING:
            continue
        if store.kind <= _VALUES:
            slot = _slot(tables, store, time, in_time, spans)
            if slot >= 0:
                _add_to_tile(store, slot, row, row32, value)
        elif store.kind == _LATEST:
            row[store.offset] = max(row[store.offset], time)
        elif store.kind == _EARLIEST:
            row[store.offset] = min(row[store.offset], time)
        else:
            _add_ordered(store, row, time, batch.id[i], value)


@inlined
def _add_to_tile(store: Any, slot: int, row: Words, row32: Halves, value: int) -> None:
    at = store.offset + slot
    kind = store.kind
    if kind == _COUNT:
        row32[2 * store.offset + slot] += 1
    elif kind == _SUM:
        row[at] += value
    elif kind == _VALUES:
        row32[2 * store.offset + slot * store.values + value] += 1
    elif row[at] == MISSING:
        row[at] = value
    elif store.real:
        # Doubles by bits: of two negative ones the larger bits are the smaller number.
        less = value < row[at] if value >= 0 or row[at] >= 0 else value > row[at]
        if value != row[at] and less == (kind == _MIN):
            row[at] = value
    elif kind == _MIN:
        row[at] = min(row[at], value)
    else:
        row[at] = max(row[at], value)


@inlined
def _add_ordered(store: Any, row: Words, time: int, id_hash: int, value: int) -> None:
    """The last or first value by event time, then by id."""
    at = store.offset
    if store.kind == _LAST:
        wins = time > row[at] or (time == row[at] and id_hash > row[at + 1])
    else:
        wins = time < row[at] or (time == row[at] and id_hash < row[at + 1])
    if wins:
        row[at], row[at + 1], row[at + 2] = time, id_hash, value


@inlined
def replace_profile(tables: Tables, row: Words, batch: Batch, i: int) -> None:
    """The newest profile replaces the whole of the former."""
    source = tables.sources[batch.source[i]]
    for place in range(source.uses, source.uses_end):
        store = tables.stores[tables.uses[place].store]
        if store.kind == _PROFILE_STORE:
            row[store.offset] = MISSING if batch.removed[i] else batch.values[i, store.field]
