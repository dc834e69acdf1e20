"""The examples that a replay left behind, judged: how good their scores were."""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import numpy as np

from models.evaluation import quality
from schemas.learned import ScoredExample
from schemas.model_reports import Quality


class ExamplesError(Exception):
    """A file that holds no examples to judge; the message says what was expected."""


class Judged(msgspec.Struct, frozen=True):
    """What some scores of a target were worth, the champion's and those of the challenger beside it.

    Attributes
    ----------
    week
        The first day (Monday, UTC) of the week in which they were asked; empty: all of them.
    waiting
        Examples that count for nothing yet: the first without an answer, and all that were asked since. Of these only
        the answers that come early are known, which are of one kind.
    """

    target: str
    week: str
    waiting: int
    champion: Quality
    challenger: Quality


def judged(path: Path, target: str | None = None) -> list[Judged]:
    """Each target in all, then week by week.

    Raises
    ------
    ExamplesError
        Where there is nothing to judge, or a line is no example.
    """
    by_target: dict[str, list[ScoredExample]] = defaultdict(list)
    for example in read_examples(path):
        if target is None or example.target == target:
            by_target[example.target].append(example)
    if not by_target:
        raise ExamplesError(f"{path}: there is no example{'' if target is None else f' of a target {target!r}'}")
    found: list[Judged] = []
    for name, examples in sorted(by_target.items()):
        weeks: dict[str, list[ScoredExample]] = defaultdict(list)
        for example in examples:
            weeks[_week(example.at)].append(example)
        until = over_until(examples)
        found.append(_judge(name, "", examples, until))
        found += [_judge(name, week, some, until) for week, some in sorted(weeks.items())]
    return found


def over_until(examples: Iterable[ScoredExample]) -> str:
    """Before which moment (ISO 8601) all questions of a target are answered."""
    return min((one.at for one in examples if one.label is None), default="9999")


def read_examples(path: Path) -> Iterator[ScoredExample]:
    """The lines of an `examples.ndjson`.

    Raises
    ------
    ExamplesError
        Where a line is no example.
    """
    decode = msgspec.json.Decoder(ScoredExample).decode
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                yield decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise ExamplesError(f"{path}:{number}: not a line of examples.ndjson: {error}") from None


def _week(at: str) -> str:
    day = datetime.date.fromisoformat(at[:10])
    return (day - datetime.timedelta(days=day.weekday())).isoformat()


def _judge(target: str, week: str, examples: list[ScoredExample], until: str) -> Judged:
    known = [one for one in examples if one.at < until]
    labels = np.array([one.label for one in known], dtype=np.bool_)
    scores = np.array([(one.score, one.challenger_score) for one in known], dtype=np.float64).reshape(-1, 2)
    champion, challenger = (quality(column, labels) for column in scores.T)
    return Judged(target, week, len(examples) - len(known), champion, challenger)
