"""The top of the page: what runs, how fast, and how much."""

from __future__ import annotations

from collections.abc import Sequence

from streams.web import formats
from streams.web.markup import text
from streams.web.snapshots import Board
from streams.web.view import Summary
from streams.web.words import Language, say, second_title, title_in

FEWEST_POINTS = 30


def masthead(board: Board, language: Language) -> str:
    """The name of the catalogue and the worker's state."""
    summary = board.summary
    first = title_in(summary.title, language, summary.catalogue)
    second = second_title(summary.title, language, summary.catalogue)
    clock = say("event clock" if summary.clock == "event" else "wall clock", language)
    return (
        '<div class="masthead"><span class="brand"><i></i><i></i><i></i>livetags</span>'
        f'<h1>{text(first)}<span class="second">{text(second)}</span></h1>'
        f'<span class="pill state {text(summary.state)}"><i class="dot"></i>{text(say(summary.state, language))}</span>'
        f'<span class="note clock">{text(clock)}</span>{_recovering(summary, language)}</div>'
        f"{_progress(summary, language)}"
    )


def figures(board: Board, language: Language) -> str:
    """The counts that move."""
    summary = board.summary
    aside = summary.dead + summary.late + summary.duplicates
    parts = ((summary.dead, "dead"), (summary.late, "late"), (summary.duplicates, "duplicates"))
    why = " · ".join(f"{formats.count(number)} {say(word, language)}" for number, word in parts)
    time = formats.clock_time(summary.event_time, summary.timezone)
    day = formats.day(summary.event_time, summary.timezone) if summary.event_time else say("no_events", language)
    return (
        '<div class="figures">'
        + "".join(
            (
                _figure("events_per_s", formats.rate(summary.events_per_s), sparkline(board.rates), language, " wide"),
                _figure("events", formats.count(summary.events), "", language),
                _figure("changes", formats.count(summary.changes), _per_event(summary, language), language),
                _figure("customers", formats.count(summary.customers), "", language),
                _figure("event_time", time, text(day), language),
                _figure("set_aside", formats.count(aside), text(why), language),
            )
        )
        + "</div>"
    )


def sparkline(rates: Sequence[float]) -> str:
    """The last rates as a line; nothing before there are two."""
    if len(rates) < 2 or max(rates) <= 0:
        return '<svg class="spark" viewBox="0 0 100 24" aria-hidden="true"></svg>'
    top, span = max(rates), max(len(rates), FEWEST_POINTS)
    left, step = span - len(rates), 100 / (span - 1)
    points = [f"{(left + place) * step:.1f},{22 - 20 * rate / top:.1f}" for place, rate in enumerate(rates)]
    area = f"{left * step:.1f},24 {' '.join(points)} 100,24"
    return (
        f'<svg class="spark" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">'
        f'<polygon points="{area}"/><polyline points="{" ".join(points)}"/></svg>'
    )


def _recovering(summary: Summary, language: Language) -> str:
    """What is left to recover, and about how long it takes."""
    found = summary.recovering
    if found is None or found.left is None:
        return ""
    left = say("n_left", language).format(formats.count(found.left))
    seconds = (
        "" if found.left_s is None else " · " + say("about_s", language).format(formats.count(round(found.left_s)))
    )
    return f'<span class="note recovering">{text(left + seconds)}</span>'


def _progress(summary: Summary, language: Language) -> str:
    if summary.progress is None:
        return ""
    percent = 100 * min(max(summary.progress, 0.0), 1.0)
    return (
        f'<div class="progress" role="progressbar" aria-label="{text(say("progress", language))}" aria-valuemin="0"'
        f' aria-valuemax="100" aria-valuenow="{percent:.0f}"><i style="width:{percent:.2f}%"></i></div>'
    )


def _figure(word: str, value: str, below: str, language: Language, style: str = "") -> str:
    return (
        f'<div class="figure{style}" data-key="{word}"><span class="label">{text(say(word, language))}</span>'
        f'<strong>{text(value)}</strong><span class="below">{below}</span></div>'
    )


def _per_event(summary: Summary, language: Language) -> str:
    if not summary.events:
        return ""
    return text(say("per_thousand", language).format(formats.rate(1000 * summary.changes / summary.events)))
