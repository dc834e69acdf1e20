"""Customers by tag and by segment, as bars. A bar's whole width is all customers."""

from __future__ import annotations

from itertools import groupby

from schemas.catalogue import TagKind
from streams.web import formats
from streams.web.markup import card, text, titles
from streams.web.snapshots import Board
from streams.web.view import SegmentView, TagView
from streams.web.words import Language, say, title_in

SHADES = 8
MOST_VALUES = 12


def segments_card(board: Board, language: Language) -> str:
    """Every segment with its customers and their share."""
    rows = "".join(_segment(segment, board.summary.customers, language) for segment in board.segments)
    body = f'<ul class="rows">{rows}</ul>' if rows else f'<p class="empty">{say("no_segments", language)}</p>'
    return card(say("segments", language), say("of_customers", language), body, "segments")


def tags_card(board: Board, language: Language) -> str:
    """Every tag, by kind: one bar where it is on or off, a stacked one where it has values."""
    order = list(TagKind)
    by_kind = sorted(board.tags, key=lambda tag: order.index(tag.kind))
    groups = "".join(
        f'<div class="kind" data-key="kind:{text(kind)}"><h3>{text(say(kind, language))}</h3><ul class="rows">'
        + "".join(_tag(tag, board.summary.customers, language) for tag in tags)
        + "</ul></div>"
        for kind, tags in groupby(by_kind, key=lambda tag: tag.kind)
    )
    body = f'<div class="kinds">{groups}</div>' if groups else f'<p class="empty">{say("no_tags", language)}</p>'
    return card(say("tags", language), say("of_customers", language), body, "tags")


def _segment(segment: SegmentView, customers: int, language: Language) -> str:
    numbers = _numbers(segment.customers, customers)
    head = f"<span>{titles(segment.title, language, segment.name)}</span>{numbers}"
    more = _more(segment.name, "", title_in(segment.about, language, ""), language)
    return _row(f"segment:{segment.name}", head, _bar(segment.customers, customers, "segment-bar"), more)


def _tag(tag: TagView, customers: int, language: Language) -> str:
    name = f"<span>{titles(tag.title, language, tag.name)}</span>"
    more = _more(tag.name, tag.owner, title_in(tag.about, language, ""), language)
    if tag.waits:
        head = f'{name}<span class="pill warming">{say("warming", language)}</span>'
        return _row(f"tag:{tag.name}", head, f'<p class="waits">{text(tag.waits)}</p>', more)
    if tag.boolean:
        held = tag.counts.get("true", 0)
        return _row(f"tag:{tag.name}", name + _numbers(held, customers), _bar(held, customers, "tag-bar"), more)
    held = sum(tag.counts.values())
    return _row(f"tag:{tag.name}", name + _numbers(held, customers), _stack(tag, customers, language), more)


def _row(key: str, head: str, body: str, more: str) -> str:
    return (
        f'<li data-key="{text(key)}"><details><summary><div class="head">{head}</div>{body}</summary>'
        f"{more}</details></li>"
    )


def _numbers(part: int, whole: int) -> str:
    return f'<span class="numbers"><b>{formats.count(part)}</b> <i>{text(formats.share(part, whole))}</i></span>'


def _width(part: int, whole: int) -> str:
    return f"{100 * min(part, whole) / whole:.3f}%" if whole > 0 else "0%"


def _bar(part: int, whole: int, style: str) -> str:
    some = " some" if part else ""
    return f'<div class="bar {style}{some}"><i style="width:{_width(part, whole)}"></i></div>'


def _stack(tag: TagView, customers: int, language: Language) -> str:
    values = list(enumerate(tag.counts.items()))
    if len(values) > MOST_VALUES:  # of codes, those that most customers have
        values = sorted(values, key=lambda item: -item[1][1])[:MOST_VALUES]
    parts = "".join(
        f'<i class="shade-{place % SHADES}" data-key="{text(value)}" style="width:{_width(number, customers)}"'
        f' title="{text(value)}: {formats.count(number)}"></i>'
        for place, (value, number) in values
    )
    legend = "".join(
        f'<li data-key="{text(value)}"><i class="shade-{place % SHADES}"></i>{text(value)}'
        f" <b>{formats.count(number)}</b></li>"
        for place, (value, number) in values
    )
    nobody = "" if values else f'<p class="waits">{say("nobody", language)}</p>'
    return f'<div class="bar stack">{parts}</div><ul class="legend">{legend}</ul>{nobody}'


def _more(name: str, owner: str, about: str, language: Language) -> str:
    owned = f" · {text(say('owner', language))} {text(owner)}" if owner else ""
    said = f"<p>{text(about)}</p>" if about else ""
    return f'<div class="more">{said}<p><code>{text(name)}</code>{owned}</p></div>'
