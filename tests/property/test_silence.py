"""P5: with sources that freeze, come back with a backlog and thaw, the engine says exactly what the oracle says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from schemas.catalogue import Catalogue
from schemas.durations import DAY, HOUR, MINUTE
from schemas.records import Cause, Change, LateEvent
from streams.engine.plan import build
from streams.output import Output
from streams.replay import Record as Incoming
from streams.replay import Replay
from tests.comparing import Said, said
from tests.generators_records import START, Case, cases, loads
from tests.oracle_rules import Record, Unreadable, iso, read
from tests.oracle_silence import Freeze, Pass, Step, Thaw, replay
from tests.property.test_engine_matches_oracle import EVERYTHING

ALL: Final = 4096


class Quiet(msgspec.Struct, frozen=True):
    """A catalogue, and records with freezes, thaws and passing time between them."""

    text: str
    catalogue: Catalogue
    steps: list[Step]

    def __repr__(self) -> str:
        lines = "\n".join(repr(step) for step in self.steps)
        return f"Quiet:\n{self.text}\n{lines}"


def time_of(catalogue: Catalogue, record: Record) -> int:
    """The record's event time; 0 where it has none."""
    try:
        return read(catalogue, record).time or 0
    except Unreadable:
        return 0


@st.composite
def silences(draw: DrawFn, case: Case, orderly: bool = False) -> Quiet:
    """The case with sources that freeze and thaw between its records, at moments around the newest record's.

    In an orderly one time passes to the newest record before either, and nothing freezes as of earlier.
    """
    names = [source.name for source in case.catalogue.sources]
    often = draw(st.sampled_from((2, 4, 10)))
    steps: list[Step] = []
    clock, frozen = START, set[str]()
    for record in case.records:
        while draw(st.integers(0, often)) == 0:
            name = draw(st.sampled_from(names))
            back = draw(st.sampled_from((0, 0, 1, MINUTE, 11 * MINUTE, HOUR, DAY, 10 * DAY)))
            ahead = draw(st.sampled_from((0, 1, HOUR, 30 * DAY)))
            if orderly:
                steps.append(Pass(clock))
            if name in frozen:
                frozen.discard(name)
                steps.append(Thaw(name))
            else:
                frozen.add(name)
                steps.append(Freeze(name, clock + ahead if orderly else clock - back))
            if not orderly and draw(st.integers(0, 3)) == 0:
                steps.append(Pass(clock + draw(st.sampled_from((0, HOUR, 5 * DAY)))))
        steps.append(record)
        clock = max(clock, time_of(case.catalogue, record))
    ends = [Thaw(name) for name in sorted(frozen)] if draw(st.booleans()) else []
    last = case.until if case.until is not None else clock
    return Quiet(case.text, case.catalogue, [*steps, *([Pass(clock)] if orderly else []), *ends, Pass(last)])


def oracle(quiet: Quiet) -> Said:
    """What the specification says."""
    outcome = replay(quiet.catalogue, quiet.steps)
    return said(outcome.changes, outcome.customers, outcome.late, (), {})


class Engine:
    """The engine over steps, in batches; rows are woken a few at a time between batches."""

    def __init__(self, catalogue: Catalogue, partitions: int, at_once: int) -> None:
        self.run, self.at_once = Replay(build(catalogue), partitions), at_once
        self.changes: list[Change] = []
        self.late: list[LateEvent] = []

    def take(self, steps: Sequence[Step], batch: int) -> Said:
        """What it says in the end."""
        waiting: list[Record] = []
        for step in steps:
            if isinstance(step, Record):
                waiting.append(step)
            if waiting and (len(waiting) == batch or not isinstance(step, Record)):
                self.feed(waiting)
                waiting = []
            if not isinstance(step, Record):
                self.turn(step)
        self.feed(waiting)
        self.wake()
        customers = {one.customer_id: one for page in self.run.customers() for one in page}
        return said(self.changes, customers, self.late, (), {})

    def note(self, outputs: Iterator[Output]) -> None:
        for output in outputs:
            self.changes += output.changes()
            self.late += output.late

    def feed(self, records: list[Record]) -> None:
        self.note(part.wake(self.at_once) for part in self.run.parts if part.sleeps)
        self.note(self.run.feed([Incoming(record.source, record.value, record.key) for record in records]))

    def wake(self) -> None:
        while any(part.sleeps for part in self.run.parts):
            self.note(part.wake(self.at_once) for part in self.run.parts)

    def turn(self, step: Freeze | Thaw | Pass) -> None:
        self.wake()
        if isinstance(step, Pass):
            self.note(self.run.advance(step.to))
        for part in self.run.parts:
            if isinstance(step, Freeze):
                part.freeze(step.source, step.since)
            elif isinstance(step, Thaw):
                part.thaw(step.source)


def engine(quiet: Quiet, batch: int, partitions: int = 1, at_once: int = 1) -> Said:
    """What the engine says."""
    return Engine(quiet.catalogue, partitions, at_once).take(quiet.steps, batch)


@given(cases().flatmap(silences))
def test_p5_any_catalogue_freezes_and_thaws_in_any_batches(quiet: Quiet) -> None:
    expected = oracle(quiet)
    for batch, at_once in ((ALL, 1), (3, 2)):
        assert engine(quiet, batch, at_once=at_once) == expected, f"batches of {batch}"


@given(cases(EVERYTHING).flatmap(silences))
@settings(max_examples=settings().max_examples // 4)
def test_p5_every_aggregation_freezes_and_thaws(quiet: Quiet) -> None:
    expected = oracle(quiet)
    for batch in (ALL, 1):
        assert engine(quiet, batch) == expected, f"batches of {batch}"


@given(cases(orderly=True).flatmap(lambda case: silences(case, orderly=True)))
def test_p5_partitions_do_not_show(quiet: Quiet) -> None:
    expected = oracle(quiet)
    for partitions in (1, 2):
        assert engine(quiet, ALL, partitions) == expected, f"{partitions} partitions"


SILENT: Final = loads("""
catalogue: silent
timezone: UTC
sources:
  look: {topic: look, key: customer, time: at, id: id, accept_late: 30d, fields: {page: [home, help]}}
  pay: {topic: pay, key: customer, time: at, id: id, fields: {amount: count}}
features:
  idle: {source: look, since: last}
  young: {source: look, since: first}
  seen: {source: look, count: true, window: 2h}
  helped: {source: look, count: true, where: page == 'help', window: 1d}
  days: {source: look, days: true, window: 30d}
  paid: {source: pay, count: true, window: 6h}
tags:
  life: {levels: {active: idle < 12h, cooling: idle < 2d, dormant: otherwise}}
  busy: {when: seen >= 2}
  lost: {when: helped >= 2}
  loyal: {when: days >= 3}
  old: {when: young >= 3d}
  buyer: {when: paid >= 1}
segments:
  lively: {when: busy and life == 'active'}
""")
OF_LOOK: Final = ("busy", "lost", "loyal", "old", "lively")


class Stalled(msgspec.Struct, frozen=True):
    """Records in the order of their times, the moments between which the looks do not come, and the end."""

    records: list[Record]
    times: list[int]
    begins: int
    ends: int
    until: int

    def steps(self) -> list[Step]:
        """What happens: the looks of the stall come behind it, in their order."""
        timed = list(zip(self.times, self.records, strict=True))
        before = [one for at, one in timed if at < self.begins]
        during = [(at, one) for at, one in timed if self.begins <= at < self.ends]
        paid = [one for _, one in during if one.source == "pay"]
        backlog = [one for _, one in during if one.source == "look"]
        after = [one for at, one in timed if at >= self.ends]
        frozen: list[Step] = [*before, Freeze("look", self.begins), *paid, Pass(self.ends), *backlog, Thaw("look")]
        return [*frozen, *after, Pass(self.until)]


@st.composite
def stalled(draw: DrawFn) -> Stalled:
    """Some days of one customer who looks every few hours and of two who come and go, with a stall among them."""
    until = START + draw(st.integers(2, 6)) * DAY
    clock, moments = START + 1, [(START, "steady", "look")]
    while clock < until:
        moments.append((clock, "steady", draw(st.sampled_from(("look", "look", "look", "pay")))))
        clock += draw(st.sampled_from((1, 10 * MINUTE, HOUR, 3 * HOUR, 5 * HOUR)))
    for customer in ("b", "c"):
        for _ in range(draw(st.integers(0, 8))):
            at = (
                START + draw(st.integers(0, (until - START) // HOUR - 1)) * HOUR + draw(st.sampled_from((0, 1, MINUTE)))
            )
            moments.append((at, customer, draw(st.sampled_from(("look", "pay")))))
    records, times = list[Record](), list[int]()
    for number, (at, customer, source) in enumerate(sorted(moments)):
        rest = {"page": draw(st.sampled_from(("home", "help")))} if source == "look" else {"amount": 1}
        value = {"customer": customer, "at": at, "id": f"n{number}"} | rest
        records.append(Record(source, msgspec.json.encode(value)))
        times.append(at)
    begins = draw(st.sampled_from(times)) + draw(st.sampled_from((1, HOUR)))
    ends = min(until, begins + draw(st.sampled_from((5 * HOUR, DAY, 3 * DAY))))
    return Stalled(records, times, begins, ends, until + draw(st.sampled_from((0, 40 * DAY))))


def within(part: list[Change], whole: list[Change]) -> bool:
    """Whether these changes, by their values, come in that order among the others."""
    turns = iter([(one.old, one.new) for one in whole])
    return all((one.old, one.new) in turns for one in part)


def only_what_waited_is_later(case: Stalled, calm: list[Change], stall: list[Change]) -> None:
    """Of who did nothing since the stall began: what looks bring waits, and happens when it is due all the same.

    But where a payment's time ran out meanwhile the row is further on, and its time never goes back: what was due
    before happens at that moment.
    """
    begins, ends = iso(case.begins), iso(case.ends)
    row_at = max((one.at for one in calm if one.name == "buyer" and begins < one.at <= ends), default="")
    if not row_at:
        assert stall == calm
    assert [one.at for one in stall] == sorted(one.at for one in stall)
    for name in (*OF_LOOK, "life", "buyer"):
        ours, theirs = ([one for one in some if one.name == name] for some in (stall, calm))
        for found, expected in zip(ours, theirs, strict=True):
            if name == "buyer" or expected.at <= begins or expected.at >= row_at:
                assert found == expected
            else:
                wanted = (expected.old, expected.new, row_at, Cause.TIME)
                assert (found.old, found.new, found.at, found.cause) == wanted


def a_payment_runs_out_in_the_stall() -> Stalled:
    """Two looks and a payment, which counts for four hours longer; what the looks bring in between waits for a day."""
    sent: list[tuple[str, dict[str, str | int]]]
    sent = [("look", {"page": "home"}), ("look", {"page": "home"}), ("pay", {"amount": 1})]
    common = {"customer": "b", "at": START}
    records = [
        Record(source, msgspec.json.encode(common | {"id": f"n{number}"} | rest))
        for number, (source, rest) in enumerate(sent)
    ]
    return Stalled(records, [START] * len(sent), START + 1, START + DAY, START + 2 * DAY)


@given(stalled())
@example(a_payment_runs_out_in_the_stall())
@settings(max_examples=2 * settings().max_examples)
def test_p5_a_stall_leaves_no_trace_and_makes_no_false_changes(case: Stalled) -> None:
    calm, stall = (Engine(SILENT, 1, 2) for _ in range(2))
    calm.take([*case.records, Pass(case.until)], ALL)
    stall.take(case.steps(), ALL)
    ends = [{one.customer_id: one for page in run.run.customers() for one in page} for run in (calm, stall)]
    for customer, expected in ends[0].items():
        found = ends[1][customer]
        assert (found.tags, found.segments.keys(), found.status) == (expected.tags, expected.segments.keys(), {})
        mine = [[one for one in run.changes if one.customer_id == customer] for run in (calm, stall)]
        lives = [[one.new for one in some if one.name == "life"] for some in mine]
        if lives[0] in (["active"], ["active", "cooling", "dormant"]) and customer == "steady":
            assert lives[1] == lives[0]
            for name in OF_LOOK:
                calm_ones, stall_ones = ([one for one in some if one.name == name] for some in mine)
                assert within(stall_ones, calm_ones), name
        if not any(at >= case.begins and f'"{customer}"'.encode() in (one.value or b"")
                   for at, one in zip(case.times, case.records, strict=True)):  # fmt: skip
            only_what_waited_is_later(case, *mine)
