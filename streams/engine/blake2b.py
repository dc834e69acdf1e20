"""BLAKE2b with 16 bytes of digest, compiled: a change's id costs more to make in Python than the change itself.

After RFC 7693; `hashlib.blake2b(text, digest_size=16)` gives the same, which the tests hold it against.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from streams.engine.compiling import compiled, inlined

DIGEST: Final = 16
_BLOCK: Final = 128
_IV: Final = np.array(
    [
        0x6A09E667F3BCC908,
        0xBB67AE8584CAA73B,
        0x3C6EF372FE94F82B,
        0xA54FF53A5F1D36F1,
        0x510E527FADE682D1,
        0x9B05688C2B3E6C1F,
        0x1F83D9ABFB41BD6B,
        0x5BE0CD19137E2179,
    ],
    dtype=np.uint64,
)
_SIGMA: Final = np.array(
    [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
        [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
        [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
        [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
        [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
        [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
        [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
        [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
        [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    ],
    dtype=np.int64,
)
Longs = NDArray[np.uint64]


def scratch() -> Longs:
    """Working space for `digest`: the chain, the working vector, the block."""
    return np.zeros(8 + 16 + 16, dtype=np.uint64)


@inlined
def _turn(value: np.uint64, bits: int) -> np.uint64:
    return (value >> np.uint64(bits)) | (value << np.uint64(64 - bits))


@inlined
def _mix(work: Longs, a: int, b: int, c: int, d: int, x: int, y: int) -> None:
    work[a] += work[b] + work[24 + x]
    work[d] = _turn(work[d] ^ work[a], 32)
    work[c] += work[d]
    work[b] = _turn(work[b] ^ work[c], 24)
    work[a] += work[b] + work[24 + y]
    work[d] = _turn(work[d] ^ work[a], 16)
    work[c] += work[d]
    work[b] = _turn(work[b] ^ work[c], 63)


@compiled
def _compress(work: Longs, counted: int, last: bool) -> None:
    for i in range(8):
        work[8 + i] = work[i]
        work[16 + i] = _IV[i]
    work[20] ^= np.uint64(counted)
    if last:
        work[22] = ~work[22]
    for turn in range(12):
        order = _SIGMA[turn]
        _mix(work, 8, 12, 16, 20, order[0], order[1])
        _mix(work, 9, 13, 17, 21, order[2], order[3])
        _mix(work, 10, 14, 18, 22, order[4], order[5])
        _mix(work, 11, 15, 19, 23, order[6], order[7])
        _mix(work, 8, 13, 18, 23, order[8], order[9])
        _mix(work, 9, 14, 19, 20, order[10], order[11])
        _mix(work, 10, 15, 16, 21, order[12], order[13])
        _mix(work, 11, 12, 17, 22, order[14], order[15])
    for i in range(8):
        work[i] ^= work[8 + i] ^ work[16 + i]


@compiled
def digest(text: NDArray[np.uint8], count: int, work: Longs, out: NDArray[np.uint8]) -> None:
    """Put the digest of the first `count` bytes of `text` into `out`, shape (16,)."""
    for i in range(8):
        work[i] = _IV[i]
    work[0] ^= np.uint64(0x01010000 ^ DIGEST)
    done = 0
    while True:
        some = min(_BLOCK, count - done)
        for word in range(16):
            found = np.uint64(0)
            for byte in range(min(8, some - 8 * word) - 1, -1, -1):
                found = (found << np.uint64(8)) | np.uint64(text[done + 8 * word + byte])
            work[24 + word] = found
        done += some
        _compress(work, done, done == count)
        if done == count:
            break
    for i in range(DIGEST):
        out[i] = np.uint8((work[i >> 3] >> np.uint64(8 * (i & 7))) & np.uint64(255))
