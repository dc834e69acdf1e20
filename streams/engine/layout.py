"""Catalogue to row layout: which word of a customer's row holds what, and the tables that tell the kernel.

A row is `int64[width]`. Word 0 is its now; then per source the newest event time and the ring of applied ids; then
the stores (tiles and other partial aggregates that features are read from, shared where features allow); then two
words per tag and segment: since when, and value with cause; then two per target; then one per group of sources that
features count: the moment at which it stands while it is frozen, MISSING for the row's now. Names live here only.
"""

from __future__ import annotations

import hashlib
from enum import IntEnum
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.catalogue import Aggregation, Catalogue, Feature, FieldKind, Quantiles, Rule, Source
from schemas.rules import Expr

MISSING: Final = -(2**63)
NEVER: Final = 2**63 - 1
RING: Final = 16
NOW: Final = 0
FORMAT: Final = 4


class StoreKind(IntEnum):
    """What a store keeps."""

    COUNT, SUM, MIN, MAX, VALUES = 0, 1, 2, 3, 4
    LAST, FIRST, LATEST, EARLIEST, PROFILE = 5, 6, 7, 8, 9


TILED: Final = (StoreKind.COUNT, StoreKind.SUM, StoreKind.MIN, StoreKind.MAX, StoreKind.VALUES)

STORE: Final = np.dtype(
    [
        ("kind", "i8"),
        ("offset", "i8"),
        ("tiles", "i8"),
        ("width", "i8"),
        ("values", "i8"),
        ("field", "i8"),
        ("real", "i8"),
        ("live", "i8"),
        ("window", "i8"),
    ]
)
WINDOW: Final = np.dtype([("width", "i8"), ("tiles", "i8"), ("stores", "i8"), ("stores_end", "i8"), ("group", "i8")])
SOURCE: Final = np.dtype(
    [
        ("profile", "i8"),
        ("accept_late", "i8"),
        ("newest", "i8"),
        ("ring", "i8"),
        ("wheres", "i8"),
        ("wheres_end", "i8"),
        ("uses", "i8"),
        ("uses_end", "i8"),
        ("fields", "i8"),
        ("outcomes", "i8"),
        ("outcomes_end", "i8"),
    ]
)
USE: Final = np.dtype([("store", "i8"), ("where", "i8")])
RANGE: Final = np.dtype([("start", "i8"), ("end", "i8")])


class StoreKey(msgspec.Struct, frozen=True):
    """What makes two stores the same one."""

    kind: StoreKind
    sources: tuple[str, ...]
    field: str | None
    where: Expr | None
    tiles: int
    width_ms: int
    values: int = 0
    real: bool = False


class Reading(msgspec.Struct, frozen=True):
    """The stores a feature is read from."""

    stores: tuple[StoreKey, ...]


class Rows(msgspec.Struct, frozen=True):
    """The row's layout: width in words, the empty row, where everything stands."""

    width: int
    empty: NDArray[np.int64]
    newest: dict[str, int]
    ring: dict[str, int]
    stores: dict[StoreKey, int]
    said: dict[str, int]
    targets: dict[str, int]
    groups: dict[tuple[str, ...], int]


def store_words(key: StoreKey) -> int:
    """How many words a store takes."""
    match key.kind:
        case StoreKind.COUNT:
            return (key.tiles + 1) // 2
        case StoreKind.VALUES:
            return (key.tiles * key.values + 1) // 2
        case StoreKind.LAST | StoreKind.FIRST:
            return 3
    return key.tiles


def store_empty(key: StoreKey) -> list[int]:
    """A store before any record."""
    match key.kind:
        case StoreKind.COUNT | StoreKind.SUM | StoreKind.VALUES:
            return [0] * store_words(key)
        case StoreKind.FIRST:
            return [NEVER, NEVER, MISSING]
        case StoreKind.EARLIEST:
            return [NEVER]
    return [MISSING] * store_words(key)


def reading(feature: Feature, catalogue: Catalogue) -> Reading:
    """The stores that a feature needs."""
    if feature.aggregation is Aggregation.COMPUTE:
        return Reading(())
    tiles, width = (feature.window.tiles, feature.window.width_ms) if feature.window else (1, 0)
    source = catalogue.source(feature.sources[0])
    field = source.field(feature.field) if feature.field else None
    real = field is not None and field.kind is FieldKind.NUMBER and field.decimals is None

    def key(kind: StoreKind, name: str | None = None, values: int = 0) -> StoreKey:
        tiled = kind in TILED
        return StoreKey(
            kind,
            tuple(sorted(feature.sources)),
            name,
            feature.where,
            tiles if tiled else 1,
            width if tiled else 0,
            values,
            real and name is not None,
        )

    name, values = feature.field, len(field.all_values) if field else 0
    match feature.aggregation:
        case Aggregation.COUNT | Aggregation.DAYS:
            return Reading((key(StoreKind.COUNT),))
        case Aggregation.MEAN:
            return Reading((key(StoreKind.SUM, name), key(StoreKind.COUNT, name)))
        case Aggregation.DISTINCT | Aggregation.TOP:
            return Reading((key(StoreKind.VALUES, name, values),))
        case Aggregation.SINCE_LAST:
            return Reading((key(StoreKind.LATEST),))
        case Aggregation.SINCE_FIRST:
            return Reading((key(StoreKind.EARLIEST),))
    if source.profile:
        return Reading((key(StoreKind.PROFILE, name),))
    return Reading((key(StoreKind[feature.aggregation.name], name),))


def lay_out(catalogue: Catalogue, readings: dict[str, Reading]) -> Rows:
    """Give every part of a row its place."""
    empty: list[int] = [MISSING]

    def take(words: list[int]) -> int:
        offset = len(empty)
        empty.extend(words)
        return offset

    newest = {source.name: take([MISSING]) for source in catalogue.sources}
    ring = {source.name: take([MISSING] * RING + [0]) for source in catalogue.sources if source.id}
    stores: dict[StoreKey, int] = {}
    for item in readings.values():
        for key in item.stores:
            if key not in stores:
                stores[key] = take(store_empty(key))
    said: dict[str, int] = {}
    for name in catalogue.tag_order:
        said[name] = take([MISSING, said_word(0 if catalogue.tag(name).boolean else -1, 0)])
    for segment in catalogue.segments:
        said[segment.name] = take([MISSING, said_word(0, 0)])
    # When the customer was last asked about, and whether such a question may be open.
    targets = {target.name: take([MISSING, 0]) for target in catalogue.targets}
    groups = {group: take([MISSING]) for group in dict.fromkeys(key.sources for key in stores)}
    return Rows(len(empty), np.array(empty, dtype=np.int64), newest, ring, stores, said, targets, groups)


def said_word(code: int, cause: int) -> int:
    """A tag's value (-1 missing) and the cause of its last change in one word."""
    return (code + 1) * 16 + cause


def fingerprint(catalogue: Catalogue) -> str:
    """32 hex digits that change when rows written under the catalogue would mean something else."""
    plain = msgspec.structs.replace(
        catalogue,
        title={},
        triggers=(),
        targets=tuple(msgspec.structs.replace(t, title={}, refresh_ms=0, prior=0.0) for t in catalogue.targets),
        version=0,
        features=tuple(msgspec.structs.replace(f, title={}) for f in catalogue.features),
        tags=tuple(
            msgspec.structs.replace(
                t, title={}, about={}, owner="", text="", used_for=(), freshness_ms=None, rule=_lasting(t.rule)
            )
            for t in catalogue.tags
        ),
        segments=tuple(msgspec.structs.replace(s, title={}, about={}, text="") for s in catalogue.segments),
    )
    return hashlib.blake2b(msgspec.json.encode((FORMAT, plain)), digest_size=16).hexdigest()


def _lasting(rule: Rule) -> Rule:
    """The rule without what only says when cut-points come: rows mean the same whenever they do."""
    if isinstance(rule, Quantiles):
        return msgspec.structs.replace(rule, refresh_ms=0, least=0, tolerance=0.0)
    return rule


def source_fields(source: Source) -> dict[str, int]:
    """The column of every field of a source."""
    return {field.name: column for column, field in enumerate(source.fields)}
