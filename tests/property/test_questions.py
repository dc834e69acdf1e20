"""Questions and answers against a naive recomputation from the records, for every way of cutting the stream."""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path
from typing import Final

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from schemas.durations import DAY, HOUR, MINUTE
from schemas.learning import Example, Question
from schemas.loading import load
from schemas.sources import Incoming
from streams.engine.plan import Plan, build
from streams.processor import Partition

LESSONS: Final = Path(__file__).parents[1] / "lessons.yaml"
START: Final = 1_735_660_800_000
EVERY: Final = {"deposit": 7 * DAY, "churn": 3 * DAY}
WITHIN: Final = {"deposit": (30 * DAY, DAY), "churn": (10 * DAY, 0)}
PLAN: Final = build(load(LESSONS))


class Lesson(msgspec.Struct, frozen=True):
    """A record, told apart by its id."""

    source: str
    customer: str
    at: int
    kind: str
    id: str

    @property
    def incoming(self) -> tuple[str, Incoming]:
        fields: dict[str, object] = {"customer": self.customer, "at": self.at}
        if self.source == "buys":
            fields |= {"id": self.id, "amount": 5.0, "kind": self.kind}
        else:
            fields |= {"page": "home"}
        return self.source, Incoming(msgspec.json.encode(fields))


def lessons(seed: int, count: int) -> list[Lesson]:
    """Two months of few customers: steps under an hour move time, some records come late or at the very same moment."""
    draw, now, made = random.Random(seed), START, list[Lesson]()
    for number in range(count):
        now += draw.choice([0, 1, MINUTE, 20 * MINUTE, 50 * MINUTE, HOUR, HOUR, HOUR])
        at = max(START, now - draw.choice([0, 0, 0, 0, 30_000, 2 * HOUR, DAY]))
        source = draw.choice(["buys", "looks", "looks"])
        kind = "deposit" if draw.random() < 0.1 else "card"
        made.append(Lesson(source, draw.choice("abcdefgh"), at, kind, f"r{number}"))
    return made


def examples(plan: Plan, some: list[Lesson], cuts: list[int]) -> list[Example]:
    part, found = Partition(plan, keyed=False), list[Example]()
    for first, last in zip([0, *cuts], [*cuts, len(some)], strict=True):
        found += part.feed([lesson.incoming for lesson in some[first:last]]).examples
    return found


def naive(plan: Plan, some: list[Lesson]) -> set[str]:
    """Questions and answers as text, from the list of applied records with the watermark before each."""
    part, asked, now = Partition(plan, keyed=False), dict[tuple[str, str], int](), dict[str, int]()
    applied: list[tuple[Lesson, int, int]] = []
    questions: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    found: set[str] = set()
    for lesson in some:
        before = part.watermark
        if not part.feed([lesson.incoming]).applied:
            continue
        customer, known = lesson.customer, max(now.get(lesson.customer, lesson.at), lesson.at)
        applied.append((lesson, known, -1 if before is None else before))
        if lesson.at >= now.get(customer, lesson.at):
            for target, every in EVERY.items():
                if lesson.at - asked.get((customer, target), -(10**15)) >= every:
                    asked[customer, target] = lesson.at
                    questions[customer, target].append((lesson.at, len(applied)))
                    found.add(f"{target} {customer} {lesson.at} asked")
        now[customer] = known
    end = part.watermark or 0
    for (customer, target), moments in questions.items():
        within, lag = WITHIN[target]
        for at, index in moments:
            outcomes = [
                known
                for lesson, known, mark in applied[index:]
                if lesson.customer == customer
                and at < lesson.at <= at + within
                and mark < at + within + lag
                and (target == "churn" or (lesson.kind == "deposit" and lesson.source == "buys"))
            ]
            if outcomes:
                found.add(f"{target} {customer} {at} {target == 'deposit'} {outcomes[0]}")
            elif end >= at + within + lag:
                found.add(f"{target} {customer} {at} {target == 'churn'} {at + within + lag}")
    return found


def text(example: Example) -> str:
    if isinstance(example, Question):
        return f"{example.target} {example.customer_id} {example.at} asked"
    return f"{example.target} {example.customer_id} {example.at} {example.label} {example.known_at}"


@given(st.integers(0, 2**32), st.integers(1, 1_500), st.data())
def test_p1_questions_and_answers_follow_from_the_records_however_they_are_cut(
    seed: int, count: int, data: st.DataObject
) -> None:
    some = lessons(seed, count)
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, count - 1)), max_size=5)))
    whole = examples(PLAN, some, [])
    assert sorted(map(text, whole)) == sorted(naive(PLAN, some))
    parts = examples(PLAN, some, [cut for cut in cuts if cut < count])
    assert asked(parts) == asked(whole)
    assert sorted(map(text, parts)) == sorted(map(text, whole))


def asked(some: list[Example]) -> list[bytes]:
    """The questions, features included, in their order."""
    return [msgspec.json.encode(one) for one in some if isinstance(one, Question)]
