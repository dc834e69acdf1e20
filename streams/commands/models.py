"""`livetags models`: see, judge, promote and put back the models of a catalogue's targets."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
import msgspec
from rich.console import Console

from schemas.catalogue import Catalogue
from schemas.learning import Pipeline
from schemas.loading import load
from schemas.model_reports import Happening, ModelEvent, ModelOrder, ModelReport, Order
from schemas.problems import CatalogueError
from streams.broker import BrokerError
from streams.config import Settings, SettingsError, read

if TYPE_CHECKING:
    from streams.model_desk import Desk

PLAIN_WIDTH: Final = 140
T = TypeVar("T")
_CATALOGUE = click.argument("catalogue", type=click.Path(exists=True, dir_okay=False, path_type=Path))
_BROKER = click.option("--broker", metavar="HOST:PORT", help="A broker of the Kafka cluster  [LIVETAGS_BROKER]")
_APP_ID = click.option("--app-id", metavar="NAME", help="The workers' consumer group  [LIVETAGS_APP_ID]")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class Shown(msgspec.Struct, frozen=True):
    """A target's models and all that was decided about them."""

    report: ModelReport
    events: list[ModelEvent]


@click.group("models")
def models() -> None:
    """See the models of a catalogue's targets, judge them, promote a challenger or put a former model back."""
    for name in ("aiokafka", "kafka"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


@models.command("list")
@_CATALOGUE
@_BROKER
@_APP_ID
@_JSON
def list_(catalogue: Path, broker: str | None, app_id: str | None, as_json: bool) -> None:
    """Say of each target of CATALOGUE which model scores it and how good it is.

    Exit codes: 0 told, 1 no trainer has said anything, or the cluster or catalogue is at fault, 2 wrong use.
    """
    from streams.commands.models_text import listed

    settings, loaded = _given(catalogue, broker, app_id)
    found = _reports(settings, loaded)
    _say(found, as_json, lambda console: console.print(listed(found)))


@models.command("show")
@_CATALOGUE
@click.argument("target")
@_BROKER
@_APP_ID
@_JSON
def show(catalogue: Path, target: str, broker: str | None, app_id: str | None, as_json: bool) -> None:
    """Show TARGET's models: quality, calibration, weights, the test between them, drift, and what was decided.

    Exit codes: 0 told, 1 no trainer has said anything, or the cluster or catalogue is at fault, 2 wrong use.
    """
    from streams import model_desk
    from streams.commands.models_text import shown

    settings, loaded = _given(catalogue, broker, app_id)
    _known(loaded, target)

    async def look(desk: Desk) -> Shown | None:
        report = next((one for one in await model_desk.reports(desk, loaded) if one.target == target), None)
        return None if report is None else Shown(report, await model_desk.events(desk, target))

    found = _at_desk(settings, loaded, look)
    if found is None:
        raise _nothing()
    _say(found, as_json, lambda console: console.print(*shown(found.report, found.events, loaded.timezone), sep="\n"))


@models.command("evaluate")
@click.argument("examples", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--target", metavar="NAME", help="This target only.")
@_JSON
def evaluate(examples: Path, target: str | None, as_json: bool) -> None:
    """Judge the scores in EXAMPLES, which `livetags replay --learn` writes, by what came: in all and by week.

    Exit codes: 0 judged, 1 nothing there can be judged or read, 2 wrong use.
    """
    from streams.commands.models_text import evaluated
    from streams.scored_examples import ExamplesError, judged

    try:
        found = judged(examples, target)
    except ExamplesError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(1) from None
    _say(found, as_json, lambda console: console.print(*evaluated(found), sep="\n"))


@models.command("promote")
@_CATALOGUE
@click.argument("target")
@click.option("--model", type=click.Choice([one.value for one in Pipeline]), help="Which model; else the challenger.")
@_BROKER
@_APP_ID
@_JSON
def promote(
    catalogue: Path, target: str, model: str | None, broker: str | None, app_id: str | None, as_json: bool
) -> None:
    """Have TARGET scored by its challenger from now on; also ends what `rollback` put back.

    Exit codes: 0 done, 1 refused, or no trainer has answered, 2 wrong use.
    """
    from streams.model_desk import an_order

    order = an_order(target, Order.PROMOTE, model=None if model is None else Pipeline(model))
    _order(catalogue, order, broker, app_id, as_json)


@models.command("rollback")
@_CATALOGUE
@click.argument("target")
@click.option("--to", "version", type=click.IntRange(1), help="Which version; else the one before the last promotion.")
@_BROKER
@_APP_ID
@_JSON
def rollback(
    catalogue: Path, target: str, version: int | None, broker: str | None, app_id: str | None, as_json: bool
) -> None:
    """Have TARGET scored by a former model, until another order.

    Exit codes: 0 done, 1 refused, or no trainer has answered, 2 wrong use.
    """
    from streams.model_desk import an_order

    _order(catalogue, an_order(target, Order.ROLL_BACK, version=version), broker, app_id, as_json)


def _order(catalogue: Path, order: ModelOrder, broker: str | None, app_id: str | None, as_json: bool) -> None:
    from streams import model_desk
    from streams.commands.models_text import event_line

    settings, loaded = _given(catalogue, broker, app_id)
    _known(loaded, order.target)
    decided = _at_desk(settings, loaded, lambda desk: model_desk.command(desk, order))
    if decided is None:
        click.echo("Error: no trainer has answered; the order stands, and one that runs follows it", err=True)
        raise SystemExit(1)
    _say(decided, as_json, lambda console: console.print(event_line(decided)))
    raise SystemExit(1 if decided.what is Happening.REFUSED else 0)


def _given(catalogue: Path, broker: str | None, app_id: str | None) -> tuple[Settings, Catalogue]:
    try:
        return read({"broker": broker, "app_id": app_id}), load(catalogue)
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
    except CatalogueError as error:
        click.echo(str(error), err=True)
        raise SystemExit(1) from None


def _known(catalogue: Catalogue, target: str) -> None:
    names = [one.name for one in catalogue.targets]
    if target not in names:
        raise click.UsageError(f"there is no target {target!r}, only {', '.join(names) or 'none'}")


def _reports(settings: Settings, catalogue: Catalogue) -> list[ModelReport]:
    from streams import model_desk

    found = _at_desk(settings, catalogue, lambda desk: model_desk.reports(desk, catalogue))
    if not found:
        raise _nothing()
    return found


def _nothing() -> SystemExit:
    click.echo("Error: no trainer has said anything of these models yet: start one with 'livetags trainer'", err=True)
    return SystemExit(1)


def _at_desk(settings: Settings, catalogue: Catalogue, work: Callable[[Desk], Coroutine[Any, Any, T]]) -> T:
    from streams import model_desk

    try:
        return asyncio.run(work(model_desk.find(settings, catalogue)))
    except BrokerError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(1) from None


def _say(found: object, as_json: bool, tell: Callable[[Console], None]) -> None:
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        tell(Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH, color_system=None))
