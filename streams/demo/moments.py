"""What the topics of changes say of a few moments: what put a customer into a segment, and the values behind it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from schemas.outreach import TriggerDecision
from schemas.records import SegmentChange, TagChange
from streams.demo.topics import Batch


class Moment(msgspec.Struct, frozen=True):
    """A segment change, and the changes in the same moment of the tags that its rule used; None where it is gone."""

    change: SegmentChange | None
    tags: list[TagChange]


class Moments:
    """The moments that decisions are about; other records of the topics are passed over unread."""

    def __init__(self, decisions: Sequence[TriggerDecision]) -> None:
        self._customers = {decision.customer_id.encode() for decision in decisions}
        self._wanted = {decision.change_id for decision in decisions}
        self._changes: dict[str, SegmentChange] = {}
        self._tags: dict[str, TagChange] = {}

    def take_segments(self, batch: Batch) -> None:
        """Take in records of `segment-changes`."""
        for value in self._of_customers(batch):
            change = msgspec.json.decode(value, type=SegmentChange)
            if change.id in self._wanted:
                self._changes[change.id] = change

    def take_tags(self, batch: Batch) -> None:
        """Take in records of `tag-changes`."""
        for value in self._of_customers(batch):
            change = msgspec.json.decode(value, type=TagChange)
            self._tags[change.id] = change

    def _of_customers(self, batch: Batch) -> list[bytes]:
        wanted = self._customers
        return [value for key, value in zip(batch.keys, batch.values, strict=True) if key in wanted]

    def of(self, decision: TriggerDecision) -> Moment:
        """What happened when the change was made that the decision is about."""
        change = self._changes.get(decision.change_id)
        if change is None:
            return Moment(None, [])
        then = [tag for tag in self._tags.values() if tag.customer_id == change.customer_id and tag.at == change.at]
        return Moment(change, [tag for tag in then if tag.tag in change.because])
