"""`livetags explain`: what is said about a customer and why, from a replay's output or from a worker."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec
from rich.console import Console

from schemas.problems import listing, nearest
from streams.compiled import keep_compiled

if TYPE_CHECKING:
    from schemas.explanations import Dossier

PLAIN_WIDTH: Final = 160  # without a terminal nobody says how wide the paper is


@click.command("explain")
@click.argument("customer")
@click.option(
    "--from", "directory", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The output of 'livetags replay'.",
)  # fmt: skip
@click.option("--url", metavar="URL", help="A worker's page, such as http://127.0.0.1:8640.")
@click.option(
    "--catalogue", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --from: the replay's catalogue, where it is no longer where it was.",
)  # fmt: skip
@click.option("--tag", "names", multiple=True, metavar="NAME", help="Only this tag or segment; may be repeated.")
@click.option("--lang", type=click.Choice(["en", "zh"]), default="en", show_default=True, help="Language of the words.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def explain(
    customer: str, directory: Path | None, url: str | None, catalogue: Path | None, names: tuple[str, ...],
    lang: str, as_json: bool,
) -> None:  # fmt: skip
    """Say every tag and segment of CUSTOMER: its rule in words, the values behind it, since when and by what.

    Exit codes: 0 explained, 1 failed (no such customer, nothing there), 2 wrong use.
    """
    if (directory is None) == (url is None):
        raise click.UsageError("Give either --from DIR or --url URL.")
    if url is not None and catalogue is not None:
        raise click.UsageError("--catalogue goes with --from: a worker knows its own.")
    dossier = _narrowed(_asked(customer, directory, url, catalogue, lang), names)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(dossier)).decode())
        return
    from streams.explaining.text import show

    show(Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH, color_system=None), dossier)


def _asked(customer: str, directory: Path | None, url: str | None, catalogue: Path | None, lang: str) -> Dossier:
    from streams.explaining.problem import ExplainError
    from streams.web.words import Language

    try:
        if directory is not None:
            from streams.explaining.files import from_files

            return from_files(directory, customer, catalogue, Language(lang))
        keep_compiled(Path(".livetags"))  # the page's types bring the engine along
        from streams.explaining.worker import from_worker

        return from_worker(str(url), customer, Language(lang))
    except ExplainError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(1) from None


def _narrowed(dossier: Dossier, names: tuple[str, ...]) -> Dossier:
    """Only what was asked for; all of it where nothing was named."""
    if not names:
        return dossier
    known = [one.name for one in (*dossier.tags, *dossier.segments)]
    for name in names:
        if name not in known:
            hint = nearest(name, known) or f"There are {listing(known)}."
            raise click.BadParameter(f"there is no tag or segment {name!r}. {hint}", param_hint="--tag")
    return msgspec.structs.replace(
        dossier,
        tags=[tag for tag in dossier.tags if tag.name in names],
        segments=[segment for segment in dossier.segments if segment.name in names],
        scores=[score for score in dossier.scores if set(score.tags) & set(names)],
    )
