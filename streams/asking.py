"""The questions that a partition's customers raise, and what answers them: the kernel's notes to examples."""

from __future__ import annotations

from collections.abc import Iterable

from models.labels import Labels
from schemas.catalogue import Target
from schemas.learning import Question, question_id
from streams.arena import Arena
from streams.engine.plan import Plan
from streams.engine.scoring import QUESTION, Notes
from streams.output import Fate, Met, Output
from streams.standstill import Standstill


class Asker:
    """One partition's questions and labels."""

    def __init__(self, plan: Plan, arena: Arena, still: Standstill) -> None:
        self._targets = plan.catalogue.targets
        self._sources = [_outcomes_from(target) for target in self._targets]
        self._arena, self._still = arena, still
        self._labels = Labels(self._targets)

    def __len__(self) -> int:
        """How many questions are open."""
        return len(self._labels)

    def drain(self, notes: Notes, output: Output) -> None:
        """Put the examples that the notes make into an output, in their order; the notes are emptied."""
        count = int(notes.used[0])
        if not count:
            return
        labels, customers, targets, found = self._labels, self._arena.customers, self._targets, output.examples
        values, held = notes.values[: int(notes.used[1])].tolist(), self._held()
        for kind, slot, target, time, known, watermark, first in notes.notes[:count].tolist():
            customer = customers[slot]
            since = held[target] if held else None
            if kind == QUESTION:
                labels.ask(target, customer, time)
                name, last = targets[target].name, first + len(targets[target].features)
                asked = question_id(customer, name, time)
                found.append(Question(asked, customer, name, time, values[first:last], since))
                continue
            # A deadline that the watermark had reached before the record came is over, however records were batched.
            found += labels.advance(watermark, held)
            answers = labels.happened(target, customer, time, known, since)
            found += answers
            self._meet(output, target, bool(answers), watermark > time + targets[target].label.arrives_within_ms)
        notes.used[:] = 0

    def advance(self, watermark: int, output: Output) -> None:
        """Put the answers of the questions whose time is over into an output."""
        output.examples += self._labels.advance(watermark, self._held())

    def take_entries(self) -> list[tuple[bytes, bytes | None]]:
        """What changed since the last call, for the partition's table."""
        return self._labels.take_entries()

    def load(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Go on from the table."""
        self._labels.load(entries)

    def _held(self) -> list[int | None]:
        """For each target since when a source of its outcomes stands still (P5); empty where none does for any."""
        since = self._still.since
        if not since:
            return []
        return [min((since[name] for name in names if name in since), default=None) for names in self._sources]

    def _meet(self, output: Output, index: int, answered: bool, late: bool) -> None:
        """Count an outcome; a record that ends an absence is none."""
        target = self._targets[index]
        if not target.label.absent:
            fate = Fate.ANSWERED if answered else Fate.LATE if late else Fate.SPARE
            output.outcomes[Met(target.name, fate)] += 1


def _outcomes_from(target: Target) -> tuple[str, ...]:
    label = target.label
    return label.absent or ((label.source,) if label.source is not None else ())
