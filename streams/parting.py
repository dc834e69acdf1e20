"""Records set aside, cut into parts where one would be larger than its topic takes.

JSON makes a record longer: a control character becomes six bytes, and what is not UTF-8 goes as base64. So a record
that Kafka took can be too large to be set aside whole; refused by the broker it would stop the stream, or be lost.
"""

from __future__ import annotations

import base64
from typing import Any, Final

import msgspec

from schemas.records import DeadLetter, LateEvent

OVERHEAD: Final = 4_096  # of a record beside its key and value: headers, and what frames its batch
LONGEST_KEY: Final = 1_024  # bytes; longer than any customer's, and not worth being a record's key
_LEAST: Final = 1_024
_JSON: Final = msgspec.json.Encoder()

Aside = DeadLetter | LateEvent


def readable(value: bytes | None) -> tuple[str | None, str]:
    """Bytes as text, or as base64 where they are no UTF-8, and which of the two."""
    if value is None:
        return None, "utf-8"
    try:
        return value.decode(), "utf-8"
    except UnicodeDecodeError:
        return base64.b64encode(value).decode(), "base64"


def raw(text: str | None, encoding: str) -> bytes | None:
    """The bytes that `readable` was given."""
    if text is None:
        return None
    return text.encode() if encoding == "utf-8" else base64.b64decode(text)


def key_of(record: Aside) -> bytes | None:
    """The key to write it under: the one it came with, or the customer; None for one that is too long."""
    if isinstance(record, LateEvent):
        return record.customer_id.encode()
    key = raw(record.key, record.key_encoding)
    return key if key is not None and len(key) <= LONGEST_KEY and record.part == 1 else None


def parted(record: Aside, most: int) -> list[Aside]:
    """The record, or the parts of it, each at most `most` bytes with its key and headers."""
    key = key_of(record) or b""
    size = len(_JSON.encode(record)) + len(key) + OVERHEAD
    if size <= most:
        return [record]
    value = raw(record.value, record.encoding)
    whole_key = raw(record.key, record.key_encoding) if isinstance(record, DeadLetter) else None
    bare = msgspec.structs.replace(record, value="", **({} if whole_key is None else {"key": ""}))
    room = max(_LEAST, (most - len(_JSON.encode(bare)) - len(key) - OVERHEAD) // 2)
    values, keys = _pieces(value, room // 4 * 3), _pieces(whole_key, room // 4 * 3)
    count = max(len(values), len(keys))
    found: list[Aside] = []
    for number in range(count):
        piece: dict[str, Any] = {"value": values[number] if number < len(values) else None if value is None else ""}
        if isinstance(record, DeadLetter):
            piece["key"] = keys[number] if number < len(keys) else None if whole_key is None else ""
            piece["key_encoding"] = "utf-8" if whole_key is None else "base64"
        encoding = "utf-8" if value is None else "base64"
        found.append(msgspec.structs.replace(record, encoding=encoding, part=number + 1, parts=count, **piece))
    return found


def _pieces(value: bytes | None, length: int) -> list[str]:
    """The bytes in base64, in pieces that each stand for `length` of them."""
    if value is None:
        return []
    return [base64.b64encode(value[at : at + length]).decode() for at in range(0, len(value), length)]
