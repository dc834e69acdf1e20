"""Small pieces of HTML that the fragments share. Every text that comes from outside goes through `text`."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from schemas.records import Value
from streams.web import formats
from streams.web.snapshots import Board
from streams.web.words import Language, say, second_title, title_in


def text(value: object) -> str:
    """The value as text that is safe in HTML and in attributes."""
    return escape(str(value), quote=True)


def titles(known: Mapping[str, str], language: Language, name: str) -> str:
    """A title with the other language's smaller beside it."""
    second = second_title(known, language, name)
    beside = f' <span class="second" lang="{language.other}">{text(second)}</span>' if second else ""
    return f'<span class="title">{text(title_in(known, language, name))}</span>{beside}'


def card(heading: str, note: str, body: str, label: str) -> str:
    """A card with its heading and a note, both plain text; `label` is its class."""
    return (
        f'<section class="card {label}" aria-label="{text(heading)}"><header><h2>{text(heading)}</h2>'
        f'<span class="note">{text(note)}</span></header>{body}</section>'
    )


def tag_value(value: bool | str | None, language: Language) -> str:
    """A tag's value in words."""
    if isinstance(value, bool):
        return say("on" if value else "off", language)
    return formats.MISSING if value is None else value


def because(values: Mapping[str, Value], board: Board, language: Language) -> str:
    """What a rule used, as a list of names and readable values."""
    items = "".join(
        f"<span><dt>{text(title_in(board.titles.get(name, {}), language, name))}</dt>"
        f"<dd>{text(readable(name, value, board, language))}</dd></span>"
        for name, value in values.items()
    )
    return f'<dl class="because">{items}</dl>' if items else ""


def readable(name: str, value: Value, board: Board, language: Language) -> str:
    """A feature's or tag's value with its unit."""
    summary = board.summary
    return formats.reading(value, board.units.get(name), summary.currency, summary.timezone, language)
