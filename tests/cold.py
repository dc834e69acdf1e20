"""A partition with room for a few rows in memory: the others are written out and read back all the time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any
from unittest.mock import patch

from streams.engine.plan import Plan
from streams.output import Dirty
from streams.processor import Partition
from streams.residence import Cold


class Shelf:
    """Rows by customer, as a store has them."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}

    def put(self, dirty: Dirty) -> None:
        """Have these rows."""
        self.rows.update(zip(dirty.customers, dirty.rows, strict=True))

    def read(self, customers: Sequence[bytes]) -> list[bytes | None]:
        """The rows of those customers."""
        return [self.rows.get(customer) for customer in customers]


class Limited(Partition):
    """A partition that flushes when it likes: begun now, done before some later call.

    Who takes the dirty rows gets those too that went out before.
    """

    def __init__(self, plan: Plan, *given: Any, most: int, draw: Random, **named: Any) -> None:
        self.shelf, self._draw = Shelf(), draw
        self._behind, self._under_way = Shelf(), Dirty([], [])
        super().__init__(plan, *given, cold=Cold(self.shelf.read, most), **named)

    def load(self, customers: list[bytes], rows: list[bytes]) -> None:
        """Take heads only; the rows are on the shelf."""
        self.shelf.put(Dirty(customers, rows))
        super().load(customers, [row[: self.arena.heads.most_bytes] for row in rows])

    def take_dirty(self) -> Dirty:
        """All rows written since the last call."""
        self._land()
        self._begin()
        taken, self._behind = self._behind, Shelf()
        return Dirty(list(taken.rows), list(taken.rows.values()))

    def _begin(self) -> None:
        self._under_way = super().take_dirty()
        self._behind.put(self._under_way)

    def _land(self) -> None:
        self.shelf.put(self._under_way)
        self._under_way = Dirty([], [])
        self.written()

    def _sometimes(self) -> None:
        if self._draw.random() < 0.4:
            self._land()
        if not self._under_way.rows and self._draw.random() < 0.4:
            self._begin()


def _after(name: str) -> Callable[..., Any]:
    def call(self: Limited, *given: Any, **named: Any) -> Any:
        self._sometimes()
        return getattr(Partition, name)(self, *given, **named)

    return call


for _name in ("feed", "run", "advance", "wake", "rescore", "recut", "customer_tags", "explain"):
    setattr(Limited, _name, _after(_name))


@contextmanager
def limited(draw: Random) -> Iterator[None]:
    """Have partitions of replays and laws made with room for few rows."""

    def make(plan: Plan, *given: Any, **named: Any) -> Limited:
        return Limited(plan, *given, most=draw.choice((1, 1, 2, 5)), draw=draw, **named)

    with patch("streams.replay.Partition", make), patch("tests.laws.Partition", make):
        yield
