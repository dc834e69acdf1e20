"""A customer out of a running worker: its page's API, asked for what the explanation needs."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec

from schemas.catalogue import Unit
from schemas.explanations import SEGMENT, Dossier, Explained, Reading
from schemas.rule_words import Term, Vocabulary, titled
from streams.explaining.decides import translated
from streams.explaining.problem import ExplainError
from streams.web.view import CustomerDetail, Explanation, FeatureView, SegmentView, Summary, TagView, Titles
from streams.web.words import Language

WITHIN_S: Final = 10.0
HERE: Final = ("127.0.0.1", "localhost", "::1")
T = TypeVar("T")


class _Refusal(msgspec.Struct):
    """Why the worker does not answer."""

    detail: str


class _Known(msgspec.Struct, frozen=True):
    """What the worker calls things."""

    summary: Summary
    features: list[FeatureView]
    tags: list[TagView]
    segments: list[SegmentView]

    def vocabulary(self, language: Language) -> Vocabulary:
        terms = {one.name: Term(titled(one.title, language, one.name), one.unit) for one in self.features}
        for tag in self.tags:
            unit = Unit.BOOLEAN if tag.boolean else Unit.CATEGORY
            terms[tag.name] = Term(titled(tag.title, language, tag.name), unit, tag=True)
        return Vocabulary(language, terms, self.summary.currency)

    def titles(self) -> dict[str, Titles]:
        groups: tuple[Sequence[FeatureView | TagView | SegmentView], ...] = (self.features, self.tags, self.segments)
        return {one.name: one.title for group in groups for one in group}


def from_worker(url: str, customer_id: str, language: Language) -> Dossier:
    """The customer, explained by the worker whose page is at `url`.

    Raises
    ------
    ExplainError
        Where nothing answers there, what answers is no livetags worker, or it has no such customer.
    """
    worker = _Worker(url)
    known = _Known(
        worker.ask("/api/summary", Summary),
        worker.ask("/api/features", list[FeatureView]),
        worker.ask("/api/tags", list[TagView]),
        worker.ask("/api/segments", list[SegmentView]),
    )
    answer = worker.ask(f"/api/customers/{urllib.parse.quote(customer_id, safe='')}", CustomerDetail)
    words, explained = known.vocabulary(language), {one.name: one for one in answer.explanations}
    return Dossier(
        customer_id=answer.customer_id,
        at=answer.at,
        language=language,
        catalogue=titled(known.summary.title, language, known.summary.catalogue),
        timezone=known.summary.timezone,
        currency=known.summary.currency,
        tags=[
            _explained(tag, explained[tag.name], answer, known, words) for tag in known.tags if tag.name in explained
        ],
        segments=[
            _explained(one, explained[one.name], answer, known, words)
            for one in known.segments
            if one.name in explained
        ],
        scores=answer.scores,
    )


def _explained(
    item: TagView | SegmentView, why: Explanation, answer: CustomerDetail, known: _Known, words: Vocabulary
) -> Explained:
    units, titles = {one.name: one.unit for one in known.features}, known.titles()
    return Explained(
        name=item.name,
        title=item.title,
        kind=item.kind.value if isinstance(item, TagView) else SEGMENT,
        value=why.value,
        status=answer.status.get(item.name, ""),
        since=why.since,
        cause=why.cause,
        text=why.rule,
        rule=item.rule.get(words.language, []),
        because=[Reading(name, titles.get(name, {}), units.get(name), value) for name, value in why.because.items()],
        decides=translated(why.flips, words, known.summary.timezone),
        cut_points=why.cut_points,
        lifetimes=why.lifetimes,
    )


class _Worker:
    """Asks one worker's page; nothing but HTTP is spoken."""

    def __init__(self, url: str) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ExplainError(f"{url!r} is no address of a worker's page, such as http://127.0.0.1:8640")
        self._base = url.rstrip("/")
        # A proxy for the outside is no way to this machine.
        direct = [urllib.request.ProxyHandler({})] if parts.hostname in HERE else []
        self._open = urllib.request.build_opener(*direct).open

    def ask(self, path: str, kind: type[T]) -> T:
        """The answer to a GET."""
        try:
            with self._open(self._base + path, timeout=WITHIN_S) as answer:
                body: bytes = answer.read()
        except urllib.error.HTTPError as error:
            raise ExplainError(f"{self._base}: {_refused(error)}") from None
        except (OSError, http.client.HTTPException) as error:
            raise ExplainError(f"{self._base}: no worker's page answers: {getattr(error, 'reason', error)}") from None
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ExplainError(f"{self._base}: what answers is no livetags worker of this version: {error}") from None


def _refused(error: urllib.error.HTTPError) -> str:
    try:
        return msgspec.json.decode(error.read(), type=_Refusal).detail
    except (msgspec.MsgspecError, UnicodeDecodeError, OSError, http.client.HTTPException):
        return f"answers {error.code}: is that a livetags worker's page?"
