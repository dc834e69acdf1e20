"""What lifetime models say of a row, in the kernel: doubles made of when and how often the customer bought.

Days are counted, whole ones in the catalogue's standard offset, so what is said moves at local midnights and with the
customer's own records, and at no other time. Parameters come from outside, with the cut-points: a row is looked at by
those it was last brought up to.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models import lifetime
from schemas.outlook import Gives
from streams.engine.compiling import compiled, inlined
from streams.engine.layout import MISSING, NEVER
from streams.engine.quantiles import Cuts
from streams.engine.scoring import DAY_MS

GIVES: Final = tuple(Gives)
_ALIVE, _TRANSACTIONS = GIVES.index(Gives.ALIVE), GIVES.index(Gives.TRANSACTIONS)
_R, _ALPHA, _A, _B, _P, _Q, _V = range(7)
_alive = compiled(lifetime.alive)
_expected = compiled(lifetime.expected)
_spend = compiled(lifetime.spend)


@inlined
def foretold(cuts: Cuts) -> bool:
    """Whether any lifetime model has parameters."""
    for ready in cuts.fitted[cuts.use[0]]:  # noqa: SIM110 - numba compiles no generators
        if ready:
            return True
    return False


@compiled
def outlook(
    outlooks: NDArray[Any], offset_ms: int, fits: NDArray[np.float64], fitted: NDArray[np.bool_], use: int,
    index: int, at: int, row: NDArray[np.int64], row32: NDArray[np.int32],
) -> float:  # fmt: skip
    """What a lifetime model says of a row at `at` (ms); NaN before there are parameters, and of who bought nothing.

    The first five are what it takes of `Tables` and `Cuts`, as handing over all of them costs more than the rest.
    """
    one = outlooks[index]
    purchases, first, last = float(row32[one.count]), row[one.first], row[one.last]
    if not fitted[use, one.model] or purchases <= 0.0 or first == NEVER or last == MISSING:
        return np.nan
    began = (first + offset_ms) // DAY_MS
    lasted = float((last + offset_ms) // DAY_MS - began)
    age = max(lasted, float((at + offset_ms) // DAY_MS - began))
    fit, again = fits[use, one.model], purchases - 1.0
    comes = _alive(again, lasted, age, fit[_R], fit[_ALPHA], fit[_A], fit[_B])
    if one.gives == _ALIVE:
        return comes
    ahead = _expected(comes, again, age, one.within, one.discount, fit[_R], fit[_ALPHA], fit[_A], fit[_B])
    if one.gives == _TRANSACTIONS:
        return ahead
    if fit[_Q] <= 1.0:
        return np.nan
    return ahead * _spend(purchases, max(0.0, float(row[one.total])), fit[_P], fit[_Q], fit[_V])
