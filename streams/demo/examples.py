"""One target's examples as its partition of `training-examples` has them, and which of them a model was judged by.

What the trainer does with them is done again here, from the topic alone: a question or an answer that comes again
counts once, and an answer is judged when its question's own time is over, in the order of these moments.
"""

from __future__ import annotations

import heapq
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
    """Answers by which a model is judged, in the order in which they settled; columns of the same length.

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
        self._waiting: list[tuple[int, str]] = []
        self._settled: list[_Answered] = []

    def take(self, values: Sequence[bytes]) -> None:
        """Take in the next records."""
        for example in _DECODE(b"[" + b",".join(values) + b"]"):
            if isinstance(example, _Asked):
                self._pass_to(example.at)
                self._ask(example)
                continue
            self._pass_to(example.known_at)
            if example.id in self._open:
                self._hear(example)

    def _pass_to(self, time_ms: int) -> None:
        """Settle what is over."""
        self._now = max(self._now, time_ms)
        while self._waiting and self._waiting[0][0] <= self._now:
            self._settled.append(self._answered[heapq.heappop(self._waiting)[1]])

    def _hear(self, answer: _Answered) -> None:
        self._open.discard(answer.id)
        self._answered[answer.id] = answer
        end = answer.at + self._settled_ms
        if end <= self._now:
            self._settled.append(answer)
        else:
            heapq.heappush(self._waiting, (end, answer.id))

    def _ask(self, question: _Asked) -> None:
        if question.id in self._open or question.id in self._answered:
            return
        if self._first_at is None:
            self._first_at = question.at
        self.questions += 1
        self._open.add(question.id)

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
        """The answers that were judged so far."""
        kept = self._settled
        return Judged(
            customers=[answer.customer_id for answer in kept],
            asked_ms=np.array([answer.at for answer in kept], dtype=np.int64),
            labels=np.array([answer.label for answer in kept], dtype=np.bool_),
        )
