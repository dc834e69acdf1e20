"""Rows to bytes and back: only the words that differ from the empty row are written.

A written row is a head of so many words, then a run of pairs (words skipped, word xor empty word), all as
variable-length integers of seven bits a byte, least first, words zigzag-coded; most rows take a fraction of their
width. The head is what has to be known of a customer whose row stays on disk, and is read without the rest.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streams.engine.compiling import compiled

_WORST_PER_WORD = 20
HEAD_BYTES = 10
"""What a word of a head takes at most."""


class CorruptRow(ValueError):
    """Bytes that no row was written to."""


def encode(
    rows: NDArray[np.int64],
    frames: NDArray[np.int64],
    empty: NDArray[np.int64],
    heads: NDArray[np.int64] | None = None,
) -> list[bytes]:
    """The rows in `frames`, each as bytes behind its head; `heads` has shape (frames, words of a head), None: none."""
    if heads is None:
        heads = np.empty((len(frames), 0), dtype=np.int64)
    written: list[bytes] = []
    most = (len(empty) + heads.shape[1]) * _WORST_PER_WORD
    step = max(1, 4_000_000 // most)
    buffer = np.empty(step * most, dtype=np.uint8)
    for first in range(0, len(frames), step):
        some = frames[first : first + step]
        ends = np.empty(len(some), dtype=np.int64)
        _encode(rows, some, empty, heads[first : first + step], buffer, ends)
        start = 0
        for end in ends.tolist():
            written.append(buffer[start:end].tobytes())
            start = end
    return written


def decode(
    written: Sequence[bytes],
    rows: NDArray[np.int64],
    frames: NDArray[np.int64],
    empty: NDArray[np.int64],
    head: int = 0,
) -> None:
    """Put each written row into its frame; `head` is how many words its head has.

    Raises
    ------
    CorruptRow
        Where the bytes are no row of this width.
    """
    ends = np.cumsum([len(item) for item in written], dtype=np.int64)
    data = np.frombuffer(b"".join(written), dtype=np.uint8)
    failed = _decode(data, ends, rows, frames, empty, head)
    if failed >= 0:
        raise CorruptRow(f"written row {failed} of {len(written)} is no row of {len(empty)} words")


def heads_of(written: Sequence[bytes], head: int) -> NDArray[np.int64]:
    """The heads of written rows, shape (rows, head); the rows may be cut off behind `head * HEAD_BYTES` bytes.

    Raises
    ------
    CorruptRow
        Where the bytes do not begin with one.
    """
    starts = np.cumsum([0, *map(len, written)], dtype=np.int64)
    data = np.frombuffer(b"".join(written), dtype=np.uint8)
    heads = np.empty((len(written), head), dtype=np.int64)
    failed = _heads(data, starts, heads)
    if failed >= 0:
        raise CorruptRow(f"written row {failed} of {len(written)} has no head of {head} words")
    return heads


@compiled
def _put(buffer: NDArray[np.uint8], at: int, value: np.uint64) -> int:
    while value >= np.uint64(128):
        buffer[at] = np.uint8(value & np.uint64(127)) | np.uint8(128)
        value >>= np.uint64(7)
        at += 1
    buffer[at] = np.uint8(value)
    return at + 1


@compiled
def _encode(
    rows: NDArray[np.int64],
    frames: NDArray[np.int64],
    empty: NDArray[np.int64],
    heads: NDArray[np.int64],
    buffer: NDArray[np.uint8],
    ends: NDArray[np.int64],
) -> None:
    at = 0
    for i in range(len(frames)):
        row = rows[frames[i]]
        for place in range(heads.shape[1]):
            word = heads[i, place]
            at = _put(buffer, at, np.uint64((word << 1) ^ (word >> 63)))
        last = -1
        for word in range(len(empty)):
            if row[word] != empty[word]:
                at = _put(buffer, at, np.uint64(word - last - 1))
                mixed = row[word] ^ empty[word]
                at = _put(buffer, at, np.uint64((mixed << 1) ^ (mixed >> 63)))
                last = word
        ends[i] = at


@compiled
def _decode(
    data: NDArray[np.uint8],
    ends: NDArray[np.int64],
    rows: NDArray[np.int64],
    frames: NDArray[np.int64],
    empty: NDArray[np.int64],
    head: int,
) -> int:
    at = 0
    for i in range(len(frames)):
        row = rows[frames[i]]
        for word in range(len(empty)):
            row[word] = empty[word]
        for _ in range(head):
            while at < ends[i] and data[at] & np.uint8(128):
                at += 1
            if at >= ends[i]:
                return i
            at += 1
        word = -1
        skip = True
        value, shift = np.uint64(0), np.uint64(0)
        while at < ends[i]:
            byte = data[at]
            at += 1
            value |= np.uint64(byte & np.uint8(127)) << shift
            shift += np.uint64(7)
            if byte & np.uint8(128):
                if shift > np.uint64(63):
                    return i
                continue
            if skip:
                if value >= np.uint64(len(empty)) or word + 1 + np.int64(value) >= len(empty):
                    return i
                word = word + 1 + np.int64(value)  # type: ignore[assignment]
            else:
                back = np.int64(value >> np.uint64(1)) ^ -np.int64(value & np.uint64(1))
                row[word] = back ^ empty[word]
            skip = not skip
            value, shift = np.uint64(0), np.uint64(0)
        if not skip or shift != np.uint64(0):
            return i
    return -1


@compiled
def _heads(data: NDArray[np.uint8], starts: NDArray[np.int64], heads: NDArray[np.int64]) -> int:
    for i in range(len(heads)):
        at = starts[i]
        for place in range(heads.shape[1]):
            value, shift, open_ = np.uint64(0), np.uint64(0), True
            while open_:
                if at >= starts[i + 1] or shift > np.uint64(63):
                    return i
                value |= np.uint64(data[at] & np.uint8(127)) << shift
                shift += np.uint64(7)
                open_ = data[at] >= np.uint8(128)
                at += 1
            heads[i, place] = np.int64(value >> np.uint64(1)) ^ -np.int64(value & np.uint64(1))
    return -1
