"""`livetags data`: the demos' data as files, for replays."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("data")
@click.argument("name", type=click.Choice(["retail", "bank"]))
@click.option("--cache", type=click.Path(file_okay=False, path_type=Path), default=Path(".livetags"), show_default=True)
def data(name: str, cache: Path) -> None:
    """Make the data of a demo, and print a file per source as `--source` of `livetags replay` takes it.

    retail is Complete Journey: 1.47 million real purchases of 2,469 households in 2017. bank is simulated.
    """
    try:
        from streams.demo.dataset import load
    except ImportError as error:
        raise click.ClickException(f"{error.name} is missing: pip install 'livetags[demo]'") from None
    from streams.demo.retail import RetailDataMissingError

    try:
        dataset = load(name, cache)
    except RetailDataMissingError as error:
        raise click.ClickException(str(error)) from None
    for source, path in dataset.sources.items():
        click.echo(f"--source {source}={path}")
