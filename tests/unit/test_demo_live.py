"""The simulated bank as a bank of today: moved by whole weeks, sent as it happens, and gone on with where it was."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from schemas.loading import load
from streams.cluster import Found
from streams.demo import DAY_MS
from streams.demo.dataset import Chunk, Dataset, bank_of, merged_chunks
from streams.demo.live import AHEAD_MS, WEEK_MS, Begun, ForeignRecords, LiveFeed, moved, shift_ms

BANK = Path(__file__).parents[2] / "schemas" / "bank.yaml"
NOW_MS = 1_900_000_000_000
TIME_FIELD = {"profiles": "updated_at", "transactions": "occurred_at", "app_logs": "at", "outcomes": "at"}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return bank_of(30, tmp_path_factory.mktemp("bank"))


@pytest.fixture(scope="module")
def chunk(dataset: Dataset) -> Chunk:
    """All of the year's records."""
    (found,) = merged_chunks(dataset, 1_000_000)
    return found


@pytest.mark.parametrize("behind_ms", [0, 1, DAY_MS, WEEK_MS - 1, WEEK_MS, 400 * DAY_MS, -400 * DAY_MS])
def test_whole_weeks_are_moved_so_that_two_to_three_lie_ahead(behind_ms: int) -> None:
    last_ms = NOW_MS - behind_ms
    by_ms = shift_ms(last_ms, NOW_MS)
    assert by_ms % WEEK_MS == 0
    assert AHEAD_MS <= last_ms + by_ms - NOW_MS < AHEAD_MS + WEEK_MS


def test_every_record_says_the_time_it_was_moved_to_and_nothing_else_changed(dataset: Dataset, chunk: Chunk) -> None:
    by_ms, names = 55 * WEEK_MS, list(dataset.sources)
    later = moved(chunk, by_ms)
    assert set(later.sources) == set(range(len(TIME_FIELD)))
    for source, time_ms, old, new in zip(later.sources, later.times_ms, chunk.lines, later.lines, strict=True):
        before, after = msgspec.json.decode(old), msgspec.json.decode(new)
        field = TIME_FIELD[names[source]]
        said = datetime.fromisoformat(after.pop(field))
        assert said.astimezone(UTC).timestamp() * 1000 == pytest.approx(time_ms, abs=0.5)
        then = datetime.fromisoformat(before.pop(field))
        assert (said.weekday(), said.time(), said.tzinfo) == (then.weekday(), then.time(), then.tzinfo)
        assert after == before
    assert later.times_ms == [time + by_ms for time in chunk.times_ms]


def test_the_bank_is_made_once_for_each_number_of_customers(dataset: Dataset, tmp_path: Path) -> None:
    first = bank_of(10, tmp_path)
    made = (first.directory / "events.json").stat().st_mtime_ns
    assert bank_of(10, tmp_path) == first
    assert (first.directory / "events.json").stat().st_mtime_ns == made
    assert bank_of(11, tmp_path).directory != first.directory
    assert dataset.events["profiles"] >= 30


def test_what_was_begun_counts_for_the_same_topics_only(tmp_path: Path) -> None:
    assert Begun.load(tmp_path, {"a": "1"}) is None
    begun = Begun(7 * WEEK_MS, {"a": "1"})
    begun.save(tmp_path)
    assert Begun.load(tmp_path, {"a": "1"}) == begun
    assert Begun.load(tmp_path, {"a": "created anew"}) is None


def live(dataset: Dataset, directory: Path, topic_id: str, now_ms: int) -> LiveFeed:
    found = {"profiles": Found("profiles", topic_id, 2)}
    return LiveFeed(dataset, load(BANK), "nowhere:1", found, directory, lambda: now_ms)


def test_a_feed_that_is_started_again_moves_the_year_as_far_as_before(dataset: Dataset, tmp_path: Path) -> None:
    by_ms = live(dataset, tmp_path, "1", NOW_MS).begin({"profiles": [0, 0]})
    again = live(dataset, tmp_path, "1", NOW_MS + 30 * DAY_MS)
    assert again.begin({"profiles": [7, 9]}) == by_ms


def test_topics_with_records_of_others_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ForeignRecords, match=r"'profiles' holds records that were not sent from"):
        live(dataset, tmp_path, "1", NOW_MS).begin({"profiles": [0, 1]})
    assert live(dataset, tmp_path, "1", NOW_MS).begin({"profiles": [0, 0]}) > 0
    with pytest.raises(ForeignRecords):
        live(dataset, tmp_path, "created anew", NOW_MS).begin({"profiles": [0, 1]})
