"""Records as they leave, many on one page of bytes: changes, and all that is said of customers.

Nothing is decoded before somebody asks: what goes to topics and files goes there as it was written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.records import Cause, Change, CustomerTags, SegmentChange, TagChange
from streams.engine.kernel import CAUSES
from streams.engine.write import Names, Page

_tag_change = msgspec.json.Decoder(TagChange).decode
_segment_change = msgspec.json.Decoder(SegmentChange).decode
_customer_tags = msgspec.json.Decoder(CustomerTags).decode
_CAUSES = (Cause.EVENT, *CAUSES)  # by number; 0 is never noted
_MADE_BY_RECORDS = [number for number, cause in enumerate(CAUSES, 1) if cause in (Cause.EVENT, Cause.PROFILE)]


class Written(msgspec.Struct):
    """Records of one page; `slots[i]` is the slot of record i's customer in `names`."""

    page: Page
    slots: NDArray[np.int64]
    names: Names

    def __len__(self) -> int:
        return len(self.slots)

    def customer(self, place: int) -> str:
        """Whose record stands there."""
        pool, ends, slot = self.names.pool, self.names.ends, self.slots[place]
        return pool[ends[slot] : ends[slot + 1]].tobytes().decode()

    def texts(self, which: Iterable[int] | None = None) -> Iterator[bytes]:
        """The JSON of each record, or of some."""
        text, ends = self.page.text.tobytes(), self.page.ends.tolist()
        for i in range(len(self)) if which is None else which:
            yield text[ends[i] : ends[i + 1]]

    def lines(self, which: Iterable[int] | None = None) -> bytes:
        """The records as lines of JSON."""
        return b"".join(text + b"\n" for text in self.texts(which) if text)


class Customers(Written):
    """All that is said of customers, one record each; an empty text where a customer is not known yet."""

    def known(self) -> NDArray[np.int64]:
        """The places of customers of whom something is said."""
        return np.flatnonzero(np.diff(self.page.ends))

    def __iter__(self) -> Iterator[CustomerTags]:
        return map(_customer_tags, filter(None, self.texts()))


class Changes(Written):
    """Changes by time; `rules` are their places among `said`, `new` their new codes, `causes` by number."""

    said: tuple[str, ...]
    rules: NDArray[np.int64]
    new: NDArray[np.int64]
    at: NDArray[np.int64]
    causes: NDArray[np.int64]
    segment: NDArray[np.bool_]

    def __iter__(self) -> Iterator[Change]:
        return self.some(range(len(self)))

    def some(self, which: Iterable[int]) -> Iterator[Change]:
        """Those changes, decoded."""
        wanted = list(which)
        for i, text in zip(wanted, self.texts(wanted), strict=True):
            yield _segment_change(text) if self.segment[i] else _tag_change(text)

    def tags(self) -> list[int]:
        """The places of changes of tags."""
        return np.flatnonzero(~self.segment).tolist()

    def segments(self) -> list[int]:
        """The places of changes of segments."""
        return np.flatnonzero(self.segment).tolist()

    def said_in(self, which: list[int]) -> list[str]:
        """The tags and segments of those changes."""
        return [self.said[rule] for rule in self.rules[which].tolist()]

    def fresh(self) -> NDArray[np.int64]:
        """The places of changes that a record just made; `late` ones and those of time bear other times."""
        places: NDArray[np.int64] = np.flatnonzero(np.isin(self.causes, _MADE_BY_RECORDS))
        return places

    def by_cause(self) -> dict[str, int]:
        """How many bear each cause."""
        counts = np.bincount(self.causes, minlength=len(_CAUSES)).tolist()
        return {_CAUSES[number].value: count for number, count in enumerate(counts) if count}
