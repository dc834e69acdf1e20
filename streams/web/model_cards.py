"""The models page: for each target how good its models are, whether scores mean what they say, what they rest on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Final

from schemas.learning import Calibration, Decile
from schemas.model_reports import Cohort, FeatureWeight, ModelReport, Quality, Series, Standing, Watched
from streams.web import formats
from streams.web.charts import Bubble, Line, lines, reliability
from streams.web.markup import card, text, titles
from streams.web.snapshots import Board
from streams.web.view import TargetView
from streams.web.words import Language, say, title_in

Figure = Callable[[Quality | None], float | None]
SHOWN_WEEKS: Final = 12
_STYLES: Final = ("champion", "challenger")


def model_cards(board: Board, language: Language) -> str:
    """Every target that a trainer has told of."""
    if not board.models:
        return f'<p class="empty">{text(say("no_models", language))}</p>'
    return "".join(_target(one, board, language) for one in board.models)


def _target(view: TargetView, board: Board, language: Language) -> str:
    report = view.report
    cards = (
        _over_time("auc_weeks", report, _auc, board, language),
        _over_time("loss_weeks", report, _loss, board, language),
        _reliability(report.models[0], language),
        f'<div class="beside">{_rivals(report, language)}{_drift(report, board, language)}</div>',
        _weights(report.models[0], board, language),
        _waiting(report, board, language),
    )
    return (
        f'<section class="target" data-key="target:{text(report.target)}"><header><h2>'
        f"{titles(view.title, language, report.target)}</h2>{_pills(report, language)}"
        f'<span class="note">{text(_version(report, board, language))}</span></header>'
        f'<div class="charts">{"".join(cards)}</div></section>'
    )


def _pills(report: ModelReport, language: Language) -> str:
    words = ([] if report.ready else ["warming"]) + (["pinned"] if report.pinned else [])
    return "".join(f'<span class="pill warming">{text(say(word, language))}</span>' for word in words)


def _version(report: ModelReport, board: Board, language: Language) -> str:
    at = formats.day_and_time(report.at, board.summary.timezone)
    return f"{say('version', language)} {report.version} · {say('as_of', language)} {at}"


# ------------------------------------------------------------------------------------------------------------ quality


def _over_time(word: str, report: ModelReport, figure: Figure, board: Board, language: Language) -> str:
    labels = [formats.day(week.week, board.summary.timezone) for week in report.weeks]
    drawn = [
        Line(model.role, style, [figure(week.models.get(model.model)) for week in report.weeks])
        for model, style in zip(report.models, _STYLES, strict=False)
    ]
    chart = lines(labels, drawn, say(word, language))
    body = chart + _legend(report, language) if chart else _none(language)
    return card(say(word, language), say("by_week", language), body, word)


def _auc(of: Quality | None) -> float | None:
    return None if of is None else of.auc


def _loss(of: Quality | None) -> float | None:
    return None if of is None else of.log_loss


def _legend(report: ModelReport, language: Language) -> str:
    items = (
        f'<li><i class="line {style}"></i>{text(say(model.role, language))}: {text(say(model.model, language))}</li>'
        for model, style in zip(report.models, _STYLES, strict=False)
    )
    return f'<ul class="legend">{"".join(items)}</ul>'


def _reliability(model: Standing, language: Language) -> str:
    chart = reliability(
        [_bubble(decile, language) for decile in model.deciles],
        say("foretold", language), say("came", language), say("reliability", language),
    )  # fmt: skip
    note = say("tenths", language)
    return card(say("reliability", language), note, chart or _none(language), "reliability")


def _bubble(decile: Decile, language: Language) -> Bubble:
    rate = decile.positives / decile.answers
    said = f"{say('foretold', language)} {decile.mean_score:.2%}, {say('came', language)} {rate:.2%}"
    return Bubble(decile.mean_score, rate, f"{said} ({formats.count(decile.answers)})")


def _rivals(report: ModelReport, language: Language) -> str:
    """Champion against challenger, and the test between them."""
    names = ("auc", "log_loss", "slope", "large")
    head = "".join(f"<th>{text(say(name, language))}</th>" for name in names)
    rows = "".join(_rival(model, language) for model in report.models)
    trial = report.trial
    share = math.log(max(trial.evidence, 1.0)) / math.log(trial.needed) if trial.needed > 1.0 else 1.0
    gain = "" if trial.gain is None else f" · {trial.gain:+.5f} {say('nats', language)}"
    told = say("evidence", language).format(f"{trial.evidence:,.3g}", f"{trial.needed:g}")
    how = say("automatic" if report.automatic else "by_hand", language)
    return card(
        say("rivals", language), how,
        f'<table><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table><div class="trial"><p>{text(told)}'
        f' <span class="second">{text(say("n_days", language).format(trial.days) + gain)}</span></p>'
        f'<div class="bar"><i style="width:{100 * min(share, 1.0):.1f}%"></i></div></div>',
        "rivals",
    )  # fmt: skip


def _rival(model: Standing, language: Language) -> str:
    shown = model.shown
    rate = shown.positives / shown.answers if shown.answers else None
    large = shown.mean_score / rate if shown.mean_score is not None and rate else None
    figures = (_figure(shown.auc, 4), _figure(shown.log_loss, 4), _figure(shown.slope, 2), _figure(large, 2))
    stage = "" if model.calibration == Calibration() else f' <span class="second">{say("mended", language)}</span>'
    name = f"{text(say(model.role, language))}: {text(say(model.model, language))}{stage}"
    cells = "".join(f"<td>{text(one)}</td>" for one in figures)
    return f'<tr data-key="{text(model.model)}"><th>{name}</th>{cells}</tr>'


# ------------------------------------------------------------------------------------------------------------ weights


def _weights(model: Standing, board: Board, language: Language) -> str:
    """The features by their pull, each with the usual value and the higher one that the weight leads to."""
    widest = max((abs(one.weight) for one in model.weights), default=0.0)
    ranked = sorted(model.weights, key=lambda one: -abs(one.weight))
    rows = "".join(_weight(one, widest, board, language) for one in ranked)
    body = f'<ul class="weights">{rows}</ul>' if rows else _none(language)
    return card(say("weights", language), say("weights_note", language), body, "weights")


def _weight(one: FeatureWeight, widest: float, board: Board, language: Language) -> str:
    share = 50.0 * abs(one.weight) / widest if widest else 0.0
    side = "up" if one.weight >= 0 else "down"
    summary = board.summary
    usual, higher = (
        formats.reading(value, one.unit, summary.currency, summary.timezone, language)
        for value in (one.usual, one.higher)
    )
    name = text(_title(one.feature, board, language))
    return (
        f'<li data-key="weight:{text(one.feature)}"><div class="head"><span>{name}</span>'
        f'<span class="numbers">{one.weight:+.3f}</span></div>'
        f'<div class="pull {side}"><i style="width:{share:.1f}%"></i></div>'
        f'<p class="waits">{text(usual)} → {text(higher)}</p></li>'
    )


def _title(name: str, board: Board, language: Language) -> str:
    return title_in(board.titles.get(name, {}), language, name)


# -------------------------------------------------------------------------------------------------- waiting and drift


def _waiting(report: ModelReport, board: Board, language: Language) -> str:
    """Examples that wait for their label: all, and by week beside those that were answered."""
    most = max((week.asked for week in report.weeks), default=0)
    rows = "".join(_week(week, most, report.models[0], board) for week in report.weeks[-SHOWN_WEEKS:])
    settling = say("n_settling", language).format(formats.count(report.settling))
    big = f'<p class="big"><b>{formats.count(report.waiting)}</b> <span class="second">{text(settling)}</span></p>'
    body = f'{big}<ul class="weeks">{rows}</ul>'
    return card(say("waiting", language), say("answered_note", language), body, "waiting")


def _week(week: Cohort, most: int, model: Standing, board: Board) -> str:
    found = week.models.get(model.model)
    answered = 0 if found is None else found.answers
    whole, part = (100.0 * count / most if most else 0.0 for count in (week.asked, answered))
    told = f"{formats.count(answered)} / {formats.count(week.asked)}"
    day = text(formats.day(week.week, board.summary.timezone))
    return (
        f'<li data-key="week:{text(week.week)}"><span>{day}</span><div class="bar">'
        f'<i class="asked" style="width:{whole:.1f}%"></i><i style="width:{part:.1f}%"></i></div>'
        f'<span class="numbers">{text(told)}</span></li>'
    )


def _drift(report: ModelReport, board: Board, language: Language) -> str:
    """What has changed, and the two levels that matter most; the rest on demand."""
    first = [one for one in report.watched if one.changed or one.series in (Series.BASE_RATE, Series.LOG_LOSS)]
    rest = [one for one in report.watched if one not in first]
    body = _watched(first, board, language) if first else _none(language)
    if rest:
        more = text(say("n_more", language).format(len(rest)))
        body += f"<details><summary>{more}</summary>{_watched(rest, board, language)}</details>"
    return card(say("drift", language), say("drift_note", language), body, "drift")


def _watched(some: Iterable[Watched], board: Board, language: Language) -> str:
    rows = "".join(
        f'<tr data-key="watched:{text(one.series)}{text(one.feature)}"><th>{text(say(one.series, language))} '
        f'<span class="second">{text(_title(one.feature, board, language) if one.feature else "")}</span></th>'
        f"<td>{text(_figure(one.mean, 4))}</td><td>{text(_figure(one.latest, 4))}</td>"
        f"<td>{_changed(one, board, language)}</td></tr>"
        for one in some
    )
    head = "".join(f"<th>{text(say(word, language))}</th>" for word in ("level", "latest_day", "changed"))
    return f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _changed(one: Watched, board: Board, language: Language) -> str:
    if one.changed is None:
        return text(say("steady", language))
    return f'<span class="pill stale">{text(formats.day(one.changed, board.summary.timezone))}</span>'


def _figure(value: float | None, decimals: int) -> str:
    return formats.MISSING if value is None else f"{value:.{decimals}f}"


def _none(language: Language) -> str:
    return f'<p class="empty">{text(say("too_early", language))}</p>'
