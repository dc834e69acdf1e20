"""A catalogue's file to its types: everything is checked, all mistakes are said at once."""

from __future__ import annotations

import datetime
import zoneinfo
from pathlib import Path
from typing import Final

from schemas.catalogue import Catalogue
from schemas.document import Document, Map
from schemas.loading_features import load_features
from schemas.loading_sources import load_sources
from schemas.loading_tags import load_segments, load_tags
from schemas.loading_targets import load_targets
from schemas.loading_triggers import load_triggers
from schemas.problems import CatalogueError, Problem, nearest

TOP: Final = (
    "catalogue",
    "version",
    "title",
    "timezone",
    "currency",
    "sources",
    "lifetime",
    "features",
    "tags",
    "targets",
    "segments",
    "triggers",
)
REQUIRED: Final = {"catalogue": "a name", "timezone": "a name such as Asia/Shanghai", "sources": "a source"}
# ISO 4217: the currencies whose minor unit is not a hundredth.
EXPONENTS: Final = dict.fromkeys(("JPY", "KRW", "VND", "CLP", "ISK", "UGX", "XAF", "XOF", "PYG", "RWF"), 0) | (
    dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3)
)


def load(path: Path) -> Catalogue:
    """The catalogue in a file.

    Raises
    ------
    CatalogueError
        With every mistake in it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise CatalogueError([Problem(str(path), 1, 1, "file", f"can't be read: {reason}")]) from None
    return loads(text, str(path))


def loads(text: str, file: str = "catalogue.yaml") -> Catalogue:
    """The catalogue in a text; `file` is named in mistakes, all of which a CatalogueError holds."""
    document = Document(text, file)
    top = document.top
    top.only(TOP, "a catalogue")
    for key, what in REQUIRED.items():
        top.require(key, what)
    name, version = top.text("catalogue"), top.integer("version", 1, 1, 2**31)
    title = top.titles("title", name)
    timezone, offset_ms = _timezone(top)
    currency = _currency(top)
    exponent = EXPONENTS.get(currency, 2)
    sources = load_sources(top)
    features = load_features(top, sources, exponent)
    tags = load_tags(top, features, exponent)
    segments = load_segments(top, features, tags, exponent)
    targets = load_targets(top, sources, features, exponent)
    triggers = load_triggers(top, sources, features, tags)
    if document.problems:
        raise CatalogueError(document.problems)
    return Catalogue(
        name=name,
        version=version,
        title=title,
        timezone=timezone,
        offset_ms=offset_ms,
        currency=currency,
        exponent=exponent,
        sources=sources.good,
        features=features.good,
        tags=tags.good,
        segments=segments,
        targets=targets,
        triggers=triggers,
        tag_order=tags.order,
        lifetimes=features.lifetimes,
    )


def _timezone(top: Map) -> tuple[str, int]:
    name = top.text("timezone", "UTC") or "UTC"
    try:
        zone = zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        china = name.casefold().rpartition("/")[2] in ("beijing", "bejing", "peking", "china", "prc")
        hint = "Did you mean 'Asia/Shanghai'?" if china else nearest(name, zoneinfo.available_timezones())
        top.problem("timezone", f"there is no time zone {name!r}", "a name such as Asia/Shanghai", hint)
        return "UTC", 0
    winter = datetime.datetime(2026, 1, 1, tzinfo=zone)
    standard = (winter.utcoffset() or datetime.timedelta()) - (winter.dst() or datetime.timedelta())
    return name, int(standard.total_seconds() * 1000)


def _currency(top: Map) -> str:
    currency = top.text("currency", "CNY")
    if len(currency) != 3 or not currency.isascii() or not currency.isupper():
        top.problem("currency", f"{currency!r} is no currency", "three capital letters such as CNY")
    return currency
