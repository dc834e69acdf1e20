"""The questions of a partition that wait for their outcome, and the answers that outcomes and time give (section 7).

A question of time `t` is answered
- by an outcome with t < time <= t + within that is applied while the question is open: at once, known when applied;
- else by the watermark reaching t + within + arrives_within: known at that very moment.
The first is a positive, the second a negative; of a target that waits for an absence it is the other way round.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import Final

import msgspec

from models.entries import Touched
from schemas.catalogue import Target
from schemas.learning import Answer, question_id

# What an entry holds: its key says it all.
OPEN: Final = b"?"
_SEPARATOR: Final = "\x1f"


class _Open(msgspec.Struct, frozen=True, gc=False):
    """An open question; `target` is an index."""

    target: int
    at: int
    customer: str


class Labels:
    """The open questions of one partition's customers.

    Parameters
    ----------
    targets
        The catalogue's; methods name them by index.
    """

    def __init__(self, targets: tuple[Target, ...]) -> None:
        self._targets = targets
        self._indices = {target.name: index for index, target in enumerate(targets)}
        # Per target: customer -> the times of the open questions, rising.
        self._open: list[dict[str, list[int]]] = [{} for _ in targets]
        # (deadline, target, customer, time); those of questions closed meanwhile are skipped when they come up.
        self._deadlines: list[tuple[int, int, str, int]] = []
        self._touched: Touched[_Open] = Touched()

    def __len__(self) -> int:
        """How many questions are open."""
        return sum(len(times) for customers in self._open for times in customers.values())

    def ask(self, target_index: int, customer: str, at_ms: int) -> None:
        """Open a question; one that is open already stays as it is."""
        if self._add(target_index, customer, at_ms):
            self._touched.opened(_Open(target_index, at_ms, customer))

    def happened(self, target_index: int, customer: str, time_ms: int, known_ms: int) -> list[Answer]:
        """The answers that an outcome of time `time_ms`, applied at `known_ms`, gives; in the order of their ids.

        For a target that waits for an absence the outcome is any record that ends it.
        """
        customers = self._open[target_index]
        times = customers.get(customer)
        if times is None:
            return []
        label = self._targets[target_index].label
        first, end = bisect_left(times, time_ms - label.within_ms), bisect_left(times, time_ms)
        if first >= end:
            return []
        closed = times[first:end]
        del times[first:end]
        if not times:
            del customers[customer]
        answers = [self._close(target_index, customer, at, not label.absent, known_ms) for at in closed]
        return sorted(answers, key=_by_moment)

    def advance(self, watermark_ms: int) -> list[Answer]:
        """The answers of the questions whose deadline the watermark has reached; by deadline, then id."""
        deadlines = self._deadlines
        answers: list[Answer] = []
        while deadlines and deadlines[0][0] <= watermark_ms:
            deadline, index, customer, at = heapq.heappop(deadlines)
            if self._remove(index, customer, at):
                absent = bool(self._targets[index].label.absent)
                answers.append(self._close(index, customer, at, absent, deadline))
        return sorted(answers, key=_by_moment)

    def take_entries(self) -> list[tuple[bytes, bytes | None]]:
        """What has changed since the last call, for a durable table: one key a question, None removes it."""
        return [(self._key(question), OPEN if self._holds(question) else None) for question in self._touched.take()]

    def load(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Go on from a table's entries, in any order.

        Raises
        ------
        ValueError
            Where an entry is of a target that the catalogue does not have.
        """
        for key, _ in entries:
            name, at, customer = key.decode().split(_SEPARATOR, 2)
            if name not in self._indices:
                raise ValueError(f"the table has open questions of a target {name!r}, which is not in the catalogue")
            self._add(self._indices[name], customer, int(at))

    def _add(self, index: int, customer: str, at: int) -> bool:
        times = self._open[index].get(customer)
        if times is None:
            self._open[index][customer] = [at]
        elif at > times[-1]:
            times.append(at)
        elif _holds(times, at):
            return False
        else:
            insort(times, at)
        deadline = at + self._targets[index].label.settled_ms
        heapq.heappush(self._deadlines, (deadline, index, customer, at))
        return True

    def _remove(self, index: int, customer: str, at: int) -> bool:
        times = self._open[index].get(customer)
        if times is None or not _holds(times, at):
            return False
        del times[bisect_left(times, at)]
        if not times:
            del self._open[index][customer]
        return True

    def _close(self, index: int, customer: str, at: int, label: bool, known_at: int) -> Answer:
        self._touched.closed(_Open(index, at, customer))
        name = self._targets[index].name
        return Answer(question_id(customer, name, at), customer, name, at, label, known_at)

    def _holds(self, question: _Open) -> bool:
        times = self._open[question.target].get(question.customer)
        return times is not None and _holds(times, question.at)

    def _key(self, question: _Open) -> bytes:
        return _SEPARATOR.join((self._targets[question.target].name, str(question.at), question.customer)).encode()


def _holds(times: list[int], at: int) -> bool:
    place = bisect_left(times, at)
    return place < len(times) and times[place] == at


def _by_moment(answer: Answer) -> tuple[int, str]:
    return answer.known_at, answer.id
