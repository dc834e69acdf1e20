"""The load: the simulated bank's records in order of their times, given to customers drawn by a Zipf law.

What happens and when is the bank simulator's; to whom is drawn, so that a few customers get most records, as in life.
One record in 33 is the profile of the customer that has waited for one longest, so that the mixture is the same from
beginning to end. The same arguments make the same bytes. `thinned` takes one record in so many: with as many fewer
customers it is the same life of a smaller bank, with as many records a customer over the same time.
"""

from __future__ import annotations

import asyncio
import zoneinfo
from collections import defaultdict, deque
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2
from numpy.typing import NDArray

from schemas.catalogue import Catalogue
from schemas.values import iso, parse_iso
from streams.demo import dataset

SEED: Final = 7
BATCH_BYTES: Final = 262_144
LIVE_EVERY_US: Final = 100
_PROFILE: Final = "profiles"
_DRAWN_AT_ONCE: Final = 65_536
_PROFILE_EVERY: Final = 33


class LoadError(Exception):
    """There is no such load; the message says what to do."""


class Event(msgspec.Struct, frozen=True, gc=False):
    """A record of a source."""

    source: str
    customer: str
    value: bytes


def zipf(customers: int, exponent: float, count: int, seed: int = SEED) -> NDArray[np.int64]:
    """Customers' numbers, drawn with probabilities proportional to rank ** -exponent (0: all alike)."""
    weights = np.cumsum(np.arange(1, customers + 1, dtype=np.float64) ** -exponent)
    draws = np.random.default_rng(seed)
    parts = [draws.random(_DRAWN_AT_ONCE) for _ in range(0, count, _DRAWN_AT_ONCE)]
    found = np.searchsorted(weights, np.concatenate(parts)[:count] * weights[-1])
    numbers: NDArray[np.int64] = np.minimum(found, customers - 1)
    return numbers


def events(
    catalogue: Catalogue, cache: Path, count: int, customers: int, exponent: float, thinned: int = 1
) -> list[Event]:
    """`count` records in order of their times.

    Raises
    ------
    LoadError
        The simulated year holds fewer.
    """
    data = dataset.load("bank", cache)
    profiles = data.sources[_PROFILE].read_bytes().splitlines()
    happened = ((source, line) for source, line in dataset.merged(data) if source != _PROFILE)
    numbers = zipf(customers, exponent, count)
    met, waiting = set[int](), deque[int]()
    made: list[Event] = []
    times = {source.name: source.time for source in catalogue.sources}
    for number, (source, line) in zip(numbers.tolist(), islice(happened, 0, count * thinned, thinned), strict=False):
        record: dict[str, Any] = msgspec.json.decode(line)
        record["customer_id"] = customer = _name(number)
        if number not in met:
            met.add(number)
            waiting.append(number)
        made.append(Event(source, customer, msgspec.json.encode(record)))
        if waiting and len(made) % _PROFILE_EVERY == _PROFILE_EVERY - 1:
            number = waiting.popleft()
            profile: dict[str, Any] = msgspec.json.decode(profiles[number % len(profiles)])
            profile |= {"customer_id": _name(number), times[_PROFILE]: record[times[source]]}
            made.append(Event(_PROFILE, _name(number), msgspec.json.encode(profile)))
        if len(made) >= count:
            return made[:count]
    raise LoadError(f"the simulated bank's year holds {len(made):,} records; ask for at most so many with --events")


def as_live(given: list[Event], catalogue: Catalogue, first: int) -> list[Event]:
    """The load with the times of its records from number `first` on as if they came live, 10,000 a second.

    In a load of a year much of the work is time that passes; live it is the records.
    """
    times = {source.name: source.time for source in catalogue.sources}
    zone = zoneinfo.ZoneInfo(catalogue.timezone)
    before = (parse_iso(msgspec.json.decode(one.value)[times[one.source]], zone) for one in given[: max(first, 1)])
    begin = max(before, default=0)
    made = given[:first]
    for number, event in enumerate(given[first:]):
        record: dict[str, Any] = msgspec.json.decode(event.value)
        record[times[event.source]] = iso(begin + number * LIVE_EVERY_US // 1_000)
        made.append(Event(event.source, event.customer, msgspec.json.encode(record)))
    return made


def _name(number: int) -> str:
    return f"c{number:07d}"


def partition_of(customer: str, partitions: int) -> int:
    """Where Kafka's partitioner puts a customer."""
    return int(murmur2(customer.encode()) & 0x7FFFFFFF) % partitions


async def produce(address: str, topics: dict[str, str], given: list[Event], partitions: int) -> None:
    """Write the records to their topics (by source), in large batches, and wait until the broker has them."""
    lanes: defaultdict[tuple[str, int], list[Event]] = defaultdict(list)
    for event in given:
        lanes[topics[event.source], partition_of(event.customer, partitions)].append(event)
    producer = AIOKafkaProducer(bootstrap_servers=address, max_batch_size=BATCH_BYTES, acks="all")
    await producer.start()
    try:
        for (topic, partition), some in lanes.items():
            await _produce_lane(producer, topic, partition, some)
    finally:
        await producer.stop()


async def _produce_lane(producer: AIOKafkaProducer, topic: str, partition: int, some: list[Event]) -> None:
    answers = []
    batch = producer.create_batch()
    for event in some:
        key = event.customer.encode()
        if batch.append(key=key, value=event.value, timestamp=None) is None:
            answers.append(await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            batch.append(key=key, value=event.value, timestamp=None)
    answers.append(await producer.send_batch(batch, topic, partition=partition))
    await asyncio.gather(*answers)
