"""Scores, questions and outcomes in the kernel (DESIGN sections 6 and 7).

A score is decided anew on a customer's record, on a new model and at each local midnight; in between, a score tag keeps
what it says. A question is asked after a customer's record, at most every `example_every`; an outcome is noted before.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models import transform
from schemas.learning import CROSS_LIMIT
from streams.engine.compiling import compiled, inlined
from streams.engine.layout import MISSING
from streams.engine.tables import Models, Tables

DAY_MS: Final = 86_400_000
QUESTION, OUTCOME = 0, 1
NOTE: Final = np.dtype(
    [
        ("kind", "i8"),
        ("slot", "i8"),
        ("target", "i8"),
        ("time", "i8"),
        ("known", "i8"),
        ("watermark", "i8"),
        ("values", "i8"),
    ]
)
_transformed = compiled(transform.transformed)


class Notes(NamedTuple):
    """Questions asked and outcomes met, in order (`used[0]` of them), and the questions' values (`used[1]`).

    `known` is the row's now when an outcome was applied, `watermark` the partition's just before.
    """

    notes: NDArray[Any]
    values: NDArray[np.float64]
    used: NDArray[np.int64]


def notes(tables: Tables, records: int) -> Notes:
    """Room for the notes of that many records."""
    each = len(tables.targets) + len(tables.outcomes)
    return Notes(
        np.zeros(records * each + 1, dtype=NOTE),
        np.zeros(records * len(tables.inputs) + 1),
        np.zeros(2, dtype=np.int64),
    )


@inlined
def room(tables: Tables, out: Notes) -> bool:
    """Whether another record's notes have room."""
    each = len(tables.targets) + len(tables.outcomes)
    return out.used[0] + each < len(out.notes) and out.used[1] + len(tables.inputs) < len(out.values)


@inlined
def next_midnight(at: int, offset_ms: int) -> int:
    """The first local midnight after `at`."""
    return ((at + offset_ms) // DAY_MS + 1) * DAY_MS - offset_ms


@inlined
def is_midnight(at: int, offset_ms: int) -> bool:
    """Whether `at` is a local midnight."""
    return (at + offset_ms) % DAY_MS == 0


@inlined
def scored(models: Models) -> bool:
    """Whether any target has a model."""
    for ready in models.ready:  # noqa: SIM110 - numba compiles no generators
        if ready:
            return True
    return False


@compiled
def products(tables: Tables, models: Models, target: int, registers: NDArray[np.float64]) -> float:
    """What the products of a target's crossed model add to the log odds; a missing input counts as its mean."""
    for place in range(tables.targets[target].inputs, tables.targets[target].inputs_end):
        taken = tables.inputs[place]
        value = _transformed(registers[taken.register], taken.kind, taken.scale)
        models.scaled[place] = 0.0 if value != value else (value - models.means[place]) * models.inverses[place]
    found = 0.0
    for place in range(tables.cross_starts[target], tables.cross_starts[target + 1]):
        cross = tables.crosses[place]
        product = models.scaled[cross.first] * models.scaled[cross.second]
        found += models.cross_weights[place] * min(max(product, -CROSS_LIMIT), CROSS_LIMIT)
    return found


@inlined
def logit(tables: Tables, models: Models, target: int, registers: NDArray[np.float64]) -> float:
    """The log odds that a target's model gives a customer."""
    found = models.bias[target]
    for place in range(tables.targets[target].inputs, tables.targets[target].inputs_end):
        taken = tables.inputs[place]
        value = _transformed(registers[taken.register], taken.kind, taken.scale)
        found += models.weights[place] * (models.means[place] if value != value else value)
    if models.crossed[target]:
        found += products(tables, models, target, registers)
    return found


@compiled
def score_levels(tables: Tables, models: Models, registers: NDArray[np.float64], codes: NDArray[np.int64]) -> None:
    """Decide the score tags of targets that have a model; `codes` hold what they said before (-1: nothing yet).

    A level is left for a lower one only below its threshold less the margin.
    """
    for index in tables.scores:
        rule, old = tables.rules[index], codes[index]
        if not models.ready[rule.target]:
            continue
        score = 1.0 / (1.0 + math.exp(-logit(tables, models, rule.target, registers)))
        found = rule.end - rule.start - 1
        for level in range(rule.end - rule.start):
            threshold = tables.thresholds[rule.start + level]
            if score >= threshold or (0 <= old <= level and score >= threshold - rule.margin):
                found = level
                break
        codes[index] = found


@inlined
def is_asked(tables: Tables, row: NDArray[np.int64], at: int) -> bool:
    """Whether any target has a question for the customer now."""
    for index in range(len(tables.targets)):
        asked = row[tables.targets[index].asked]
        if asked == MISSING or at - asked >= tables.targets[index].every:
            return True
    return False


@compiled
def ask(tables: Tables, row: NDArray[np.int64], slot: int, at: int, registers: NDArray[np.float64], out: Notes) -> None:
    """Ask what is to be asked now; the features of all models are read."""
    for index in range(len(tables.targets)):
        target = tables.targets[index]
        if row[target.asked] != MISSING and at - row[target.asked] < target.every:
            continue
        row[target.asked] = at
        row[target.asked + 1] = 1
        note = out.notes[out.used[0]]
        note.kind, note.slot, note.target, note.time, note.known = QUESTION, slot, index, at, at
        note.watermark, note.values = MISSING, out.used[1]
        for place in range(target.inputs, target.inputs_end):
            out.values[out.used[1]] = registers[tables.inputs[place].register]
            out.used[1] += 1
        out.used[0] += 1


@inlined
def note_outcomes(
    tables: Tables, source: Any, matches: NDArray[np.bool_], row: NDArray[np.int64], slot: int, time: int, now: int,
    watermark: int, out: Notes,
) -> None:  # fmt: skip
    """Note which targets a record of time `time` answers, where a question of the customer may be open.

    The word behind `asked` says whether one may be open; of a target that waits for an absence the first later record
    ends them all.
    """
    for place in range(source.outcomes, source.outcomes_end):
        outcome = tables.outcomes[place]
        target = tables.targets[outcome.target]
        if row[target.asked + 1] != 1 or (outcome.where >= 0 and not matches[outcome.where]):
            continue
        if target.absent == 1 and time > row[target.asked]:
            row[target.asked + 1] = 0
        note = out.notes[out.used[0]]
        note.kind, note.slot, note.target, note.time = OUTCOME, slot, outcome.target, time
        note.known, note.watermark, note.values = now, watermark, out.used[1]
        out.used[0] += 1
