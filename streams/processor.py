"""One partition: records in, changes out. Decodes, merges, runs the kernel, and says what it said.

Everything of a partition is here and nothing else is: `streams.app` feeds it from topics, `streams.replay` from files.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.learning import ModelSnapshot
from schemas.records import CustomerTags
from schemas.sources import MISSING, Bad, Incoming, Reason
from streams.arena import Arena
from streams.asking import Asker
from streams.engine import codec, kernel, scoring
from streams.engine.apply import Batch, Scratch
from streams.engine.evaluate import desk
from streams.engine.explain import Explanation, explain
from streams.engine.kernel import Out, Status, Verdict
from streams.engine.layout import NOW
from streams.engine.machine import SPARE
from streams.engine.plan import Plan
from streams.engine.tables import no_models
from streams.intake import Intake
from streams.merge import Merge, Piece, Run
from streams.output import Dirty, Output, Overview, Rescored
from streams.say import Anchoring, Sayer
from streams.written import Customers

JSON = dict[str, Any]
_TOO_MUCH = Bad(0, Reason.OVERFLOW, "", "sums below 2^55 minor units")
_CHANGES, _TIMERS, _AT_ONCE, _NOTED = 16_384, 10_000, 1_000, 4_096


class Partition:
    """One partition of one catalogue's job.

    It belongs to one thread; `customer_tags` and `explain` may be asked from another one meanwhile.

    Parameters
    ----------
    partition, partitions
        Its number and how many there are; with `keyed` records must bear their customer as key and belong here.
    """

    def __init__(self, plan: Plan, partition: int = 0, partitions: int = 1, keyed: bool = True) -> None:
        catalogue = plan.catalogue
        self.plan, self.partition, self.partitions, self.keyed = plan, partition, partitions, keyed
        self._lock = threading.Lock()
        self.arena = Arena(plan)
        self.sayer = Sayer(plan, self.arena)
        self._numbers = {source.name: number for number, source in enumerate(catalogue.sources)}
        # A record without an id is named by its hash, which says so itself.
        self._prefixes = [f"{source.name}:" if source.id else source.name for source in catalogue.sources]
        self._intake = Intake(plan, partition, partitions, keyed, self.arena.slots)
        self.asker = Asker(plan, self.arena)
        self._merge = Merge(len(catalogue.sources))
        self._positions: dict[str, int] = {}
        self._pushed: dict[int, int] = {}
        self._heads: dict[str, int] = {}
        self._newest = [MISSING] * len(catalogue.sources)
        self._candidate = ""
        self._profiles = np.array([plan.rows.newest[s.name] for s in catalogue.sources if s.profile], dtype=np.int64)
        self._empty_codes = plan.rows.empty[plan.tables.rules["said"] + 1] >> 4
        self._models = no_models(plan.tables)
        self.models: dict[str, ModelSnapshot] = {}
        self._out = self._make_out()

    def _make_out(self) -> Out:
        tables = self.plan.tables
        names = len(tables.features) + len(self.plan.catalogue.tags)
        return Out(
            changes=np.zeros(_CHANGES + len(tables.rules), dtype=kernel.CHANGE),
            because=np.zeros(_CHANGES * 4 + len(tables.because)),
            used=np.zeros(2, dtype=np.int64),
            desk=desk(tables, names, self._models),
            notes=scoring.notes(tables, _NOTED),
            scratch=Scratch(
                np.full(self.plan.columns + SPARE, np.nan), np.zeros(len(tables.wheres) + 1, dtype=np.bool_)
            ),
        )

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

    def run(self, limit: int = 10_000, before: int | None = None) -> Output:
        """Merge and apply up to `limit` records of times below `before`, then fire the timers that are due."""
        piece = self._merge.take(limit, before)
        output = Output.empty()
        if piece is not None and len(piece.order):
            with self._lock:
                output.join(self._apply(piece))
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

    def feed(self, records: Iterable[tuple[str, Incoming]]) -> Output:
        """Apply records in the order given, whatever their times: for replays in arrival order."""
        given: list[list[Incoming]] = [[] for _ in self._numbers]
        order: list[tuple[int, int]] = []
        for source, record in records:
            number = self._numbers[source]
            order.append((number, len(given[number])))
            given[number].append(record)
        runs: dict[int, Run] = {}
        places: list[dict[int, int]] = [{} for _ in given]
        for number, some in enumerate(given):
            if some:
                decoded = self._intake.decode(number, some)
                runs[number] = Run(decoded, some, decoded.times)
                places[number] = {int(index): place for place, index in enumerate(decoded.index)}
        numbers = {number: i for i, number in enumerate(runs)}
        good = [(numbers[n], places[n][i]) for n, i in order if i in places[n]]
        output = Output([], self._intake.take_dead(), [], [])
        if good:
            both = np.array(good, dtype=np.int64)
            output.join(self._apply(Piece(both[:, 0], both[:, 1], list(runs.values()), list(runs))))
        return output

    def _apply(self, piece: Piece) -> Output:
        batch, output = self._batch(piece), Output.empty()
        count = len(batch.slot)
        verdict = Verdict(np.zeros(count, dtype=np.int8), np.zeros(count, dtype=np.int64))
        prefixes = [self._prefixes[number] for number in piece.numbers]
        ids = [run.decoded.ids for run in piece.runs]

        def anchors(records: NDArray[np.int64]) -> list[str]:
            pairs = zip(piece.order[records].tolist(), piece.places[records].tolist(), strict=True)
            return [prefixes[run] + ids[run][place] for run, place in pairs]

        start = 0
        while start < count:
            start = kernel.apply_batch(
                self.plan.tables, self.arena.state, batch, verdict, start, self.plan.skew_ms, self._out
            )
            if start < count:
                self._drain(output, anchors)
        self._fire(int(kernel.watermark(self.arena.state.clock, self.plan.skew_ms)), output, anchors)
        self._account(piece, verdict, output)
        return output

    def _batch(self, piece: Piece) -> Batch:
        """The merged records as columns, every customer with a slot."""
        count = len(piece.order)
        batch = Batch(
            source=np.array(piece.numbers, dtype=np.int64)[piece.order],
            slot=np.empty(count, dtype=np.int64),
            time=np.empty(count, dtype=np.int64),
            id=np.empty(count, dtype=np.int64),
            removed=np.zeros(count, dtype=np.bool_),
            values=np.full((count, self.plan.columns), MISSING, dtype=np.int64),
            reals=np.empty((0, self.plan.columns)),
        )
        for i, run in enumerate(piece.runs):
            at = np.flatnonzero(piece.order == i)
            if not len(at):
                continue
            if run.slots is None:
                run.slots = self._give_slots(run.decoded.customers)
            places, decoded = piece.places[at], run.decoded
            batch.slot[at] = run.slots[places]
            batch.time[at], batch.id[at] = decoded.times[places], decoded.id_hashes[places]
            batch.removed[at] = decoded.removed[places]
            batch.values[at, : decoded.values.shape[1]] = decoded.values[places]
        return batch._replace(reals=batch.values.view(np.float64))

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
                self._heads[self.plan.catalogue.sources[piece.numbers[number]].name] = int(run.heads[places.max()])

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
        output.examples += self.asker.drain(self._out.notes)

    def _fire(self, limit: int, output: Output, anchors: Anchoring) -> None:
        """Let everything happen that is due at or before `limit`."""
        more = True
        while more:
            more = kernel.fire_due(self.plan.tables, self.arena.state, self._out, limit, _TIMERS)
            self._drain(output, anchors)
        output.examples += self.asker.advance(limit)

    def advance(self, to_ms: int) -> Output:
        """Let time pass: every timer due at or before `to_ms` fires."""
        output = Output.empty()
        with self._lock:
            self._fire(to_ms, output, lambda _: [])
        return output

    def adopt(self, snapshot: ModelSnapshot) -> bool:
        """Score with this model from now on, where it is another one that may be shown; whether it is.

        `rescore` then brings the customers up to it.
        """
        names = [target.name for target in self.plan.catalogue.targets]
        held = self.models.get(snapshot.target)
        if snapshot.target not in names or not snapshot.ready or held == snapshot:
            return False
        index = names.index(snapshot.target)
        target = self.plan.catalogue.targets[index]
        if tuple(snapshot.features) != target.features:
            return False
        first, end = self.plan.tables.targets[index][["inputs", "inputs_end"]].tolist()
        self._models.weights[first:end], self._models.means[first:end] = snapshot.weights, snapshot.means
        self._models.bias[index], self._models.ready[index] = snapshot.bias, True
        self.models[snapshot.target] = snapshot
        self.sayer.ready(snapshot.target)
        return True

    def withdraw(self, target: str) -> None:
        """Score a target no more; what its tags say they keep saying, as `warming`."""
        if self.models.pop(target, None) is not None:
            names = [one.name for one in self.plan.catalogue.targets]
            self._models.ready[names.index(target)] = False
            self.sayer.ready(target, False)

    def rescore(self, first: int, anchor: str, most: int = _TIMERS) -> Rescored:
        """Decide the scores of the next customers anew; `anchor` is what brought the model, for the changes' ids."""
        output, end, floor = Output.empty(), min(first + most, len(self.arena)), self.watermark
        with self._lock:
            while first < end:
                first = kernel.rescore(
                    self.plan.tables, self.arena.state, self._out, first, end, MISSING if floor is None else floor
                )
                self._drain(output, lambda _: [anchor])
        return Rescored(output, first, first < len(self.arena))

    @property
    def watermark(self) -> int | None:
        """The partition's watermark in ms, None before the first record."""
        found = int(kernel.watermark(self.arena.state.clock, self.plan.skew_ms))
        return None if found == MISSING else found

    def event_now(self) -> int:
        """The newest confirmed event time in ms; 0 before the first record."""
        found = self.watermark
        return 0 if found is None else found + self.plan.skew_ms

    def positions(self) -> dict[str, int]:
        """Per source the offset after the last record that was applied or set aside."""
        return dict(self._positions)

    def take_dirty(self) -> Dirty:
        """The rows written since the last call, encoded."""
        slots = self.arena.take_dirty()
        rows = codec.encode(self.arena.state.rows, slots, self.plan.rows.empty)
        return Dirty([self.arena.customers[slot].encode() for slot in slots], rows)

    def clock_state(self) -> JSON:
        """The watermark's state, how far each source's merging is, and what re-keyed records came, for the marker."""
        confirmed, candidate, slot = (int(value) for value in self.arena.state.clock)
        customer = self.arena.customers[slot] if slot >= 0 else self._candidate
        beside = {"heads": dict(self._heads), "origins": self._intake.state(self._positions)}
        return {"confirmed": confirmed, "candidate": candidate, "customer": customer} | beside

    def restore(self, positions: dict[str, int], clock_state: JSON) -> None:
        """Go on from a marker; the rows are loaded already."""
        self._positions = dict(positions)
        slot = self.arena.slots.get(clock_state["customer"], -1)
        self.arena.state.clock[:] = (clock_state["confirmed"], clock_state["candidate"], slot)
        self._candidate = clock_state["customer"]
        self._heads = dict(clock_state.get("heads", {}))
        for name, head in self._heads.items():
            self._merge.resume(self._numbers[name], head)
        self._intake.restore(clock_state.get("origins", {}))

    def load(self, customers: list[bytes], rows: list[bytes]) -> None:
        """Take rows that were written by `take_dirty`; each customer once.

        Raises
        ------
        CorruptRow
            Where the bytes are no row of this catalogue.
        """
        first = len(self.arena)
        slots = np.array([self.arena.slot(customer.decode()) for customer in customers], dtype=np.int64)
        self.arena.index()
        if len(slots):
            codec.decode(rows, self.arena.state.rows, slots, self.plan.rows.empty)
            kernel.set_due_of(self.plan.tables, self.arena.state, first, len(self.arena), self._out)
            for name, column in self.plan.rows.newest.items():
                self._reached(self._numbers[name], int(self.arena.state.rows[slots, column].max()))

    def customer_tags(self, customer: str) -> CustomerTags | None:
        """All that is said about a customer, at the row's now."""
        slot = self.arena.slots.get(customer)
        with self._lock:
            if slot is None or self.arena.state.rows[slot, NOW] == MISSING:
                return None
            return next(iter(self.sayer.customers(np.array([slot]))))

    def all_customer_tags(self) -> Iterator[Customers]:
        """All that is said about every customer, in the order in which they came."""
        return self._pages(np.flatnonzero(self.arena.state.rows[: len(self.arena), NOW] != MISSING))

    def take_published(self) -> Iterator[Customers]:
        """What to publish of every customer with a change since the last call."""
        return self._pages(self.arena.take_changed())

    def _pages(self, slots: NDArray[np.int64]) -> Iterator[Customers]:
        for first in range(0, len(slots), _AT_ONCE):
            with self._lock:
                page = self.sayer.customers(slots[first : first + _AT_ONCE])
            yield page

    def explain(self, customer: str) -> list[Explanation] | None:
        """Why the customer has every tag and segment; None for one that is not known."""
        slot = self.arena.slots.get(customer)
        if slot is None or self.arena.state.rows[slot, NOW] == MISSING:
            return None
        with self._lock:
            row = self.arena.state.rows[slot].copy()
        return explain(self.plan, row)

    def holds(self, name: str, customer: str) -> bool | None:
        """What a boolean tag, segment or stored feature says of a customer now; None where that is not known."""
        slot = self.arena.slots.get(customer)
        if slot is None or self.arena.state.rows[slot, NOW] == MISSING:
            return None
        return self.sayer.holds(name, self.arena.state.rows[slot])

    def profiled_at(self, customer: str) -> int:
        """Time of the customer's newest profile record; 0 where there is none."""
        slot = self.arena.slots.get(customer, -1)
        return max(0, int(self.arena.state.rows[slot, self._profiles].max(initial=0))) if slot >= 0 else 0

    def overview(self) -> Overview:
        """How many customers say what."""
        tags, segments = self.sayer.counts()
        return Overview(len(self.arena), tags, segments)
