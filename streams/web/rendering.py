"""The page's fragments for a board, made once per language however many browsers look."""

from __future__ import annotations

import msgspec

from streams.web import bars, dossier, feed, fresh, headline, model_cards
from streams.web.snapshots import Board, Snapshots
from streams.web.view import detail
from streams.web.words import Language


class Fragments(msgspec.Struct, frozen=True):
    """The HTML of each part of the page."""

    masthead: str
    figures: str
    segments: str
    freshness: str
    feed: str
    tags: str
    models: str


class Rendering:
    """Fragments of the newest board."""

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots
        self._board: Board | None = None
        self._made: dict[Language, Fragments] = {}

    def fragments(self, language: Language) -> Fragments:
        """The page in that language, at most a second old."""
        board = self._snapshots.board()
        if board is not self._board:
            self._board, self._made = board, {}
        if language not in self._made:
            self._made[language] = render(board, language)
        return self._made[language]

    def dossier(self, customer_id: str, language: Language) -> str:
        """All that is said about one customer, or that there is none."""
        found = detail(self._snapshots.view, customer_id)
        if found is None:
            return dossier.nobody(customer_id, language)
        return dossier.dossier(found, self._snapshots.board(), language)


def render(board: Board, language: Language) -> Fragments:
    """The fragments of a board."""
    return Fragments(
        masthead=headline.masthead(board, language),
        figures=headline.figures(board, language),
        segments=bars.segments_card(board, language),
        freshness=fresh.freshness_card(board, language),
        feed=feed.feed_card(board, language),
        tags=bars.tags_card(board, language),
        models=model_cards.model_cards(board, language),
    )
