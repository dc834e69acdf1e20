"""The ids of the questions answered lately, so that one that comes again is known.

They are kept in pages: a durable table then rewrites the newest page only, and drops the oldest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

PAGE: Final = 256
PAGES: Final = 256
PREFIX: Final = b"answered/"


class Lately:
    """The last ids, at least `page * (pages - 1)` of them."""

    def __init__(self, page: int = PAGE, pages: int = PAGES) -> None:
        self._page, self._most = page, pages
        self._pages: dict[int, list[str]] = {0: []}
        self._newest = 0
        self._ids: set[str] = set()
        self._touched: dict[int, None] = {}

    def __contains__(self, question_id: str) -> bool:
        return question_id in self._ids

    def add(self, question_id: str) -> None:
        """Remember an id that is not among them; the oldest page is forgotten where there are too many."""
        if len(self._pages[self._newest]) == self._page:
            self._newest += 1
            self._pages[self._newest] = []
            oldest = self._newest - self._most
            if oldest in self._pages:
                self._ids.difference_update(self._pages.pop(oldest))
                self._touched[oldest] = None
        self._pages[self._newest].append(question_id)
        self._ids.add(question_id)
        self._touched[self._newest] = None

    def take_entries(self) -> list[tuple[bytes, bytes | None]]:
        """What has changed since the last call: one key a page, None removes it."""
        touched, self._touched = self._touched, {}
        encode = msgspec.json.encode
        return [(_key(n), encode(self._pages[n]) if n in self._pages else None) for n in touched]

    def load(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Go on from a table's pages, in any order."""
        decode = msgspec.json.Decoder(list[str]).decode
        pages = {int(key.removeprefix(PREFIX)): decode(value) for key, value in entries}
        self._pages = pages or {0: []}
        self._newest = max(self._pages)
        self._ids = {one for page in self._pages.values() for one in page}


def _key(number: int) -> bytes:
    return PREFIX + str(number).encode()
