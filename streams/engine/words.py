"""A catalogue's texts as the writing kernel reads them: names, values and the pieces of JSON between them.

Texts are numbers into one pool of bytes. What a register (feature or tag) says is an item: its key, how its number is
written, and where its values' texts begin. Names live here and in `layout.py` only.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.catalogue import Aggregation, Feature, Segment, Tag, Unit
from schemas.values import said_values
from streams.engine.ink import ESCAPED, LONGEST_NUMBER, TIME_BYTES
from streams.engine.kernel import CAUSES
from streams.engine.plan import Plan, registers_of

ID_CHARS: Final = 32
HASHED: Final = 400
"""What the text that a change's id is hashed from takes at most beside customer, name and anchor."""
_OPEN: Final = '{"id":"'
FIXED: Final = (_OPEN, '","customer_id":"', ',"new":', ',"at":"', '","cause":"', '","catalogue_version":', "}}", "null")


class Ink(IntEnum):
    """How a register's number is written; a missing one is null unless said otherwise."""

    WHOLE, MONEY, TIME, WORD, REAL, SCALED = 0, 1, 2, 3, 4, 5


ITEM: Final = np.dtype([("key", "i8"), ("ink", "i8"), ("words", "i8"), ("scale", "f8"), ("most", "i8")])
SAID: Final = np.dtype(
    [
        ("head", "i8"),
        ("name", "i8"),
        ("words", "i8"),
        ("because", "i8"),
        ("because_end", "i8"),
        ("segment", "i8"),
        ("most", "i8"),
        ("since", "i8"),
    ]
)


class Words(NamedTuple):
    """Text i is `pool[ends[i]:ends[i + 1]]`; `items` by register, `said` by rule.

    `tags` and `segments` list what a customer's record says: rules in the catalogue's order. `WORD` items take the text
    `words + 1 + code`, a missing one `words`.
    """

    pool: NDArray[np.uint8]
    ends: NDArray[np.int64]
    items: NDArray[Any]
    said: NDArray[Any]
    because: NDArray[np.int64]
    causes: int
    version: int
    exponent: int
    tags: NDArray[np.int64]
    segments: NDArray[np.int64]
    features: int
    most_customer: int


def build(plan: Plan) -> Words:
    """The texts of a plan's catalogue."""
    return _Builder(plan).words()


class _Builder:
    def __init__(self, plan: Plan) -> None:
        self.plan, self.catalogue = plan, plan.catalogue
        self.pool: list[bytes] = [text.encode() for text in FIXED]

    def words(self) -> Words:
        catalogue, plan = self.catalogue, self.plan
        causes = self._add(cause.value for cause in CAUSES)
        version = self._add([f'","catalogue_version":{catalogue.version},"because":{{'])
        features = [self._feature(feature) for feature in catalogue.features]
        tags = [self._tag(catalogue.tag(name)) for name in catalogue.tag_order]
        said_items: list[Tag | Segment] = [catalogue.tag(name) for name in catalogue.tag_order]
        said_items += catalogue.segments
        items = np.array([*features, *tags], dtype=ITEM)
        said = np.array([self._said(item, index, items) for index, item in enumerate(said_items)], dtype=SAID)
        places = {name: index for index, name in enumerate(plan.said)}
        names = registers_of(catalogue)
        most = int(items["most"].sum()) + sum(self._length(int(row["name"])) + 40 for row in said) + 200
        return Words(
            pool=np.frombuffer(b"".join(self.pool), dtype=np.uint8),
            ends=np.cumsum([0, *map(len, self.pool)], dtype=np.int64),
            items=items,
            said=said,
            because=np.array([names[n] for used in plan.because for n in used], dtype=np.int64),
            causes=causes,
            version=version,
            exponent=catalogue.exponent,
            tags=np.array([places[tag.name] for tag in catalogue.tags], dtype=np.int64),
            segments=np.array([places[segment.name] for segment in catalogue.segments], dtype=np.int64),
            features=len(catalogue.features),
            most_customer=most,
        )

    def _add(self, texts: Any) -> int:
        """Add texts, one after the other; the number of the first."""
        first = len(self.pool)
        self.pool += [text.encode() for text in texts]
        return first

    def _length(self, text: int) -> int:
        return len(self.pool[text])

    def _item(self, name: str, ink: Ink, words: int, longest: int, scale: float = 1.0) -> tuple[float, ...]:
        key = self._add([f"{_json(name)}:"])
        return (key, int(ink), words, scale, self._length(key) + 1 + longest)

    def _feature(self, feature: Feature) -> tuple[float, ...]:
        computed = feature.is_derived
        match feature.unit:
            case Unit.MONEY if computed or feature.aggregation is Aggregation.MEAN:
                return self._item(feature.name, Ink.SCALED, 0, LONGEST_NUMBER, float(10**self.catalogue.exponent))
            case Unit.MONEY:
                return self._item(feature.name, Ink.MONEY, 0, LONGEST_NUMBER)
            case Unit.COUNT if not computed:
                return self._item(feature.name, Ink.WHOLE, 0, LONGEST_NUMBER)
            case Unit.DURATION:
                return self._item(feature.name, Ink.WHOLE, 0, LONGEST_NUMBER)
            case Unit.TIME:
                return self._item(feature.name, Ink.TIME, 0, TIME_BYTES + 2)
            case Unit.CATEGORY:
                return self._word(feature.name, [None, *feature.values])
            case Unit.BOOLEAN:
                return self._word(feature.name, [None, False, True])
        return self._item(feature.name, Ink.REAL, 0, LONGEST_NUMBER)

    def _tag(self, tag: Tag) -> tuple[float, ...]:
        return self._word(tag.name, list(said_values(tag)))

    def _word(self, name: str, values: list[str | bool | None]) -> tuple[float, ...]:
        texts = [_json(value) for value in values]
        return self._item(name, Ink.WORD, self._add(texts), max(len(text.encode()) for text in texts))

    def _said(self, item: Tag | Segment, index: int, items: Any) -> tuple[int, ...]:
        """A rule's pieces, and the most bytes a change of it takes without its customer."""
        kind, segment = ("segment", 1) if isinstance(item, Segment) else ("tag", 0)
        head = self._add([f'","{kind}":{_json(item.name)},"old":'])
        name = self._add([item.name])
        since = self._add([f"{_json(item.name)}:"])
        texts = [_json(value) for value in said_values(item)]
        words = self._add(texts)
        rule = self.plan.tables.rules[index]
        used = self.plan.tables.because[rule["because"] : rule["because_end"]]
        fixed = sum(map(len, FIXED)) + ID_CHARS + TIME_BYTES + 100
        most = fixed + self._length(head) + 2 * max(map(len, texts)) * 4 + sum(int(items[n]["most"]) for n in used)
        return (head, name, words, int(rule["because"]), int(rule["because_end"]), segment, most, since)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def most_of(words: Words, rules: NDArray[np.int64], name_bytes: NDArray[np.int64]) -> int:
    """Room that changes of those rules, of customers with names so long, take at most."""
    return int(words.said["most"][rules].sum()) + ESCAPED * int(name_bytes.sum())
