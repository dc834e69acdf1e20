"""What workers agree on about a source that fell silent: the records under `source/` on the control topic (P5)."""

from __future__ import annotations

import msgspec


class Stall(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether a source is frozen; times are UTC ms of the wall's clock.

    Attributes
    ----------
    frozen_ms
        Since when it is frozen; None where it flows again.
    decided_ms
        When that was decided.
    delay_ms
        How old its newest event was when its last record came, before it froze: as old may its events be again when it
        has caught up.
    """

    source: str
    frozen_ms: int | None
    decided_ms: int
    delay_ms: int = 0


def stall_key(group: str, source: str) -> str:
    """The key of a source's stalls on the control topic, which apps share."""
    return f"source/{group}/{source}"
