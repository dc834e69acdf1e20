"""A question while it waits to be settled, and its record in the table."""

from __future__ import annotations

import struct
from enum import IntEnum

import msgspec

from models.learner import Logits


class Known(IntEnum):
    """What is known of the answer to a question that is kept: the first byte of its record."""

    NEGATIVE = 0
    POSITIVE = 1
    NOTHING = 2


class Kept(msgspec.Struct, frozen=True, gc=False):
    """A question that is not settled.

    Attributes
    ----------
    known
        Its answer, where that waits for the question's time to be over.
    at
        When it was asked, UTC ms.
    raw, shown
        What both models said then, as log odds: themselves, and after the second stage that was in force.
    inputs
        Transformed, in the features' order; NaN is missing.
    """

    known: Known
    at: int
    raw: Logits
    shown: Logits
    inputs: tuple[float, ...]


class Packing:
    """Records of questions with so many features."""

    def __init__(self, features: int) -> None:
        self._struct = struct.Struct(f"<Bq4d{features}d")

    def pack(self, kept: Kept) -> bytes:
        """The record of a question."""
        return self._struct.pack(kept.known, kept.at, *kept.raw, *kept.shown, *kept.inputs)

    def unpack(self, record: bytes) -> Kept:
        """The question of a record."""
        known, at, *numbers = self._struct.unpack(record)
        return Kept(Known(known), at, Logits(*numbers[:2]), Logits(*numbers[2:4]), tuple(numbers[4:]))


def is_known(record: bytes) -> bool:
    """Whether the answer of a record's question is known."""
    return record[0] != Known.NOTHING
