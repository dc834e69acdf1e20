"""What a demo tells of its targets: how well they were learned, and whether scores mean what they say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from schemas.durations import DAY
from streams.demo.learned import Learned
from streams.demo.tables import EN, decimals, percent, table
from streams.web.formats import count, number
from streams.web.words import title_in


def learned_story(targets: Sequence[Learned]) -> Iterator[RenderableType]:
    """A table of the targets that have a model, a calibration for each, and a line for each that has none yet."""
    known = [one for one in targets if one.judged]
    if known:
        yield _quality(known)
        if any(one.true_auc is not None for one in known):
            yield Text(
                "Truth: the simulator's own probability at the end of the question's day, over the same answers; no "
                "model can be expected to rank better.\n",
                style="dim",
            )
        yield from map(_calibration, known)
    for one in targets:
        if not one.judged:
            yield Text(f"{_title(one)}: {_waits(one)}")


def _quality(targets: Sequence[Learned]) -> Table:
    counts = ("Questions", "Answers", "Positives", "Open", "Judged", "Base rate")
    measures = ("ROC AUC", "Truth's AUC", "Log loss", "Base rate's")
    title = "Targets: every prediction judged by its answer, as it was made before"
    made = table("Target", "", *counts, *measures, numbers=len(counts) + len(measures), title=title)
    for one in targets:
        numbers = (one.questions, one.answers, one.positives, one.unanswered, one.judged)
        rates = (decimals(one.auc, 4), decimals(one.true_auc, 4), *(decimals(x, 4) for x in _losses(one)))
        made.add_row(_title(one), one.title.get("zh", ""), *map(count, numbers), percent(one.base_rate), *rates)
    return made


def _losses(one: Learned) -> tuple[float | None, float | None]:
    return one.log_loss, one.base_log_loss


def _calibration(one: Learned) -> Table:
    """What was foretold of each tenth of the predictions, and what came."""
    columns = [str(place) for place in range(1, len(one.deciles) + 1)]
    title = f"Calibration of {_title(one)!r}: tenths by rising score"
    made = table("", *columns, numbers=len(columns), title=title)
    made.add_row("Answers", *(count(part.answers) for part in one.deciles))
    made.add_row("Mean score", *(percent(part.mean_score) for part in one.deciles))
    made.add_row("It came for", *(percent(part.positives / part.answers) for part in one.deciles))
    return made


def _waits(one: Learned) -> str:
    if one.warming:
        days = number(one.settled_ms / DAY)
        return f"warming: the first {days} days have not passed (questions asked: {count(one.questions)})"
    return f"no model yet (questions asked: {count(one.questions)}, answered: {count(one.answers)})"


def _title(one: Learned) -> str:
    return title_in(one.title, EN, one.target)
