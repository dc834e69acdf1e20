"""How a command shows a recovery: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from streams.recovering import Recovery, RecoveryStatus

LOOK_EVERY_S: Final = 0.2
LINE_EVERY_S: Final = 5.0
Say = Callable[[RecoveryStatus], None]


async def show(recovery: Recovery, console: Console, say: Say) -> None:
    """Show every recovery until cancelled; `say` prints a line where the console is no terminal."""
    while True:
        if recovery.status is not None:
            await (_bar(recovery, console) if console.is_terminal else _lines(recovery, say))
        await asyncio.sleep(LOOK_EVERY_S)


def in_words(status: RecoveryStatus) -> str:
    """A recovery in a line."""
    partitions = f"recovering {status.partitions} partition{'s' if status.partitions > 1 else ''}"
    if status.left is None:
        return f"{partitions}: {status.done:,} records of the changelog read"
    if not status.left:
        return f"{partitions}: the changelog is read ({status.done:,} records), taking rows in"
    time = "" if status.left_s is None else f", about {status.left_s:,.0f} s"
    return f"{partitions}: {status.done:,} records of the changelog read, {status.left:,} left{time}"


async def _lines(recovery: Recovery, say: Say) -> None:
    """A line when it has lasted for a while, and then now and then."""
    clock = asyncio.get_running_loop().time
    spoken = clock()
    while (status := recovery.status) is not None:
        if clock() - spoken >= LINE_EVERY_S:
            say(status)
            spoken = clock()
        await asyncio.sleep(LOOK_EVERY_S)


async def _bar(recovery: Recovery, console: Console) -> None:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TaskProgressColumn()
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        bar = progress.add_task("recovering", total=None)
        while (status := recovery.status) is not None:
            whole = None if status.left is None else status.done + status.left
            what = "taking rows in" if whole is not None and not status.left else "recovering"
            progress.update(
                bar, completed=status.done, total=whole, description=f"{what}, {status.partitions} partitions"
            )
            await asyncio.sleep(LOOK_EVERY_S)
