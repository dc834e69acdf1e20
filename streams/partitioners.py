"""Which partition a key belongs to: Kafka's own rule, and those of clients that use another.

livetags reads what Kafka's default partitioner wrote (murmur2, as the Java client and `murmur2_random` of librdkafka).
librdkafka's own default is CRC32, Sarama's is FNV-1a; their records lie in other partitions.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Final

from aiokafka.partitioner import murmur2


def of_kafka(key: bytes, partitions: int) -> int:
    """Where Kafka's default partitioner puts a key."""
    return int(murmur2(key) & 0x7FFFFFFF) % partitions


def of_crc32(key: bytes, partitions: int) -> int:
    """Where librdkafka's `consistent` and `consistent_random` put a key."""
    return zlib.crc32(key) % partitions


def of_fnv1a(key: bytes, partitions: int) -> int:
    """Where Sarama's hash partitioner and librdkafka's `fnv1a` put a key: the absolute value of the signed hash."""
    found = 0x811C9DC5
    for byte in key:
        found = (found ^ byte) * 0x01000193 & 0xFFFFFFFF
    return (2**32 - found if found >= 2**31 else found) % partitions


_OTHERS: Final[dict[str, Callable[[bytes, int], int]]] = {
    "CRC32 (librdkafka's default)": of_crc32,
    "FNV-1a (Sarama's default)": of_fnv1a,
}


def suspects(key: bytes, partition: int, partitions: int) -> str:
    """The partitioners that put a key into this partition, in words; with few partitions some do by chance."""
    found = [name for name, place in _OTHERS.items() if place(key, partitions) == partition]
    return " and ".join(found) + (" do" if len(found) > 1 else " does") if found else "no known partitioner does"
