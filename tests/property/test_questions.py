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
from schemas.loading import loads
from schemas.sources import Incoming
from streams.engine.plan import Plan, build
from streams.processor import Partition

LESSONS: Final = Path(__file__).parents[1] / "lessons.yaml"
ON_HELP: Final = """targets:
  help:
    label: {source: buys, where: kind == 'deposit', within: 6d, arrives_within: 12h}
    features: [looks_30d, idle]
    example_every: 2d
    example_on: {source: looks, where: page == 'help'}
"""
START: Final = 1_735_660_800_000
EVERY: Final = {"help": 2 * DAY, "deposit": 7 * DAY, "churn": 3 * DAY}
WITHIN: Final = {"help": (6 * DAY, DAY // 2), "deposit": (30 * DAY, DAY), "churn": (10 * DAY, 0)}
SOURCES: Final = {"help": {"buys"}, "deposit": {"buys"}, "churn": {"buys", "looks"}}
PLAN: Final = build(loads(LESSONS.read_text(encoding="utf-8").replace("targets:\n", ON_HELP)))


class Lesson(msgspec.Struct, frozen=True):
    """A record, told apart by its id."""

    source: str
    customer: str
    at: int
    word: str
    id: str

    @property
    def incoming(self) -> tuple[str, Incoming]:
        fields: dict[str, object] = {"customer": self.customer, "at": self.at}
        if self.source == "buys":
            fields |= {"id": self.id, "amount": 5.0, "kind": self.word}
        else:
            fields |= {"page": self.word}
        return self.source, Incoming(msgspec.json.encode(fields))

    def is_outcome(self, target: str) -> bool:
        """Whether it is what the target waits for, or ends the absence that it waits for."""
        return target == "churn" or self.word == "deposit"

    def asks(self, target: str) -> bool:
        """Whether the target asks after it."""
        return target != "help" or self.word == "help"


class Turn(msgspec.Struct, frozen=True):
    """A source stands still as of a moment, or flows again (None)."""

    source: str
    since: int | None


Step = Lesson | Turn


def lessons(seed: int, count: int) -> list[Lesson]:
    """Two months of few customers: steps under an hour move time, some records come late or at the very same moment."""
    draw, now, made = random.Random(seed), START, list[Lesson]()
    for number in range(count):
        now += draw.choice([0, 1, MINUTE, 20 * MINUTE, 50 * MINUTE, HOUR, HOUR, HOUR])
        at = max(START, now - draw.choice([0, 0, 0, 0, 30_000, 2 * HOUR, DAY]))
        source = draw.choice(["buys", "looks", "looks"])
        looked = "help" if draw.random() < 0.2 else "home"
        word = looked if source == "looks" else "deposit" if draw.random() < 0.1 else "card"
        made.append(Lesson(source, draw.choice("abcdefgh"), at, word, f"r{number}"))
    return made


def with_turns(some: list[Lesson], seed: int) -> list[Step]:
    """The same, and now and then a source stands still for a while: little or nothing of it comes."""
    draw, steps, still, now = random.Random(seed), list[Step](), set[str](), START
    for lesson in some:
        if draw.random() < 0.01:
            source = draw.choice(["buys", "looks"])
            steps.append(Turn(source, None if source in still else now - draw.choice([0, MINUTE, HOUR])))
            still ^= {source}
        now = max(now, lesson.at)
        if lesson.source not in still or draw.random() < 0.2:
            steps.append(lesson)
    return steps


def examples(plan: Plan, steps: list[Step], cuts: list[int]) -> list[Example]:
    part, found = Partition(plan, keyed=False), list[Example]()
    fed: list[tuple[str, Incoming]] = []

    def feed() -> None:
        found.extend(part.feed(fed).examples)
        fed.clear()

    for number, step in enumerate(steps):
        if number in cuts:
            feed()
        if isinstance(step, Lesson):
            fed.append(step.incoming)
            continue
        feed()
        if step.since is not None:
            part.freeze(step.source, step.since)
            continue
        part.thaw(step.source)
        while part.sleeps:
            found += part.wake().examples
    feed()
    return found


class Moment(msgspec.Struct, frozen=True):
    """How far a target's answers are known before a step, and the record applied in it: its customer, now and time."""

    reached: dict[str, int]
    lesson: Lesson | None = None
    known: int = 0


def history(plan: Plan, steps: list[Step]) -> list[Moment]:
    """What happened, from the records applied and the watermark before each."""
    part, now, still = Partition(plan, keyed=False), dict[str, int](), dict[str, int]()
    found: list[Moment] = []

    def reached() -> dict[str, int]:
        mark = -1 if part.watermark is None else part.watermark
        return {name: min([mark, *(still[one] for one in sources & still.keys())]) for name, sources in SOURCES.items()}

    for step in steps:
        before = reached()
        if isinstance(step, Turn):
            found.append(Moment(before))
            if step.since is None:
                still.pop(step.source)
                found.append(Moment(reached()))
            else:
                still[step.source] = step.since
        elif part.feed([step.incoming]).applied:
            now[step.customer] = max(now.get(step.customer, step.at), step.at)
            found.append(Moment(before, step, now[step.customer]))
    return [*found, Moment(reached())]


def naive(plan: Plan, steps: list[Step]) -> set[str]:
    """Questions and answers as text."""
    asked, newest, moments = dict[tuple[str, str], int](), dict[str, int](), history(plan, steps)
    questions: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    found: set[str] = set()
    for number, moment in enumerate(moments):
        lesson = moment.lesson
        if lesson is None:
            continue
        customer = lesson.customer
        for target, every in EVERY.items() if lesson.at >= newest.get(customer, lesson.at) else ():
            if lesson.asks(target) and lesson.at - asked.get((customer, target), -(10**15)) >= every:
                asked[customer, target] = lesson.at
                questions[customer, target].append((lesson.at, number))
                found.add(f"{target} {customer} {lesson.at} asked")
        newest[customer] = moment.known
    for (customer, target), times in questions.items():
        for at, number in times:
            answer = answered(target, customer, at, moments[number + 1 :])
            found |= {f"{target} {customer} {at} {answer}"} if answer else set()
    return found


def answered(target: str, customer: str, at: int, moments: list[Moment]) -> str | None:
    """Label and moment of the answer to a question, given what came after it."""
    within, lag = WITHIN[target]
    for moment in moments:
        if moment.reached[target] >= at + within + lag:
            return f"{target == 'churn'} {at + within + lag}"
        lesson = moment.lesson
        if lesson and lesson.customer == customer and at < lesson.at <= at + within and lesson.is_outcome(target):
            return f"{target != 'churn'} {moment.known}"
    return None


def text(example: Example) -> str:
    if isinstance(example, Question):
        return f"{example.target} {example.customer_id} {example.at} asked"
    return f"{example.target} {example.customer_id} {example.at} {example.label} {example.known_at}"


def agree(steps: list[Step], cuts: set[int]) -> None:
    whole = examples(PLAN, steps, [])
    assert sorted(map(text, whole)) == sorted(naive(PLAN, steps))
    parts = examples(PLAN, steps, sorted(cuts))
    assert asked(parts) == asked(whole)
    assert sorted(map(text, parts)) == sorted(map(text, whole))


CUTS: Final = st.sets(st.integers(1, 1_500), max_size=5)


@given(st.integers(0, 2**32), st.integers(1, 1_500), CUTS)
def test_p1_questions_and_answers_follow_from_the_records_however_they_are_cut(
    seed: int, count: int, cuts: set[int]
) -> None:
    agree([*lessons(seed, count)], cuts)


@given(st.integers(0, 2**32), st.integers(1, 1_500), CUTS)
def test_p5_answers_that_time_gives_wait_for_the_sources_of_their_outcomes(
    seed: int, count: int, cuts: set[int]
) -> None:
    agree(with_turns(lessons(seed, count), seed), cuts)


def asked(some: list[Example]) -> list[bytes]:
    """The questions, features included, in their order."""
    return [msgspec.json.encode(one) for one in some if isinstance(one, Question)]
