"""What a demo tells in the end: how much, how fast, who moved, and three customers explained."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from schemas.catalogue import Catalogue, Unit
from schemas.records import Value
from streams.demo.gauge import both_titles, largest
from streams.demo.member import Reading
from streams.demo.tables import EN, table
from streams.engine.explain import Explanation
from streams.web import formats
from streams.web.feed import cause_word
from streams.web.view import CustomerDetail, SegmentView
from streams.web.words import say, title_in

EXPLAINED: Final = 3
TAGS_EACH: Final = 6


class Pick(msgspec.Struct, frozen=True):
    """Customers worth explaining, the best first, and the segment they were picked for."""

    segment: str
    customers: list[str]


def picks(segments: Iterable[SegmentView]) -> list[Pick]:
    """Whom to explain: who entered the rarest segments last."""
    held = sorted((s for s in segments if s.customers and s.latest), key=lambda s: (s.customers, s.name))
    return [Pick(segment.name, segment.latest) for segment in held]


def tell(console: Console, reading: Reading, seconds: float) -> None:
    """Print the figures, the changes by cause and the segments."""
    console.print()
    for shown in (_figures(reading, seconds), _causes(reading), _segments(reading)):
        console.print(shown)


def _figures(reading: Reading, seconds: float) -> Table:
    summary = reading.summary
    columns = ("Events", "Seconds", "Events/s", "Changes", "Customers", "Dead letters", "Late", "Duplicates")
    until = formats.day_and_time(summary.event_time, summary.timezone)
    title = f"{title_in(summary.title, EN, summary.catalogue)}, until {until} ({summary.timezone})"
    made = table(*columns, numbers=len(columns), title=title)
    figures = (summary.events, None, None, summary.changes, summary.customers)
    aside = (summary.dead, summary.late, summary.duplicates)
    texts = ["" if figure is None else formats.count(figure) for figure in (*figures, *aside)]
    texts[1], texts[2] = (
        f"{seconds:.1f}",
        formats.count(round(summary.events / seconds)) if seconds else formats.MISSING,
    )
    made.add_row(*texts)
    return made


def _causes(reading: Reading) -> Table:
    made = table("Cause", "Changes", numbers=1, title="Changes by cause")
    for cause, number in sorted(reading.summary.changes_by_cause.items(), key=lambda item: -item[1]):
        made.add_row(cause_word(cause, EN), formats.count(number))
    return made


def _segments(reading: Reading) -> Table:
    columns = ("Segment", "", "Entered", "Left", "Customers", "Share")
    made = table(*columns, numbers=4, title="Segments, largest first")
    whole = reading.summary.customers
    for segment in largest(reading.segments):
        numbers = (segment.entered, segment.left, segment.customers)
        made.add_row(*both_titles(segment), *map(formats.count, numbers), formats.share(segment.customers, whole))
    return made


class Teller:
    """Puts what a rule used into words, by the catalogue's titles and units."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._titles = {feature.name: feature.title for feature in catalogue.features}
        self._titles |= {tag.name: tag.title for tag in catalogue.tags}
        self._titles |= {segment.name: segment.title for segment in catalogue.segments}
        self._units: dict[str, Unit] = {feature.name: feature.unit for feature in catalogue.features}

    def explain(self, customer: CustomerDetail, picked_for: str) -> RenderableType:
        """A customer's segments and tags: since when, by which cause, and what their rules rest on."""
        picked = self.title(picked_for)
        made = table("", "", "Says", "Since", "Cause", "Because", title=f"Customer {customer.customer_id} ({picked})")
        for item in self._shown(customer):
            chinese = item.title.get("zh", "")
            said = say("in", EN) if item.name in customer.segments else says(item.value)
            since = formats.day_and_time(item.since, self._catalogue.timezone)
            cause = cause_word(item.cause, EN) if item.cause else formats.MISSING
            title = Text(title_in(item.title, EN, item.name), style="bold" if item.name in customer.segments else "")
            made.add_row(title, chinese, said, since, cause, self.because(item.because))
        return made

    def _shown(self, customer: CustomerDetail) -> list[Explanation]:
        """The segments the customer is in, then the tags that changed last."""
        segments = [item for item in customer.explanations if item.name in customer.segments]
        tags = [
            item for item in customer.explanations if item.name in customer.tags and item.value not in (None, False)
        ]
        moved = sorted((tag for tag in tags if tag.since), key=lambda tag: tag.since or "", reverse=True)
        return segments + moved[:TAGS_EACH]

    def title(self, name: str) -> str:
        """The English title of a feature, tag or segment."""
        return title_in(self._titles.get(name, {}), EN, name)

    def because(self, because: dict[str, Value]) -> str:
        """Titles and values of what a rule used."""
        return "; ".join(f"{self.title(name)} {self._reading(name, value)}" for name, value in because.items())

    def _reading(self, name: str, value: Value) -> str:
        catalogue = self._catalogue
        return formats.reading(value, self._units.get(name), catalogue.currency, catalogue.timezone, EN)


def says(value: bool | str | None) -> str:
    """A tag's value in words."""
    return say("on" if value else "off", EN) if isinstance(value, bool) else value or formats.MISSING
