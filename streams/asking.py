"""The questions that a partition's customers raise, and what answers them: the kernel's notes to examples."""

from __future__ import annotations

from collections.abc import Iterable

from models.labels import Labels
from schemas.learning import Answer, Example, Question, question_id
from streams.arena import Arena
from streams.engine.plan import Plan
from streams.engine.scoring import QUESTION, Notes


class Asker:
    """One partition's questions and labels."""

    def __init__(self, plan: Plan, arena: Arena) -> None:
        targets = plan.catalogue.targets
        self._names = [target.name for target in targets]
        self._inputs = [len(target.features) for target in targets]
        self._arena = arena
        self._labels = Labels(targets)

    def __len__(self) -> int:
        """How many questions are open."""
        return len(self._labels)

    def drain(self, notes: Notes) -> list[Example]:
        """The examples that the notes make, in their order; the notes are emptied."""
        found: list[Example] = []
        count = int(notes.used[0])
        if not count:
            return found
        labels, customers, names = self._labels, self._arena.customers, self._names
        values = notes.values[: int(notes.used[1])].tolist()
        for kind, slot, target, time, known, watermark, first in notes.notes[:count].tolist():
            customer = customers[slot]
            if kind == QUESTION:
                labels.ask(target, customer, time)
                name, last = names[target], first + self._inputs[target]
                found.append(Question(question_id(customer, name, time), customer, name, time, values[first:last]))
                continue
            # A deadline that the watermark had reached before the record came is over, however records were batched.
            found += labels.advance(watermark)
            found += labels.happened(target, customer, time, known)
        notes.used[:] = 0
        return found

    def advance(self, watermark: int) -> list[Answer]:
        """The answers of the questions whose time is over."""
        return self._labels.advance(watermark)

    def take_entries(self) -> list[tuple[bytes, bytes | None]]:
        """What changed since the last call, for the partition's table."""
        return self._labels.take_entries()

    def load(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Go on from the table."""
        self._labels.load(entries)
