"""The models of targets in tables, for people at a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table

from schemas.catalogue import Unit
from schemas.durations import format_duration
from schemas.learning import Calibration
from schemas.model_reports import Drift, ModelEvent, ModelReport, Quality, Series, Standing
from schemas.records import Value
from streams.scored_examples import Judged
from streams.web.formats import day

_DAY = slice(0, 10)


def listed(reports: Sequence[ModelReport]) -> Table:
    """A line for each target."""
    table = _table(
        "Models", "target", "scored by", ">version", ">answers", ">base rate", ">AUC", ">log loss", ">slope",
        ">in the large", ">waiting", "note",
    )  # fmt: skip
    for report in reports:
        best = report.models[0]
        measures = _measures(best.shown)
        table.add_row(report.target, best.model, str(report.version), *measures, f"{report.waiting:,}", _note(report))
    return table


def shown(report: ModelReport, events: Sequence[ModelEvent], timezone: str) -> Iterator[RenderableType]:
    """All of a target; days are those of the time zone."""
    yield f"{report.target}, version {report.version}, as of {report.at} {_note(report)}"
    yield _models(report)
    yield _trial(report)
    for model in report.models:
        yield _weights(model)
    yield _watched(report, timezone)
    yield _weeks(report, timezone)
    formers = _table(
        "Former models, which `rollback --to` can put back", ">version", "of", "model", ">AUC", ">log loss"
    )
    for former in report.formers:
        formers.add_row(
            str(former.version), day(former.at, timezone), former.model, _figure(former.auc), _figure(former.log_loss)
        )
    yield formers
    for event in events:
        yield event_line(event)


def event_line(event: ModelEvent) -> str:
    """A decision in a line."""
    said = f"{event.at} {event.target}: {event.what} ({event.model}, version {event.version}, by {event.by})"
    if event.trial is not None:
        said += f"; evidence {event.trial.evidence:,.3g} of {event.trial.needed:g} over {event.trial.days} days"
    if event.calibration is not None:
        said += f"; {_calibration(event.calibration)}"
    if event.drift is not None:
        said += f"; {_drift(event.drift)}"
    return f"{said}; {event.why}" if event.why else said


def evaluated(found: Sequence[Judged]) -> Iterator[Table]:
    """A table for each target: all, then the weeks."""
    for name in dict.fromkeys(one.target for one in found):
        table = _table(
            f"{name}: the champion's scores judged by what came", "week", ">answers", ">base rate", ">AUC", ">log loss",
            ">slope", ">in the large", ">waiting", ">challenger's AUC", ">log loss",
        )  # fmt: skip
        for one in found:
            if one.target == name:
                beside = (_figure(one.challenger.auc), _figure(one.challenger.log_loss))
                table.add_row(one.week or "all", *_measures(one.champion), f"{one.waiting:,}", *beside)
        yield table


def _models(report: ModelReport) -> Table:
    table = _table(
        "Models",
        "model",
        "role",
        ">answers",
        ">base rate",
        ">AUC",
        ">log loss",
        ">slope",
        ">in the large",
        "second stage",
    )
    for model in report.models:
        table.add_row(model.model, model.role, *_measures(model.shown), _calibration(model.calibration))
    return table


def _trial(report: ModelReport) -> str:
    trial = report.trial
    how = "promoted then" if report.automatic else "to be promoted by hand"
    gain = "" if trial.gain is None else f", {trial.gain:+.5f} nats an answer"
    return (
        f"{trial.challenger} against {trial.champion}: evidence {trial.evidence:,.3g} of {trial.needed:g} ({how}), "
        f"{trial.days} days{gain}\n"
    )


def _weights(model: Standing) -> Table:
    table = _table(
        f"What the {model.model} model makes of a customer: log odds for going from the usual to the higher value",
        "feature", ">usual", ">higher", ">weight",
    )  # fmt: skip
    for one in sorted(model.weights, key=lambda one: -abs(one.weight)):
        table.add_row(one.feature, _value(one.usual, one.unit), _value(one.higher, one.unit), f"{one.weight:+.3f}")
    for cross in model.crosses:
        table.add_row(f"{cross.first} and {cross.second}", "", "", f"{cross.weight:+.3f}")
    return table


def _watched(report: ModelReport, timezone: str) -> Table:
    table = _table("Watched for drift, means of days", "series", "feature", ">days", ">mean", ">latest", "changed")
    for one in report.watched:
        if one.changed or one.series in (Series.BASE_RATE, Series.LOG_LOSS):
            changed = day(one.changed, timezone) if one.changed else "no"
            table.add_row(one.series, one.feature, f"{one.days:,}", _figure(one.mean), _figure(one.latest), changed)
    return table


def _weeks(report: ModelReport, timezone: str) -> Table:
    table = _table(
        "By week of the question", "week", ">asked", ">answers", ">base rate", ">AUC", ">log loss", ">in the large"
    )
    champion = report.models[0].model
    for week in report.weeks:
        found = week.models.get(champion)
        measures = ["", "", "", "", "", ""] if found is None else _measures(found)
        table.add_row(day(week.week, timezone), f"{week.asked:,}", *measures[:4], measures[5])
    return table


def _measures(of: Quality) -> list[str]:
    """Answers, base rate, AUC, log loss, slope, in the large."""
    rate = of.positives / of.answers if of.answers else None
    large = of.mean_score / rate if of.mean_score is not None and rate else None
    percent = "" if rate is None else f"{rate:.2%}"
    return [f"{of.answers:,}", percent, _figure(of.auc), _figure(of.log_loss), _figure(of.slope, 2), _figure(large, 2)]


def _note(report: ModelReport) -> str:
    notes = [] if report.ready else ["warming"]
    return ", ".join([*notes, *(["put back by hand"] if report.pinned else [])])


def _calibration(of: Calibration) -> str:
    return "" if of == Calibration() else f"{of.slope:.3f} x log odds {of.intercept:+.3f}"


def _drift(of: Drift) -> str:
    what = f"{of.series} of {of.feature}" if of.feature else str(of.series)
    return f"{what} from {of.before:.4g} to {of.after:.4g} since {of.began[_DAY]}, {of.spreads:.1f} spreads"


def _value(value: Value, unit: Unit) -> str:
    if value is None:
        return ""
    if unit is Unit.DURATION and isinstance(value, int | float):
        return format_duration(round(value / 1000) * 1000)
    return f"{value:,.3g}" if isinstance(value, float) else str(value)


def _figure(value: float | None, decimals: int = 4) -> str:
    return "" if value is None else f"{value:.{decimals}f}"


def _table(title: str, *columns: str) -> Table:
    """A table whose columns after `>` stand right."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left")
    return table
