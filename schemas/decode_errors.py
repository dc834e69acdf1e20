"""msgspec's errors in our words: which field, what it was, what was expected; never the value itself."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from schemas.catalogue import FieldKind, Source

_PATH: Final = re.compile(r" - at `\$\.?([^`]*)`$")
_MISSING: Final = re.compile(r"missing required field `([^`]*)`")
_GOT: Final = re.compile(r"got `([^`]*)`")
_SAID: Final = {
    FieldKind.MONEY: "money, a number",
    FieldKind.COUNT: "a count, an integer from 0 to 2^53",
    FieldKind.NUMBER: "a number",
    FieldKind.TEXT: "a text",
    FieldKind.BOOLEAN: "true or false",
    FieldKind.TIME: "a time, ISO 8601 or integer ms",
}


class Fault(msgspec.Struct, frozen=True):
    """What is wrong with a record; `reason` is a `schemas.sources.Reason`."""

    reason: str
    field: str
    expected: str


def explain(error: Exception, source: Source) -> Fault:
    """The fault that a decoding error of a source's record stands for."""
    text = str(error)
    if not isinstance(error, msgspec.ValidationError):
        return Fault("bad JSON", "", "a JSON object in UTF-8")
    path = match[1] if (match := _PATH.search(text)) else ""
    if match := _MISSING.search(text):
        name = f"{path}.{match[1]}" if path else match[1]
        return Fault("missing field", _name(name, source), _expected(name, source))
    reason = "unknown value" if "Invalid enum value" in text else "wrong type"
    got = f", not {match[1]}" if (match := _GOT.search(text)) else ""
    return Fault(reason, _name(path, source), _expected(path, source) + got)


def _name(path: str, source: Source) -> str:
    """The catalogue's name of what stands at a path of the JSON."""
    return next((field.name for field in source.fields if ".".join(field.path) == path), path)


def _expected(path: str, source: Source) -> str:
    if path == source.time:
        return _SAID[FieldKind.TIME]
    if path in (source.key, source.id):
        return "a text or an integer"
    for field in source.fields:
        if ".".join(field.path) == path:
            if field.kind is FieldKind.ENUM:
                return "a text" if field.other else "one of " + ", ".join(field.values)
            return "money in minor units, an integer" if field.minor else _SAID[field.kind]
    return "a JSON object"
