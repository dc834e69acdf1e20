"""When the open questions of a target are over: by the time at which they were asked, as all have the same horizon.

Questions of an hour lie in a page, unsorted; only when the watermark comes to a page are its questions put in order.
So a question takes 16 bytes until then, and what was answered meanwhile is skipped when it comes up.
"""

from __future__ import annotations

import heapq
from array import array
from typing import Final

import msgspec

from schemas.durations import HOUR

NEVER: Final = 2**62
_PAGE_MS: Final = HOUR


class Asked(msgspec.Struct, frozen=True, order=True, gc=False):
    """A question that may be open: when it was asked (UTC ms), and of whom."""

    at: int
    customer: str


class _Page(msgspec.Struct, frozen=True):
    """The questions of an hour; both have the same length."""

    times: array[int]
    customers: list[str]


class Agenda:
    """The questions of one target.

    Attributes
    ----------
    next_at
        No question was asked before this moment; NEVER where there is none.
    """

    def __init__(self) -> None:
        self.next_at = NEVER
        self._pages: dict[int, _Page] = {}
        self._numbers: list[int] = []  # of the pages, a heap
        self._begun = -NEVER  # pages with lower numbers were put in order
        self._ordered: list[Asked] = []  # a heap

    def add(self, at_ms: int, customer: str) -> None:
        """Note a question."""
        number = at_ms // _PAGE_MS
        self.next_at = min(self.next_at, at_ms)
        if number < self._begun:
            heapq.heappush(self._ordered, Asked(at_ms, customer))
            return
        page = self._pages.get(number)
        if page is None:
            self._pages[number] = page = _Page(array("q"), [])
            heapq.heappush(self._numbers, number)
        page.times.append(at_ms)
        page.customers.append(customer)

    def take(self, until_ms: int) -> list[Asked]:
        """The questions asked at or before a moment, in the order of their times; they are noted no more."""
        if until_ms < self.next_at:
            return []
        while self._numbers and self._numbers[0] * _PAGE_MS <= until_ms:
            number = heapq.heappop(self._numbers)
            page = self._pages.pop(number)
            self._ordered += map(Asked, page.times, page.customers)
            heapq.heapify(self._ordered)
            self._begun = number + 1
        found: list[Asked] = []
        while self._ordered and self._ordered[0].at <= until_ms:
            found.append(heapq.heappop(self._ordered))
        first = self._ordered[0].at if self._ordered else NEVER
        self.next_at = min(first, self._numbers[0] * _PAGE_MS if self._numbers else NEVER)
        return found
