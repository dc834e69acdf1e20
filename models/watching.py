"""Drift: what is asked, and what comes of it, as means of days that are watched for a change of level.

A feature and the share of its missing values are watched as questions are asked; base rate and log loss as answers are
settled. What is told has to be sure (`models.adwin`) and to matter: a change by less than a quarter of the spread that
a feature has among customers, or of a base rate by less than a fifth, moves the window's beginning without a word.

Where records begin to flow, all windows begin empty, and while they fill nothing can be compared: a feature is watched
from the day on which its own is full, at the earliest when a first horizon is over. One that has no window and grows
with time always drifts: of such a feature only sudden changes are told, by more than `SUDDEN` standard deviations
among days.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
import numpy as np

from models.adwin import LONGEST, cut
from models.entries import Touched
from models.state import BlockState, SeriesState, WatchState
from models.transform import Transform
from schemas.durations import DAY
from schemas.model_reports import Series

PREFIX: Final = b"watch/"
LEAST: Final = 20
"""A day with fewer examples is joined with the next."""
MATTERS: Final = 0.25  # standard deviations of a feature among customers
MATTERS_MISSING: Final = 0.05
SUDDEN: Final = 8.0
MATTERS_RATE: Final = 1.2
MATTERS_LOSS: Final = 1.15


class Found(msgspec.Struct, frozen=True):
    """A change of level.

    Attributes
    ----------
    began
        First moment of the new level's first day, UTC ms.
    before, after, spreads
        As in `adwin.Cut`; `before` is the level that was last told, or the first.
    variance
        Among the examples since `began`.
    examples
        How many there were since.
    """

    series: Series
    feature: str
    began: int
    before: float
    after: float
    spreads: float
    variance: float
    examples: int


class Block:
    """The examples of a day, or of as many days as it takes to have enough; a number each, NaN where there is none."""

    def __init__(self, width: int) -> None:
        self.state = BlockState(counts=[0] * width, sums=[0.0] * width, squares=[0.0] * width)

    def add(self, values: Sequence[float]) -> None:
        """Take an example in."""
        state = self.state
        state.examples += 1
        for place, value in enumerate(values):
            if value == value:
                state.counts[place] += 1
                state.sums[place] += value
                state.squares[place] += value * value

    def ends(self, day: int) -> bool:
        """Whether an example of that day begins another block."""
        return self.state.examples >= LEAST and day > self.state.day


class Watch:
    """What is watched of a target.

    Parameters
    ----------
    transforms
        Of the target's features, in its order.
    least_ms
        How long records have to flow until any feature is watched.
    offset_ms
        What the local day is ahead of UTC.
    """

    def __init__(self, transforms: tuple[Transform, ...], least_ms: int = 0, offset_ms: int = 0) -> None:
        features = tuple(one.feature for one in transforms)
        self._features, self._offset_ms = features, offset_ms
        self._fills = {one.feature: max(one.fills_ms or 0, least_ms) for one in transforms}
        self._growing = frozenset(one.feature for one in transforms if one.fills_ms is None)
        self._asked, self._settled = Block(len(features)), Block(2)
        self._series: dict[str, SeriesState] = {}
        self._touched: Touched[str] = Touched()

    def asked(self, inputs: Sequence[float], at_ms: int) -> list[Found]:
        """Take a question's inputs in (transformed, NaN is missing); what was found by the days that are over."""
        found, day = list[Found](), (at_ms + self._offset_ms) // DAY
        if self._asked.ends(day):
            found = [one for place in range(len(self._features)) for one in self._close_feature(place)]
            self._asked = Block(len(self._features))
        if not self._asked.state.examples:
            self._asked.state.day = day
        self._asked.add(inputs)
        return found

    def settled(self, label: bool, loss: float, at_ms: int) -> list[Found]:
        """Take an answer in, with the log loss of what was foretold (nats), when it settled."""
        found, day = list[Found](), (at_ms + self._offset_ms) // DAY
        if self._settled.ends(day):
            state = self._settled.state
            for place, series in enumerate((Series.BASE_RATE, Series.LOG_LOSS)):
                found += self._append(series, "", state, state.examples, state.sums[place], state.squares[place])
            self._settled = Block(2)
        if not self._settled.state.examples:
            self._settled.state.day = day
        self._settled.add((float(label), loss))
        return found

    def _close_feature(self, place: int) -> Iterable[Found]:
        state, feature = self._asked.state, self._features[place]
        if not self._is_full(place):
            return
        count, missing = state.counts[place], float(state.examples - state.counts[place])
        if count >= LEAST:
            yield from self._append(Series.MEAN, feature, state, count, state.sums[place], state.squares[place])
        yield from self._append(Series.MISSING, feature, state, state.examples, missing, missing)

    def _is_full(self, place: int) -> bool:
        """Whether records have flowed for so long that a feature's window is full; from when it first tells a customer
        from another, as not all sources begin on the same day.
        """
        state, feature = self._asked.state, self._features[place]
        name = _name(Series.MEAN, feature)
        kept = self._series.setdefault(name, SeriesState())
        if kept.flows is None:
            count, total, squares = state.counts[place], state.sums[place], state.squares[place]
            if kept.days:
                kept.flows = kept.days[0] - self._fills[feature] // DAY  # a state from before this was known
            elif count and squares * count - total * total > 1e-9 * squares * count:
                kept.flows = state.day
                self._touched.changed(name)
        return kept.flows is not None and (state.day - kept.flows) * DAY >= self._fills[feature]

    def _append(
        self, series: Series, feature: str, block: BlockState, count: int, total: float, squares: float
    ) -> Iterable[Found]:
        """Add a block to a series, and look at it."""
        name = _name(series, feature)
        kept = self._series.setdefault(name, SeriesState())
        self._touched.changed(name)
        kept.days.append(block.day)
        kept.counts.append(count)
        kept.means.append(total / count)
        kept.squares.append(squares / count)
        kept.drop(len(kept.days) - LONGEST)
        return self._look(series, feature, kept)

    def _look(self, series: Series, feature: str, kept: SeriesState) -> Iterable[Found]:
        where = cut(np.array(kept.means))
        if where is None:
            return
        before = where.before if kept.reference is None else kept.reference
        kept.drop(where.place)
        variance = max(kept.mean_of(kept.squares) - kept.mean_of(kept.means) ** 2, 0.0)
        told = where.spreads >= SUDDEN or series is not Series.MEAN or feature not in self._growing
        kept.reference = before if told else where.after
        if told and _matters(series, before, where.after, math.sqrt(variance)):
            kept.reference, kept.changed = where.after, kept.days[0]
            began = kept.days[0] * DAY - self._offset_ms
            examples = sum(kept.counts)
            yield Found(series, feature, began, before, where.after, where.spreads, variance, examples)

    # ------------------------------------------------------------------------------------------------ to be seen

    def levels(self) -> list[tuple[Series, str, SeriesState]]:
        """Every series: base rate and log loss, then each feature with its missing values."""
        keys = [(Series.BASE_RATE, ""), (Series.LOG_LOSS, "")]
        keys += [(series, feature) for feature in self._features for series in (Series.MEAN, Series.MISSING)]
        return [(*key, self._series.get(_name(*key), SeriesState())) for key in keys]

    # ------------------------------------------------------------------------------------------------ state

    def state(self) -> WatchState:
        """What it knows of the days that are not over."""
        return WatchState(self._asked.state, self._settled.state)

    def take_entries(self) -> list[tuple[bytes, bytes | None]]:
        """The series that have changed since the last call."""
        return [(PREFIX + name.encode(), msgspec.json.encode(self._series[name])) for name in self._touched.take()]

    def load(self, state: WatchState, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Go on from a state and a table's series."""
        self._asked.state, self._settled.state = state.asked, state.settled
        for key, value in entries:
            self._series[key.removeprefix(PREFIX).decode()] = msgspec.json.decode(value, type=SeriesState)


def _name(series: Series, feature: str) -> str:
    return f"{series.value}/{feature}"


def _matters(series: Series, before: float, after: float, spread: float) -> bool:
    """Whether somebody should hear of it."""
    match series:
        case Series.MEAN:
            return abs(after - before) >= MATTERS * spread
        case Series.MISSING:
            return abs(after - before) >= MATTERS_MISSING
        case _:
            least = MATTERS_RATE if series is Series.BASE_RATE else MATTERS_LOSS
            return max(after, before) >= least * min(after, before)
