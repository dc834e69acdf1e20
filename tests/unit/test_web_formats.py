"""Values as people read them."""

from __future__ import annotations

import pytest

from schemas.catalogue import Unit
from schemas.records import Cause, Value
from streams.web import formats
from streams.web.feed import cause_word
from streams.web.words import WORDS, Language, say, second_title, title_in

EN, ZH = Language.EN, Language.ZH
HOUR, DAY = 3_600_000, 86_400_000


@pytest.mark.parametrize(
    ("value", "unit", "read"),
    [
        ("61000.50", Unit.MONEY, "61,000.50 CNY"),
        ("-61000.50", Unit.MONEY, "−61,000.50 CNY"),
        ("0.00", Unit.MONEY, "0.00 CNY"),
        ("500", Unit.MONEY, "500 CNY"),
        (1234.5678, Unit.MONEY, "1,234.57 CNY"),
        (1469307, Unit.COUNT, "1,469,307"),
        (0, Unit.COUNT, "0"),
        (0.123456, Unit.RATIO, "0.123"),
        (2.0, Unit.RATIO, "2"),
        (12345.6, Unit.RATIO, "12,346"),
        (float("inf"), Unit.RATIO, "∞"),
        (float("-inf"), Unit.RATIO, "−∞"),
        (2 * DAY + 3 * HOUR + 59_000, Unit.DURATION, "2 d 3 h"),
        (45_999, Unit.DURATION, "45 s"),
        (400, Unit.DURATION, "400 ms"),
        (0, Unit.DURATION, "0 ms"),
        (-90_000, Unit.DURATION, "−1 min 30 s"),
        ("2025-01-05T01:12:33.123Z", Unit.TIME, "2025-01-05 09:12"),
        ("app", Unit.CATEGORY, "app"),
        (True, Unit.BOOLEAN, "yes"),
        (False, None, "no"),
        ("dormant", None, "dormant"),
        (None, Unit.MONEY, "–"),
    ],
)
def test_a_value_reads_with_its_unit_in_the_catalogues_zone(value: Value, unit: Unit | None, read: str) -> None:
    assert formats.reading(value, unit, "CNY", "Asia/Shanghai", EN) == read


def test_durations_and_truth_read_in_chinese() -> None:
    assert formats.duration(2 * DAY + 3 * HOUR, ZH) == "2 天 3 小时"
    assert formats.reading(True, Unit.BOOLEAN, "CNY", "UTC", ZH) == "是"


@pytest.mark.parametrize(
    ("part", "whole", "read"),
    [(0, 100, "0 %"), (1, 3, "33 %"), (1, 30, "3.3 %"), (1, 20_000, "<0.1 %"), (5, 5, "100 %"), (1, 0, "")],
)
def test_a_share_is_readable_at_every_size(part: int, whole: int, read: str) -> None:
    assert formats.share(part, whole) == read


@pytest.mark.parametrize(("per_s", "read"), [(0.0, "0"), (0.25, "0.2"), (12.6, "13"), (24_167.4, "24,167")])
def test_a_rate_is_whole_from_ten_on(per_s: float, read: str) -> None:
    assert formats.rate(per_s) == read


@pytest.mark.parametrize("iso", [None, "", "yesterday"])
def test_a_time_that_is_none_is_a_dash(iso: str | None) -> None:
    assert formats.day(iso, "UTC") == formats.clock_time(iso, "UTC") == formats.day_and_time(iso, "UTC") == "–"


def test_a_zone_this_machine_lacks_is_utc() -> None:
    assert formats.clock_time("2025-01-05T01:12:33.123Z", "Mars/Olympus") == "01:12:33"


def test_every_word_is_there_in_both_languages() -> None:
    for word, (english, chinese) in WORDS.items():
        assert english, word
        assert chinese, word
        assert say(word, EN) == english
        assert say(word, ZH) == chinese


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_has_its_word(cause: Cause) -> None:
    assert cause_word(cause, ZH) != str(cause)


def test_titles_fall_back_to_what_there_is() -> None:
    both = {"en": "Large inflow", "zh": "大额资金流入"}
    assert (title_in(both, ZH, "x"), second_title(both, ZH, "x")) == ("大额资金流入", "Large inflow")
    assert (title_in({"zh": "大额"}, EN, "x"), second_title({"zh": "大额"}, EN, "x")) == ("大额", "")
    assert (title_in({}, EN, "large_inflow"), second_title({}, EN, "large_inflow")) == ("large_inflow", "")
