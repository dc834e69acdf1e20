"""`livetags trainer`: one member of the trainers' group, from training examples to models on the control topic."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from schemas.catalogue import Catalogue
from streams.beside import Failed
from streams.commands.running import given, signalled, unless
from streams.compiled import keep_compiled
from streams.config import Settings

if TYPE_CHECKING:
    from streams.learning import Standing
    from streams.trainer_app import TrainerApp

REPORT_EVERY_S: Final = 10.0


class Report(msgspec.Struct, frozen=True):
    """The trainer in a line, as `--json` prints it."""

    state: str
    targets: list[Standing]


@click.command("trainer")
@click.argument("catalogue", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--broker", metavar="HOST:PORT", help="A broker of the Kafka cluster  [LIVETAGS_BROKER]")
@click.option("--data-dir", type=click.Path(file_okay=False, path_type=Path), help="Local state  [LIVETAGS_DATA_DIR]")
@click.option("--rebuild", is_flag=True, help="Drop what was learned and learn anew from the examples that are there.")
@click.option("--json", "as_json", is_flag=True, help="Report as JSON lines.")
def trainer(catalogue: Path, broker: str | None, data_dir: Path | None, rebuild: bool, as_json: bool) -> None:
    """Learn the targets of CATALOGUE until told to stop (Ctrl-C or SIGTERM).

    Several trainers of the same catalogue share its targets. Exit codes: 0 stopped, 1 failed, 2 wrong use.
    """
    found = given(catalogue, {"broker": broker, "data_dir": data_dir})
    keep_compiled(found.settings.data_dir)
    raise SystemExit(asyncio.run(_run(found.settings, found.catalogue, rebuild, str(catalogue), as_json)))


async def _run(settings: Settings, catalogue: Catalogue, rebuild: bool, file: str, as_json: bool) -> int:
    """Start, run until a signal or a failure, stop; the exit code."""
    from streams.trainer_app import REFUSALS, build  # late: River takes a second to import

    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # what a library leaves behind when its broker is gone
    stopped = signalled()
    member = build(settings, catalogue, rebuild=rebuild, file=file)
    try:
        async with contextlib.AsyncExitStack() as open_:
            if not await unless(stopped, member.start()):
                return 0
            open_.push_async_callback(member.stop)
            _greet(member, settings, as_json)
            reports = asyncio.create_task(_report(member, as_json))
            open_.callback(reports.cancel)
            await unless(stopped, member.wait())
    except (*REFUSALS, Failed) as error:
        click.echo(f"Error: {error}", err=True)
        return 1
    _say("stopped", member.standings(), as_json)
    return 0


def _greet(member: TrainerApp, settings: Settings, as_json: bool) -> None:
    """Say that work began."""
    standings = member.standings()
    if as_json:
        _say("running", standings, as_json)
        return
    names = ", ".join(standing.target for standing in standings) or "no targets yet, others have them"
    click.echo(f"{member.catalogue.name} at {settings.broker}: {names}. Ctrl-C stops.")


async def _report(member: TrainerApp, as_json: bool) -> None:
    """A line for each target now and then, while something happens."""
    before: dict[str, int] = {}
    while True:
        standings = member.standings()
        now = {standing.target: standing.questions + standing.answers for standing in standings}
        if now != before:
            before = now
            _say("running", standings, as_json)
        await asyncio.sleep(REPORT_EVERY_S)


def _say(state: str, standings: list[Standing], as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(Report(state, standings)).decode())
        return
    for one in standings:
        click.echo(f"{state}: {_line(one)}")
    if not standings:
        click.echo(f"{state}: no targets")


def _line(one: Standing) -> str:
    """A target in a line."""
    unfit = f", passed over {sum(one.unfit.values()):,}" if one.unfit else ""
    behind = "?" if one.lag is None else format(one.lag, ",")
    return (
        f"{one.target} version {one.version}{'' if one.ready else ' (warming)'}: {one.questions:,} questions, "
        f"{one.answers:,} answers ({one.positives:,} positive, {one.learned:,} learned, {one.settling:,} settling)"
        f"{unfit}; log loss {_figure(one.log_loss)}, AUC {_figure(one.auc)}; behind {behind}"
    )


def _figure(value: float | None) -> str:
    return "?" if value is None else format(value, ".4f")
