"""The engine and the oracle over the same case, and what came out of each in one form that can be compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec
import xxhash

from schemas.learning import ModelSnapshot, Question
from schemas.records import Change, CustomerTags, LateEvent
from schemas.sources import Incoming
from streams.engine.layout import NEVER
from streams.engine.plan import Plan, build
from streams.output import Output
from streams.processor import Partition
from streams.replay import Record as Dealt
from streams.replay import Replay
from tests.generators_records import Case
from tests.oracle import replay
from tests.oracle_rules import Record

ALL: Final = 4096
PLANS_KEPT: Final = 64
RESCORED: Final = 2  # so few that rescoring takes several slices
COUNTED: Final[set[int]] = set()
"""The cases, each once, of which the specification was asked; `pytest` prints how many."""
_SORTED: Final = msgspec.json.Encoder(order="sorted")


class Said(msgspec.Struct):
    """What came out, as JSON text: 1, 1.0 and true differ. The order of changes counts within a customer only.

    `due` is when each customer's next timer fires.
    """

    changes: dict[str, list[str]]
    customers: dict[str, str]
    late: list[str]
    questions: dict[str, list[str]]
    due: dict[str, int | None]


def said(
    changes: Iterable[Change],
    customers: Mapping[str, CustomerTags],
    late: Iterable[LateEvent],
    questions: Iterable[Question],
    due: Mapping[str, int | None],
) -> Said:
    """The outcome of either side in one form."""
    tags = {name: _SORTED.encode(one).decode() for name, one in sorted(customers.items())}
    set_aside = sorted(f"{e.source} {e.customer_id} {e.event_time} {e.newest} {e.value}" for e in late)
    return Said(_by_customer(changes), tags, set_aside, _by_customer(questions), dict(sorted(due.items())))


def _by_customer(records: Iterable[Change | Question]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for record in records:
        found[record.customer_id].append(msgspec.json.encode(record).decode())
    return dict(sorted(found.items()))


class Step(msgspec.Struct, frozen=True):
    """Records to apply together; then time passes to each of `passes` (ms), then models come, named by `anchor`."""

    records: list[Record]
    passes: list[int]
    models: list[ModelSnapshot]
    anchor: str


def steps_of(case: Case, size: Callable[[], int] = lambda: ALL) -> Iterator[Step]:
    """The case cut into steps of up to so many records; what comes between records comes between steps."""
    passes, models, anchor = _passes(case), _models(case), "0"
    yield Step([], passes.get(0, []), models.get(0, []), anchor)
    done, count = 0, len(case.records)
    while done < count:
        end = min([done + size(), count, *(before for before in {*passes, *models} if before > done)])
        yield Step(case.records[done:end], passes.get(end, []), models.get(end, []), str(end))
        done = end
    if case.until is not None:
        yield Step([], [case.until], [], "")


def _models(case: Case) -> dict[int, list[ModelSnapshot]]:
    found: dict[int, list[ModelSnapshot]] = defaultdict(list)
    for adoption in case.adoptions:
        found[adoption.before].append(adoption.model)
    return dict(found)


def _passes(case: Case) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for passing in case.passings:
        found[passing.before].append(passing.ms)
    return dict(found)


def oracle(case: Case) -> Said:
    """What the specification says."""
    COUNTED.add(xxhash.xxh64_intdigest(repr(case).encode()))
    out = replay(case.catalogue, case.records, case.until, _models(case), _passes(case))
    return said(out.changes, out.customers, out.late, out.questions, out.due)


_PLANS: Final[dict[str, Plan]] = {}


def plan_of(case: Case) -> Plan:
    """The engine's tables for the case's catalogue, built once for its streams."""
    if case.text not in _PLANS:
        if len(_PLANS) >= PLANS_KEPT:
            _PLANS.clear()
        _PLANS[case.text] = build(case.catalogue)
    return _PLANS[case.text]


class Heard:
    """What comes out of partitions, gathered; `passed` is until when a clock has moved time (ms).

    `timers` says how many may fire at once; those that are left do later.
    """

    def __init__(self, timers: Callable[[], int | None] = lambda: None) -> None:
        self.timers = timers
        self.passed: int | None = None
        self.changes: list[Change] = []
        self.late: list[LateEvent] = []
        self.questions: list[Question] = []

    def hear(self, outputs: Iterable[Output]) -> None:
        """Take what came out of steps."""
        for output in outputs:
            self.changes += output.changes()
            self.late += output.late
            self.questions += [example for example in output.examples if isinstance(example, Question)]

    def step(self, part: Partition, step: Step) -> None:
        """Let a partition take a step."""
        if step.records:
            records = [Incoming(one.value, one.key.encode() if one.key is not None else None) for one in step.records]
            pairs = zip([one.source for one in step.records], records, strict=True)
            self.hear([part.feed(pairs, self.timers())])
        for moment in step.passes:
            self.hear([part.advance(moment, self.timers())])
            self.passed = moment if self.passed is None else max(moment, self.passed)
        self.adopt(part, step.models, step.anchor)

    def drain(self, part: Partition) -> None:
        """Let the timers fire that are left."""
        while part.overdue:
            self.hear([part.run(timers=2)])

    def adopt(self, part: Partition, models: Iterable[ModelSnapshot], anchor: str) -> None:
        """Models come into force and every customer is scored, slice by slice."""
        for model in models:
            self.drain(part)
            if self.passed is not None:  # what came since the clock's last tick is due by it before anything else
                self.hear([part.advance(self.passed)])
            first, more = 0, part.adopt(model)
            while more:
                done = part.rescore(first, anchor, RESCORED)
                self.hear([done.output])
                first, more = done.next_slot, done.more

    def said(self, parts: Sequence[Partition]) -> Said:
        """All of it, with what the partitions hold in the end."""
        customers = {one.customer_id: one for part in parts for page in part.all_customer_tags() for one in page}
        due = {name: moment for part in parts for name, moment in due_of(part).items()}
        return said(self.changes, customers, self.late, self.questions, due)


def due_of(part: Partition) -> dict[str, int | None]:
    """When each customer's next timer fires (ms); None where none does."""
    state = part.arena.state
    known = [(name, slot) for name, slot in part.arena.slots.items() if part.row(name) is not None]
    times = {name: int(state.due.time[slot]) for name, slot in known}
    return {name: None if time == NEVER else time for name, time in times.items()}


def engine(case: Case, batch: int = ALL, partitions: int = 1) -> Said:
    """What the engine says, the stream being cut into batches and dealt over partitions."""
    run, heard = Replay(plan_of(case), partitions), Heard()
    for step in steps_of(case, lambda: batch):
        heard.hear(run.feed([Dealt(record.source, record.value, record.key) for record in step.records]))
        for part in run.parts:
            heard.step(part, msgspec.structs.replace(step, records=[]))
    return heard.said(run.parts)


def agree(case: Case, batches: Iterable[int] = (ALL, 7, 1)) -> None:
    """Fail where the engine differs from the oracle for any of these cuts of the stream."""
    expected = oracle(case)
    for batch in batches:
        assert engine(case, batch) == expected, f"batches of {batch}"
