"""The questions of a partition that wait for their outcome, and the answers that outcomes and time give (section 7).

A question of time `t` is answered
- by an outcome with t < time <= t + within that is applied while the question is open: at once, known when applied;
- else by the watermark reaching t + within + arrives_within: known at that very moment.
The first is a positive, the second a negative; of a target that waits for an absence it is the other way round.

Where a source that outcomes come from stands still, nobody knows whether there was one: the watermark of its targets
stands still as well (P5).

A customer's open questions, of all targets, are one entry: as many numbers as there are targets, 4 bytes each, say how
many questions of each are open; then come the times of these, target by target, rising, 8 bytes each.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence

from models.agenda import Agenda
from models.entries import Touched
from schemas.catalogue import Target
from schemas.learning import Answer, question_id


class Labels:
    """The open questions of one partition's customers.

    Parameters
    ----------
    targets
        The catalogue's; methods name them by index.
    """

    def __init__(self, targets: tuple[Target, ...]) -> None:
        self._targets = targets
        self._header = struct.Struct(f"<{len(targets)}I")
        self._entries: dict[str, bytes] = {}
        self._agendas = [Agenda() for _ in targets]
        self._touched: Touched[str] = Touched()
        self._count = 0

    def __len__(self) -> int:
        """How many questions are open."""
        return self._count

    def ask(self, target_index: int, customer: str, at_ms: int) -> None:
        """Open a question; one that is open already stays as it is."""
        entry = self._entries.get(customer)
        times = self._unpack(entry)
        mine = times[target_index]
        if _holds(mine, at_ms):
            return
        insort(mine, at_ms)
        self._entries[customer] = self._pack(times)
        self._agendas[target_index].add(at_ms, customer)
        self._count += 1
        if entry is None:
            self._touched.opened(customer)
        else:
            self._touched.changed(customer)

    def happened(
        self, target_index: int, customer: str, time_ms: int, known_ms: int, held_ms: int | None = None
    ) -> list[Answer]:
        """The answers that an outcome of time `time_ms`, applied at `known_ms`, gives; in the order of their ids.

        For a target that waits for an absence the outcome is any record that ends it.

        Parameters
        ----------
        held_ms
            Since when a source of the target's outcomes stands still; None where none does.
        """
        entry = self._entries.get(customer)
        if entry is None:
            return []
        times, label = self._unpack(entry), self._targets[target_index].label
        mine = times[target_index]
        first, end = bisect_left(mine, time_ms - label.within_ms), bisect_left(mine, time_ms)
        if first >= end:
            return []
        closed = mine[first:end]
        del mine[first:end]
        self._put(customer, times)
        answers = [self._answer(target_index, customer, at, not label.absent, known_ms, held_ms) for at in closed]
        return sorted(answers, key=_by_moment)

    def advance(self, watermark_ms: int, held_ms: Sequence[int | None] = ()) -> list[Answer]:
        """The answers of the questions whose deadline the watermark has reached; by deadline, then id.

        Parameters
        ----------
        held_ms
            For each target since when a source of its outcomes stands still, None where none does: the watermark
            counts up to then only. Empty: none does for any.
        """
        answers: list[Answer] = []
        for index, agenda in enumerate(self._agendas):
            label, held = self._targets[index].label, held_ms[index] if held_ms else None
            reached = watermark_ms if held is None else min(watermark_ms, held)
            if reached - label.settled_ms < agenda.next_at:
                continue
            for asked in agenda.take(reached - label.settled_ms):
                if self._remove(index, asked.customer, asked.at):
                    deadline = asked.at + label.settled_ms
                    answers.append(self._answer(index, asked.customer, asked.at, bool(label.absent), deadline, None))
        return sorted(answers, key=_by_moment)

    def take_entries(self) -> list[tuple[bytes, bytes | None]]:
        """What has changed since the last call, for a durable table: one key a customer, None removes it."""
        return [(customer.encode(), self._entries.get(customer)) for customer in self._touched.take()]

    def load(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Go on from a table's entries, in any order.

        Raises
        ------
        ValueError
            Where an entry is not one of that many targets.
        """
        agendas = list(enumerate(self._agendas))
        for key, entry in entries:
            customer = key.decode()
            times = self._unpack(entry)
            self._entries[customer] = entry
            for index, agenda in agendas:
                for at in times[index]:
                    agenda.add(at, customer)
                self._count += len(times[index])

    def _remove(self, index: int, customer: str, at: int) -> bool:
        """Close a question; whether it was open."""
        entry = self._entries.get(customer)
        if entry is None:
            return False
        times = self._unpack(entry)
        if not _holds(times[index], at):
            return False
        del times[index][bisect_left(times[index], at)]
        self._put(customer, times)
        return True

    def _put(self, customer: str, times: list[list[int]]) -> None:
        """Have these open of a customer, fewer than before."""
        if any(times):
            self._entries[customer] = self._pack(times)
            self._touched.changed(customer)
        else:
            del self._entries[customer]
            self._touched.closed(customer)

    def _answer(self, index: int, customer: str, at: int, label: bool, known_at: int, held_at: int | None) -> Answer:
        self._count -= 1
        name = self._targets[index].name
        return Answer(question_id(customer, name, at), customer, name, at, label, known_at, held_at)

    def _pack(self, times: list[list[int]]) -> bytes:
        found = [at for some in times for at in some]
        return self._header.pack(*map(len, times)) + struct.pack(f"<{len(found)}q", *found)

    def _unpack(self, entry: bytes | None) -> list[list[int]]:
        """The times of each target's open questions."""
        if entry is None:
            return [[] for _ in self._targets]
        counts = self._header.unpack_from(entry) if len(entry) >= self._header.size else ()
        if len(entry) != self._header.size + 8 * sum(counts):
            raise ValueError(f"the table has open questions of other targets than these {len(self._targets)}")
        found: list[list[int]] = []
        numbers, first = struct.unpack_from(f"<{sum(counts)}q", entry, self._header.size), 0
        for count in counts:
            found.append(list(numbers[first : first + count]))
            first += count
        return found


def _holds(times: list[int], at: int) -> bool:
    place = bisect_right(times, at)
    return place > 0 and times[place - 1] == at


def _by_moment(answer: Answer) -> tuple[int, str]:
    return answer.known_at, answer.id
