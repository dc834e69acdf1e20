"""The features of lifetime models as the kernel reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.catalogue import Catalogue
from schemas.durations import DAY
from schemas.lifetime import models_in_use
from schemas.outlook import Outlook
from streams.engine.layout import Reading, Rows
from streams.engine.outlook import GIVES
from streams.engine.tables import OUTLOOK


class Outlooks:
    """The rows of `Tables.outlooks`, as the features come."""

    def __init__(self, catalogue: Catalogue, readings: dict[str, Reading], rows: Rows) -> None:
        self._readings, self._rows = readings, rows
        self._models = list(models_in_use(catalogue))
        self._found: list[tuple[float, ...]] = []

    def add(self, outlook: Outlook) -> int:
        """Note a feature's; its index."""
        counted, last, first, *total = (self._rows.stores[self._readings[n].stores[0]] for n in outlook.rests_on)
        model, gives = self._models.index(outlook.model), GIVES.index(outlook.gives)
        # A count that is cut into no tiles is the first half of its word.
        places = (2 * counted, last, first, total[0] if total else -1)
        self._found.append((model, gives, *places, outlook.within_ms / DAY, outlook.discount))
        return len(self._found) - 1

    def table(self) -> NDArray[Any]:
        """All of them."""
        return np.array(self._found, dtype=OUTLOOK)
