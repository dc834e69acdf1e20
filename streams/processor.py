"""One partition: records in, changes out. Decodes, merges, runs the kernel, and says what it said.

Everything of a partition is here and nothing else is: `streams.app` feeds it from topics, `streams.replay` from files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.learning import ModelSnapshot
from schemas.lifetime import Fit
from schemas.sources import MISSING, Bad, Incoming, Reason
from streams.asking import Asker
from streams.columns import columns_of
from streams.engine import clock, codec, kernel
from streams.engine.apply import Batch
from streams.engine.evaluate import desk
from streams.engine.kernel import Status, Verdict
from streams.engine.plan import Plan
from streams.engine.tables import no_models
from streams.intake import Intake
from streams.lookups import Lookups
from streams.measures import Made, Part
from streams.merge import Merge, Piece, as_given
from streams.model_follower import take_in
from streams.output import Output, Rescored
from streams.residence import Cold
from streams.say import Anchoring

JSON = dict[str, Any]
_TOO_MUCH = Bad(0, Reason.OVERFLOW, "", "sums below 2^55 minor units")
_CHANGES, _TIMERS, _NOTED = 16_384, 10_000, 4_096
_ENDLESS = 2**62


class Partition(Lookups):
    """One partition of one catalogue's job.

    It belongs to one thread; what `Lookups` has may be asked from another one meanwhile.

    Parameters
    ----------
    partition, partitions
        Its number and how many there are; with `keyed` records must bear their customer as key and belong here.
    cold
        Where rows are that are not in memory; None: all are in memory.
    """

    def __init__(
        self, plan: Plan, partition: int = 0, partitions: int = 1, keyed: bool = True, cold: Cold | None = None
    ) -> None:
        super().__init__(plan, cold)
        catalogue = plan.catalogue
        self.partition, self.partitions, self.keyed = partition, partitions, keyed
        self._numbers = {source.name: number for number, source in enumerate(catalogue.sources)}
        # A record without an id is named by its hash, which says so itself.
        self._prefixes = [f"{source.name}:" if source.id else source.name for source in catalogue.sources]
        self._intake = Intake(plan, partition, partitions, keyed, self.arena.slots)
        self.asker = Asker(plan, self.arena, self._still)
        self._merge = Merge(len(catalogue.sources))
        self._positions: dict[str, int] = {}
        self._pushed: dict[int, int] = {}
        self._newest = [MISSING] * len(catalogue.sources)
        self._advanced_ms, self._due_ms, self._passed_ms = MISSING, MISSING, MISSING
        self._candidate = ""
        self._empty_codes = plan.rows.empty[plan.tables.rules["said"] + 1] >> 4
        self.merger: Callable[[list[Part]], list[Made]] | None = None  # where all customers are here
        self._refits = False
        self._models = no_models(plan.tables)
        self.models: dict[str, ModelSnapshot] = {}
        names = len(plan.tables.features) + len(catalogue.tags)
        space = desk(plan.tables, names, self._models, self._still.freeze, self.census.cuts)
        self._out = kernel.room_for(plan.tables, plan.columns, _CHANGES, _NOTED, space)

    def push(self, source: str, records: Sequence[Incoming]) -> None:
        """Decode a source's next records, in offset order, and queue them; bad ones come out in their turn."""
        number = self._numbers[source]
        if records:
            self._pushed[number] = records[-1].offset + 1
        fresh = self._intake.fresh(number, records)
        self._merge.push(number, self._intake.decode(number, fresh), fresh)

    def ended(self, source: str, at_end: bool) -> None:
        """Whether a source has been read to its end; otherwise the others wait for it when it has nothing queued."""
        self._merge.ended(self._numbers[source], at_end)

    def queued(self, source: str) -> int:
        """Records of a source that are pushed and not yet applied or set aside."""
        return self._merge.queued(self._numbers[source]) + self._intake.waiting(self._numbers[source])

    def head(self) -> int | None:
        """Time of the next record to apply; None where it is not known yet."""
        return self._merge.head()

    def run(self, limit: int = 10_000, before: int | None = None, timers: int | None = None) -> Output:
        """Merge and apply up to `limit` records of times below `before`, then fire timers that are due.

        Parameters
        ----------
        timers
            How many may fire; None: all. Those of a customer that are left fire before its next record, so that
            nobody can tell.
        """
        limit = limit if self.residence is None else min(limit, self.residence.step)
        piece, output = self._merge.take(limit, before), Output.empty()
        if piece is not None and len(piece.order):
            with self._lock:
                output.join(self._apply(piece, timers))
            # Below the limit what is left waits for other records, and nothing more can be taken.
            output.more = len(piece.order) >= limit or before is not None or self.overdue
        elif self.overdue:
            with self._lock:
                self._fire(self._due_ms, output, lambda _: [], timers)
            output.more = True
        self._settle(output)
        return output

    def _settle(self, output: Output) -> None:
        """Move each source's position to its next record, and let out what was set aside before that."""
        for name, number in self._numbers.items():
            upcoming = self._merge.next_offset(number)
            if number in self._pushed:
                self._positions[name] = self._pushed[number] if upcoming is None else upcoming
        output.dead += self._intake.take_dead(self._positions)
        output.duplicates += self._intake.take_repeated()

    def feed(self, records: Iterable[tuple[str, Incoming]], timers: int | None = None) -> Output:
        """Apply records in the order given, whatever their times; `timers` as in `run`."""
        piece = as_given([(self._numbers[source], record) for source, record in records], self._intake.decode)
        output = Output.empty()
        output.dead = self._intake.take_dead()
        if piece is not None:
            output.join(self._apply(piece, timers))
        return output

    def _apply(self, piece: Piece, timers: int | None) -> Output:
        batch, output = self._batch(piece), Output.empty()
        count = len(batch.slot)
        if self.residence is not None:
            self.residence.begin(batch.slot)
        verdict = Verdict(np.zeros(count, dtype=np.int8), np.zeros(count, dtype=np.int64))
        prefixes = [self._prefixes[number] for number in piece.numbers]
        ids = [run.decoded.ids for run in piece.runs]

        def anchors(records: NDArray[np.int64]) -> list[str]:
            pairs = zip(piece.order[records].tolist(), piece.places[records].tolist(), strict=True)
            return [prefixes[run] + ids[run][place] for run, place in pairs]

        start = 0
        while start < count:
            start = kernel.apply_batch(
                self._still.tables, self.arena.state, batch, verdict, start, self.plan.skew_ms, self._due_ms, self._out
            )
            if start < count:
                self._drain(output, anchors)
                self._count(self.watermark, output, anchors)
        self._count(self.watermark, output, anchors)
        mark = int(clock.watermark(self.arena.state.clock, self.plan.skew_ms))
        self._fire(max(mark, self._due_ms), output, anchors, timers)
        self._account(piece, verdict, output)
        if self.residence is not None:
            self.residence.end()
        return output

    def _batch(self, piece: Piece) -> Batch:
        """The merged records as columns, every customer with a slot."""
        return columns_of(piece, self.plan.columns, self._give_slots)

    def _give_slots(self, customers: list[str]) -> NDArray[np.int64]:
        first = len(self.arena)
        slots, slot = self.arena.slots, self.arena.slot
        given = np.array([slots[c] if c in slots else slot(c) for c in customers], dtype=np.int64)
        self.arena.index()
        self.arena.count_new(first, self._empty_codes)
        return given

    def _account(self, piece: Piece, verdict: Verdict, output: Output) -> None:
        """Count what became of the records, set aside the late ones, move the positions."""
        status = verdict.status
        output.applied = int(np.count_nonzero(status == Status.APPLIED))
        output.duplicates = int(np.count_nonzero(status == Status.DUPLICATE))
        output.superseded = int(np.count_nonzero((status == Status.SUPERSEDED) | (status == Status.IGNORED)))
        for i in np.flatnonzero((status == Status.LATE) | (status == Status.OVERFLOW)):
            run = piece.runs[piece.order[i]]
            place = piece.places[i]
            source = self.plan.catalogue.sources[piece.numbers[piece.order[i]]]
            record = run.records[int(run.decoded.index[place])]
            if status[i] == Status.OVERFLOW:
                output.dead.append(self._intake.dead(source, record, _TOO_MUCH))
            else:
                who, time = run.decoded.customers[place], int(run.decoded.times[place])
                output.late.append(self._intake.late(source, record, who, time, int(verdict.newest[i])))
        for number, run in enumerate(piece.runs):
            mine = piece.order == number
            places = piece.places[mine]
            if len(places):
                applied = run.decoded.times[places][status[mine] == Status.APPLIED]
                self._reached(piece.numbers[number], int(applied.max(initial=MISSING)))

    def _reached(self, number: int, newest: int) -> None:
        self._newest[number] = max(self._newest[number], newest)

    def newest(self, source: str) -> int | None:
        """Newest event time of a source that was applied; None before the first."""
        found = self._newest[self._numbers[source]]
        return None if found == MISSING else found

    def _drain(self, output: Output, anchors: Anchoring) -> None:
        changes = self.sayer.drain(self._out, anchors)
        if changes is not None:
            output.written.append(changes)
        self.asker.drain(self._out.notes, output)

    def _fire(self, limit: int, output: Output, anchors: Anchoring, most: int | None = None) -> None:
        """Let everything happen that is due at or before `limit`, or the first `most` of it."""
        found, left, due = kernel.MORE, _ENDLESS if most is None else most, self.arena.state.due
        while found != kernel.FIRED and left > 0:
            before = int(due.size[1])
            found = kernel.fire_due(self._still.tables, self.arena.state, self._out, limit, min(left, _TIMERS))
            if found == kernel.AWAY and self.residence is not None:
                self.residence.bring_due(limit)
            left -= int(due.size[1]) - before if found == kernel.AWAY else _TIMERS
            self._drain(output, anchors)
        self._drain(output, anchors)  # what records made, where no timer may fire
        later = self._due_ms if self._due_ms > limit else MISSING
        self._due_ms = later if found == kernel.FIRED else limit
        self._take_stock()
        self.asker.advance(limit, output)

    @property
    def overdue(self) -> bool:
        """Whether timers are left that were to fire; `run` goes on with them."""
        return self._due_ms != MISSING

    def advance(self, to_ms: int, timers: int | None = None) -> Output:
        """Let time pass: timers due at or before `to_ms` fire, up to so many at once; `run` goes on with the rest."""
        output = Output.empty()
        self._advanced_ms = max(self._advanced_ms, to_ms)
        with self._lock:
            self._count(to_ms, output, lambda _: [])
            self._fire(max(to_ms, self._due_ms), output, lambda _: [], timers)
        return output

    def _count(self, reached_ms: int | None, output: Output, anchors: Anchoring) -> None:
        """Count the customers where a refresh of quantile tags is due."""
        for refresh in self.census.due(reached_ms):
            self._fire(refresh.at_ms, output, anchors)
            for found in self.census.counted(refresh, self.partition, self.partitions, self._still.since):
                output.populations += found
                for points in [] if self.merger is None else self.merger(found):
                    if self.adopt_cuts(points):
                        self._recut(0, len(self.arena), f"{points.name}/{points.version}", refresh.at_ms, output)

    def adopt_cuts(self, points: Made) -> bool:
        """Measure by these; whether all customers are to be brought up to them (`recut`) before others."""
        if not self.census.adopt(points):
            return False
        self._refits = isinstance(points, Fit)
        self.sayer.measured(points)
        return True

    def recut(self, first: int, anchor: str, most: int = _TIMERS) -> Rescored:
        """Bring the next customers up to the cut-points in force; `anchor` as of `rescore`."""
        output, end = Output.empty(), min(first + most, len(self.arena))
        with self._lock:
            self._recut(first, end, anchor, self.census.reached_ms, output)
        return Rescored(output, end, end < len(self.arena))

    def _recut(self, first: int, end: int, anchor: str, floor: int, output: Output) -> None:
        while first < end:
            stop = self._bring_next(first, end)
            first = kernel.recut(self._still.tables, self.arena.state, self._out, first, stop, floor, self._refits)
            self._drain(output, lambda _: [anchor])
        if end >= len(self.arena):
            self.census.settle()

    def adopt(self, snapshot: ModelSnapshot) -> bool:
        """Score with this model from now on, where it is another one that may be shown; whether it is.

        `rescore` then brings the customers up to it.
        """
        if not take_in(self.plan, self._models, self.models, snapshot):
            return False
        self.sayer.ready(snapshot.target)
        return True

    def withdraw(self, target: str) -> None:
        """Score a target no more; what its tags say they keep saying, as `warming`."""
        if self.models.pop(target, None) is not None:
            names = [one.name for one in self.plan.catalogue.targets]
            self._models.ready[names.index(target)] = False
            self.sayer.ready(target, False)

    def rescore(self, first: int, anchor: str, most: int = _TIMERS) -> Rescored:
        """Decide the scores of the next customers anew; `anchor` is what brought the model, for the changes' ids.

        They are decided as of the time that has passed, by records or by a clock; what is due until then comes before.
        """
        output, end = Output.empty(), min(first + most, len(self.arena))
        floor = max(int(clock.watermark(self.arena.state.clock, self.plan.skew_ms)), self._advanced_ms)
        with self._lock:
            self._fire(floor, output, lambda _: [])
            while first < end:
                stop = self._bring_next(first, end)
                first = kernel.rescore(self._still.tables, self.arena.state, self._out, first, stop, floor)
                self._drain(output, lambda _: [anchor])
        return Rescored(output, first, first < len(self.arena))

    def wake(self, most: int = _TIMERS) -> Output:
        """Bring the next customers up to the sources that flow again; there may be more then (`sleeps`)."""
        output, first, still = Output.empty(), self._still.asleep, self._still
        if first is not None:
            end = min(first + most, len(self.arena))
            with self._lock:
                while first < end:
                    stop = self._bring_next(first, end)
                    first = kernel.wake(still.tables, self.arena.state, self._out, first, stop, still.said_since)
                    self._drain(output, lambda _: [])
                still.woken(first, len(self.arena))
                reached = int(clock.watermark(self.arena.state.clock, self.plan.skew_ms))
                self._fire(max(reached, self._due_ms), output, lambda _: [], most)
        return output

    def positions(self) -> dict[str, int]:
        """Per source the offset after the last record that was applied or set aside."""
        return dict(self._positions)

    def clock_state(self) -> JSON:
        """How far time and each source's merging are, and what else goes with the rows, for the marker."""
        confirmed, candidate, slot = (int(value) for value in self.arena.state.clock)
        customer = self.arena.customers[slot] if slot >= 0 else self._candidate
        return {
            "confirmed": confirmed,
            "candidate": candidate,
            "customer": customer,
            "taken": list(self._merge.taken),
            "newest": list(self._newest),
            "said": self.arena.said_in_store(self._empty_codes).tolist(),
            "behind": bool(self._still.freeze.on[0]),
            "origins": self._intake.state(self._positions),
            "passed": self._all_passed(),
            **self.census.kept(),
        }

    def _all_passed(self) -> int:
        """The moment up to which every timer has fired; MISSING where some wait."""
        mark = int(clock.watermark(self.arena.state.clock, self.plan.skew_ms))
        return MISSING if self.overdue or self.sleeps or self.frozen else max(mark, self._advanced_ms)

    def restore_cuts(self, clock_state: JSON) -> None:
        """Go on with the cut-points of a marker; before its rows are loaded."""
        self._passed_ms = clock_state.get("passed", MISSING)
        self.census.restore(clock_state)
        for points in self.census.in_force():
            self.sayer.measured(points)

    def restore(self, positions: dict[str, int], clock_state: JSON) -> None:
        """Go on from a marker; the rows are loaded already."""
        self._positions = dict(positions)
        slot = self.arena.slots.get(clock_state["customer"], -1)
        self.arena.state.clock[:] = (clock_state["confirmed"], clock_state["candidate"], slot)
        self._candidate = clock_state["customer"]
        self._merge.go_on(clock_state.get("taken", self._merge.taken))
        self._intake.restore(clock_state.get("origins", {}))
        if self.residence is not None:
            self._newest, self.arena.state.said[:] = list(clock_state["newest"]), clock_state["said"]
            if clock_state["behind"]:
                self._still.sleep()
        self.census.due(self.watermark)

    def load(self, customers: list[bytes], rows: list[bytes]) -> None:
        """Take rows that were written by `take_dirty`; each customer once.

        Where not all rows are in memory, only what is written before them is taken: the rest of a row may be cut off,
        and counts come with the marker.

        Raises
        ------
        CorruptRow
            Where the bytes are no row of this catalogue.
        """
        slots = self.arena.add(customers)
        self.arena.stored[slots] = True
        if self.residence is not None:
            self.residence.know(slots, rows, self._passed_ms)
        elif len(slots):
            self.arena.index()
            first, state = int(slots[0]), self.arena.state
            codec.decode(rows, state.rows, slots, self.plan.rows.empty, self.arena.heads.width)
            self._still.loaded(state.rows[slots])
            kernel.set_due_of(self._still.tables, state, first, len(self.arena), self._passed_ms, self._out)
            for name, column in self.plan.rows.newest.items():
                self._reached(self._numbers[name], int(state.rows[slots, column].max()))
