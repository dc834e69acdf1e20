"""How far a demo is: a bar and live counts on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from streams.demo.member import Reading
from streams.web import formats
from streams.web.view import SegmentView
from streams.web.words import Language, second_title, title_in

LARGEST: Final = 6
LINE_EVERY_S: Final = 5.0


class Gauge(Protocol):
    """Shows readings while its context lasts."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, reading: Reading) -> None:
        """Show what the worker says now."""


def gauge(console: Console, total: int) -> Gauge:
    """The gauge that suits the console."""
    return _Bar(console, total) if console.is_terminal else _Lines(console, total)


class _Bar:
    def __init__(self, console: Console, total: int) -> None:
        self._progress = Progress(
            TextColumn("[bold]{task.fields[event_time]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            console=console,
            expand=True,
        )
        self._task = self._progress.add_task("", total=total, event_time="starting")
        self._live = Live(self._progress, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, reading: Reading) -> None:
        """The bar at event time, and below it the counts."""
        summary = reading.summary
        self._progress.update(
            self._task,
            completed=reading.records,
            event_time=formats.day_and_time(summary.event_time, summary.timezone),
        )
        self._live.update(Group(self._progress, _counts(reading), _largest(reading)))


def _counts(reading: Reading) -> Table:
    summary = reading.summary
    grid = Table.grid(padding=(0, 3))
    grid.add_row(
        f"{formats.count(summary.events)} events",
        f"{formats.rate(summary.events_per_s)} events/s",
        f"{formats.count(summary.changes)} changes",
        f"{formats.count(summary.customers)} customers",
    )
    return grid


def _largest(reading: Reading) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(justify="right")
    grid.add_column()
    grid.add_column(style="dim")
    for segment in [s for s in largest(reading.segments) if s.customers][:LARGEST]:
        grid.add_row(formats.count(segment.customers), *both_titles(segment))
    return grid


class _Lines:
    def __init__(self, console: Console, total: int) -> None:
        self._console, self._total, self._shown_s = console, total, -LINE_EVERY_S

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def show(self, reading: Reading) -> None:
        """A line, where the last one is some seconds old."""
        now_s = time.monotonic()
        if now_s - self._shown_s < LINE_EVERY_S:
            return
        self._shown_s = now_s
        summary = reading.summary
        top = ", ".join(f"{both_titles(s)[0]} {s.customers:,}" for s in largest(reading.segments)[:3] if s.customers)
        self._console.print(
            f"{formats.day_and_time(summary.event_time, summary.timezone)}  {reading.records / self._total:4.0%}  "
            f"{summary.events:,} events, {formats.rate(summary.events_per_s)}/s, {summary.changes:,} changes"
            + (f"; {top}" if top else ""),
            soft_wrap=True,
            highlight=False,
        )


def largest(segments: list[SegmentView]) -> list[SegmentView]:
    """The segments by their customers, most first."""
    return sorted(segments, key=lambda segment: -segment.customers)


def both_titles(segment: SegmentView) -> list[str]:
    """The English title and the Chinese one (empty where there is none of its own)."""
    english = title_in(segment.title, Language.EN, segment.name)
    return [english, second_title(segment.title, Language.EN, segment.name)]
