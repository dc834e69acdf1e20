"""Which entries of a durable key-value table have to be written since the last time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

K = TypeVar("K")


class Touched(Generic[K]):
    """The keys that were opened, changed or closed since the last `take`, in the order in which they first were.

    A key opened and closed between two takes leaves nothing: the table never heard of it.
    """

    def __init__(self) -> None:
        # Whether the table holds the key, as of the last take.
        self._stored: dict[K, bool] = {}

    def opened(self, key: K) -> None:
        """Note that there is a new entry."""
        self._stored.setdefault(key, False)

    def changed(self, key: K) -> None:
        """Note that an entry is another than it was."""
        self._stored.setdefault(key, True)

    def closed(self, key: K) -> None:
        """Note that an entry is gone."""
        if self._stored.setdefault(key, True) is False:
            del self._stored[key]

    def take(self) -> Iterator[K]:
        """The keys whose entries differ from the table's: to be written where they are open, else to be removed."""
        stored, self._stored = self._stored, {}
        return iter(stored)
