"""A partition's event time: how far its records have moved it (DESIGN section 2 and P9).

The clock is three numbers: the confirmed event time, the candidate that waits for a second customer's record, and the
slot of the candidate's customer.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from streams.engine.compiling import inlined
from streams.engine.layout import MISSING

HOUR_MS: Final = 3_600_000


@inlined
def watermark(clock: NDArray[np.int64], skew_ms: int) -> int:
    """The partition's watermark; MISSING before its first record."""
    return clock[0] - skew_ms if clock[0] != MISSING else MISSING


@inlined
def confirm(clock: NDArray[np.int64], time: int, slot: int) -> None:
    """Move the confirmed event time; a jump of over an hour waits for a second customer's record (P9)."""
    if clock[0] == MISSING:
        clock[0] = time
    elif time <= clock[0] + HOUR_MS:
        clock[0] = max(clock[0], time)
    elif clock[1] != MISSING and clock[2] != slot:
        later, later_slot = (time, slot) if time > clock[1] else (clock[1], clock[2])
        clock[0] = max(clock[0], min(clock[1], time))
        clock[1], clock[2] = MISSING, -1
        if later > clock[0] + HOUR_MS:
            clock[1], clock[2] = later, later_slot
        else:
            clock[0] = later
    else:
        clock[1] = max(clock[1], time)
        clock[2] = slot
