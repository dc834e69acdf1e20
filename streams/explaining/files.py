"""A customer out of a replay's output: read line by line, and only the customer's lines are decoded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from schemas.catalogue import Catalogue, Category, Code, Levels, Quantiles, Score, Segment, Tag, Unit, When
from schemas.explanations import SEGMENT, CutExplanation, Dossier, Explained, Reading, ScoreExplanation
from schemas.learned import LearnedTarget
from schemas.lifetime import Fit
from schemas.loading import load
from schemas.population import CutPoints
from schemas.problems import CatalogueError
from schemas.records import Change, CustomerTags, SegmentChange, TagChange, Value
from schemas.rule_words import Vocabulary, vocabulary
from schemas.rules import names_in
from schemas.tag_words import rule_lines
from streams.engine.explain_cuts import explain_cuts
from streams.engine.explain_lifetime import explain_lifetimes
from streams.engine.explain_score import SnapshotMismatch, explain_scores
from streams.engine.layout import fingerprint
from streams.explaining.decides import deciding
from streams.explaining.problem import ExplainError
from streams.web.words import Language

_CHANGED: Final = (
    "{file} is not what {directory} was made with, or has changed since, and would explain what was never decided:"
    " run 'livetags replay' again, or give the catalogue of that time with --catalogue FILE"
)
R = TypeVar("R", CustomerTags, TagChange, SegmentChange)


class Found(msgspec.Struct, frozen=True):
    """A customer's last line, and the last change of each tag and segment that ever changed."""

    customer: CustomerTags
    changes: dict[str, Change]


class _Summary(msgspec.Struct):
    """What is needed of `summary.json`."""

    catalogue_file: str = ""
    fingerprint: str = ""


def from_files(directory: Path, customer_id: str, catalogue_file: Path | None, language: Language) -> Dossier:
    """The customer, explained from what `livetags replay` wrote.

    Parameters
    ----------
    catalogue_file
        The catalogue of the replay; None takes the one that `summary.json` names.

    Raises
    ------
    ExplainError
        Where a file is missing or of another shape, the catalogue is another one, or there is no such customer.
    """
    catalogue = _catalogue(directory, catalogue_file)
    found = find(directory, customer_id)
    _belongs(catalogue, found.customer, directory)
    words = vocabulary(catalogue, language)
    customer = found.customer
    tags = [_explained(tag, customer.tags[tag.name], found, catalogue, words) for tag in catalogue.tags]
    cuts = _cut_points(directory, catalogue)
    fits = _fits(directory)
    known = [explain_lifetimes(catalogue, tag, fits, customer.features.get) for tag in catalogue.tags]
    tags = [
        msgspec.structs.replace(tag, cut_points=cuts.get(tag.name), lifetimes=models)
        for tag, models in zip(tags, known, strict=True)
    ]
    segments = [_explained(one, one.name in customer.segments, found, catalogue, words) for one in catalogue.segments]
    return Dossier(
        customer_id=customer_id,
        at=customer.at,
        language=language,
        catalogue=catalogue.title.get(language) or catalogue.name,
        timezone=catalogue.timezone,
        currency=catalogue.currency,
        tags=tags,
        segments=segments,
        scores=_scores(directory, catalogue, customer),
    )


def find(directory: Path, customer_id: str) -> Found:
    """The customer's lines; an ExplainError where there are none."""
    needle = msgspec.json.encode(customer_id)
    mine = [
        one
        for one in _records(directory / "customer-tags.ndjson", needle, CustomerTags)
        if one.customer_id == customer_id
    ]
    if not mine:
        raise ExplainError(f"{directory / 'customer-tags.ndjson'} holds no such customer")
    changes: dict[str, Change] = {}
    for change in _records(directory / "tag-changes.ndjson", needle, TagChange):
        if change.customer_id == customer_id:
            changes[change.tag] = change
    for entry in _records(directory / "segment-changes.ndjson", needle, SegmentChange):
        if entry.customer_id == customer_id:
            changes[entry.segment] = entry
    return Found(mine[-1], changes)


def _records(path: Path, needle: bytes, kind: type[R]) -> Iterator[R]:
    """The records whose line holds the needle; the first line is decoded too, to know that it is such a file."""
    decode = msgspec.json.Decoder(kind).decode
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if number > 1 and needle not in line:
                    continue
                try:
                    yield decode(line)
                except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                    raise ExplainError(f"{path}:{number}: expected a line of {path.stem}: {_reason(error)}") from None
    except OSError as error:
        raise ExplainError(
            f"{path}: can't be read: {error.strerror}; expected the --out directory of 'livetags replay'"
        ) from None


def _reason(error: Exception) -> str:
    return "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)


def _whole(path: Path, kind: Any) -> Any:
    """A whole file of JSON; None where there is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ExplainError(f"{path}: can't be read: {error.strerror}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ExplainError(f"{path}: of another shape than expected: {_reason(error)}") from None


def _catalogue(directory: Path, given: Path | None) -> Catalogue:
    summary: _Summary | None = _whole(directory / "summary.json", _Summary)
    file = given or (Path(summary.catalogue_file) if summary and summary.catalogue_file else None)
    if file is None:
        raise ExplainError(f"{directory / 'summary.json'} names no catalogue: give the replay's with --catalogue FILE")
    try:
        catalogue = load(file)
    except CatalogueError as error:
        hint = "" if given else "\nGive the replay's catalogue with --catalogue FILE."
        raise ExplainError(f"{error}{hint}") from None
    if summary and summary.fingerprint not in ("", fingerprint(catalogue)):
        raise ExplainError(_CHANGED.format(file=file, directory=directory))
    return catalogue


def _belongs(catalogue: Catalogue, customer: CustomerTags, directory: Path) -> None:
    """Refuse a catalogue of other names, where no summary tells of its meaning."""
    here = {one.name for one in catalogue.tags} | {one.name for one in catalogue.features}
    there = customer.tags.keys() | customer.features.keys()
    if here != there:
        raise ExplainError(_CHANGED.format(file=f"the catalogue {catalogue.name}", directory=directory))


def _explained(
    item: Tag | Segment, value: bool | str | None, found: Found, catalogue: Catalogue, words: Vocabulary
) -> Explained:
    change, customer = found.changes.get(item.name), found.customer
    values: dict[str, Value] = {**customer.features, **customer.tags}
    units = {feature.name: feature.unit for feature in catalogue.features}
    titles = {feature.name: feature.title for feature in catalogue.features}
    titles |= {tag.name: tag.title for tag in catalogue.tags}
    rule = item.rule if isinstance(item, Segment) else item.rule.rule if isinstance(item.rule, When) else None
    return Explained(
        name=item.name,
        title=item.title,
        kind=item.kind.value if isinstance(item, Tag) else SEGMENT,
        value=value,
        status=customer.status.get(item.name, ""),
        since=change.at if change else customer.segments.get(item.name),
        cause=change.cause.value if change else None,
        text=item.text,
        rule=rule_lines(item, catalogue, words),
        because=[_reading(name, titles, units, values) for name in _used(item)],
        decides=deciding(rule, value is True, values, words) if rule is not None else [],
    )


def _reading(name: str, titles: dict[str, dict[str, str]], units: dict[str, Unit], values: dict[str, Value]) -> Reading:
    return Reading(name, titles[name], units.get(name), values[name])


def _used(item: Tag | Segment) -> list[str]:
    """The features and tags that the rule uses, in the order of its text."""
    match item.rule:
        case Category(of=of):
            return [of]
        case Quantiles(of=of, population=population):
            return list(dict.fromkeys([of, *(name.name for name in names_in(population))])) if population else [of]
        case Code(of=parts):
            return list(parts)
        case Levels(rules=levels):
            exprs = [expr for expr in levels if expr is not None]
        case When(rule=rule):
            exprs = [rule]
        case Score():
            exprs = []
        case rule:
            exprs = [rule]
    return list(dict.fromkeys(name.name for expr in exprs for name in names_in(expr)))


def _cut_points(directory: Path, catalogue: Catalogue) -> dict[str, CutExplanation | None]:
    """Those that were in force at the end, by tag; None where a tag had none."""
    points: list[CutPoints] = _whole(directory / "cut-points.json", list[CutPoints]) or []
    held = {one.tag: one for one in points}
    return {tag.name: explain_cuts(catalogue, tag, held) for tag in catalogue.tags}


def _fits(directory: Path) -> dict[str, Fit]:
    """The parameters of lifetime models that were in force at the end."""
    fits: list[Fit] = _whole(directory / "lifetime.json", list[Fit]) or []
    return {fit.model: fit for fit in fits}


def _scores(directory: Path, catalogue: Catalogue, customer: CustomerTags) -> list[ScoreExplanation]:
    learned: list[LearnedTarget] = _whole(directory / "models.json", list[LearnedTarget]) or []
    models = [one.snapshot for one in learned if one.snapshot is not None]
    try:
        return explain_scores(catalogue, models, customer.features)
    except SnapshotMismatch as error:
        raise ExplainError(f"{directory / 'models.json'}: {error}") from None
