"""A worker that is not there: a bank's figures that move by themselves, for the page's tests and to look at it.

`python -m tests.browser.fake_view --port 8640` serves it until Ctrl-C and prints the address on its first line.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from schemas.catalogue import Unit
from schemas.explanations import ScoreExplanation
from schemas.freshness import Freshness
from schemas.records import Cause, Change, CustomerTags, SegmentChange, TagChange, Value, change_id
from schemas.status import Clock
from streams.counters import Counters
from streams.exposed import Exposed, WorkerMetrics
from streams.metrics import Reading
from streams.web.view import Explanation, FeatureView, SegmentView, SourceView, State, Summary, TagView, TargetView
from tests.browser.fake_data import FEATURES, SEGMENTS, FakeSegment, FakeTag
from tests.browser.fake_fresh import SOURCES, TAGS_FRESH, WORKERS
from tests.browser.fake_models import REPORTS
from tests.browser.fake_tags import TAGS

START = datetime(2025, 1, 5, 1, 12, 33, 123_000, tzinfo=UTC)
CUSTOMERS = 20_000
RATE = 24_000.0
SPEED = 6 * 3_600
CAUSES = [Cause.EVENT] * 6 + [Cause.TIME] * 3 + [Cause.LATE, Cause.PROFILE]


def iso(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


class FakeView:
    """A bank with 20,000 customers; `clock` gives seconds, of which each is six hours of event time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, state: State = State.RUNNING) -> None:
        self._clock, self._began, self._state = clock, clock(), state
        self._random = random.Random(7)
        self._changes: deque[Change] = deque(maxlen=1000)
        self._made_at = -30.0

    def _elapsed(self) -> float:
        return self._clock() - self._began

    def _now(self) -> datetime:
        return START + timedelta(seconds=self._elapsed() * SPEED)

    def summary(self) -> Summary:
        """Figures that grow with the clock."""
        elapsed = self._elapsed() + 30
        return Summary(
            catalogue="bank", title={"en": "Retail bank", "zh": "零售银行"}, clock="event", state=self._state,
            events=int(elapsed * RATE), events_per_s=RATE * (1 + 0.12 * random.Random(int(elapsed)).uniform(-1, 1)),
            changes=int(elapsed * 612), customers=CUSTOMERS, event_time=iso(self._now()), dead=17, late=212,
            duplicates=1_304, progress=min(elapsed / 120, 1.0), currency="CNY", timezone="Asia/Shanghai",
        )  # fmt: skip

    def sources(self) -> list[SourceView]:
        """Three that flow, one read to its end, one that has not begun."""
        elapsed, now = self._elapsed() + 30, self._now()
        hour = iso(now - timedelta(hours=1))
        return [
            SourceView("transactions", "transactions", int(elapsed * 9_100), iso(now), 0.4, 41_200, False),
            SourceView("app_logs", "app-logs", int(elapsed * 14_800), iso(now), 2.0, 96_018, False),
            SourceView("profiles", "profiles", CUSTOMERS, hour, 3_600.0, 0, True),
            SourceView("outcomes", "outcomes", 0, None, None, None, False),
        ]

    def freshness(self) -> Freshness:
        """One source flows, one is behind, one silent, one half unread; promises of every outcome."""
        return Freshness(iso(self._now()), Clock.WALL, SOURCES, TAGS_FRESH, WORKERS)

    def metrics(self, accept: str) -> Exposed:
        """Of a worker that has done nothing yet."""
        counters = Counters([source.name for source in self.sources()], 1)
        return WorkerMetrics(lambda: Reading(counters, self.freshness())).exposed(accept)

    def models(self) -> list[TargetView]:
        """A target at work, and one that warms up."""
        titles = [
            {"en": "A deposit is opened", "zh": "开立存款"},
            {"en": "No activity for 30 days", "zh": "30天无活动"},
        ]
        return [TargetView(title, report) for title, report in zip(titles, REPORTS, strict=True)]

    def features(self) -> list[FeatureView]:
        """Of the catalogue."""
        return FEATURES

    def _wave(self, name: str, share: float) -> int:
        """Customers, swaying a little with the clock."""
        sway = random.Random(f"{name} {int(self._elapsed() / 2)}").uniform(-0.03, 0.03)
        return int(CUSTOMERS * share * (1 + sway))

    def _counts(self, tag: FakeTag) -> dict[str, int]:
        return {value: self._wave(f"{tag.name}{value}", share) for value, share in tag.shares.items()}

    def tags(self) -> list[TagView]:
        """Of the catalogue, with customers by value."""
        return [
            TagView(
                name=tag.name, title=tag.title, kind=tag.kind, owner=tag.owner, about=tag.about, waits=tag.waits,
                boolean=tag.boolean, counts=self._counts(tag),
            )
            for tag in TAGS
        ]  # fmt: skip

    def segments(self) -> list[SegmentView]:
        """Of the catalogue, with their customers."""
        return [SegmentView(one.name, one.title, one.about, self._wave(one.name, one.share)) for one in SEGMENTS]

    def recent(self, limit: int) -> list[Change]:
        """About four a second while the clock moves."""
        while self._made_at < self._elapsed():
            self._made_at += self._random.expovariate(4.0)
            self._changes.appendleft(self._change(START + timedelta(seconds=self._made_at * SPEED)))
        return list(self._changes)[:limit]

    def _change(self, at: datetime) -> Change:
        chance = self._random
        customer, cause = f"C{chance.randint(100_000, 119_999)}", chance.choice(CAUSES)
        tag, segment = chance.choice([tag for tag in TAGS if not tag.waits]), chance.choice(SEGMENTS)
        rule: FakeTag | FakeSegment = segment if chance.random() < 0.35 else tag
        because = self._because(rule.uses, chance)
        made = change_id(customer, rule.name, int(at.timestamp() * 1000), cause, str(chance.random()))
        if isinstance(rule, FakeSegment):
            new = chance.random() < 0.6
            return SegmentChange(made, customer, rule.name, not new, new, iso(at), cause, 1, because)
        old, value = chance.sample(list(rule.shares), 2)
        before, after = (old == "true", value == "true") if rule.boolean else (old, value)
        return TagChange(made, customer, rule.name, before, after, iso(at), cause, 1, because)

    def _because(self, uses: tuple[str, ...], chance: random.Random) -> dict[str, Value]:
        units = {feature.name: feature.unit for feature in FEATURES}
        return {name: self._value(units.get(name), chance) for name in uses}

    def _value(self, unit: Unit | None, chance: random.Random) -> Value:
        match unit:
            case Unit.MONEY:
                return f"{chance.lognormvariate(9, 1.2):.2f}"
            case Unit.COUNT:
                return chance.randint(0, 24)
            case Unit.RATIO:
                return round(chance.lognormvariate(0, 0.7), 4)
            case Unit.DURATION:
                return int(chance.expovariate(1 / 9) * 86_400_000)
            case Unit.TIME:
                return iso(START - timedelta(hours=chance.randint(1, 200)))
            case Unit.BOOLEAN:
                return chance.random() < 0.3
        return chance.choice(["app", "web", "branch"] if unit is Unit.CATEGORY else ["active", "cooling"])

    def customer(self, customer_id: str) -> CustomerTags | None:
        """C100000 to C119999 exist."""
        if not (customer_id[:1] == "C" and customer_id[1:].isdecimal() and 100_000 <= int(customer_id[1:]) < 120_000):
            return None
        chance = random.Random(customer_id)
        since = iso(self._now() - timedelta(hours=chance.randint(2, 400)))
        tags = {tag.name: self._held(tag, chance) for tag in TAGS}
        segments = {one.name: since for one in SEGMENTS if chance.random() < max(one.share, 0.25)}
        features = self._because(tuple(feature.name for feature in FEATURES), chance)
        features["balance_proxy"] = None if chance.random() < 0.2 else features["balance_proxy"]
        status = {tag.name: "warming" for tag in TAGS if tag.waits}
        return CustomerTags(customer_id, iso(self._now()), tags, segments, features, status)

    def _held(self, tag: FakeTag, chance: random.Random) -> bool | str | None:
        if tag.waits:
            return None
        value = chance.choices(list(tag.shares), list(tag.shares.values()))[0]
        return (value == "true" or chance.random() < 0.2) if tag.boolean else value

    def scores(self, customer_id: str) -> list[ScoreExplanation]:
        return []

    def explain(self, customer_id: str) -> list[Explanation] | None:
        """Every tag and segment of the customer."""
        found = self.customer(customer_id)
        if found is None:
            return None
        values = {**found.tags, **{one.name: one.name in found.segments for one in SEGMENTS}}
        rules: list[FakeTag | FakeSegment] = [*TAGS, *SEGMENTS]
        return [self._explanation(rule, values[rule.name], found) for rule in rules]

    def _explanation(self, rule: FakeTag | FakeSegment, value: bool | str | None, found: CustomerTags) -> Explanation:
        chance = random.Random(f"{found.customer_id} {rule.name}")
        missing = value is None
        since = None if missing else iso(START - timedelta(hours=chance.randint(1, 900)))
        because: dict[str, Value] = {name: found.features.get(name, found.tags.get(name)) for name in rule.uses}
        flips = "" if missing else "turns when inflow_1h rises by 12,400.00 CNY, or in 3 d 4 h without an event"
        return Explanation(
            rule.name, rule.title, value, since, None if missing else chance.choice(CAUSES), rule.rule, because, flips
        )


async def _serve(port: int) -> None:
    from streams.web.app import create_app
    from streams.web.server import serve

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serve(create_app(FakeView()), port=port) as served:
        print(served.url, flush=True)
        await stop.wait()
    print("stopped", file=sys.stderr, flush=True)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="A dashboard over a fake worker.")
    arguments.add_argument("--port", type=int, default=0)
    asyncio.run(_serve(arguments.parse_args().port))
