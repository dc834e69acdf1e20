"""`livetags check`: every mistake of a catalogue under its line, or what a good catalogue means."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import click
import msgspec
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas import rules
from schemas.catalogue import Aggregation, Catalogue, Feature, Quantiles, Score, Segment, Tag, Target
from schemas.durations import format_duration
from schemas.loading import load
from schemas.loading_tags import rests_on
from schemas.problems import CatalogueError, Problem
from schemas.rule_text import unparse
from schemas.topics import read_from

PLAIN_WIDTH: Final = 160  # without a terminal nobody says how wide the paper is
WORD_BYTES: Final = 8


@click.command("check")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the mistakes as a JSON list (empty when there are none).")
def check(file: Path, as_json: bool) -> None:
    """Say every mistake in the catalogue FILE, or what it means.

    Exit codes: 0 without mistakes, 1 with mistakes, 2 wrong use.
    """
    console = Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH, color_system=None)
    try:
        catalogue = load(file)
    except CatalogueError as error:
        if as_json:
            _print_json(error.problems)
        else:
            _print_problems(console, file, error.problems)
        raise SystemExit(1) from None
    if as_json:
        _print_json([])
    else:
        _print_summary(console, catalogue)


def _print_json(problems: Iterable[Problem]) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(list(problems))).decode())


# ---------------------------------------------------------------------------------------------------- with mistakes


def _print_problems(console: Console, file: Path, problems: list[Problem]) -> None:
    lines = _lines(file)
    for problem in problems:
        place = Text(f"{problem.file}:{problem.line}:{problem.column}", style="bold")
        console.print(
            place if problem.path == "file" else place + Text(f"  {problem.path}", style="cyan"), soft_wrap=True
        )
        if 0 < problem.line <= len(lines) and lines[problem.line - 1].strip():
            shown, carets = excerpt(lines[problem.line - 1], problem.line, problem.column, console.width)
            console.print(Text(shown, style="dim"), soft_wrap=True)
            console.print(Text(carets, style="red"), soft_wrap=True)
        console.print(Text(f"  {problem.message}", style="red"), soft_wrap=True)
        if problem.expected:
            console.print(Text(f"  expected: {problem.expected}"), soft_wrap=True)
        if problem.suggestion:
            console.print(Text(f"  {problem.suggestion}", style="green"), soft_wrap=True)
        console.print()
    count = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
    console.print(Text(f"{count} in {file}", style="bold red"), soft_wrap=True)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def excerpt(line: str, number: int, column: int, width: int) -> tuple[str, str]:
    """The line of the file and, below it, carets under the word at the column.

    Parameters
    ----------
    line
        As in the file; a line too long for `width` is cut around the column.
    number, column
        From 1.
    width
        Cells of the screen; a Chinese letter takes two.
    """
    line = line.replace("\t", " ")
    start = min(column - 1, len(line))
    word = re.match(r"\w+|\S?", line[start:])
    length = max(1, len(word[0]) if word else 1)
    margin = f"{number:>5} | "
    room = max(20, width - len(margin))
    first = 0
    if cell_len(line) > room:
        first = max(0, start - room // 3)
        line = ("..." if first else "") + line[first:]
        start = start - first + (3 if first else 0)
        while cell_len(line) > room:
            line = line[: len(line) - 4].rstrip(".") + "..."
    indent = " " * cell_len(line[:start])
    return margin + line, " " * (len(margin) - 2) + "| " + indent + "^" * max(1, cell_len(line[start : start + length]))


# -------------------------------------------------------------------------------------------------- without mistakes


def _print_summary(console: Console, catalogue: Catalogue) -> None:
    counts = {
        "sources": len(catalogue.sources),
        "features": len(catalogue.features),
        "tags": len(catalogue.tags),
        "segments": len(catalogue.segments),
        "targets": len(catalogue.targets),
        "triggers": len(catalogue.triggers),
    }
    said = ", ".join(f"{count} {name[:-1] if count == 1 else name}" for name, count in counts.items())
    head = Text(f"{catalogue.name}, version {catalogue.version}: ", style="bold") + Text(said)
    console.print(head, soft_wrap=True)
    console.print(f"No mistakes. A row takes {row_bytes(catalogue):,} bytes in memory.\n", highlight=False)
    for table in (
        _sources(catalogue),
        _features(catalogue),
        _tags(catalogue),
        _segments(catalogue),
        _targets(catalogue),
        _triggers(catalogue),
    ):
        if table.row_count:
            console.print(table)
    console.print(Text("Order of evaluation", style="bold"))
    order = [*catalogue.tag_order, *(segment.name for segment in catalogue.segments)]
    console.print(Text("  " + ", ".join(order)))


def row_bytes(catalogue: Catalogue) -> int:
    """Bytes that one customer's row takes in memory."""
    from streams.engine import plan  # late: it brings numpy and numba along, which a broken catalogue needs not

    return plan.build(catalogue).width * WORD_BYTES


def tiles(feature: Feature) -> str:
    """How the feature's window is cut, `30d = 30 x 1d`; `ever` where it has none."""
    if feature.window is None:
        return "" if feature.aggregation is Aggregation.COMPUTE else "ever"
    window = feature.window
    return f"{format_duration(window.length_ms)} = {window.tiles} x {format_duration(window.width_ms)}"


class Base(msgspec.Struct, frozen=True):
    """What something rests on, directly and through others, each in the catalogue's order."""

    features: tuple[str, ...]
    tags: tuple[str, ...]
    sources: tuple[str, ...]

    def __str__(self) -> str:
        parts = (("features", self.features), ("tags", self.tags), ("sources", self.sources))
        return "; ".join(f"{called}: {', '.join(names)}" for called, names in parts if names)


def base(catalogue: Catalogue, names: Iterable[str]) -> Base:
    """Everything that the named features and tags rest on, themselves included."""
    features = {feature.name: feature for feature in catalogue.features}
    tags = {tag.name: tag for tag in catalogue.tags}
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _beneath_tag(tags[name], catalogue) if name in tags else _beneath_feature(features[name])
    sources = {source for name in found & features.keys() for source in features[name].sources}
    return Base(
        tuple(name for name in features if name in found),
        tuple(name for name in tags if name in found),
        tuple(source.name for source in catalogue.sources if source.name in sources),
    )


def _beneath_feature(feature: Feature) -> list[str]:
    return [name.name for name in rules.names_in(feature.compute)] if feature.compute is not None else []


def _beneath_tag(tag: Tag, catalogue: Catalogue) -> list[str]:
    if isinstance(tag.rule, Score):
        wanted = tag.rule.target
        return [name for target in catalogue.targets if target.name == wanted for name in target.features]
    return sorted(rests_on(tag.rule))


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, no_wrap=index == 0, overflow="fold")
    return table


def _sources(catalogue: Catalogue) -> Table:
    table = _table("Sources", "name", "topic", "key", "set aside where", "skew")
    for source in catalogue.sources:
        key = f"any; written on to {read_from(source)} under {source.key}" if source.rekey else source.key
        ahead = f"over {format_duration(source.max_ahead_ms)} ahead of its timestamp"
        late = "" if source.profile else f", over {format_duration(source.accept_late_ms)} late"
        table.add_row(
            *map(Text, (source.name, source.topic, key, ahead + late, format_duration(source.allowed_skew_ms)))
        )
    return table


def _features(catalogue: Catalogue) -> Table:
    table = _table("Features", "name", "how", "sources", "window = tiles", "unit")
    for feature in catalogue.features:
        how = feature.aggregation.value + (f" of {feature.field}" if feature.field else "")
        if feature.aggregation is Aggregation.COMPUTE:
            how += " from " + ", ".join(dict.fromkeys(_beneath_feature(feature)))
        sources = feature.sources or base(catalogue, [feature.name]).sources
        row = (feature.name, how, ", ".join(sources), tiles(feature), feature.unit.value)
        table.add_row(*map(Text, row))
    return table


def _tags(catalogue: Catalogue) -> Table:
    table = _table("Tags", "name", "kind", "owner", "rests on", "status")
    for tag in catalogue.tags:
        under = base(catalogue, _beneath_tag(tag, catalogue))
        status = f"warming: {tag.waits}" if tag.waits else ""
        status = _cut(tag.rule) if isinstance(tag.rule, Quantiles) else status
        table.add_row(*map(Text, (tag.name, tag.kind.value, tag.owner, str(under), status)))
    return table


def _cut(rule: Quantiles) -> str:
    """Whom a quantile tag divides, how, and when its cut-points move."""
    parts = "fifths" if rule.levels == 5 else f"{rule.levels} equal parts"
    who = f"who has {rule.of}" if rule.population is None else f"those for whom {unparse(rule.population)}"
    order = f"{rule.levels} has the {'smallest' if rule.falling else 'largest'}"
    missing = "; without a value 1" if rule.missing_lowest else ""
    return (
        f"{parts} of {who}, looked at every {format_duration(rule.refresh_ms)}: {order}{missing}; from"
        f" {rule.least:,} customers on, moved when off by over {rule.tolerance:.0%}"
    )


def _segments(catalogue: Catalogue) -> Table:
    table = _table("Segments", "name", "rests on")
    for segment in catalogue.segments:
        table.add_row(Text(segment.name), Text(str(base(catalogue, _named(segment)))))
    return table


def _named(segment: Segment) -> Iterator[str]:
    return (name.name for name in rules.names_in(segment.rule))


def _targets(catalogue: Catalogue) -> Table:
    table = _table("Targets", "name", "outcome", "asked", "features", "second model")
    for target in catalogue.targets:
        every = f"every {format_duration(target.example_every_ms)}"
        table.add_row(*map(Text, (target.name, _outcome(target), every, ", ".join(target.features), _second(target))))
    return table


def _second(target: Target) -> str:
    """How many products the crossed model has; where it is not promoted by itself, that too."""
    return f"{len(target.crosses)} products{'' if target.promotion.automatic else ', by hand'}"


def _outcome(target: Target) -> str:
    label = target.label
    within = f"within {format_duration(label.within_ms)}"
    if label.absent:
        return f"nothing of {', '.join(label.absent)} {within}"
    late = f", known {format_duration(label.arrives_within_ms)} later" if label.arrives_within_ms else ""
    return f"a record of {label.source} {within}{late}"


def _triggers(catalogue: Catalogue) -> Table:
    table = _table("Triggers", "name", "when a customer", "channel", "consent", "limits")
    for trigger in catalogue.triggers:
        cap, quiet = trigger.cap, trigger.quiet
        limits = [f"expires after {format_duration(trigger.expires_ms)}"]
        limits += [f"cooldown {format_duration(trigger.cooldown_ms)}"] if trigger.cooldown_ms else []
        limits += [f"{cap.most} per {format_duration(cap.per_ms)}"] if cap else []
        limits += [f"quiet {_clock(quiet.start_minute)}-{_clock(quiet.end_minute)}"] if quiet else []
        limits += [f"hold-out {trigger.holdout:.0%}"] if trigger.holdout else []
        when = f"{trigger.change}s {trigger.segment}"
        consent = trigger.consent or "not needed"
        table.add_row(*map(Text, (trigger.name, when, trigger.channel, consent, ", ".join(limits))))
    return table


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
