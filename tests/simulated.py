"""A target whose true probability is known: examples of a year, in the order of becoming known."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable

import msgspec

from models.transform import Kind, Transform
from schemas.catalogue import Cross, Label, Promotion, Target
from schemas.durations import DAY
from schemas.learning import Answer, Example, Question, question_id

START = 1_735_689_600_000  # 2025-01-01
NAMES = ("inflow", "views", "age")
TRANSFORMS = (
    Transform("inflow", Kind.SIGNED_LOG, 100.0),
    Transform("views", Kind.SIGNED_LOG, 1.0),
    Transform("age", Kind.PLAIN, 1.0),
)
TARGET = Target(
    name="deposit",
    title={},
    label=Label(30 * DAY, "outcomes", None, DAY),
    features=NAMES,
    example_every_ms=7 * DAY,
    refresh_ms=7 * DAY,
    prior=0.1,
    crosses=(Cross("inflow", "views"), Cross("age", "age")),
    promotion=Promotion(),
)


class Asked(msgspec.Struct, frozen=True):
    """A question with its true probability, and what came."""

    question: Question
    truth: float
    label: bool


Truth = Callable[[float, float, float, int], float]
"""The true log odds by standard inflow, views and age, and the day."""


def plain(inflow: float, views: float, age: float, day: int) -> float:
    """What a linear model can say."""
    return -2.6 + 0.9 * inflow + 0.6 * views - 0.5 * age


def crossed(inflow: float, views: float, age: float, day: int) -> float:
    """What it takes products to say."""
    return -2.6 + 0.5 * inflow + 0.4 * views + 0.9 * max(-3.0, min(3.0, inflow * views)) - 0.4 * age


def asked(
    truth: Truth, days: int, a_day: int, seed: int, minor: Callable[[int], float] = lambda day: 100.0
) -> list[Asked]:
    """Questions of so many days; `minor` is what a unit of money counts on a day."""
    draw, found = random.Random(seed), list[Asked]()
    for number in range(days * a_day):
        at, day = START + number * DAY // a_day, number // a_day
        inflow, views, age = (draw.gauss(0.0, 1.0) for _ in range(3))
        money = math.expm1(8.0 + 1.5 * inflow) * minor(day)
        values = [money, float(max(0, round(math.expm1(1.2 + 0.5 * views)))), 40.0 + 12.0 * age]
        views = (math.log1p(values[1]) - 1.2) / 0.5
        p = 1.0 / (1.0 + math.exp(-truth(inflow, views, age, day)))
        given: list[float | None] = [None if draw.random() < 0.02 else value for value in values]
        customer = f"c{number % (7 * a_day)}"
        question = Question(question_id(customer, TARGET.name, at), customer, TARGET.name, at, given)
        found.append(Asked(question, p, draw.random() < p))
    return found


def examples(of: list[Asked], seed: int = 0) -> list[Example]:
    """Questions and answers as they become known: positives within days, negatives in the end."""
    draw, waiting, found = random.Random(seed), list[tuple[int, str, Answer]](), list[Example]()
    for one in of:
        question = one.question
        while waiting and waiting[0][0] <= question.at:
            found.append(heapq.heappop(waiting)[2])
        known = question.at + (draw.randrange(1, 30 * DAY) if one.label else TARGET.label.settled_ms)
        told = Answer(question.id, question.customer_id, question.target, question.at, one.label, known)
        heapq.heappush(waiting, (known, question.id, told))
        found.append(question)
    return found


def auc(scores: list[float], labels: list[bool]) -> float:
    """Share of pairs in order; ties by their order of standing."""
    ranked = sorted(zip(scores, labels, strict=True), key=lambda pair: pair[0])
    positives = sum(labels)
    won, lower = 0, 0
    for _, label in ranked:
        won += lower if label else 0
        lower += not label
    return won / (positives * (len(labels) - positives))
