"""`livetags replay`: what would have come out, over files."""

from __future__ import annotations

import time
import zoneinfo
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click
import msgspec

from schemas.catalogue import Catalogue
from schemas.loading import load
from schemas.problems import CatalogueError
from schemas.values import parse_iso
from streams.compiled import keep_compiled

if TYPE_CHECKING:
    from streams.engine.plan import Plan
    from streams.output import Output
    from streams.replay import Record, Replay
    from streams.replay_learning import Pupil, Teacher

BATCH = 8_192
OUTPUTS = ("tag-changes", "segment-changes", "customer-tags", "dead-letters", "late-events")


class LearningCounts(msgspec.Struct):
    """What a target was asked and answered in a replay that learns, and the version of the model in force (0: none)."""

    questions: int = 0
    answers: int = 0
    positives: int = 0
    version: int = 0


class Summary(msgspec.Struct):
    """What a replay did, as `summary.json` holds it; the last two tell `explain` which catalogue it was.

    `outcomes` say for each target what became of them.
    """

    catalogue: str
    catalogue_version: int
    records: int
    applied: int
    duplicates: int
    superseded: int
    dead_letters: dict[str, int]
    late_events: int
    customers: int
    tag_changes: dict[str, int]
    segment_changes: dict[str, int]
    causes: dict[str, int]
    segments: dict[str, int]
    seconds: float
    outcomes: dict[str, dict[str, int]] = {}
    learned: dict[str, LearningCounts] = {}
    catalogue_file: str = ""
    fingerprint: str = ""


class _Writer:
    """The output files, and counts of what went into them."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.files: dict[str, IO[bytes]] = {name: (directory / f"{name}.ndjson").open("wb") for name in OUTPUTS}
        self.counts: dict[str, Counter[str]] = {name: Counter() for name in ("tags", "segments", "causes", "dead")}
        self.outcomes: dict[str, Counter[str]] = defaultdict(Counter)
        self.totals: Counter[str] = Counter()
        self._encode = msgspec.json.Encoder().encode_lines

    def take(self, outputs: Iterable[Output]) -> None:
        """Write what came out."""
        for output in outputs:
            for page in output.written:
                for kind, which in (("tag", page.tags()), ("segment", page.segments())):
                    self.files[f"{kind}-changes"].write(page.lines(which))
                    self.counts[f"{kind}s"].update(page.said_in(which))
                self.counts["causes"].update(page.by_cause())
            self.files["dead-letters"].write(self._encode(output.dead))
            self.files["late-events"].write(self._encode(output.late))
            self.counts["dead"].update(letter.reason for letter in output.dead)
            for met, count in output.outcomes.items():
                self.outcomes[met.target][met.fate] += count
            self.totals.update(
                applied=output.applied,
                duplicates=output.duplicates,
                superseded=output.superseded,
                late=len(output.late),
            )

    def close(self, replay: Replay) -> None:
        """Write a line per customer and close the files."""
        for some in replay.customers():
            self.files["customer-tags"].write(some.lines())
        for file in self.files.values():
            file.close()


@click.command("replay")
@click.argument("catalogue", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--input", "mixed", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Lines of all sources."
)
@click.option(
    "--source", "named", multiple=True, metavar="NAME=FILE", help="A source's own file; merged by event time."
)
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Where the output goes.")
@click.option("--until", metavar="TIME", help="At the end let time pass to this moment (ISO 8601).")
@click.option("--stalls", is_flag=True, help="Let sources stall as `stall_after` says, by event time.")
@click.option("--learn", is_flag=True, help="Learn the targets on the way, and score by what was learned.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def replay(
    catalogue: Path,
    mixed: Path | None,
    named: tuple[str, ...],
    out: Path,
    until: str | None,
    stalls: bool,
    learn: bool,
    as_json: bool,
) -> None:
    """Run CATALOGUE over files: the same changes, ids included, as over topics.

    With --learn the models of its targets are learned on the way and are in force from the hour of event time at
    which they come; examples.ndjson then holds every question with its score and answer, models.json the models.

    Exit codes: 0 done, 1 failed, 2 wrong use.
    """
    if (mixed is None) == (not named):
        raise click.UsageError("Give either --input FILE or one or more --source NAME=FILE.")
    try:
        loaded = load(catalogue)
    except CatalogueError as error:
        click.echo(str(error), err=True)
        raise SystemExit(1) from None
    if learn and not loaded.targets:
        raise click.UsageError(f"--learn: the catalogue {loaded.name!r} has no targets.")
    files = _named(named, loaded)
    until_ms = _until(until, loaded)
    keep_compiled(Path(".livetags"))
    from streams.files import FileError, merged  # late: numba reads where its cache is when it is imported
    from streams.files import mixed as mixed_records

    try:
        records = mixed_records(mixed, loaded) if mixed else merged(files, loaded)
        summary = _run(loaded, records, out, Ways(until_ms, stalls, learn))
    except FileError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(1) from None
    summary.catalogue_file = str(catalogue.absolute())
    (out / "summary.json").write_bytes(msgspec.json.format(msgspec.json.encode(summary)))
    _print(summary, out, as_json)


class Ways(msgspec.Struct, frozen=True):
    """How to replay: until when time passes in the end (UTC ms), whether sources stall, whether targets are learned."""

    until_ms: int | None
    stalls: bool
    learn: bool


class _Lessons:
    """What a replay that learns writes."""

    def __init__(self, directory: Path, teacher: Teacher, pupil: Pupil) -> None:
        self.pupil, self._teacher, self._directory = pupil, teacher, directory
        self._file = (directory / "examples.ndjson").open("wb")
        self._events = (directory / "model-events.ndjson").open("wb")
        self._encode = msgspec.json.Encoder().encode_lines
        self._counts = {one.name: LearningCounts() for one in pupil.plan.catalogue.targets}

    def between(self, outputs: Iterable[Output]) -> Iterator[Output]:
        """The same outputs; what was answered with each is written."""
        for output in outputs:
            yield output
            self._write()

    def close(self) -> dict[str, LearningCounts]:
        """Write what waits for its answer, and the models; the targets' counts."""
        models = dict(self.pupil.models)
        self.pupil.finish()
        self._write()
        waiting = self._teacher.waiting()
        for example in waiting:
            self._counts[example.target].questions += 1
        self._file.write(self._encode(waiting))
        self._file.close()
        self._events.close()
        learned = msgspec.json.encode(self._teacher.learned(models))
        (self._directory / "models.json").write_bytes(msgspec.json.format(learned))
        for target, snapshot in models.items():
            self._counts[target].version = snapshot.version
        return self._counts

    def _write(self) -> None:
        for example in self._teacher.scored:
            counts = self._counts[example.target]
            counts.questions += 1
            counts.answers += 1
            counts.positives += bool(example.label)
        self._file.write(self._encode(self._teacher.scored))
        self._teacher.scored.clear()
        self._events.write(self._encode(self._teacher.events))
        self._teacher.events.clear()


def _lessons(plan: Plan, directory: Path) -> _Lessons:
    from streams.replay_learning import Pupil, Teacher  # late: River takes a second to import

    teacher = Teacher(plan.catalogue)
    return _Lessons(directory, teacher, Pupil(plan, teacher))


def _run(catalogue: Catalogue, records: Iterator[Record], out: Path, ways: Ways) -> Summary:
    from streams.engine.plan import build
    from streams.replay import Replay, driven
    from streams.replay_stalls import EventStalls

    started, plan, writer = time.monotonic(), build(catalogue), _Writer(out)
    lessons = _lessons(plan, out) if ways.learn else None
    run = Replay(plan, part=None if lessons is None else lessons.pupil)
    outputs = driven(run, records, BATCH, ways.until_ms, EventStalls(catalogue) if ways.stalls else None)
    writer.take(outputs if lessons is None else lessons.between(outputs))
    learned = {} if lessons is None else lessons.close()
    writer.close(run)
    cut_points = list(run.parts[0].census.held.values())
    (out / "cut-points.json").write_bytes(msgspec.json.format(msgspec.json.encode(cut_points)))
    fits = list(run.parts[0].census.lifetimes.held.values())
    (out / "lifetime.json").write_bytes(msgspec.json.format(msgspec.json.encode(fits)))
    overview = run.parts[0].overview()
    return Summary(
        catalogue=catalogue.name,
        catalogue_version=catalogue.version,
        records=run.records,
        applied=writer.totals["applied"],
        duplicates=writer.totals["duplicates"],
        superseded=writer.totals["superseded"],
        dead_letters=dict(writer.counts["dead"]),
        late_events=writer.totals["late"],
        customers=overview.customers,
        tag_changes=dict(writer.counts["tags"]),
        segment_changes=dict(writer.counts["segments"]),
        causes=dict(writer.counts["causes"]),
        segments=overview.segments,
        seconds=round(time.monotonic() - started, 3),
        fingerprint=run.plan.fingerprint,
        outcomes={target: dict(fates) for target, fates in writer.outcomes.items()},
        learned=learned,
    )


def _named(named: tuple[str, ...], catalogue: Catalogue) -> dict[str, Path]:
    names = [source.name for source in catalogue.sources]
    files: dict[str, Path] = {}
    for item in named:
        name, sign, file = item.partition("=")
        if not sign or name not in names:
            raise click.BadParameter(f"{item!r}: expected NAME=FILE with NAME one of {', '.join(names)}")
        if not Path(file).is_file():
            raise click.BadParameter(f"{item!r}: there is no file {file}")
        files[name] = Path(file)
    return files


def _until(until: str | None, catalogue: Catalogue) -> int | None:
    if until is None:
        return None
    try:
        return parse_iso(until, zoneinfo.ZoneInfo(catalogue.timezone))
    except ValueError:
        raise click.BadParameter(f"--until {until!r}: expected a time such as 2025-12-31T00:00:00Z") from None


def _print(summary: Summary, out: Path, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(summary).decode())
        return
    changes = sum(summary.tag_changes.values()), sum(summary.segment_changes.values())
    rate = summary.records / max(summary.seconds, 0.001)
    click.echo(
        f"{summary.records:,} records of {summary.customers:,} customers in {summary.seconds:.1f} s ({rate:,.0f}/s):"
        f" {changes[0]:,} tag changes, {changes[1]:,} segment changes, {sum(summary.dead_letters.values()):,} dead"
        f" letters, {summary.late_events:,} late, {summary.duplicates:,} duplicates. Written to {out}/"
    )
    for name, customers in sorted(summary.segments.items(), key=lambda item: -item[1]):
        click.echo(f"  {name:<28} {customers:>9,} customers  {summary.segment_changes.get(name, 0):>9,} changes")
