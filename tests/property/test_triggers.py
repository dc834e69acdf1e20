"""20,000 generated decisions over restarts: the independent checker finds nothing in the topics."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.outreach import Why
from tests.generators_outreach import Worker, found_in, world

WANTED = 20_000


def test_no_promise_is_broken_in_20_000_decisions_over_restarts() -> None:
    counts: Counter[str] = Counter()

    @settings(max_examples=4 * settings().max_examples)
    @given(
        seed=st.integers(0, 2**32),
        customers=st.integers(1, 16),
        steps=st.integers(60, 160),
        wall=st.booleans(),
        flushes=st.sampled_from((0.05, 0.3, 0.8)),
        crashes=st.sampled_from((0.0, 0.1, 0.25)),
    )
    def run(seed: int, customers: int, steps: int, wall: bool, flushes: float, crashes: float) -> None:
        draw = random.Random(seed)
        made = world(draw, customers, steps)
        published = Worker(made, draw, wall).run(flushes, crashes)
        assert found_in(made, published) == []
        counts.update(decision.why.value for decision in published.decisions)
        counts["restarts"] += published.starts

    run()
    assert counts.total() - counts["restarts"] >= WANTED
    assert counts["restarts"] >= 100
    assert {why.value for why in Why} - counts.keys() == {Why.WITHDRAWN.value, Why.SUPERSEDED.value}
