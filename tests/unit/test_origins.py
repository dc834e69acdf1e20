"""Records re-keyed at least once count once: across restarts of the writer, of the reader, and of both."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from streams.origins import Origins, Rekeyed, headers_of


class Raw(msgspec.Struct):
    """A record of the broker's, as the consumer gives it."""

    partition: int
    offset: int
    key: bytes | None = b"ann"
    value: bytes | None = b"v"
    timestamp: int = 5
    headers: tuple[tuple[str, bytes], ...] = ()


def written_on(raw: Raw, offset: int, key: bytes | None = b"ann", topic_id: str = "T1") -> Raw:
    """The record in the re-keyed topic."""
    return Raw(0, offset, key, raw.value, 99, tuple(headers_of(raw, key, topic_id)))


def places(records: list[Rekeyed]) -> list[tuple[int, int]]:
    return [(record.origin_partition, record.origin_offset) for record in records]


def test_a_record_is_as_it_was_before_it_was_rekeyed() -> None:
    for key in (None, b"", b"ann", b"branch/7"):
        (found,) = Origins().fresh([written_on(Raw(2, 7, key, None), 40)])
        assert (found.key, found.value, found.timestamp, found.offset) == (key, None, 5, 40)
        assert places([found]) == [(2, 7)]


def test_a_topic_created_anew_begins_anew() -> None:
    origins = Origins()
    origins.fresh([written_on(Raw(0, 500), 0)])
    assert places(list(origins.fresh([written_on(Raw(0, 0), 1, topic_id="T2")]))) == [(0, 0)]


def test_a_record_that_livetags_did_not_write_stands_for_itself() -> None:
    assert places(Origins().fresh([Raw(0, 3), Raw(0, 4)])) == [(-1, 3), (-1, 4)]


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 6), st.integers(0, 8)), min_size=1, max_size=8),
    st.data(),
)
def test_p6_each_counts_once_wherever_both_stop(writes: list[tuple[int, int, int]], data: st.DataObject) -> None:
    topic: list[Raw] = []
    reached = [0, 0, 0]
    for partition, more, back in writes:  # a writer goes on, after going back to a position committed before
        start = max(0, reached[partition] - back)
        for offset in range(start, reached[partition] + more):
            topic.append(written_on(Raw(partition, offset), len(topic)))
        reached[partition] += more
    counted: list[tuple[int, int]] = []
    position, state = 0, dict[str, int]()
    while position < len(topic):
        origins = Origins()
        origins.restore(state)
        ahead = data.draw(st.integers(position + 1, len(topic)))
        fresh = origins.fresh(topic[position:ahead])
        position = data.draw(st.integers(position + 1, ahead))  # what is behind the marker is read again
        state = origins.state(position)
        counted += places([record for record in fresh if record.offset < position])
    assert sorted(counted) == [(n, offset) for n in range(3) for offset in range(reached[n])]
