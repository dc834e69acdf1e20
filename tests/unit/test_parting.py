"""P9: a record set aside is there whole, however large it is: in parts where its topic would refuse it."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import DeadLetter, LateEvent
from streams.parting import LONGEST_KEY, OVERHEAD, Aside, key_of, parted, raw, readable

MOST = 20_000


def letter(key: bytes | None, value: bytes | None) -> DeadLetter:
    (text, encoding), (key_text, key_encoding) = readable(value), readable(key)
    place = "pay", "pay", 3, 77, "bad JSON", "", "a JSON object in UTF-8"
    return DeadLetter(*place, key_text, text, encoding, key_encoding)


def joined(parts: list[Aside]) -> tuple[bytes | None, bytes | None]:
    """Key and value out of all parts, as they came."""
    assert [part.part for part in parts] == list(range(1, len(parts) + 1))
    assert {part.parts for part in parts} == {len(parts)}
    values = [raw(part.value, part.encoding) for part in parts]
    keys = [raw(part.key, part.key_encoding) for part in parts if isinstance(part, DeadLetter)]
    return (
        None if None in keys else b"".join(key or b"" for key in keys),
        None if None in values else b"".join(value or b"" for value in values),
    )


def fits(parts: list[Aside], most: int) -> bool:
    return all(len(msgspec.json.encode(part)) + len(key_of(part) or b"") + OVERHEAD <= most for part in parts)


@pytest.mark.parametrize("size", [0, 1, 5_000, 10_000, 20_000, 200_000])
@pytest.mark.parametrize("unit", [b"x", b"\x00", b"\xff", b'"', "é".encode(), "😀".encode()])
@pytest.mark.parametrize("key", [None, b"", b"ann", b"\xff\x80", b"k" * 3_000, b"\x01" * 50_000])
def test_p9_the_parts_are_the_record_byte_for_byte(size: int, unit: bytes, key: bytes | None) -> None:
    value = (unit * size)[:size]  # may end within a character
    parts = parted(letter(key, value), MOST)
    assert joined(parts) == (key, value)
    assert fits(parts, MOST)


@given(st.none() | st.binary(max_size=3_000), st.none() | st.binary(max_size=3_000), st.integers(7_000, 12_000))
def test_p9_any_key_and_value_come_back(key: bytes | None, value: bytes | None, most: int) -> None:
    parts = parted(letter(key, value), most)
    assert joined(parts) == (key, value)
    assert fits(parts, most)


def test_a_record_that_fits_stays_whole_and_readable() -> None:
    (only,) = parted(letter(b"ann", b'{"a": "\xc3\xa4"}'), MOST)
    assert (only.value, only.encoding, only.parts) == ('{"a": "ä"}', "utf-8", 1)


def test_a_late_event_is_cut_like_a_dead_letter() -> None:
    value = '{"note": "' + "ä" * 30_000 + '"}'
    late = LateEvent("pay", "ann", "pay", 3, 77, "2025-01-01T00:00:00.000Z", "2025-01-03T00:00:00.000Z", value)
    parts = parted(late, MOST)
    assert len(parts) > 1
    assert joined(parts)[1] == value.encode()
    assert fits(parts, MOST)
    assert {key_of(part) for part in parts} == {b"ann"}


def test_the_key_it_came_with_is_the_letters_key_unless_it_is_longer_than_any_customers() -> None:
    assert key_of(letter(b"\xff\x80", b"x")) == b"\xff\x80"
    assert key_of(letter(b"k" * LONGEST_KEY, b"x")) == b"k" * LONGEST_KEY
    assert key_of(letter(b"k" * (LONGEST_KEY + 1), b"x")) is None
    assert key_of(letter(None, b"x")) is None
