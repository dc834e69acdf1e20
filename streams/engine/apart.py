"""The tables to use while a source is frozen (P5): no two groups of sources share a window, as they stand apart.

Everything else is the same, so that one compiled kernel serves both.
"""

from __future__ import annotations

import numpy as np

from streams.engine.layout import WINDOW
from streams.engine.tables import Tables


def apart(tables: Tables, groups: list[int]) -> Tables:
    """The same tables with the windows of each group of sources apart; `groups` are the stores' by their number."""
    places: dict[tuple[int, int], int] = {}
    stores = tables.stores.copy()
    for number, group in enumerate(groups):
        if stores["window"][number] >= 0:
            shared = int(stores["window"][number])
            stores["window"][number] = places.setdefault((shared, group), len(places))
    found: list[tuple[int, ...]] = []
    mine: list[int] = []
    for (shared, group), window in places.items():
        first = len(mine)
        mine += np.flatnonzero(stores["window"] == window).tolist()
        width, tiles = tables.windows[shared]["width"], tables.windows[shared]["tiles"]
        found.append((int(width), int(tiles), first, len(mine), group))
    windows = np.array(found, dtype=WINDOW)
    return tables._replace(windows=windows, window_stores=np.array(mine, dtype=np.int64), stores=stores)
