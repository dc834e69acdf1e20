"""Where the windows of a row stand, and up to which moment each group of sources is read while some are frozen (P5).

A group is the set of sources that a feature counts. Mostly every group is read at the row's own now; then windows are
shared between groups (`Plan.tables`). While a source is frozen a group with it is read at an earlier moment, its tiles
stay behind the others', and every group has windows of its own (`Plan.apart`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.engine.compiling import compiled, inlined
from streams.engine.layout import MISSING, NEVER, NOW
from streams.engine.tables import Tables

FIRST, SLOT, COUNT, OLD, NEW = range(5)
"""Of a window: its first tile, that tile's slot, how many tiles from there may hold something; the newest tile before
a record and after it."""
AT, UNTIL = range(2)
"""Of a group: the moment at which it is read, and the one behind which its timers wait."""


class Freeze(NamedTuple):
    """What is frozen in a partition; its parts share these arrays.

    Attributes
    ----------
    on
        Shape (1,): 1 while a source is frozen or a row may still have to be woken, and `Plan.apart` is to be used.
    since
        Shape (groups,): since when a source of the group is frozen, the earliest of several; NEVER where none is.
    asleep
        Shape (1,): rows from this slot on are woken before anything else happens to them; NEVER where all are awake.
    """

    on: NDArray[np.int64]
    since: NDArray[np.int64]
    asleep: NDArray[np.int64]


def nothing_frozen(tables: Tables) -> Freeze:
    """Where every source flows."""
    return Freeze(
        np.zeros(1, dtype=np.int64),
        np.full(len(tables.groups), NEVER, dtype=np.int64),
        np.full(1, NEVER, dtype=np.int64),
    )


class Stands(NamedTuple):
    """Working space: where windows and groups of the row at hand stand.

    Attributes
    ----------
    spans
        Shape (windows, 5): `FIRST` to `NEW`.
    groups
        Shape (groups, 2): `AT` and `UNTIL`; kept up only while something is frozen.
    freeze
        What is frozen.
    """

    spans: NDArray[np.int64]
    groups: NDArray[np.int64]
    freeze: Freeze


def stands(tables: Tables, freeze: Freeze | None = None) -> Stands:
    """Working space for rows of that plan, with room for windows of every group's own."""
    windows, groups = max(1, len(tables.windows)), len(tables.groups)
    return Stands(
        np.zeros((windows * groups, 5), dtype=np.int64),
        np.zeros((groups, 2), dtype=np.int64),
        nothing_frozen(tables) if freeze is None else freeze,
    )


@inlined
def tile_of(time: int, width: int, offset_ms: int) -> int:
    """Number of the tile a time lies in; 0 for `ever`."""
    return (time + offset_ms) // width if width > 0 else 0


@inlined
def span(tables: Tables, row: NDArray[np.int64], at: int, place: Stands) -> None:
    """Where the windows of a row stand that is looked at at `at`."""
    if place.freeze.on[0] != 0:
        _span_apart(tables, row, at, place)
    else:
        now, offset_ms, spans = row[NOW], tables.offset_ms, place.spans
        for index in range(len(tables.windows)):
            window = tables.windows[index]
            newest = tile_of(now, window.width, offset_ms)
            first = (newest if at == now else tile_of(at, window.width, offset_ms)) - window.tiles + 1
            spans[index, FIRST], spans[index, SLOT] = first, first % window.tiles
            spans[index, COUNT] = max(newest - first + 1, 0)


@inlined
def span_move(tables: Tables, row: NDArray[np.int64], to: int, source: int, time: int, place: Stands) -> None:
    """The same for a row whose now goes on to `to`: looked at there, with the newest tile before and after.

    It goes there with a record of `source` and `time`; -1 where time alone does it.
    """
    if place.freeze.on[0] != 0:
        _move_apart(tables, row, to, source, time, place)
    else:
        now, offset_ms, spans = row[NOW], tables.offset_ms, place.spans
        for index in range(len(tables.windows)):
            window = tables.windows[index]
            new = tile_of(to, window.width, offset_ms)
            first = new - window.tiles + 1
            spans[index, FIRST], spans[index, SLOT], spans[index, COUNT] = first, first % window.tiles, window.tiles
            spans[index, OLD] = new if now in (MISSING, to) else tile_of(now, window.width, offset_ms)
            spans[index, NEW] = new


@inlined
def _stood(tables: Tables, row: NDArray[np.int64], group: int) -> int:
    """The moment at which a group's tiles stand in the row."""
    held = row[tables.groups[group].stood]
    return row[NOW] if held == MISSING else held


@compiled
def _place_groups(tables: Tables, row: NDArray[np.int64], at: int, source: int, time: int, place: Stands) -> None:
    """Decide at which moment each group is read: min(at, max(F, its newest record)), and never earlier than before."""
    for group in range(len(tables.groups)):
        place.groups[group, AT], place.groups[group, UNTIL] = at, NEVER
        until = place.freeze.since[group]
        if until == NEVER:
            continue
        for number in range(len(tables.sources)):
            if (tables.groups[group].sources >> number) & 1:
                until = max(until, row[tables.sources[number].newest])
                if number == source:
                    until = max(until, time)
        place.groups[group, UNTIL] = until
        place.groups[group, AT] = max(_stood(tables, row, group), min(at, until))


@compiled
def _span_apart(tables: Tables, row: NDArray[np.int64], at: int, place: Stands) -> None:
    _place_groups(tables, row, at, -1, MISSING, place)
    for index in range(len(tables.windows)):
        window, spans = tables.windows[index], place.spans
        newest = tile_of(_stood(tables, row, window.group), window.width, tables.offset_ms)
        first = tile_of(place.groups[window.group, AT], window.width, tables.offset_ms) - window.tiles + 1
        spans[index, FIRST], spans[index, SLOT] = first, first % window.tiles
        spans[index, COUNT] = max(newest - first + 1, 0)


@compiled
def _move_apart(tables: Tables, row: NDArray[np.int64], to: int, source: int, time: int, place: Stands) -> None:
    _place_groups(tables, row, to, source, time, place)
    for index in range(len(tables.windows)):
        window, spans = tables.windows[index], place.spans
        stood = _stood(tables, row, window.group)
        new = tile_of(place.groups[window.group, AT], window.width, tables.offset_ms)
        first = new - window.tiles + 1
        spans[index, FIRST], spans[index, SLOT], spans[index, COUNT] = first, first % window.tiles, window.tiles
        spans[index, OLD] = new if stood == MISSING else tile_of(stood, window.width, tables.offset_ms)
        spans[index, NEW] = new


@compiled
def note_stands(tables: Tables, row: NDArray[np.int64], place: Stands) -> None:
    """Write into a row that moved where its groups stand now; MISSING is its own now."""
    for group in range(len(tables.groups)):
        at = place.groups[group, AT]
        row[tables.groups[group].stood] = MISSING if at == row[NOW] else at


@compiled
def waited(tables: Tables, row: NDArray[np.int64], place: Stands) -> bool:
    """Whether a group may be read at a later moment than the one at which it stands in the row."""
    for group in range(len(tables.groups)):
        stood = row[tables.groups[group].stood]
        if stood != MISSING and place.groups[group, AT] > stood:
            return True
    return False
