"""What came of a partition's sources and waits for the next step."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.sources import Incoming


class Inbox:
    """Records by source, in their order; live they come a few at a time, and a step takes all of them as one lot."""

    def __init__(self) -> None:
        self._records: dict[str, list[Sequence[Incoming]]] = {}

    def __bool__(self) -> bool:
        return bool(self._records)

    def add(self, source: str, records: Sequence[Incoming]) -> None:
        """A source's next records; there may be none, and the source has a turn nonetheless."""
        self._records.setdefault(source, []).append(records)

    def waiting(self, source: str) -> int:
        """How many of a source's records wait."""
        return sum(map(len, self._records.get(source, ())))

    def take(self) -> dict[str, Sequence[Incoming]]:
        """All of it."""
        taken, self._records = self._records, {}
        return {
            source: lots[0] if len(lots) == 1 else [one for lot in lots for one in lot]
            for source, lots in taken.items()
        }
