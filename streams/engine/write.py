"""What the kernel decided, as the records that leave: changes with `because`, and all that is said of a customer.

The bytes are those that `msgspec.json` makes of `schemas.records`. Numbers that need the shortest text that reads back
as the same double are not written here: `reals_of_changes` and `reals_of_customers` gather them in the order of
writing, the caller has them encoded at once, and the writer takes them from there.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.engine import blake2b
from streams.engine.compiling import compiled, inlined
from streams.engine.ink import put, put_escaped, put_hex, put_integer, put_money, put_time
from streams.engine.layout import MISSING
from streams.engine.words import Ink, Words

LIMIT: Final = 2.0**62
_WHOLE, _MONEY, _WORD, _REAL, _SCALED = (int(Ink[n]) for n in ("WHOLE", "MONEY", "WORD", "REAL", "SCALED"))
_OPEN, _CUSTOMER, _NEW, _AT, _CAUSE, _VERSION, _CLOSE, _NULL = range(8)
_QUOTE, _COMMA, _UNIT, _END = (int(byte) for byte in b'",\x1f}')
Bytes = NDArray[np.uint8]


def _text(literal: str) -> Bytes:
    return np.frombuffer(literal.encode(), dtype=np.uint8)


_CUSTOMER_ID = _text('{"customer_id":"')
_AT_TAGS = _text('","at":"')
_TAGS, _SEGMENTS = _text('","tags":{'), _text('},"segments":{')
_FEATURES, _STATUS = _text('},"features":{'), _text('},"status":')


class Names(NamedTuple):
    """Customers as bytes: the one in slot i is `pool[ends[i]:ends[i + 1]]`."""

    pool: Bytes
    ends: NDArray[np.int64]


class Anchors(NamedTuple):
    """What made the changes: record i's anchor is text `of[i]` of the pool."""

    pool: Bytes
    ends: NDArray[np.int64]
    of: NDArray[np.int64]


class Page(NamedTuple):
    """Out: records one after the other, record i at `text[ends[i]:ends[i + 1]]`.

    `times[i]` is its time, UTC ms; `ids` holds 32 characters for each.
    """

    text: Bytes
    ends: NDArray[np.int64]
    times: NDArray[np.int64]
    ids: Bytes


class Reals(NamedTuple):
    """Texts of doubles, one after the other; `used[0]` of them are written."""

    text: Bytes
    ends: NDArray[np.int64]
    used: NDArray[np.int64]


def page(records: int, room: int) -> Page:
    """An empty page."""
    return Page(
        np.empty(room, dtype=np.uint8),
        np.zeros(records + 1, dtype=np.int64),
        np.zeros(records, dtype=np.int64),
        np.empty(records * 32, dtype=np.uint8),
    )


@inlined
def _as_real(item: Any, value: float) -> bool:
    """Whether the caller has to write the number."""
    if value != value:
        return False
    how = item.ink
    if how >= _REAL:
        return abs(value) != np.inf
    return how <= _MONEY and abs(value) >= LIMIT and abs(value) != np.inf


@compiled
def reals_of_changes(
    words: Words, changes: Any, order: NDArray[np.int64], because: NDArray[np.float64],
    values: NDArray[np.float64], registers: NDArray[np.int64],
) -> int:  # fmt: skip
    """Gather the doubles that the changes' `because` needs as text, and whose they are; how many."""
    found = 0
    for place in order:
        change = changes[place]
        said = words.said[change.rule]
        at = change.because
        for used in range(said.because, said.because_end):
            item = words.items[words.because[used]]
            if _as_real(item, because[at]):
                values[found] = because[at] / item.scale if item.ink == _SCALED else because[at]
                registers[found] = words.because[used]
                found += 1
            at += 1
    return found


@compiled
def reals_of_customers(
    words: Words, matrix: NDArray[np.float64], values: NDArray[np.float64], registers: NDArray[np.int64]
) -> int:
    """The same for the features of customers, shape (customers, features)."""
    found = 0
    for row in range(len(matrix)):
        for index in range(words.features):
            item = words.items[index]
            if _as_real(item, matrix[row, index]):
                values[found] = matrix[row, index] / item.scale if item.ink == _SCALED else matrix[row, index]
                registers[found] = index
                found += 1
    return found


@inlined
def _put_word(words: Words, out: Bytes, at: int, text: int) -> int:
    return put(out, at, words.pool, words.ends[text], words.ends[text + 1])


@compiled
def _put_value(words: Words, out: Bytes, at: int, item: Any, value: float, reals: Reals) -> int:
    """What a register says."""
    how = item.ink
    if how == _WORD:
        return _put_word(words, out, at, item.words if value != value else item.words + 1 + int(value))
    if _as_real(item, value):
        number = reals.used[0]
        reals.used[0] = number + 1
        return put(out, at, reals.text, reals.ends[number], reals.ends[number + 1])
    if value != value or abs(value) == np.inf:
        return _put_word(words, out, at, _NULL)
    if how == _WHOLE:
        return put_integer(out, at, int(value))
    out[at] = _QUOTE
    at = put_money(out, at + 1, int(value), words.exponent) if how == _MONEY else put_time(out, at + 1, int(value))
    out[at] = _QUOTE
    return at + 1


@compiled
def _put_id(words: Words, page: Page, at: int, change: Any, names: Names, anchors: Anchors, work: Any) -> None:
    """Hash what tells a change from all others; the text is made where the record's comes next and is overwritten."""
    out = page.text
    end = put(out, at, names.pool, names.ends[change.slot], names.ends[change.slot + 1])
    out[end] = _UNIT
    end = _put_word(words, out, end + 1, words.said[change.rule].name)
    out[end] = _UNIT
    end = put_integer(out, end + 1, change.at)
    out[end] = _UNIT
    end = _put_word(words, out, end + 1, words.causes + change.cause - 1)
    out[end] = _UNIT
    end += 1
    if change.record >= 0:
        anchor = anchors.of[change.record]
        end = put(out, end, anchors.pool, anchors.ends[anchor], anchors.ends[anchor + 1])
    blake2b.digest(out[at:end], end - at, work[0], work[1])


@compiled
def write_changes(
    words: Words, changes: Any, order: NDArray[np.int64], because: NDArray[np.float64],
    names: Names, anchors: Anchors, reals: Reals, work: Any, page: Page,
) -> None:  # fmt: skip
    """Write the changes in that order; the page has room for them."""
    out, at = page.text, 0
    for number in range(len(order)):
        change = changes[order[number]]
        said = words.said[change.rule]
        _put_id(words, page, at, change, names, anchors, work)
        at = _put_word(words, out, at, _OPEN)
        put_hex(page.ids, 32 * number, work[1], blake2b.DIGEST)
        at = put(out, at, page.ids, 32 * number, 32 * number + 32)
        at = _put_word(words, out, at, _CUSTOMER)
        at = put_escaped(out, at, names.pool, names.ends[change.slot], names.ends[change.slot + 1])
        at = _put_word(words, out, at, said.head)
        at = _put_word(words, out, at, said.words + change.old + 1)
        at = _put_word(words, out, at, _NEW)
        at = _put_word(words, out, at, said.words + change.new + 1)
        at = _put_word(words, out, at, _AT)
        page.times[number] = change.at
        at = put_time(out, at, change.at)
        at = _put_word(words, out, at, _CAUSE)
        at = _put_word(words, out, at, words.causes + change.cause - 1)
        at = _put_word(words, out, at, words.version)
        place = change.because
        for used in range(said.because, said.because_end):
            if used > said.because:
                out[at] = _COMMA
                at += 1
            item = words.items[words.because[used]]
            at = _put_word(words, out, at, item.key)
            at = _put_value(words, out, at, item, because[place], reals)
            place += 1
        at = _put_word(words, out, at, _CLOSE)
        page.ends[number + 1] = at


@compiled
def _put_tags(words: Words, out: Bytes, at: int, row: NDArray[np.int64], sinces: NDArray[np.int64]) -> int:
    """The tags, then the segments that the customer is in with their times."""
    first = True
    for rule in words.tags:
        if not first:
            out[at] = _COMMA
            at += 1
        first = False
        said = words.said[rule]
        at = _put_word(words, out, at, said.since)
        at = _put_word(words, out, at, said.words + (row[sinces[rule] + 1] >> 4))
    at = put(out, at, _SEGMENTS, 0, len(_SEGMENTS))
    first = True
    for rule in words.segments:
        if row[sinces[rule] + 1] >> 4 != 2:
            continue
        if not first:
            out[at] = _COMMA
            at += 1
        first = False
        at = _put_word(words, out, at, words.said[rule].since)
        out[at] = _QUOTE
        at = put_time(out, at + 1, row[sinces[rule]])
        out[at] = _QUOTE
        at += 1
    return at


@compiled
def write_customers(
    words: Words, rows: NDArray[np.int64], frames: NDArray[np.int64], slots: NDArray[np.int64],
    sinces: NDArray[np.int64], matrix: NDArray[np.float64], names: Names, reals: Reals, status: Bytes, work: Any,
    page: Page,
) -> None:  # fmt: skip
    """Write all that is said about the customers in `slots`, whose rows are in `frames`.

    `matrix` holds their features, `status` is JSON.
    """
    out, at = page.text, 0
    for number in range(len(slots)):
        row, start, end = rows[frames[number]], names.ends[slots[number]], names.ends[slots[number] + 1]
        now = row[0]
        if now == MISSING:
            page.ends[number + 1] = at
            continue
        hashed = put(out, at, names.pool, start, end)
        out[hashed] = _UNIT
        hashed = put_time(out, hashed + 1, now)
        blake2b.digest(out[at:hashed], hashed - at, work[0], work[1])
        put_hex(page.ids, 32 * number, work[1], blake2b.DIGEST)
        at = put(out, at, _CUSTOMER_ID, 0, len(_CUSTOMER_ID))
        at = put_escaped(out, at, names.pool, start, end)
        at = put(out, at, _AT_TAGS, 0, len(_AT_TAGS))
        page.times[number] = now
        at = put_time(out, at, now)
        at = put(out, at, _TAGS, 0, len(_TAGS))
        at = _put_tags(words, out, at, row, sinces)
        at = put(out, at, _FEATURES, 0, len(_FEATURES))
        for index in range(words.features):
            if index > 0:
                out[at] = _COMMA
                at += 1
            item = words.items[index]
            at = _put_word(words, out, at, item.key)
            at = _put_value(words, out, at, item, matrix[number, index], reals)
        at = put(out, at, _STATUS, 0, len(_STATUS))
        at = put(out, at, status, 0, len(status))
        out[at] = _END
        page.ends[number + 1] = at + 1
        at += 1


def work_space() -> tuple[blake2b.Longs, Bytes]:
    """Working space of the writers."""
    return blake2b.scratch(), np.zeros(blake2b.DIGEST, dtype=np.uint8)
