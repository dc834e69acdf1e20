"""Who gets no request, so that the effect of the others can be measured."""

from __future__ import annotations

import hashlib
from typing import Final

_BYTES: Final = 8
_RANGE: Final = 2 ** (8 * _BYTES)


def held_out(trigger: str, customer: str, share: float) -> bool:
    """Whether the trigger leaves this customer out: always the same answer, for `share` of all customers.

    Notes
    -----
    BLAKE2b of `trigger`, U+001F and `customer`, its 8 bytes read big-endian as a fraction of 2^64, is below `share`.
    As the trigger's name is in it, two triggers hold different customers out.
    """
    if share <= 0.0:
        return False
    digest = hashlib.blake2b(f"{trigger}\x1f{customer}".encode(), digest_size=_BYTES).digest()
    return int.from_bytes(digest, "big") < share * _RANGE
