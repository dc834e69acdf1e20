"""Decoded records, in the order in which they are applied, as the kernel's columns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from schemas.sources import MISSING, Decoded, Incoming
from streams.engine.apply import Batch
from streams.merge import Piece, Run


def arranged(records: Iterable[tuple[int, Incoming]], decode: Callable[[int, list[Incoming]], Decoded]) -> Piece | None:
    """Records in the order given, whatever their times; None where none is good.

    Parameters
    ----------
    records
        The number of its source, and the record.
    decode
        Makes columns of a source's records.
    """
    given: defaultdict[int, list[Incoming]] = defaultdict(list)
    order: list[tuple[int, int]] = []
    for number, record in records:
        order.append((number, len(given[number])))
        given[number].append(record)
    runs: dict[int, Run] = {}
    places: dict[int, dict[int, int]] = {}
    for number in sorted(given):
        decoded = decode(number, given[number])
        runs[number] = Run(decoded, given[number], decoded.times)
        places[number] = {int(index): place for place, index in enumerate(decoded.index)}
    numbers = {number: i for i, number in enumerate(runs)}
    good = [(numbers[n], places[n][i]) for n, i in order if i in places[n]]
    if not good:
        return None
    both = np.array(good, dtype=np.int64)
    return Piece(both[:, 0], both[:, 1], list(runs.values()), list(runs))


def columns(piece: Piece, width: int, slots_of: Callable[[list[str]], NDArray[np.int64]]) -> Batch:
    """The records as columns, `width` fields of each.

    Parameters
    ----------
    slots_of
        Gives every customer a slot.
    """
    count = len(piece.order)
    batch = Batch(
        source=np.array(piece.numbers, dtype=np.int64)[piece.order],
        slot=np.empty(count, dtype=np.int64),
        time=np.empty(count, dtype=np.int64),
        id=np.empty(count, dtype=np.int64),
        removed=np.zeros(count, dtype=np.bool_),
        values=np.full((count, width), MISSING, dtype=np.int64),
        reals=np.empty((0, width)),
    )
    for i, run in enumerate(piece.runs):
        at = np.flatnonzero(piece.order == i)
        if not len(at):
            continue
        if run.slots is None:
            run.slots = slots_of(run.decoded.customers)
        places, decoded = piece.places[at], run.decoded
        batch.slot[at] = run.slots[places]
        batch.time[at], batch.id[at] = decoded.times[places], decoded.id_hashes[places]
        batch.removed[at] = decoded.removed[places]
        batch.values[at, : decoded.values.shape[1]] = decoded.values[places]
    return batch._replace(reals=batch.values.view(np.float64))
