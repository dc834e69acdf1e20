"""How a command runs until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from schemas.catalogue import Catalogue
from schemas.loading import load
from schemas.problems import CatalogueError
from streams.config import Settings, SettingsError, read


class Given(msgspec.Struct, frozen=True):
    """What such a command works with."""

    settings: Settings
    catalogue: Catalogue


def given(file: Path, options: Mapping[str, object | None]) -> Given:
    """The settings in force and the catalogue; the data directory can be written.

    Raises
    ------
    click.UsageError
        A setting is wrong.
    click.ClickException
        The data directory can't be written.
    SystemExit
        The catalogue is wrong; its mistakes have been printed.
    """
    try:
        found = Given(read(options), load(file))
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
    except CatalogueError as error:
        click.echo(str(error), err=True)
        raise SystemExit(1) from None
    writable(found.settings.data_dir)
    return found


def writable(directory: Path) -> None:
    """Make sure that state can be kept in that directory, made where it is not there.

    Raises
    ------
    click.ClickException
        It can't.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        who = f" by user {os.getuid()}" if sys.platform != "win32" else ""
        raise click.ClickException(
            f"the data directory {directory} can't be written{who} ({error.strerror or error}): change its owner, or "
            "name another with --data-dir or LIVETAGS_DATA_DIR"
        ) from None


def signalled() -> asyncio.Event:
    """An event that SIGINT and SIGTERM set."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        if sys.platform != "win32":
            loop.add_signal_handler(number, stopped.set)
    return stopped


async def unless(stopped: asyncio.Event, work: Any) -> bool:
    """Await work, or give it up when told to stop; whether it ended by itself."""
    task, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stopped.wait())
    await asyncio.wait([task, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if task.done():
        task.result()
        return True
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return False
