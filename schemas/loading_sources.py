"""The sources of a catalogue: topics, and the fields of their records."""

from __future__ import annotations

import re
from typing import Final

from schemas.catalogue import Field, FieldKind, Source
from schemas.document import Map, shape
from schemas.loading_features import Sources
from schemas.topics import read_from

SOURCE: Final = (
    "topic",
    "kind",
    "key",
    "time",
    "id",
    "allowed_skew",
    "accept_late",
    "max_ahead",
    "stall_after",
    "open",
    "rekey",
    "fields",
    "title",
)
FIELD: Final = ("type", "other", "optional", "path", "unit", "decimals")
KINDS: Final = tuple(kind.value for kind in FieldKind if kind is not FieldKind.ENUM)
HOURS: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
MOST_VALUES: Final = 64
_OTHER_NAMES: Final = {
    "int": "count",
    "integer": "count",
    "float": "number",
    "double": "number",
    "decimal": "money",
    "string": "text",
    "str": "text",
    "bool": "boolean",
    "date": "time",
    "datetime": "time",
    "timestamp": "time",
    "amount": "money",
}


def load_sources(top: Map) -> Sources:
    """The sources in the catalogue's order; two on one topic are a mistake."""
    nodes = dict(top.named("sources", "source"))
    broken: dict[str, tuple[str, ...]] = {}
    sources: list[Source] = []
    topics: dict[str, str] = {}
    for name, node in nodes.items():
        fields, wrong = _fields(node)
        source = _source(name, node, fields)
        if source.topic in topics:
            node.problem(
                "topic",
                f"the topic {source.topic!r} belongs to source {topics[source.topic]!r} already",
                "a topic of its own",
            )
        if source.topic:
            topics.setdefault(source.topic, name)
        sources.append(source)
        broken[name] = wrong
    for source in sources:
        own = read_from(source)
        if source.rekey and own in topics:
            said = f"its re-keyed records would go to the topic {own!r}, which belongs to source {topics[own]!r}"
            nodes[source.name].problem("rekey", said, "another topic for one of the two")
    return Sources(tuple(sources), broken)


def _source(name: str, node: Map, fields: tuple[Field, ...]) -> Source:
    node.only(SOURCE, "a source")
    for key, what in (("topic", "a topic's name"), ("key", "the customer's field"), ("time", "the event time's field")):
        node.require(key, what)
    profile = node.choice("kind", ("event", "profile"), "event") == "profile"
    if profile and "id" in node:
        node.problem("id", "a profile needs no id: its newest record stands for the customer", "no 'id'", of_key=True)
    if "open" in node and not HOURS.fullmatch(node.text("open")):
        node.problem("open", f"this is {shape(node.data['open'])}", "hours in quotes, '09:00-21:00'")
    return Source(
        name=name,
        topic=_word(node, "topic"),
        key=_word(node, "key"),
        time=_word(node, "time"),
        id=_word(node, "id") if "id" in node and not profile else None,
        fields=fields,
        profile=profile,
        allowed_skew_ms=_duration(node, "allowed_skew", 60_000),
        accept_late_ms=_duration(node, "accept_late", 86_400_000),
        max_ahead_ms=_duration(node, "max_ahead", 300_000),
        stall_after_ms=node.duration("stall_after"),
        open=node.text("open"),
        rekey=node.boolean("rekey"),
    )


def _word(node: Map, key: str) -> str:
    return node.text(key) if node.data.get(key) is not None else ""


def _duration(node: Map, key: str, default: int) -> int:
    given = node.duration(key, default)
    return default if given is None else given


def _fields(node: Map) -> tuple[tuple[Field, ...], tuple[str, ...]]:
    """The good fields, and the names of those with mistakes."""
    below = node.map("fields")
    reserved = [node.data.get(key) for key in ("key", "time", "id")]
    fields: list[Field] = []
    broken: list[str] = []
    for name in below.data if below is not None else ():
        if below is None or not below.names(name, "field"):
            continue
        if name in reserved:
            said = f"{name!r} is the source's key, time or id already"
            below.problem(name, said, "other fields", "Take this line away.", of_key=True)
            continue
        before = len(node.document.problems)
        field = _field(below, name)
        if len(node.document.problems) == before:
            fields.append(field)
        else:
            broken.append(name)
    return tuple(fields), tuple(broken)


def _field(below: Map, name: str) -> Field:
    value = below.data[name]
    if isinstance(value, list):
        return Field(name, FieldKind.ENUM, (name,), _values(below, name))
    if isinstance(value, str):
        return Field(name, _kind(below, name), (name,))
    node = below.map(name)
    if node is None:
        if value is None:
            expected = f"one of {', '.join(KINDS)}, or a list of values"
            below.problem(name, "the field has no type", expected, of_key=True)
        return Field(name, FieldKind.TEXT, (name,))
    node.only(FIELD, "a field")
    node.require("type", f"one of {', '.join(KINDS)}, or a list of values")
    listed = isinstance(node.data.get("type"), list)
    kind = FieldKind.ENUM if listed else _kind(node, "type") if node.data.get("type") is not None else FieldKind.TEXT
    _only_for(node, kind)
    return Field(
        name=name,
        kind=kind,
        path=_path(node, name),
        values=_values(node, "type") if listed else (),
        other=node.boolean("other"),
        optional=node.boolean("optional"),
        minor="unit" in node and node.choice("unit", ("minor", "major"), "major") == "minor",
        decimals=node.integer("decimals", 0, 0, 9) if "decimals" in node else None,
    )


def _kind(node: Map, key: str) -> FieldKind:
    value = node.data[key]
    if value in KINDS:
        return FieldKind(value)
    expected = f"one of {', '.join(KINDS)}, or a list of values [a, b]"
    if str(value).lower() in _OTHER_NAMES:
        meant = _OTHER_NAMES[str(value).lower()]
        hint = f"Write {meant}, or money for amounts." if meant == "number" else f"Write {meant}."
        node.problem(key, f"there is no type {str(value)!r}", expected, hint)
        return FieldKind.TEXT
    if value in ("enum", "category"):
        node.problem(key, "a category is declared by its values", "the list of values, [a, b]")
        return FieldKind.TEXT
    return FieldKind(node.choice(key, KINDS, "text"))


def _only_for(node: Map, kind: FieldKind) -> None:
    if "unit" in node and kind is not FieldKind.MONEY:
        node.problem("unit", "only money has a unit", "no 'unit'", of_key=True)
    if "decimals" in node and kind is not FieldKind.NUMBER:
        hint = "Money has its currency's decimals." if kind is FieldKind.MONEY else ""
        node.problem("decimals", "only a number has decimals", "no 'decimals'", hint, of_key=True)
    if "other" in node and kind is not FieldKind.ENUM:
        node.problem("other", "only a list of values has others", "no 'other'", of_key=True)
    if kind is FieldKind.ENUM and node.data.get("other") is True and "other" in node.data["type"]:
        node.problem(
            "other", "the list has a value named other already", "'other: true', or the value 'other'", of_key=True
        )


def _path(node: Map, name: str) -> tuple[str, ...]:
    path = tuple(node.text("path", name).split("."))
    if not all(path):
        node.problem("path", f"this is {shape(node.data['path'])}", "names joined by points, payload.amount")
    return path


def _values(node: Map, key: str) -> tuple[str, ...]:
    items = node.items(key)
    seen: set[str] = set()
    for word, at in items:
        if word in seen:
            node.document.add(at, node.under(key), f"the value {word!r} stands here twice", "each value once")
        if not word or ("'" in word and '"' in word) or "\n" in word:
            said = f"the value {word!r} can't be written in a rule"
            node.document.add(at, node.under(key), said, "a word with at most one kind of quotes")
        seen.add(word)
    if not node.data[key] or len(items) > MOST_VALUES:
        said = f"{len(items)} values" if items else "no value"
        hint = "A field with more values is text." if items else ""
        node.problem(key, f"the list has {said}", f"1 to {MOST_VALUES} values", hint)
    return tuple(word for word, _ in items)
