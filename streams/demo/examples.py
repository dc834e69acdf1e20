"""One target's examples as its partition of `training-examples` has them, and which of them a model was judged by.

What the trainer does with them is done again here in columns, from the topic alone: a question or an answer that comes
again counts once, and what is known before the first horizon is over is judged by nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray


class _Asked(msgspec.Struct, frozen=True, gc=False, tag="question", tag_field="kind"):
    """Of a `Question` what is counted here."""

    id: str
    at: int


class _Answered(msgspec.Struct, frozen=True, gc=False, tag="answer", tag_field="kind"):
    """Of an `Answer` what is counted here."""

    id: str
    customer_id: str
    at: int
    label: bool
    known_at: int


_DECODE: Final = msgspec.json.Decoder(list[_Asked | _Answered]).decode


class Judged(msgspec.Struct, frozen=True):
    """Answers by which a model is judged, in their topic's order; columns of the same length.

    Attributes
    ----------
    asked_ms
        When the question was asked, UTC ms.
    labels
        Whether the outcome came.
    """

    customers: list[str]
    asked_ms: NDArray[np.int64]
    labels: NDArray[np.bool_]

    def first(self, count: int) -> Judged:
        """The first `count` of them."""
        return Judged(self.customers[:count], self.asked_ms[:count], self.labels[:count])


class Examples:
    """A target's questions and answers, taken in batch by batch.

    Parameters
    ----------
    settled_ms
        How long after a question its answer is known at the latest.
    """

    def __init__(self, settled_ms: int) -> None:
        self.questions = 0
        self._settled_ms = settled_ms
        self._first_at: int | None = None
        self._now = 0
        self._open: set[str] = set()
        self._answered: dict[str, _Answered] = {}

    def take(self, values: Sequence[bytes]) -> None:
        """Take in the next records."""
        for example in _DECODE(b"[" + b",".join(values) + b"]"):
            if isinstance(example, _Asked):
                self._ask(example)
            elif example.id in self._open:
                self._open.discard(example.id)
                self._answered[example.id] = example
                self._now = max(self._now, example.known_at)

    def _ask(self, question: _Asked) -> None:
        if question.id in self._open or question.id in self._answered:
            return
        if self._first_at is None:
            self._first_at = question.at
        self.questions += 1
        self._open.add(question.id)
        self._now = max(self._now, question.at)

    @property
    def answers(self) -> int:
        """How many questions were answered."""
        return len(self._answered)

    @property
    def positives(self) -> int:
        """How many answers say that the outcome came."""
        return sum(answer.label for answer in self._answered.values())

    @property
    def unanswered(self) -> int:
        """How many questions are open."""
        return len(self._open)

    @property
    def warming(self) -> bool:
        """Whether the first horizon is not over."""
        return self._first_at is None or self._now < self._first_at + self._settled_ms

    def judged(self) -> Judged:
        """The answers that were known after the first horizon."""
        over_ms = 0 if self._first_at is None else self._first_at + self._settled_ms
        kept = [answer for answer in self._answered.values() if answer.known_at >= over_ms]
        return Judged(
            customers=[answer.customer_id for answer in kept],
            asked_ms=np.array([answer.at for answer in kept], dtype=np.int64),
            labels=np.array([answer.label for answer in kept], dtype=np.bool_),
        )
