"""What has to hold for every catalogue and stream: each law takes a case and chance, and fails by an assertion.

`tests/property/test_laws.py` looks at some thousands of cases, `python -m tests.soak` at fresh ones for as long as it
is let. Where a law needs an order of records it is the case's own, or that in which a worker merges its sources.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Any, Final

import msgspec
import numpy as np

from schemas.sources import Incoming
from streams.engine.layout import MISSING
from streams.engine.plan import Plan
from streams.processor import Partition
from tests.comparing import ALL, Heard, agree, due_of, engine, oracle, plan_of, steps_of
from tests.generators_models import Passing
from tests.generators_records import Case
from tests.oracle_rules import Record, Unreadable, read

Law = Callable[[Case, Random], None]
SIZES: Final = (1, 2, 7, 30)


def the_oracle_agrees_however_records_are_batched(case: Case, draw: Random) -> None:
    """P1: engine and oracle say the same, whole and in batches of some size."""
    agree(case, (ALL, draw.choice(SIZES)))


class Kept(msgspec.Struct):
    """What a worker would have written: rows by customer, and the last marker's positions and clocks."""

    rows: dict[bytes, bytes] = {}
    positions: dict[str, int] = {}
    clock: dict[str, Any] = {}

    def flush(self, part: Partition) -> None:
        """Write what is dirty, and a marker."""
        dirty = part.take_dirty()
        self.rows |= dict(zip(dirty.customers, dirty.rows, strict=True))
        self.positions, self.clock = part.positions(), part.clock_state()

    def begin(self, plan: Plan) -> Partition:
        """Another partition that goes on from the marker."""
        part = Partition(plan, keyed=False)
        part.load(list(self.rows), list(self.rows.values()))
        part.restore(self.positions, self.clock)
        return part


def going_on_from_any_marker_changes_nothing(case: Case, draw: Random) -> None:
    """P1, P6: a partition that is written and begun anew, as often as one likes, says what one says that never was.

    Without models: a worker that begins scores everybody anew, and what that changes comes from outside.
    """
    moments = [passing.ms for passing in case.passings] + ([] if case.until is None else [case.until])
    case = msgspec.structs.replace(case, until=max(moments, default=None), adoptions=())
    plan, kept, heard = plan_of(case), Kept(), Heard()
    part, passed, again = Partition(plan, keyed=False), list[int](), list[Passing]()
    for step in steps_of(case, lambda: draw.choice(SIZES)):
        heard.step(part, step)
        passed += step.passes
        if draw.random() < 0.4:
            kept.flush(part)
            if draw.random() < 0.7:
                part = kept.begin(plan)
                # A clock goes on, and tells those who came since its last tick that it has passed them: the oracle too.
                _until(part, heard, [max(passed, default=None)])
                again += [Passing(int(step.anchor), max(passed))] if passed and step.anchor else []
    _until(part, heard, [part.watermark, case.until])
    assert heard.said([part]) == oracle(msgspec.structs.replace(case, passings=(*case.passings, *again)))


def merging_shows_neither_pieces_nor_restarts(case: Case, draw: Random) -> None:
    """P1: sources read in any pieces and merged by time, over restarts, say what one merged stream says."""
    sources = [source.name for source in case.catalogue.sources]
    by_source = {name: [record for record in case.records if record.source == name] for name in sources}
    plain = msgspec.structs.replace(case, records=_merged(case, by_source), adoptions=(), passings=(), until=case.until)
    plan, kept, heard = plan_of(case), Kept(), Heard()
    part, pushed = Partition(plan, keyed=False), dict.fromkeys(sources, 0)
    while True:
        _push_some(part, by_source, pushed, draw)
        output = part.run(draw.choice(SIZES), timers=draw.choice((0, 1, 3, None)))
        heard.hear([output])
        if draw.random() < 0.3:
            kept.flush(part)
            if draw.random() < 0.6:
                part = kept.begin(plan)
                pushed = {name: kept.positions.get(name, 0) for name in sources}
        if not output.more and not part.overdue and all(pushed[name] == len(by_source[name]) for name in sources):
            break
    _until(part, heard, [part.watermark, case.until])
    assert heard.said([part]) == oracle(plain)


def _until(part: Partition, heard: Heard, moments: Iterable[int | None]) -> None:
    """Time passes to each moment: after a restart timers that changed nothing are due again, and change nothing."""
    for moment in moments:
        if moment is not None:
            heard.hear([part.advance(moment)])


def _push_some(part: Partition, by_source: dict[str, list[Record]], pushed: dict[str, int], draw: Random) -> None:
    for name, records in by_source.items():
        first = pushed[name]
        pushed[name] = min(len(records), first + draw.choice((0, 1, 5, 40)))
        some = [
            Incoming(record.value, record.key.encode() if record.key is not None else None, offset)
            for offset, record in enumerate(records[first : pushed[name]], first)
        ]
        if some:
            part.push(name, some)
        part.ended(name, pushed[name] == len(records))


def _merged(case: Case, by_source: dict[str, list[Record]]) -> list[Record]:
    """The records in the order of a worker: by time, none before one of its own source that stands before it."""
    keyed: list[tuple[int, int, int, Record]] = []
    for number, records in enumerate(by_source.values()):
        reached = MISSING
        for offset, record in enumerate(records):
            try:
                time = read(case.catalogue, record).time
            except Unreadable:
                continue
            reached = reached if time is None else max(reached, time)
            keyed.append((reached, number, offset, record))
    return [record for *_, record in sorted(keyed, key=lambda one: one[:3])]


def time_may_pass_in_steps_or_at_once(case: Case, draw: Random) -> None:
    """P4: the same changes, each at its own time."""
    plan = plan_of(case)
    first, second = Partition(plan, keyed=False), Partition(plan, keyed=False)
    at_once, in_steps = Heard(), Heard()
    for step in steps_of(msgspec.structs.replace(case, until=None)):
        at_once.step(first, step)
        in_steps.step(second, step)
    start = first.watermark or 0
    end = start + draw.choice((1, 10**5, 10**8, 10**10))
    at_once.hear([first.advance(end)])
    for moment in sorted(draw.randint(start, end) for _ in range(draw.randint(0, 6))):
        in_steps.hear([second.advance(moment)])
    in_steps.hear([second.advance(end)])
    assert in_steps.said([second]) == at_once.said([first])


def timers_may_fire_in_slices_between_records(case: Case, draw: Random) -> None:
    """P1, P4: a customer's timers that are left fire before its next record, so that slices do not show.

    As records move time. A clock's moment between records has no place in their order to begin with.
    """
    case = msgspec.structs.replace(case, passings=())
    part, heard = Partition(plan_of(case), keyed=False), Heard(lambda: draw.choice((0, 1, 1, 2, 5)))
    for step in steps_of(case, lambda: draw.choice((1, 1, 2, 7))):
        heard.step(part, step)
        if draw.random() < 0.3 and part.overdue:
            heard.hear([part.run(timers=1)])
    heard.drain(part)
    assert heard.said([part]) == oracle(case)


def a_row_written_and_read_back_is_the_same_row(case: Case, draw: Random) -> None:
    """P6: word for word, with the same timer and the same counts."""
    plan, kept, heard = plan_of(case), Kept(), Heard()
    part = Partition(plan, keyed=False)
    for step in steps_of(msgspec.structs.replace(case, adoptions=()), lambda: draw.choice(SIZES)):
        heard.step(part, step)
        if draw.random() < 0.3:
            kept.flush(part)
    kept.flush(part)
    again = kept.begin(plan)
    latest = max([part.watermark or 0, case.until or 0, *(passing.ms for passing in case.passings)])
    for one in (part, again):
        one.advance(latest)
    for customer, slot in part.arena.slots.items():
        if customer in again.arena.slots:
            assert (again.arena.state.rows[again.arena.slots[customer]] == part.arena.state.rows[slot]).all()
        else:
            assert (part.arena.state.rows[slot] == plan.rows.empty).all()
    assert due_of(again) == due_of(part)
    assert _counts(again) == _counts(part)


def _counts(part: Partition) -> list[dict[str, Any]]:
    """How many say what; those of whom nothing is known are not written, and count as false only before."""
    overview = part.overview()
    tags = {
        name: {value: n for value, n in counts.items() if value != "false"} for name, counts in overview.tags.items()
    }
    return [tags, overview.segments]


def a_timer_that_changes_nothing_leaves_the_row_unwritten(case: Case, draw: Random) -> None:
    """P4: time writes the rows of the customers it changes, and no others."""
    part, heard = Partition(plan_of(case), keyed=False), Heard()
    for step in steps_of(msgspec.structs.replace(case, until=None)):
        heard.step(part, step)
    part.take_dirty()
    before = part.arena.state.rows[: len(part.arena)].copy()
    output = part.advance((part.watermark or 0) + draw.choice((1, 10**8, 10**10)))
    changed = {change.customer_id for change in output.changes()}
    assert {customer.decode() for customer in part.take_dirty().customers} == changed
    differ = np.flatnonzero((part.arena.state.rows[: len(part.arena)] != before).any(axis=1))
    assert {part.arena.customers[slot] for slot in differ} == changed


def what_is_counted_is_what_is_said(case: Case, draw: Random) -> None:
    """The overview's counts are those of a recount over all customers."""
    part = Partition(plan_of(case), keyed=False)
    heard = Heard()
    for step in steps_of(case, lambda: draw.choice(SIZES)):
        heard.step(part, step)
    everyone = [one for page in part.all_customer_tags() for one in page]
    overview = part.overview()
    for segment, count in overview.segments.items():
        assert count == sum(segment in one.segments for one in everyone)
    spelt: dict[Any, str] = {True: "true"}
    for tag, counts in overview.tags.items():
        for value, count in counts.items():
            if value != "false":  # customers of whom nothing is known yet count as false too
                assert count == sum(spelt.get(one.tags[tag], one.tags[tag]) == value for one in everyone)


def partitions_do_not_show(case: Case, draw: Random) -> None:
    """P1, for streams in which no record is older than its source's `allowed_skew`; see `generators_records.case`."""
    assert engine(case, draw.choice(SIZES), draw.choice((2, 3, 8))) == oracle(case)


ANY: Final[tuple[Law, ...]] = (
    the_oracle_agrees_however_records_are_batched,
    going_on_from_any_marker_changes_nothing,
    merging_shows_neither_pieces_nor_restarts,
    time_may_pass_in_steps_or_at_once,
    timers_may_fire_in_slices_between_records,
    a_row_written_and_read_back_is_the_same_row,
    a_timer_that_changes_nothing_leaves_the_row_unwritten,
    what_is_counted_is_what_is_said,
)
