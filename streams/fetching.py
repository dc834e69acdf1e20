"""How consumers that read a great many records have aiokafka fetch them: bare as decoded, and some at a time."""

from __future__ import annotations

from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import FetchResult

BUSY_WAIT_MS: Final = 5
BUSY_BYTES: Final = 65_536


class _Bare(dict[TopicPartition, Any]):
    """What a consumer fetched and has not handed out yet; its records are left as they were decoded."""

    def __setitem__(self, place: TopicPartition, fetched: Any) -> None:
        if isinstance(fetched, FetchResult):
            fetched._partition_records._consumer_record = _as_decoded
        super().__setitem__(place, fetched)


def _as_decoded(_: TopicPartition, record: Any) -> Any:
    return record


def bare(consumer: AIOKafkaConsumer) -> AIOKafkaConsumer:
    """The consumer, once it is started, handing out records with offset, timestamp, key, value and headers alone.

    Making a `ConsumerRecord` of what was decoded takes longer than decoding it: 1.5 us a record.
    """
    fetcher = consumer._fetcher
    if not isinstance(fetcher._records, _Bare):
        fetcher._records = _Bare(fetcher._records)
    return consumer


def gather(consumer: AIOKafkaConsumer, wait_ms: int, busy: bool) -> None:
    """Say how long the broker may hold back its answers from the next fetch on.

    While records come (`busy`) it is to let some come together: each lot costs a millisecond, however small. Else it
    answers at the first one, or after `wait_ms`.
    """
    fetcher = consumer._fetcher
    fetcher._fetch_min_bytes = BUSY_BYTES if busy else 1
    fetcher._fetch_max_wait_ms = min(BUSY_WAIT_MS, wait_ms) if busy else wait_ms
