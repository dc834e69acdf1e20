"""Changes as they happen: when, who, what, from what to what, and why."""

from __future__ import annotations

from schemas.records import Cause, Change, SegmentChange
from streams.web import formats
from streams.web.markup import because, card, tag_value, text, titles
from streams.web.snapshots import Board
from streams.web.trickle import A_TURN
from streams.web.words import Language, say, say_or


def feed_card(board: Board, language: Language) -> str:
    """The newest changes on top."""
    rows = "".join(_change(change, board, language) for change in board.changes)
    body = f'<ol class="changes">{rows}</ol>' if rows else f'<p class="empty">{say("no_changes", language)}</p>'
    many = board.changes_per_s > A_TURN
    note = say("feed_some", language).format(formats.rate(board.changes_per_s)) if many else ""
    paused = f'<span class="note paused" aria-hidden="true">{text(say("feed_paused", language))}</span>'
    return card(say("feed", language), note, paused + body, "feed")


def cause_word(cause: str, language: Language) -> str:
    """Why something changed, in the page's words."""
    return say("late cause", language) if cause == Cause.LATE else say_or(cause, language)


def _change(change: Change, board: Board, language: Language) -> str:
    timezone = board.summary.timezone
    title = titles(board.titles.get(change.name, {}), language, change.name)
    kind, direction = ("segment", _direction(change)) if isinstance(change, SegmentChange) else ("tag", "")
    return (
        f'<li class="{kind} {direction}" data-key="{text(change.id)}">'
        f'<time datetime="{text(change.at)}">{formats.clock_time(change.at, timezone)}'
        f"<small>{formats.day(change.at, timezone)}</small></time>"
        f'<div class="what"><div class="line"><span>{title}</span>'
        f"{_transition(change, language)}</div>"
        f'<div class="why"><button type="button" class="customer" data-pick="{text(change.customer_id)}">'
        f'{text(change.customer_id)}</button><span class="cause">{text(cause_word(change.cause, language))}</span>'
        f"{because(change.because, board, language)}</div></div></li>"
    )


def _direction(change: SegmentChange) -> str:
    return "enters" if change.new else "leaves"


def _transition(change: Change, language: Language) -> str:
    if isinstance(change, SegmentChange):
        way = _direction(change)
        return f'<span class="pill {way}">{say(way, language)}</span>'
    old, new = tag_value(change.old, language), tag_value(change.new, language)
    style = {True: " on", False: " off"}.get(change.new, "") if isinstance(change.new, bool) else ""
    return (
        f'<span class="transition"><s>{text(old)}</s><span aria-hidden="true">→</span>'
        f'<b class="{style}">{text(new)}</b></span>'
    )
