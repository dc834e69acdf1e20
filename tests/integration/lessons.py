"""tests/lessons.yaml over a test's own topics, and records for it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

import msgspec

from schemas.catalogue import Catalogue
from schemas.durations import HOUR, MINUTE
from schemas.loading import loads
from tests.integration.support import Bench, Sent

LESSONS: Final = Path(__file__).parents[1] / "lessons.yaml"
SOURCES: Final = ("buys", "looks", "who")
MIDNIGHT: Final = 1_735_660_800_000  # 2025-01-01T00:00:00+08:00


def lessons(bench: Bench) -> Catalogue:
    """The catalogue over topics of this test."""
    text = LESSONS.read_text(encoding="utf-8")
    for source in SOURCES:
        text = text.replace(f"topic: {source}", f"topic: {bench.name}-{source}")
    return loads(text)


def buy(customer: str, at: int, kind: str = "card", amount: float = 10.0, name: str = "") -> Sent:
    """A purchase."""
    value = {"customer": customer, "at": at, "id": name or f"{customer}-{at}-{kind}", "amount": amount, "kind": kind}
    return Sent("buys", customer.encode(), msgspec.json.encode(value))


def look(customer: str, at: int) -> Sent:
    """A visit."""
    return Sent("looks", customer.encode(), msgspec.json.encode({"customer": customer, "at": at, "page": "home"}))


def profile(customer: str, at: int, agreed: bool) -> Sent:
    """A profile with or without consent."""
    value = {"customer": customer, "at": at, "vip": False, "agreed": agreed}
    return Sent("who", customer.encode(), msgspec.json.encode(value))


def passing(start: int, days: int) -> list[Sent]:
    """Two customers who keep time moving, a record each in every hour."""
    return [look(f"clock{n}", start + hour * HOUR + n * MINUTE) for hour in range(days * 24) for n in range(2)]


def life(seed: int, count: int, customers: int = 30) -> list[Sent]:
    """A few weeks of purchases, visits and changing consent, in the order of their times."""
    draw, now, made = random.Random(seed), MIDNIGHT, list[Sent]()
    for number in range(count):
        now += draw.randrange(1, 40) * MINUTE
        customer = f"c{draw.randrange(customers)}"
        kind = draw.choice(["buy", "buy", "look", "who"])
        if kind == "buy":
            made.append(
                buy(customer, now, draw.choice(["card", "card", "deposit"]), draw.choice([5, 40, 90]), f"b{number}")
            )
        else:
            made.append(look(customer, now) if kind == "look" else profile(customer, now, draw.random() < 0.7))
    return [*made, *passing(now + HOUR, 2)]
