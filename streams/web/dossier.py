"""One customer: segments, tags, since when and why, features."""

from __future__ import annotations

from typing import Final

from schemas.explanations import LifetimeExplanation
from schemas.rule_words import titled
from streams.web import formats
from streams.web.feed import cause_word
from streams.web.markup import because, readable, tag_value, text, titles
from streams.web.snapshots import Board
from streams.web.view import CustomerDetail, Explanation
from streams.web.words import Language, say, say_or

STYLES: Final = {True: "on", False: "quiet", None: "quiet"}


def dossier(customer: CustomerDetail, board: Board, language: Language) -> str:
    """All that is said about the customer."""
    as_of = f"{say('as_of', language)} {formats.day_and_time(customer.at, board.summary.timezone)}"
    on, off = _split(customer)
    return (
        f'<div class="dossier" data-key="{text(customer.customer_id)}">'
        f"{_heading(customer.customer_id, as_of, language)}"
        f"{_segments(customer, board, language)}{_tags('has_tags', on, customer, board, language)}"
        f"{_tags('not_now', off, customer, board, language)}{_features(customer, board, language)}</div>"
    )


def nobody(customer_id: str, language: Language) -> str:
    """What to say where there is no such customer."""
    return (
        f'<div class="dossier">{_heading(customer_id, "", language)}'
        f'<p class="empty"><b>{say("unknown_customer", language)}</b><br>{say("unknown_why", language)}</p></div>'
    )


def _heading(customer_id: str, note: str, language: Language) -> str:
    return (
        f'<header><span class="label">{say("customer", language)}</span><h2>{text(customer_id)}</h2>'
        f'<span class="note">{text(note)}</span></header>'
    )


def _split(customer: CustomerDetail) -> tuple[list[Explanation], list[Explanation]]:
    """Tags that are on or have a value, and the rest; a tag without explanation is shown with its value alone."""
    explained = {item.name: item for item in customer.explanations}
    tags = [explained.get(name) or _bare(name, value) for name, value in customer.tags.items()]
    held = [tag for tag in tags if tag.value not in (False, None)]
    return held, [tag for tag in tags if tag.value in (False, None)]


def _bare(name: str, value: bool | str | None) -> Explanation:
    return Explanation(name=name, title={}, value=value, since=None, cause=None, rule="", because={}, flips="")


def _segments(customer: CustomerDetail, board: Board, language: Language) -> str:
    explained = {item.name: item for item in customer.explanations}
    items = "".join(
        _item(explained.get(name) or _bare(name, True), since, customer.status.get(name, ""), board, language, "in")
        for name, since in customer.segments.items()
    )
    body = f'<ul class="items">{items}</ul>' if items else f'<p class="empty">{say("in_none", language)}</p>'
    return f"<h3>{say('in_segments', language)}</h3>{body}"


def _tags(heading: str, tags: list[Explanation], customer: CustomerDetail, board: Board, language: Language) -> str:
    if not tags:
        return ""
    items = "".join(_item(tag, tag.since, customer.status.get(tag.name, ""), board, language) for tag in tags)
    return f'<h3>{say(heading, language)} <span class="note">{len(tags)}</span></h3><ul class="items">{items}</ul>'


def _item(item: Explanation, since: str | None, status: str, board: Board, language: Language, shown: str = "") -> str:
    """A tag or segment; its rule and values unfold."""
    title = titles(item.title or board.titles.get(item.name, {}), language, item.name)
    when = f"{say('since', language)} {formats.day_and_time(since, board.summary.timezone)}" if since else ""
    style = "warming" if status else "level" if isinstance(item.value, str) else STYLES[item.value]
    value = say(shown, language) if shown else tag_value(item.value, language)
    if status:
        # What is frozen has a value still, what warms has none.
        value = f"{value} · {say_or(status, language)}" if status == "frozen" else say_or(status, language)
    return (
        f'<li data-key="{text(item.name)}"><details><summary><div class="head"><span>{title}</span>'
        f'<span class="when">{text(when)}</span><span class="pill {style}">{text(value)}</span></div></summary>'
        f'<div class="more">{_why(item, board, language)}</div></details></li>'
    )


def _why(item: Explanation, board: Board, language: Language) -> str:
    rows = (
        ("rule", f"<code>{text(item.rule)}</code>" if item.rule else ""),
        ("values", because(item.because, board, language)),
        ("cut_points", text(_cuts(item, board, language))),
        ("lifetime", "<br>".join(text(_lifetime(one, board, language)) for one in item.lifetimes)),
        ("cause", text(cause_word(item.cause, language)) if item.cause else ""),
        ("flips", text(item.flips)),
        ("name", f"<code>{text(item.name)}</code>"),
    )
    return "".join(
        f'<div class="why-row"><span class="label">{say(word, language)}</span><div>{body}</div></div>'
        for word, body in rows
        if body
    )


def _cuts(item: Explanation, board: Board, language: Language) -> str:
    """Where a quantile tag's levels begin: by level, the value."""
    cuts = item.cut_points
    if cuts is None:
        return ""
    sign = "≤" if cuts.falling else "≥"
    levels = [f"{n}: {sign} {readable(cuts.feature, cut, board, language)}" for n, cut in enumerate(cuts.cuts, start=2)]
    return f"{' · '.join(levels)} ({say('version', language)} {cuts.version}, {formats.count(cuts.customers)})"


def _lifetime(model: LifetimeExplanation, board: Board, language: Language) -> str:
    """What a lifetime model knows of the customer, by feature, and whom it was learned from."""
    known = [
        f"{titled(board.titles.get(name, {}), language, name)} {readable(name, value, board, language)}"
        for name, value in model.knows.items()
    ]
    return f"{' · '.join(known)} ({say('version', language)} {model.version}, {formats.count(model.customers)})"


def _features(customer: CustomerDetail, board: Board, language: Language) -> str:
    rows = "".join(
        f'<tr data-key="{text(name)}"><th scope="row">{titles(board.titles.get(name, {}), language, name)}</th>'
        f"<td>{text(readable(name, value, board, language))}</td></tr>"
        for name, value in customer.features.items()
    )
    return f"<h3>{say('features', language)}</h3><table>{rows}</table>" if rows else ""
