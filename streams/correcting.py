"""What was published behind a partition's last marker, compared with what its rows say now (P7).

A worker that ended without a flush had published changes that the state does not know. Whoever has the partition next
applies the same records again and says the same again, with the same ids. But clocks, models and cut-points may have
gone on, so that it comes to another answer: then what was said last of a customer is not what the row says, and is
mended by a change with cause `correction`.

Readers may drop a change whose id they have seen: to them the last word is the last change with an id that was new. To
those who read everything it is the last of all. Both are compared.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from typing import Final

import msgspec

from schemas.records import Cause, Change, CustomerTags, SegmentChange, TagChange, Value, change_id
from schemas.values import said_values, to_ms
from streams.engine.plan import Plan
from streams.engine.words import ID_CHARS
from streams.processor import Partition
from streams.written import Changes

AT_ONCE: Final = 500
"""Customers compared between two steps."""


class _Word(msgspec.Struct):
    """What was said of a tag or segment behind the marker.

    Attributes
    ----------
    ids
        Of all of it.
    new
        The last change with an id that was new.
    last
        The last change; None where the partition has said something again since, so that its last word is true.
    """

    ids: set[bytes]
    new: Change
    last: Change | None


class Correcting:
    """What was published behind the marker and is not known to be right yet."""

    def __init__(self, part: Partition, changes: Iterable[Change], customers: Iterable[str]) -> None:
        self._part = part
        self._words: dict[str, dict[str, _Word]] = {}
        self._again = set(customers)
        self._newest_ms = 0
        self._ends: dict[str, int] = {}
        self._behind = {source.name for source in part.plan.catalogue.sources}
        for change in changes:
            self._hear(change)

    def _hear(self, change: Change) -> None:
        if change.name not in self._part.plan.said:
            return
        words, number = self._words.setdefault(change.customer_id, {}), change.id.encode()
        word = words.setdefault(change.name, _Word(set(), change, change))
        if number not in word.ids:  # else a worker said it that had taken over before
            word.new = change
        word.last = change
        word.ids.add(number)
        if change.cause is Cause.TIME:
            self._newest_ms = max(self._newest_ms, _ms(change.at))

    @property
    def over(self) -> bool:
        """Whether all is known to be right."""
        return not self._words and not self._again

    def reached(self, source: str, position: int, end: int | None, ended: bool) -> None:
        """Note how far a source is applied, and where its topic ends (None: not known yet) or whether that is here.

        The owner before applied nothing behind the first end that is told after it.
        """
        if end is not None:
            end = self._ends.setdefault(source, end)
        if ended or (end is not None and position >= end):
            self._behind.discard(source)

    def due(self, watermark_ms: int | None) -> bool:
        """Whether all that can have led to what was published is applied, and time has passed as far as it had.

        None where only records move time.
        """
        return not self._behind and (watermark_ms is None or watermark_ms >= self._newest_ms)

    def note(self, changes: Changes) -> None:
        """Take note of what is published now: a change with a new id is the last word, and true."""
        if not self._words:
            return
        ids, rules = changes.page.ids.tobytes(), changes.rules.tolist()
        for place, rule in enumerate(rules):
            words = self._words.get(changes.customer(place))
            word = None if words is None else words.get(changes.said[rule])
            if words is None or word is None:
                continue
            if ids[ID_CHARS * place : ID_CHARS * (place + 1)] in word.ids:
                word.last = None
            else:
                del words[changes.said[rule]]

    def take(self) -> list[Change]:
        """Compare some more customers with their rows; the corrections. All that was to be applied is applied."""
        if self._again:
            self._part.publish_again(self._again)
            self._again.clear()
        customers = list(islice(self._words, AT_ONCE))
        known = {tags.customer_id: tags for tags in self._part.tags_of(customers)}
        found: list[Change] = []
        for customer in customers:
            for word in self._words.pop(customer).values():
                now = known.get(customer)
                made = correction(self._part.plan, word.new, now)
                if not made and word.last is not None:
                    made = correction(self._part.plan, word.last, now)
                found += made
        return found


def correction(plan: Plan, last: Change, now: CustomerTags | None) -> list[TagChange | SegmentChange]:
    """The change from what was said last to what is so now, if there is one; `now` is None of a customer without row.

    Its anchor is the change that it corrects and what it comes to, so that its id is the same wherever it is made.
    """
    new = _value(plan, last, now)
    if new == last.new:
        return []
    at = last.at if now is None else max(now.at, last.at)
    anchor = f"{last.id}={msgspec.json.encode(new).decode()}"
    made = msgspec.structs.asdict(last) | {
        "id": change_id(last.customer_id, last.name, _ms(at), Cause.CORRECTION, anchor),
        "old": last.new,
        "new": new,
        "at": at,
        "cause": Cause.CORRECTION,
        "catalogue_version": plan.catalogue.version,
        "because": _because(plan, last.name, now),
    }
    return [type(last)(**made)]


def _value(plan: Plan, last: Change, now: CustomerTags | None) -> bool | str | None:
    if now is None:
        return False if isinstance(last, SegmentChange) else said_values(plan.catalogue.tag(last.tag))[0]
    return last.segment in now.segments if isinstance(last, SegmentChange) else now.tags[last.tag]


def _because(plan: Plan, name: str, now: CustomerTags | None) -> dict[str, Value]:
    names = plan.because[plan.said.index(name)]
    if now is None:
        return dict.fromkeys(names)
    return {used: now.features[used] if used in now.features else now.tags[used] for used in names}


def _ms(at: str) -> int:
    return to_ms(datetime.fromisoformat(at))
