"""Times read by the thousand are those read one by one."""

from __future__ import annotations

import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.iso_times import parse_many
from schemas.values import parse_iso

ZONE = zoneinfo.ZoneInfo("Asia/Shanghai")
ENDS = ("Z", "+08:00", "-03:30", "+00:00")


def form(milliseconds: bool, end: str) -> st.SearchStrategy[str]:
    moments = st.datetimes(timezones=st.none())
    return moments.map(lambda m: m.isoformat(timespec="milliseconds" if milliseconds else "seconds") + end)


@given(st.data(), st.booleans(), st.sampled_from(ENDS))
def test_a_batch_of_one_form_is_read_as_each_alone(data: st.DataObject, milliseconds: bool, end: str) -> None:
    texts = data.draw(st.lists(form(milliseconds, end), min_size=1, max_size=20))
    found = parse_many(texts)
    assert found is not None
    assert found.tolist() == [parse_iso(text, ZONE) for text in texts]


@pytest.mark.parametrize(
    "text",
    [
        "2025-02-29T00:00:00Z",
        "2025-13-01T00:00:00Z",
        "2025-01-00T00:00:00Z",
        "2025-01-01T24:00:00Z",
        "2025-01-01T00:60:00Z",
        "2025-01-01T00:00:60Z",
        "2025-01-01 00:00:00Z",
        "2025-01-01T00:00:00+24:00",
        "0000-01-01T00:00:00Z",
        "２025-01-01T00:00:00Z",
        "2025-01-01T00:00:00",
        "2025-01-01",
        "",
    ],
)
def test_what_is_no_time_of_a_usual_form_is_left_to_be_read_alone(text: str) -> None:
    assert parse_many([text]) is None
    assert parse_many(["2025-01-01T00:00:00Z", text]) is None


def test_numbers_and_mixtures_are_left_to_be_read_one_by_one() -> None:
    assert parse_many([1_700_000_000_000]) is None
    assert parse_many(["2025-01-01T00:00:00Z", 5]) is None
    assert parse_many(["2025-01-01T00:00:00.000Z", "2025-01-01T00:00:00Z"]) is None
    assert parse_many([]) is None
