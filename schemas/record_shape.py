"""The shape of a source's records: the Struct that its JSON is read into, and how each field is taken from that."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

import msgspec

from schemas.catalogue import FieldKind, Source

_COUNT = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_TYPES: Final[dict[FieldKind, Any]] = {
    FieldKind.MONEY: float,
    FieldKind.COUNT: _COUNT,
    FieldKind.NUMBER: float,
    FieldKind.TEXT: str,
    FieldKind.BOOLEAN: bool,
    FieldKind.TIME: int | str,
}


def shape_of(source: Source) -> tuple[type, dict[str, Callable[[Any], Any]]]:
    """A Struct of what is read of a record, and how to get each field from it."""
    leaves: dict[tuple[str, ...], tuple[str, Any, bool]] = {
        tuple(source.key.split(".")): ("key", int | str, False),
        tuple(source.time.split(".")): ("time", int | str, source.profile),
    }
    if source.id is not None:
        leaves[tuple(source.id.split("."))] = ("id", int | str, False)
    for column, field in enumerate(source.fields):
        kind: Any = _TYPES.get(field.kind)
        if field.kind is FieldKind.MONEY and field.minor:
            kind = int
        if field.kind is FieldKind.ENUM:
            kind = str if field.other else Literal[field.values]
        leaves[field.path] = (f"c{column}", kind, field.optional)
    tree = _struct(leaves, ())
    return tree, {field.name: _getter(f"c{column}", field.path) for column, field in enumerate(source.fields)}


def customer_of(source: Source) -> Callable[[bytes], str]:
    """What reads whose record it is, and nothing else of it; it raises what msgspec raises where that can't be read."""
    path = tuple(source.key.split("."))
    tree = _struct({path: ("key", int | str, False)}, ())
    decode: Callable[[bytes], Any] = msgspec.json.Decoder(tree).decode
    get = _getter("key", path)
    return lambda value: str(get(decode(value)))


def _struct(leaves: dict[tuple[str, ...], tuple[str, Any, bool]], prefix: tuple[str, ...]) -> type:
    depth = len(prefix)
    required: list[Any] = []
    optional: list[Any] = []
    rename: dict[str, str] = {}
    below = dict.fromkeys(path[depth] for path in leaves if path[:depth] == prefix)
    for name in below:
        inner = (*prefix, name)
        if inner in leaves:
            attribute, kind, free = leaves[inner]
        else:
            attribute, kind = f"n_{name}", _struct(leaves, inner)
            free = all(leaf[2] for path, leaf in leaves.items() if path[: depth + 1] == inner)
        rename[attribute] = name
        (optional if free else required).append((attribute, kind | None, None) if free else (attribute, kind))
    return msgspec.defstruct("Record", required + optional, rename=rename, gc=False, frozen=False)


def _getter(attribute: str, path: tuple[str, ...]) -> Callable[[Any], Any]:
    parents = [f"n_{name}" for name in path[:-1]]
    if not parents:
        return operator.attrgetter(attribute)

    def get(row: Any) -> Any:
        for parent in parents:
            row = getattr(row, parent)
            if row is None:
                return None
        return getattr(row, attribute)

    return get
