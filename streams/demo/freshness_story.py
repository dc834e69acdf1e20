"""What a demo tells of freshness: how old what is said of each source may be, and what became of the tags' promises."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from schemas.catalogue import Catalogue
from schemas.freshness import Freshness, Promise, SourceFreshness, TagFreshness
from schemas.status import Clock
from streams.demo.tables import EN, table
from streams.web import formats
from streams.web.words import title_in

EVENT_CLOCK: Final = Text(
    "By the event clock an age is that of the source's newest event against the newest of all sources; how long "
    "changes take to be published is measured where the wall's clock runs.\n",
    style="dim",
)


def freshness_story(found: Freshness, catalogue: Catalogue) -> Iterator[RenderableType]:
    """A table of the sources, and one of the tags that promise something."""
    yield _sources(found.sources, catalogue)
    promised = [tag for tag in found.tags if tag.promise is not Promise.NONE]
    if promised:
        yield _tags(promised)
    if found.clock is Clock.EVENT:
        yield EVENT_CLOCK


def _sources(sources: list[SourceFreshness], catalogue: Catalogue) -> Table:
    title = f"Freshness of the sources ({catalogue.timezone})"
    made = table(
        "Source", "State", "Newest event", "Age", "Records behind", "Waited", "Silent for", numbers=4, title=title
    )
    for one in sources:
        behind = formats.MISSING if one.lag is None else formats.count(one.lag)
        newest = formats.day_and_time(one.newest, catalogue.timezone)
        made.add_row(one.name, one.state, newest, _for(one.age_s), behind, _for(one.lag_s), _for(one.silence_s))
    return made


def _tags(tags: list[TagFreshness]) -> Table:
    columns = ("Promised", "Age", "Median", "99 of 100", "Changes")
    made = table("Tag", "", "Rests on", "Promise", *columns, numbers=len(columns), title="Tags that promise freshness")
    for one in tags:
        times = map(_for, (one.promise_s, one.age_s, one.p50_s, one.p99_s))
        title, chinese = title_in(one.title, EN, one.name), one.title.get("zh", "")
        made.add_row(title, chinese, ", ".join(one.sources), one.promise, *times, formats.count(one.published))
    return made


def _for(seconds: float | None) -> str:
    return formats.MISSING if seconds is None else formats.duration(1000 * seconds, EN)
