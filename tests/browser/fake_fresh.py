"""How fresh the fake worker's sources and tags are."""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.freshness import (
    Promise,
    SourceFreshness,
    SourceState,
    TagFreshness,
    WorkerFreshness,
    WorkerState,
)
from tests.browser.fake_data import named

AT = "2025-01-05T01:12:33.123Z"


def source(name: str, topic: str, state: SourceState, **given: Any) -> SourceFreshness:
    """A source that flows, but for what is given."""
    flowing = SourceFreshness(name, topic, state, AT, 0.4, 12, 0.0, 0.3, 8, [], 5.0, 600.0)
    return msgspec.structs.replace(flowing, **given)


def tag(name: str, en: str, zh: str, promise: Promise, **given: Any) -> TagFreshness:
    """A tag that is promised within five seconds, but for what is given."""
    kept = TagFreshness(name, named(en, zh), ["transactions"], [], 5.0, promise, 0.42, 310, 0, 0.018, 0.42)
    return msgspec.structs.replace(kept, **given)


SOURCES = [
    source("transactions", "transactions", SourceState.FLOWING),
    source("app_logs", "app-logs", SourceState.BEHIND, age_s=95.0, lag=96_018, lag_s=94.0),
    source(
        "calls", "calls", SourceState.FROZEN, lag=0, silence_s=3_700.0, frozen_at="2025-01-05T00:22:33.123Z",
    ),
    source("profiles", "profiles", SourceState.SILENT, age_s=3_600.0, lag=0, silence_s=3_590.0),
    source(
        "outcomes", "outcomes", SourceState.UNREAD,
        newest=None, age_s=None, lag=None, lag_s=None, silence_s=None, unread=[6, 7],
    ),
]  # fmt: skip
TAGS_FRESH = [
    tag("large_inflow", "Large inflow", "大额资金流入", Promise.KEPT),
    tag("wealth_interest", "Interest in wealth products", "理财兴趣", Promise.MISSED, age_s=94.0, frozen=True),
    tag("vip", "VIP", "贵宾客户", Promise.NONE, promise_s=None),
]
WORKERS = [
    WorkerFreshness("east-1", WorkerState.WORKING, AT, AT, 1.2, [0, 1, 2]),
    WorkerFreshness("east-2", WorkerState.WORKING, AT, AT, 3.4, [3, 4, 5]),
    WorkerFreshness("west-1", WorkerState.LOST, AT, AT, 48.0, [6, 7]),
]
