"""Rows to bytes and back: only the words that differ from the empty row are written.

A written row is a run of pairs (words skipped, word xor empty word), both as variable-length integers of seven bits
a byte, least first, the word zigzag-coded; most rows take a fraction of their width.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streams.engine.compiling import compiled

_WORST_PER_WORD = 20


class CorruptRow(ValueError):
    """Bytes that no row was written to."""


def encode(rows: NDArray[np.int64], slots: NDArray[np.int64], empty: NDArray[np.int64]) -> list[bytes]:
    """The rows in `slots`, each as bytes."""
    written: list[bytes] = []
    step = max(1, 4_000_000 // (len(empty) * _WORST_PER_WORD))
    buffer = np.empty(step * len(empty) * _WORST_PER_WORD, dtype=np.uint8)
    for first in range(0, len(slots), step):
        some = slots[first : first + step]
        ends = np.empty(len(some), dtype=np.int64)
        _encode(rows, some, empty, buffer, ends)
        start = 0
        for end in ends.tolist():
            written.append(buffer[start:end].tobytes())
            start = end
    return written


def decode(
    written: Sequence[bytes], rows: NDArray[np.int64], slots: NDArray[np.int64], empty: NDArray[np.int64]
) -> None:
    """Put each written row into its slot.

    Raises
    ------
    CorruptRow
        Where the bytes are no row of this width.
    """
    ends = np.cumsum([len(item) for item in written], dtype=np.int64)
    data = np.frombuffer(b"".join(written), dtype=np.uint8)
    failed = _decode(data, ends, rows, slots, empty)
    if failed >= 0:
        raise CorruptRow(f"written row {failed} of {len(written)} is no row of {len(empty)} words")


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
    slots: NDArray[np.int64],
    empty: NDArray[np.int64],
    buffer: NDArray[np.uint8],
    ends: NDArray[np.int64],
) -> None:
    at = 0
    for i in range(len(slots)):
        row = rows[slots[i]]
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
    slots: NDArray[np.int64],
    empty: NDArray[np.int64],
) -> int:
    at = 0
    for i in range(len(slots)):
        row = rows[slots[i]]
        for word in range(len(empty)):
            row[word] = empty[word]
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
