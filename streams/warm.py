"""Compiling the kernels before the first record comes: numba takes seconds where nothing is cached yet."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from schemas.catalogue import Field, FieldKind, Source, Target
from schemas.learning import ModelSnapshot
from schemas.sources import Incoming
from streams.engine.due import upcoming
from streams.engine.plan import Plan
from streams.processor import Partition
from streams.record_batch import Frame, events, of_lines, of_page
from streams.residence import Cold

CUSTOMER = "-"
AT_MS = 1_000
ROOM = 1_048_576
LATER_MS = AT_MS + 400 * 86_400_000
_VALUES: dict[FieldKind, Any] = {
    FieldKind.MONEY: 1,
    FieldKind.COUNT: 1,
    FieldKind.NUMBER: 1,
    FieldKind.TEXT: "-",
    FieldKind.BOOLEAN: True,
    FieldKind.TIME: AT_MS,
}


def warm(plan: Plan) -> None:
    """Everything compiled that a partition of that plan uses: a made-up customer lives and is thrown away."""
    part = Partition(plan, keyed=False)
    for source in plan.catalogue.sources:
        part.push(source.name, [Incoming(msgspec.json.encode(_record(source)))])
    frame = Frame(ROOM)
    frame.fill(events([CUSTOMER], of_lines(b"-\n"), [CUSTOMER], [AT_MS]), 0)
    for output in (part.run(), part.advance(LATER_MS)):
        for changes in output.written:
            frame.fill(of_page(changes, np.arange(len(changes))), 0)
    part.publish_again([CUSTOMER])  # of whom a catalogue may say nothing yet
    for customers in part.take_published():
        frame.fill(of_page(customers, customers.known()), 0)
    part.explain(CUSTOMER)
    for target in plan.catalogue.targets:
        part.adopt(_model(target))
    part.rescore(0, "")
    part.freeze(plan.catalogue.sources[0].name, AT_MS)
    part.thaw(plan.catalogue.sources[0].name)
    part.wake()
    if part.census:
        part.recut(0, "")
    dirty, clock = part.take_dirty(), part.clock_state()
    Partition(plan, keyed=False).load(dirty.customers, dirty.rows)
    cold = Partition(plan, keyed=False, cold=Cold(lambda _: list(dirty.rows), rows=1))
    cold.load(dirty.customers, dirty.rows)
    cold.restore({}, clock)
    cold.advance(LATER_MS)
    upcoming(cold.arena.state.due, LATER_MS, 1)  # what is due next may be of rows on disk
    cold.explain(CUSTOMER)


def _model(target: Target) -> ModelSnapshot:
    """A model that says nothing."""
    zeros = [0.0] * len(target.features)
    return ModelSnapshot(target.name, 1, 0, 0, 0, 0, 0, True, list(target.features), zeros, zeros, 0.0)


def _record(source: Source) -> dict[str, Any]:
    """A record that its source's decoder takes."""
    record: dict[str, Any] = {source.key: CUSTOMER, source.time: AT_MS}
    if source.id is not None:
        record[source.id] = CUSTOMER
    for field in source.fields:
        place = record
        for step in field.path[:-1]:
            place = place.setdefault(step, {})
        place[field.path[-1]] = _value(field)
    return record


def _value(field: Field) -> Any:
    return field.values[0] if field.kind is FieldKind.ENUM else _VALUES[field.kind]
