"""The bank's records for crash tests: some months that are there before any worker, and transactions that follow live.

What is said of a customer is a function of the order in which that customer's records are applied, and the order of
sources beside each other is the merge's, which depends on when records arrive. So only transactions follow live, in the
order of their times: then one order is right, whoever applies them, and it can be computed.

For the same reason the catalogue goes without what comes from outside that order: scores, tags by quantiles, whose
cut-points reach a partition when they reach it, and what lifetime models foretell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from ruamel.yaml import YAML

from streams.demo import bank

BANK: Final = Path(__file__).parents[2] / "schemas" / "bank.yaml"
LIVE: Final = "transactions"
BEFORE: Final = 0.3
"""Share of the year that is there before any worker."""
OUTSIDE: Final = ("score", "quantiles", "lifetime")
CUSTOMERS_A_ROUND: Final = 60
FEWEST_CUSTOMERS: Final = 600
_PARTS: Final = "features", "tags", "segments", "triggers"


class Line(msgspec.Struct, frozen=True):
    """A record on its way; `at` in UTC ms."""

    source: str
    customer: str
    at: int
    value: bytes


class Load(msgspec.Struct, frozen=True):
    """Records in the order of their times, those of `live` after all of `before`."""

    before: list[Line]
    live: list[Line]


def load(rounds: int, seed: int) -> Load:
    """The records for so many rounds."""
    year = bank.simulate(max(FEWEST_CUSTOMERS, CUSTOMERS_A_ROUND * rounds), seed)
    begin, end = (int(edge(stream.times_ms)) for edge, stream in ((np.min, year.streams[1]), (np.max, year.streams[1])))
    turn = begin + int((end - begin) * BEFORE)
    found: list[list[Line]] = [[], []]
    for stream in year.streams:
        times = iter(stream.times_ms.tolist())
        for lines in stream.lines():
            for value, at in zip(lines, times, strict=False):
                if at < turn or stream.name == LIVE:
                    customer = msgspec.json.decode(value, type=_Keyed).customer_id
                    found[at >= turn].append(Line(stream.name, customer, at, value))
    return Load(*(sorted(lines, key=lambda line: line.at) for lines in found))


class _Keyed(msgspec.Struct):
    customer_id: str


def catalogue() -> str:
    """The bank's catalogue without what comes from outside the order of records, as YAML."""
    yaml = YAML()
    found = yaml.load(BANK.read_text(encoding="utf-8"))
    said = [*found["features"].items(), *found["tags"].items()]
    gone = {name for name, one in said if any(kind in one for kind in OUTSIDE)}
    while gone:
        again: set[str] = set()
        for part in _PARTS:
            for name in [name for name in found.get(part, {}) if name in gone]:
                del found[part][name]
            again |= {name for name, one in found.get(part, {}).items() if _speaks_of(one, gone)}
        gone = again
    for models in ("targets", "lifetime"):
        found.pop(models, None)
    text = StringIO()
    yaml.dump(found, text)
    return text.getvalue()


def _speaks_of(one: Any, names: set[str]) -> bool:
    """Whether a rule of a tag, segment or trigger uses one of those names."""
    if isinstance(one, Mapping):
        return any(_speaks_of(value, names) for key, value in one.items() if key not in ("title", "about"))
    if isinstance(one, list):
        return any(_speaks_of(value, names) for value in one)
    return isinstance(one, str) and not names.isdisjoint(re.findall(r"\w+", one))
