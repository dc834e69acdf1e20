"""Whether what came out is what has to come out: of a replay of the records that are on the topics, and of the oracle.

A replay is the judge for all customers, as the oracle, which computes everything anew at every event, would take hours;
that a replay says what the oracle says is what the generated tests are about (tests/property). The oracle itself judges
a few customers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Final

import msgspec

from schemas.catalogue import Catalogue
from schemas.records import Change, CustomerTags
from streams.engine.plan import build
from streams.replay import Record, Replay
from tests.chaos.load import Line
from tests.integration.support import partition_of
from tests.oracle import replay as oracle
from tests.oracle_rules import Record as OracleRecord

BATCH: Final = 4_096
JUDGED_BY_THE_ORACLE: Final = 3
SHOWN: Final = 5


class Verdict(msgspec.Struct):
    """What was compared, and every difference in words; no customer is named."""

    records: int = 0
    customers: int = 0
    changes: int = 0
    repeats: int = 0
    by_the_oracle: int = 0
    differences: list[str] = []


class Right(msgspec.Struct):
    """What has to come out of records; `until` is when each partition's clock stands in the end (UTC ms)."""

    changes: list[Change]
    customers: dict[str, CustomerTags]
    until: list[int | None]


def right(catalogue: Catalogue, lines: Sequence[Line], partitions: int) -> Right:
    """What has to come out of those records, in the order of their times."""
    replay = Replay(build(catalogue), partitions)
    changes: list[Change] = []
    for output in replay.all((Record(one.source, one.value, one.customer) for one in lines), BATCH):
        changes += output.changes()
    customers = {found.customer_id: found for some in replay.customers() for found in some}
    return Right(changes, customers, [part.watermark for part in replay.parts])


def judge(right: Right, changes: Sequence[Change], customers: Mapping[str, CustomerTags | None]) -> Verdict:
    """Compare changes as they are on the topics, and what the state says of each customer, with what is right."""
    verdict = Verdict(customers=len(right.customers), changes=len(right.changes))
    texts: dict[str, set[bytes]] = defaultdict(set)
    for change in changes:
        texts[change.id].add(msgspec.json.encode(change))
    wanted = {change.id: msgspec.json.encode(change) for change in right.changes}
    verdict.repeats = len(changes) - len(texts)
    verdict.differences += [
        *_many("changes are missing", [_told(change) for change in right.changes if change.id not in texts]),
        *_many("changes are too many", [_told(change) for change in changes if change.id not in wanted]),
        *_many("ids bear different changes", [name for name, found in texts.items() if len(found) > 1]),
        *_many("changes say otherwise", [name for name in wanted if name in texts and texts[name] != {wanted[name]}]),
        *_many("customers' changes came out of order", _disordered(right.changes, changes)),
        *_many("customers' states differ", _differing(right.customers, customers)),
    ]
    return verdict


def _differing(right: Mapping[str, CustomerTags], found: Mapping[str, CustomerTags | None]) -> list[str]:
    """What differs of each customer whose state is not the right one."""
    told = []
    for name, tags in right.items():
        other = found.get(name)
        if other is None:
            told.append("a customer is missing")
        elif other != tags:
            fields = [field for field in tags.__struct_fields__ if getattr(tags, field) != getattr(other, field)]
            told.append(f"a customer's {' and '.join(fields)}")
    return told


def write_differing(right: Right, changes: Sequence[Change], path: Path) -> None:
    """The changes of customers whose are not right, as they came and as they should have, for whoever looks into it."""
    wanted, came = _order(right.changes), _order(changes)
    wrong = {key.split(" ", 1)[1] for key in {*wanted, *came} if wanted.get(key) != came.get(key)}
    with path.open("wb") as file:
        for what, some in ((b"right ", right.changes), (b"found ", changes)):
            file.writelines(what + msgspec.json.encode(one) + b"\n" for one in some if one.customer_id in wrong)


def _many(what: str, found: Sequence[str]) -> list[str]:
    return [f"{len(found):,} {what}, among them {', '.join(found[:SHOWN])}"] if found else []


def _told(change: Change) -> str:
    """A change without whose it is."""
    name = getattr(change, "tag", None) or getattr(change, "segment", "")
    return f"{change.id} ({name} at {change.at}, cause {change.cause.value})"


def _disordered(right: Sequence[Change], found: Sequence[Change]) -> list[str]:
    """The first id of each customer's changes that does not come after the one it has to, repeats left out."""
    wanted, came = _order(right), _order(found)
    pairs = ((ids, came.get(key, [])) for key, ids in wanted.items())
    return [
        next((a for a, b in zip(ids, other, strict=False) if a != b), ids[-1]) for ids, other in pairs if ids != other
    ]


def _order(changes: Sequence[Change]) -> dict[str, list[str]]:
    """The ids of each customer's tag changes, and of its segment changes, as they came first."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for change in changes:
        found[f"{type(change).__name__} {change.customer_id}"].setdefault(change.id)
    return {key: list(ids) for key, ids in found.items()}


def differ_from_oracle(catalogue: Catalogue, lines: Sequence[Line], right: Right, chance: Random) -> list[str]:
    """Where the oracle says otherwise of some customers, drawn among those without unusually many records."""
    counts = Counter(line.customer for line in lines)
    usual = sorted(name for name, count in counts.items() if count <= 2 * len(lines) / len(counts))
    differences = []
    for name in chance.sample(usual, min(JUDGED_BY_THE_ORACLE, len(usual))):
        own = [OracleRecord(one.source, one.value, one.customer) for one in lines if one.customer == name]
        until = right.until[partition_of(name.encode(), len(right.until))]
        said = oracle(catalogue, own, until)
        ours = [change for change in right.changes if change.customer_id == name]
        if _order(said.changes) != _order(ours) or said.customers[name] != right.customers[name]:
            differences.append("the oracle says otherwise of a customer than the replay that was the judge")
    return differences
