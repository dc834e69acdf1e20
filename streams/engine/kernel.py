"""The order of things for one row: judge a record, fire its timers, apply, evaluate, note changes (P1, P3, P4, P8).

`apply_batch` is the one loop over a partition's merged records; `fire_due` lets time pass. Both stop early where the
buffer of changes might overflow and are called again.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.records import Cause
from streams.engine.apply import Batch, Scratch, add, advance, match, overflows, replace_profile
from streams.engine.clock import confirm, watermark
from streams.engine.compiling import compiled, inlined, pasted
from streams.engine.due import Due, set_due
from streams.engine.evaluate import EXTRA, Desk, decide, read_features
from streams.engine.layout import MISSING, NEVER, NOW, RING
from streams.engine.machine import SPARE
from streams.engine.quantiles import Census, choose, count
from streams.engine.scoring import Notes, ask, is_asked, is_midnight, note_outcomes, notes, room
from streams.engine.spans import span, span_move, waited
from streams.engine.tables import Tables

CAUSES: Final = tuple(Cause)
CHANGE: Final = np.dtype(
    [
        ("slot", "i8"),
        ("record", "i8"),
        ("rule", "i8"),
        ("old", "i8"),
        ("new", "i8"),
        ("at", "i8"),
        ("cause", "i8"),
        ("because", "i8"),
    ]
)
_EVENT, _TIME, _LATE, _PROFILE, _SCORE, _CUT_POINT = (
    CAUSES.index(c) + 1 for c in (Cause.EVENT, Cause.TIME, Cause.LATE, Cause.PROFILE, Cause.SCORE, Cause.CUT_POINT)
)
_NONE = 0  # of no change: the row is only read
_FIRE, _WAKE, _RESCORE, _RECUT, _REFIT, _INDEX = range(6)


class Status(IntEnum):
    """What became of a record."""

    APPLIED, DUPLICATE, LATE, SUPERSEDED, OVERFLOW, IGNORED = 0, 1, 2, 3, 4, 5


FIRED, MORE, AWAY = range(3)
_APPLIED, _DUPLICATE, _TOO_LATE, _SUPERSEDED, _OVERFLOW, _IGNORED = (int(status) for status in Status)


class State(NamedTuple):
    """The rows of a partition: three views of the same words, timers, marks, and how many customers say what.

    A slot is a customer's number, for good; `frames[slot]` is where its row stands in `rows`, -1 while that is on disk.
    `said[rule, code + 1]` counts customers; `clock` is (confirmed event time, candidate's time, candidate's slot).
    """

    rows: NDArray[np.int64]
    rows32: NDArray[np.int32]
    reals: NDArray[np.float64]
    frames: NDArray[np.int32]
    due: Due
    dirty: NDArray[np.bool_]
    changed: NDArray[np.bool_]
    said: NDArray[np.int64]
    clock: NDArray[np.int64]
    census: Census


class Verdict(NamedTuple):
    """What became of each record (`Status`), and the newest time of its source that one set aside was held against."""

    status: NDArray[np.int8]
    newest: NDArray[np.int64]


class Out(NamedTuple):
    """Changes so far (`used[0]` of them, `used[1]` values of `because`), and scratch space."""

    changes: NDArray[np.void]
    because: NDArray[np.float64]
    used: NDArray[np.int64]
    desk: Desk
    scratch: Scratch
    notes: Notes


def room_for(tables: Tables, columns: int, changes: int, records: int, space: Desk) -> Out:
    """Room for so many changes, and for the notes of so many records of up to `columns` fields."""
    return Out(
        changes=np.zeros(changes + len(tables.rules), dtype=CHANGE),
        because=np.zeros(changes * 4 + len(tables.because)),
        used=np.zeros(2, dtype=np.int64),
        desk=space,
        notes=notes(tables, records),
        scratch=Scratch(np.full(columns + SPARE, np.nan), np.zeros(len(tables.wheres) + 1, dtype=np.bool_)),
    )


@inlined
def _room(tables: Tables, out: Out) -> bool:
    return (
        out.used[0] + len(tables.rules) <= len(out.changes)
        and out.used[1] + len(tables.because) <= len(out.because)
    )  # fmt: skip


@inlined
def _commit(tables: Tables, state: State, out: Out, slot: int, at: int, cause: int, record: int) -> None:
    """Write the decided tags and segments into the row and note each change."""
    row, codes, registers = state.rows[state.frames[slot]], out.desk.codes, out.desk.registers
    if codes[len(tables.rules)] == 0:
        return
    state.changed[slot] = True
    for index in range(len(tables.rules)):
        rule = tables.rules[index]
        old = (row[rule.said + 1] >> 4) - 1
        new = codes[index]
        if old == new:
            continue
        row[rule.said] = at
        row[rule.said + 1] = (new + 1) * 16 + cause
        state.said[index, old + 1] -= 1
        state.said[index, new + 1] += 1
        change = out.changes[out.used[0]]
        change.slot, change.record, change.rule = slot, record, index
        change.old, change.new, change.at, change.cause = old, new, at, cause
        change.because = out.used[1]
        for place in range(rule.because, rule.because_end):
            out.because[out.used[1]] = registers[tables.because[place]]
            out.used[1] += 1
        out.used[0] += 1


@compiled
def _look(
    tables: Tables, state: State, out: Out, slot: int, at: int, rescore: bool, cause: int, record: int, wakes: bool
) -> None:
    """Decide at `at` without a record; where nothing changes, or there is no `cause`, the row stays as it was.

    With `wakes` the row is brought up to the sources that came back: what waited happens at `at`, which is its now.
    """
    frame, place = state.frames[slot], out.desk.stands
    row, row32, reals = state.rows[frame], state.rows32[frame], state.reals[frame]
    span(tables, row, at, place)
    behind = wakes and waited(tables, row, place)
    choose(out.desk.cuts, slot)
    due = decide(tables, at, row, row32, reals, rescore or behind, True, out.desk)
    if len(tables.quantiles) > 0:
        count(tables, state.census, slot, out.desk.registers)
    differs = out.desk.codes[len(tables.rules)] > 0
    if behind if wakes else cause != _NONE and differs:
        span_move(tables, row, at, -1, MISSING, place)
        advance(tables, row, row32, at, place)
        _commit(tables, state, out, slot, at, cause, record)
        state.dirty[slot] = True
    set_due(state.due, slot, due)


@pasted
def _fire(tables: Tables, state: State, out: Out, slot: int) -> None:
    """Let the row's next timer fire at its due time."""
    at = state.due.time[slot]
    state.due.size[1] += 1
    _look(tables, state, out, slot, at, is_midnight(at, tables.offset_ms), _TIME, -1, False)


@inlined
def _sleeps(out: Out, slot: int) -> bool:
    """Whether a source has come back that the row was not brought up to yet."""
    freeze = out.desk.stands.freeze
    return freeze.on[0] != 0 and slot >= freeze.asleep[0]


@pasted
def _wake(tables: Tables, state: State, out: Out, slot: int) -> None:
    """Bring a row up to the sources that came back."""
    now = state.rows[state.frames[slot], NOW]
    if now != MISSING:
        _look(tables, state, out, slot, now, False, _TIME, -1, True)


@pasted
def _fire_all(tables: Tables, state: State, out: Out, limit: int, most: int) -> int:
    fired = 0
    while state.due.size[0] > 0:
        slot = state.due.heap[0]
        if state.due.time[slot] > limit:
            return FIRED
        if fired >= most or not _room(tables, out):
            return MORE
        if state.frames[slot] < 0:
            return AWAY
        fired += 1
        if not _sleeps(out, slot):
            _fire(tables, state, out, slot)
            continue
        # It sleeps on as far as the next round goes, and would begin anew: so all of it is fired here.
        _wake(tables, state, out, slot)
        while state.due.time[slot] <= limit:
            if not _room(tables, out):
                return MORE
            _fire(tables, state, out, slot)
    return FIRED


@pasted
def _mark(tables: Tables, state: State, slot: int, since: int) -> None:
    """What was said of a customer at `since` or later said so in a row that slept, and is to be said again."""
    for index in range(len(tables.rules)):
        if state.rows[state.frames[slot], tables.rules[index].said] >= since:
            state.changed[slot] = True


@compiled
def _visit(errand: int, tables: Tables, state: State, out: Out, first: int, end: int, moment: int) -> int:
    """All that brings rows along without a record: one kernel, as each of its own would be optimised anew, for long."""
    if errand == _FIRE:
        return _fire_all(tables, state, out, moment, end)
    for slot in range(first, end):
        now = state.rows[state.frames[slot], NOW]
        if errand != _INDEX and now != MISSING:
            if _room(tables, out) and (errand == _WAKE or _sleeps(out, slot)):
                _wake(tables, state, out, slot)
            if not _room(tables, out):
                return slot
        if errand == _WAKE:
            _mark(tables, state, slot, moment)
            continue
        if errand == _INDEX:
            for index in range(len(tables.rules)):
                state.said[index, state.rows[state.frames[slot], tables.rules[index].said + 1] >> 4] += 1
        if errand in (_RECUT, _REFIT):
            out.desk.cuts.stale[0] = slot + 1
        if now != MISSING:
            scores = errand in (_RESCORE, _REFIT)
            cause = _SCORE if scores else _CUT_POINT if errand == _RECUT else _NONE
            _look(tables, state, out, slot, max(now, moment), errand == _RESCORE, cause, 0, False)
        elif errand == _INDEX:
            set_due(state.due, slot, NEVER)
    return end


def fire_due(tables: Tables, state: State, out: Out, limit: int, most: int) -> int:
    """Fire the timers due at or before `limit`, at most `most`.

    `FIRED` where none is left, `MORE` where some are, `AWAY` where the next one's row has to be brought in first.
    """
    return _visit(_FIRE, tables, state, out, 0, most, limit)


def wake(tables: Tables, state: State, out: Out, first: int, end: int, since: int) -> int:
    """Wake rows from slot `first` on; the next slot. Stops early where there is no room for more changes.

    What was said of a customer at `since` or later is to be said again.
    """
    return _visit(_WAKE, tables, state, out, first, end, since)


def rescore(tables: Tables, state: State, out: Out, first: int, end: int, floor: int) -> int:
    """Decide scores anew from slot `first` on, at `floor` or the row's own now if that is later; the next slot.

    To be called when no timer is due at or before `floor`. Stops early where there is no room for more changes.
    """
    return _visit(_RESCORE, tables, state, out, first, end, floor)


def recut(tables: Tables, state: State, out: Out, first: int, end: int, floor: int, refits: bool = False) -> int:
    """Bring rows from slot `first` on up to the cut-points or, with `refits`, the lifetime parameters in force.

    As `rescore` in all else.
    """
    return _visit(_REFIT if refits else _RECUT, tables, state, out, first, end, floor)


def set_due_of(tables: Tables, state: State, first: int, end: int, passed: int, out: Out) -> None:
    """Work out the due times of rows that were read back, from slot `first` on.

    All timers due at or before `passed` have fired; they would not say the same again by what is in force by now.
    """
    _visit(_INDEX, tables, state, out, first, end, passed)


@inlined
def _judge(tables: Tables, row: NDArray[np.int64], batch: Batch, i: int) -> int:
    """Whether a record counts, before anything is changed."""
    source = tables.sources[batch.source[i]]
    time = batch.time[i]
    if source.profile:
        if time == MISSING:
            return _APPLIED if row[NOW] != MISSING else _IGNORED
        return _SUPERSEDED if row[source.newest] != MISSING and time < row[source.newest] else _APPLIED
    if source.ring >= 0:
        for place in range(RING):
            if row[source.ring + place] == batch.id[i]:
                return _DUPLICATE
    if row[source.newest] != MISSING and time < row[source.newest] - source.accept_late:
        return _TOO_LATE
    return _APPLIED


@inlined
def _take(tables: Tables, state: State, batch: Batch, i: int, skew_ms: int, out: Out) -> bool:
    """Apply record i to its row; False where a sum would overflow (nothing is changed then)."""
    slot, frame = batch.slot[i], state.frames[batch.slot[i]]
    row, row32, place, spans = state.rows[frame], state.rows32[frame], out.desk.stands, out.desk.stands.spans
    source = tables.sources[batch.source[i]]
    time, now, apart = batch.time[i], row[NOW], place.freeze.on[0] != 0
    fresh = time != MISSING and (now == MISSING or time > now)
    to = time if fresh else now
    span_move(tables, row, to, batch.source[i], time, place)
    # Where something is frozen, tiles of several moments are the newest ones.
    in_time = (fresh or time == now) and not apart
    if not source.profile:
        match(tables, batch, i, out.scratch)
        if overflows(tables, row, batch, i, in_time, out.scratch, spans):
            return False
    if not source.profile and source.outcomes < source.outcomes_end:
        mark = watermark(state.clock, skew_ms)
        note_outcomes(tables, source, out.scratch.matches, row, slot, time, max(now, time), mark, out.notes)
    if fresh or apart:
        advance(tables, row, row32, to, place)
    if source.profile:
        replace_profile(tables, row, batch, i)
    else:
        add(tables, row, row32, batch, i, in_time, out.scratch, spans)
        if source.ring >= 0:
            head = row[source.ring + RING]
            row[source.ring + head] = batch.id[i]
            row[source.ring + RING] = (head + 1) % RING
    if time != MISSING:
        row[source.newest] = max(row[source.newest], time)
    state.dirty[slot] = True
    return True


@compiled
def apply_batch(
    tables: Tables, state: State, batch: Batch, verdict: Verdict, start: int, skew_ms: int, passed: int, out: Out
) -> int:
    """Apply records from `start` on; the index of the next one (the batch's length when done).

    Stops early where there is no room for more changes, and where the clock has reached the moment of a census.

    Parameters
    ----------
    verdict
        Out: what became of each record.
    passed
        Timers due at or before this moment were to fire before these records; MISSING: all have.
    """
    for i in range(start, len(batch.slot)):
        if state.clock[0] >= state.census.stop[0]:
            return i
        slot, frame = batch.slot[i], state.frames[batch.slot[i]]
        row = state.rows[frame]
        judged = _judge(tables, row, batch, i)
        verdict.status[i] = judged
        if judged != _APPLIED:
            verdict.newest[i] = row[tables.sources[batch.source[i]].newest]
            continue
        if _sleeps(out, slot):
            if not _room(tables, out):
                return i
            _wake(tables, state, out, slot)
        time = batch.time[i]
        limit = max(time, max(watermark(state.clock, skew_ms), passed))
        while state.due.time[slot] <= limit:
            if not _room(tables, out):
                return i
            _fire(tables, state, out, slot)
        if not _room(tables, out) or not room(tables, out.notes):
            return i
        before = row[NOW]
        if not _take(tables, state, batch, i, skew_ms, out):
            verdict.status[i] = _OVERFLOW
            continue
        counted = _EVENT if before == MISSING or time >= before else _LATE
        cause = _PROFILE if tables.sources[batch.source[i]].profile else counted
        at = row[NOW]
        row32, reals = state.rows32[frame], state.reals[frame]
        choose(out.desk.cuts, slot)
        due = decide(tables, at, row, row32, reals, True, True, out.desk)
        if len(tables.quantiles) > 0:
            count(tables, state.census, slot, out.desk.registers)
        _commit(tables, state, out, slot, at, cause, i)
        if cause == _EVENT and is_asked(tables, row, at, batch.source[i], out.scratch.matches):
            read_features(tables, EXTRA, at, row, row32, reals, out.desk)
            ask(tables, row, slot, at, batch.source[i], out.scratch.matches, out.desk.registers, out.notes)
        set_due(state.due, slot, due)
        if time != MISSING:
            confirm(state.clock, time, slot)
    return len(batch.slot)
