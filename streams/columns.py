"""A piece of merged records as the columns that the kernel reads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from schemas.sources import MISSING
from streams.engine.apply import Batch
from streams.merge import Piece


def columns_of(piece: Piece, columns: int, give_slots: Callable[[list[str]], NDArray[np.int64]]) -> Batch:
    """The merged records as columns, every customer with a slot.

    Parameters
    ----------
    columns
        Fields that the widest source has.
    give_slots
        The slots of customers, shape as given.
    """
    count = len(piece.order)
    batch = Batch(
        source=np.array(piece.numbers, dtype=np.int64)[piece.order],
        slot=np.empty(count, dtype=np.int64),
        time=np.empty(count, dtype=np.int64),
        id=np.empty(count, dtype=np.int64),
        removed=np.zeros(count, dtype=np.bool_),
        values=np.full((count, columns), MISSING, dtype=np.int64),
        reals=np.empty((0, columns)),
    )
    for i, run in enumerate(piece.runs):
        at = np.flatnonzero(piece.order == i)
        if not len(at):
            continue
        if run.slots is None:
            run.slots = give_slots(run.decoded.customers)
        places, decoded = piece.places[at], run.decoded
        batch.slot[at] = run.slots[places]
        batch.time[at], batch.id[at] = decoded.times[places], decoded.id_hashes[places]
        batch.removed[at] = decoded.removed[places]
        batch.values[at, : decoded.values.shape[1]] = decoded.values[places]
    return batch._replace(reals=batch.values.view(np.float64))
