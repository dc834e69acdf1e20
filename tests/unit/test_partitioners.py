"""Where partitioners put a key, and who is suspected where Kafka's own would not have put it."""

from __future__ import annotations

import pytest
from aiokafka.partitioner import DefaultPartitioner

from streams.partitioners import of_crc32, of_fnv1a, of_kafka, suspects

ALL = list(range(12))


@pytest.mark.parametrize("key", [b"", b"a", b"c42", "张伟".encode(), b"\xff\x00\x80" * 7])
def test_kafkas_partitioner_is_that_of_its_clients(key: bytes) -> None:
    assert of_kafka(key, 12) == DefaultPartitioner()(key, ALL, ALL)


def test_the_other_hashes_are_the_published_ones() -> None:
    assert of_crc32(b"123456789", 2**32) == 0xCBF43926  # the check value of CRC-32/ISO-HDLC
    assert of_fnv1a(b"foobar", 2**32) == 2**32 - 0xBF9CF968  # FNV-1a's test vector, as a signed number's absolute value
    assert of_fnv1a(b"", 2**32) == 2**32 - 0x811C9DC5


def test_a_wrong_partition_names_who_would_have_chosen_it() -> None:
    key = b"c42"
    placed = {"CRC32": of_crc32(key, 1000), "FNV-1a": of_fnv1a(key, 1000)}
    assert suspects(key, placed["CRC32"], 1000) == "CRC32 (librdkafka's default) does"
    assert suspects(key, placed["FNV-1a"], 1000) == "FNV-1a (Sarama's default) does"
    neither = next(n for n in range(1000) if n not in placed.values())
    assert suspects(key, neither, 1000) == "no known partitioner does"
    assert suspects(key, 0, 1) == "CRC32 (librdkafka's default) and FNV-1a (Sarama's default) do"
