"""P9 at scale: 10,000 hostile records among 100,000 good ones change nothing and are all set aside, byte for byte."""

from __future__ import annotations

import random
from collections import Counter

import msgspec

from schemas.loading import loads
from schemas.records import DeadLetter
from streams.engine.plan import Plan, build
from streams.parting import raw
from streams.processor import Partition
from tests.hostile_mix import GOOD, HOSTILE, TEXT, good, hostile
from tests.live import Kept, Seen, Topics, feed, numbered

PLAN = build(loads(TEXT))


def run(plan: Plan, topics: Topics, restarts: bool = False) -> tuple[Seen, Partition]:
    """Everything that comes out, in one go or with restarts from markers."""
    seen, kept, done = Seen(), Kept(), False
    part = Partition(plan)
    while not done:
        done = feed(part, topics, seen, chunk=1_000, limit=2_048, most_runs=25 if restarts else None)
        if restarts and not done:
            kept.flush(part)
            part = kept.part(plan)
    return seen, part


def test_p9_ten_thousand_hostile_records_among_a_hundred_thousand_change_nothing() -> None:
    chance = random.Random(5)
    fine, bad = good(chance), hostile()
    assert len(bad) == HOSTILE
    spots = set(chance.sample(range(GOOD + HOSTILE), HOSTILE))
    left, broken = iter(fine), iter(bad)
    mixed = [next(broken if place in spots else left) for place in range(GOOD + HOSTILE)]
    alone, without = run(PLAN, {"pay": numbered(fine)})
    for restarts in (False, True):
        seen, part = run(PLAN, {"pay": numbered(mixed)}, restarts)
        assert seen.applied == alone.applied == GOOD
        assert len(alone.changes) > 50_000
        assert sorted(map(msgspec.json.encode, seen.changes)) == sorted(map(msgspec.json.encode, alone.changes))
        assert _tags(part) == _tags(without)
        assert [(one.offset, *_bytes(one)) for one in seen.dead] == [
            (place, *mixed[place]) for place in range(len(mixed)) if place in spots
        ]
        assert sum(Counter(one.reason for one in seen.dead).values()) == HOSTILE
        assert len({one.reason for one in seen.dead}) >= 10


def _bytes(letter: DeadLetter) -> tuple[bytes | None, bytes | None]:
    return raw(letter.key, letter.key_encoding), raw(letter.value, letter.encoding)


def _tags(part: Partition) -> dict[str, object]:
    return {one.customer_id: one for page in part.all_customer_tags() for one in page}
