"""Targets, and streams of questions and answers with a known truth behind them."""

from __future__ import annotations

import math
import random

from models.labels import Labels
from models.transform import Kind, Transform
from schemas.catalogue import Cross, Label, Target
from schemas.durations import DAY
from schemas.learning import Answer, Example, Question, question_id

START = 1_735_689_600_000  # 2025-01-01
NAMES = ("inflow", "visits", "silence", "share", "member", "constant")
TRANSFORMS = (
    Transform("inflow", Kind.SIGNED_LOG, 100.0),
    Transform("visits", Kind.SIGNED_LOG, 1.0),
    Transform("silence", Kind.SIGNED_LOG, float(DAY)),
    Transform("share", Kind.PLAIN, 1.0),
    Transform("member", Kind.PLAIN, 1.0),
    Transform("constant", Kind.PLAIN, 1.0),
)
CROSSES = tuple(
    Cross(*pair) for pair in (("inflow", "visits"), ("silence", "silence"), ("share", "member"), ("visits", "constant"))
)


def target(
    name: str = "deposit", within: int = 30 * DAY, late: int = DAY, absent: bool = False, refresh: int = DAY
) -> Target:
    """A target over NAMES."""
    label = Label(within, None if absent else "outcomes", None, late, ("transactions",) if absent else ())
    return Target(name, {}, label, NAMES, 7 * DAY, refresh, 0.1, CROSSES)


def features(draw: random.Random) -> list[float | None]:
    """Raw values as the engine computes them; one in ten is missing, the last is always the same."""
    values: list[float | None] = [
        math.floor(draw.lognormvariate(10, 2)),
        draw.randrange(30),
        draw.randrange(60 * DAY),
        draw.random(),
        float(draw.random() < 0.3),
        4.0,
    ]
    return [None if draw.random() < 0.1 else value for value in values[:-1]] + values[-1:]


def stream(wanted: Target, days: int = 90, customers: int = 15, seed: int = 1) -> list[Example]:
    """Questions a week and customer, and their answers as `Labels` gives them, in the order of becoming known."""
    draw = random.Random(seed)
    labels, examples = Labels((wanted,)), list[Example]()
    moments = sorted((START + draw.randrange(days * DAY), f"c{draw.randrange(customers)}") for _ in range(days * 10))
    asked: dict[str, int] = {}
    for now, customer in moments:
        examples += labels.advance(now)
        if draw.random() < 0.15:
            examples += labels.happened(0, customer, now - draw.randrange(1_000), now)
        if now - asked.get(customer, 0) >= wanted.example_every_ms:
            asked[customer] = now
            labels.ask(0, customer, now)
            examples.append(question(wanted, customer, now, features(draw)))
    return examples


def question(wanted: Target, customer: str, at: int, values: list[float | None]) -> Question:
    """A question as the engine asks it."""
    return Question(question_id(customer, wanted.name, at), customer, wanted.name, at, values)


def answer(asked: Question, label: bool, known_at: int) -> Answer:
    """The answer to a question."""
    return Answer(asked.id, asked.customer_id, asked.target, asked.at, label, known_at)
