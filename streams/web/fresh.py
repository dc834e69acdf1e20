"""How fresh the sources are, and the tags whose freshness is promised."""

from __future__ import annotations

from typing import Final

from schemas.freshness import Promise, SourceFreshness, SourceState, TagFreshness, WorkerState
from streams.web import formats
from streams.web.markup import card, text, titles
from streams.web.snapshots import Board
from streams.web.words import Language, say

STATES: Final = {
    SourceState.FLOWING: "fresh",
    SourceState.SILENT: "stale",
    SourceState.FROZEN: "stale",
    SourceState.BEHIND: "stale",
    SourceState.UNREAD: "broken",
    SourceState.UNKNOWN: "quiet",
}
PROMISES: Final = {
    Promise.KEPT: "fresh",
    Promise.MISSED: "broken",
    Promise.NOBODY: "broken",
    Promise.UNKNOWN: "quiet",
    Promise.NONE: "quiet",
}


def freshness_card(board: Board, language: Language) -> str:
    """Every source, then every tag with a promise."""
    events = {source.name: source.events for source in board.sources}
    sources = "".join(_source(one, events.get(one.name, 0), board, language) for one in board.freshness.sources)
    promised = "".join(_tag(one, language) for one in board.freshness.tags if one.promise_s is not None)
    tags = f'<h3>{text(say("promises", language))}</h3><ul class="fresh-list">{promised}</ul>' if promised else ""
    body = f'<ul class="fresh-list">{sources}</ul>{tags}'
    return card(say("freshness", language), _workers(board, language), body, "freshness")


def _workers(board: Board, language: Language) -> str:
    """How many workers there are, and how many there were lately."""
    states = [worker.state for worker in board.freshness.workers]
    working = states.count(WorkerState.WORKING)
    gone = len(states) - working
    said = [say("n_working", language).format(working)] if working > 1 or gone else []
    return " · ".join([*said, say("n_gone", language).format(gone)] if gone else said)


def _source(source: SourceFreshness, events: int, board: Board, language: Language) -> str:
    topic = source.topic if source.topic != source.name else ""
    name = f'{titles({}, language, source.name)} <span class="second">{text(topic)}</span>'
    facts = [
        say("n_events", language).format(formats.count(events)),
        _ago("newest_ago", source.age_s, language),
        _lag(source, language),
        _ago("received_ago", source.silence_s, language),
        _unread(source, language),
        _frozen(source, board, language),
    ]
    return _row(f"source:{source.name}", name, source.state, STATES[source.state], facts, language)


def _tag(tag: TagFreshness, language: Language) -> str:
    age = "" if tag.age_s is None else say("age_now", language).format(_duration(tag.age_s, language))
    promise = say("promised", language).format(_duration(tag.promise_s or 0.0, language))
    rests = say("frozen", language) if tag.frozen else ""
    name = titles(tag.title, language, tag.name)
    return _row(f"fresh:{tag.name}", name, tag.promise, PROMISES[tag.promise], [promise, age, rests], language)


def _row(key: str, name: str, word: str, style: str, facts: list[str], language: Language) -> str:
    said = "".join(f"<span>{text(fact)}</span>" for fact in facts if fact)
    return (
        f'<li data-key="{text(key)}"><div class="head"><span>{name}</span>'
        f'<span class="pill {style}">{text(say(word, language))}</span></div><div class="facts">{said}</div></li>'
    )


def _ago(word: str, seconds: float | None, language: Language) -> str:
    return "" if seconds is None else say(word, language).format(_duration(seconds, language))


def _lag(source: SourceFreshness, language: Language) -> str:
    if source.lag is None:
        return say("lag_unknown", language)
    if not source.lag or not source.lag_s:
        return say("lag", language).format(formats.count(source.lag))
    return say("lag_for", language).format(formats.count(source.lag), _duration(source.lag_s, language))


def _unread(source: SourceFreshness, language: Language) -> str:
    if not source.unread:
        return ""
    return say("n_unread", language).format(len(source.unread), source.partitions)


def _frozen(source: SourceFreshness, board: Board, language: Language) -> str:
    """As of when its features are read."""
    if source.frozen_at is None:
        return ""
    return say("frozen_at", language).format(formats.day_and_time(source.frozen_at, board.summary.timezone))


def _duration(seconds: float, language: Language) -> str:
    return formats.duration(1000 * seconds, language)
