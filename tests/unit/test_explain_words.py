"""Rules in words: what each form of a rule is called in both languages, and that nothing of its meaning is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.catalogue import Catalogue, Unit
from schemas.loading import load, loads
from schemas.loading_tags import rests_on
from schemas.rule_words import Term, Vocabulary, duration_in_words, in_words, vocabulary
from schemas.rules import parse
from schemas.tag_words import rule_lines, rules_in_words
from tests.explaining import CATALOGUE

ROOT = Path(__file__).parents[2]
TERMS = {
    "inflow": Term("Inflow", Unit.MONEY),
    "outflow": Term("Outflow", Unit.MONEY),
    "visits": Term("Visits", Unit.COUNT),
    "born": Term("Year of birth", Unit.COUNT),
    "share": Term("Share", Unit.RATIO),
    "idle": Term("Silence", Unit.DURATION),
    "channel": Term("Channel", Unit.CATEGORY),
    "agreed": Term("Agreed", Unit.BOOLEAN),
    "vip": Term("VIP", Unit.BOOLEAN, tag=True),
    "stage": Term("Stage", Unit.CATEGORY, tag=True),
}
CASES = [
    ("inflow >= 50_000", "Inflow is at least 50,000 CNY", "Inflow不低于50,000 CNY"),
    ("inflow > 2.50", "Inflow is more than 2.50 CNY", "Inflow高于2.50 CNY"),
    ("1_000 > inflow", "1,000 CNY is more than Inflow", "1,000 CNY高于Inflow"),
    ("inflow < -5", "Inflow is less than −5 CNY", "Inflow低于−5 CNY"),
    ("inflow - outflow <= 1 + 2", "Inflow − Outflow is at most 1 CNY + 2 CNY", "Inflow − Outflow不高于1 CNY + 2 CNY"),
    ("inflow >= 3 * outflow / 30", "Inflow is at least 3 × Outflow ÷ 30", "Inflow不低于3 × Outflow ÷ 30"),
    ("inflow / outflow > 2", "Inflow ÷ Outflow is more than 2", "Inflow ÷ Outflow高于2"),
    ("inflow > 10 * 1_000", "Inflow is more than 10 CNY × 1000", "Inflow高于10 CNY × 1000"),
    ("inflow / 2 > 10", "Inflow ÷ 2 is more than 10 CNY", "Inflow ÷ 2高于10 CNY"),
    ("inflow > (outflow + 5) / 2", "Inflow is more than (Outflow + 5 CNY) ÷ 2", "Inflow高于（Outflow + 5 CNY） ÷ 2"),
    ("share - (share - 1) > 0", "Share − (Share − 1) is more than 0", "Share − （Share − 1）高于0"),
    ("share / (share * 2) > 0", "Share ÷ (Share × 2) is more than 0", "Share ÷ （Share × 2）高于0"),
    ("inflow > -(outflow + 1)", "Inflow is more than −(Outflow + 1 CNY)", "Inflow高于−（Outflow + 1 CNY）"),
    ("max(inflow, 0) > 9", "the larger of Inflow and 0 CNY is more than 9 CNY", "Inflow与0 CNY中较大者高于9 CNY"),
    ("min(visits, 4, 3) > 1", "the smallest of Visits, 4 and 3 is more than 1", "Visits、4与3中最小者高于1"),
    ("abs(inflow) > 1", "Inflow without its sign is more than 1 CNY", "Inflow的绝对值高于1 CNY"),
    ("born >= 2000", "Year of birth is at least 2000", "Year of birth不低于2000"),
    ("visits == 20_000", "Visits equals 20,000", "Visits等于20,000"),
    ("visits != born", "Visits does not equal Year of birth", "Visits不等于Year of birth"),
    ("idle < 14d", "Silence is less than 14 days", "Silence不足14天"),
    ("idle >= 1h", "Silence is at least 1 hour", "Silence不少于1小时"),
    ("90m >= idle", "90 minutes is at least Silence", "90分钟不少于Silence"),
    ("idle > 3d and idle < 9d", "Silence is more than 3 days and is less than 9 days", "Silence超过3天且不足9天"),
    ("channel == 'app'", "Channel is app", "Channel为app"),
    ("channel != 'app'", "Channel is not app", "Channel不为app"),
    ("stage in ('new', 'back')", "Stage is one of new, back", "Stage为new、back之一"),
    ("stage in ('new')", "Stage is new", "Stage为new"),
    ("stage not in ('new', 'back')", "Stage is none of new, back", "Stage不为new、back中任何一个"),
    ("stage not in ('new')", "Stage is not new", "Stage不为new"),
    ("inflow in (1, 2)", "Inflow is one of 1 CNY, 2 CNY", "Inflow为1 CNY、2 CNY之一"),
    ("born is known", "Year of birth is known", "Year of birth已知"),
    ("born is missing", "Year of birth is unknown", "Year of birth未知"),
    ("vip", "VIP is on", "VIP为“是”"),
    ("not vip", "VIP is off", "VIP为“否”"),
    ("agreed", "Agreed is true", "Agreed为“是”"),
    ("not agreed", "Agreed is not true", "Agreed不为“是”"),
    ("not visits > 2", "it is not so that (Visits is more than 2)", "并非（Visits高于2）"),
    ("not (vip and agreed)", "it is not so that (VIP is on and Agreed is true)", "并非（VIP为“是”，且Agreed为“是”）"),
    (
        "(vip or agreed) and not visits > 2",
        "(VIP is on or Agreed is true) and it is not so that (Visits is more than 2)",
        "（VIP为“是”，或Agreed为“是”），且并非（Visits高于2）",
    ),
    (
        "vip and visits > 2 or visits > 9 or visits is missing",
        "(VIP is on and Visits is more than 2) or Visits is more than 9 or is unknown",
        "（VIP为“是”，且Visits高于2），或Visits高于9或未知",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "english", "chinese"), CASES, ids=[rule for rule, _, _ in CASES])
def test_a_rule_is_said_in_both_languages(rule: str, english: str, chinese: str) -> None:
    assert in_words(parse(rule), Vocabulary("en", TERMS, "CNY")) == english
    assert in_words(parse(rule), Vocabulary("zh", TERMS, "CNY")) == chinese


@pytest.mark.parametrize(
    ("ms", "english", "chinese"),
    [
        (86_400_000, "1 day", "1天"),
        (36 * 3_600_000, "36 hours", "36小时"),
        (60_000, "1 minute", "1分钟"),
        (90_000, "90 seconds", "90秒"),
        (1, "1 millisecond", "1毫秒"),
        (0, "0 milliseconds", "0毫秒"),
    ],
)
def test_a_duration_is_said_in_the_largest_unit_without_a_fraction(ms: int, english: str, chinese: str) -> None:
    assert (duration_in_words(ms, "en"), duration_in_words(ms, "zh")) == (english, chinese)


def test_a_checked_rule_is_said_like_the_one_that_was_written() -> None:
    catalogue = loads(CATALOGUE)
    for language in ("en", "zh"):
        words = vocabulary(catalogue, language)
        for tag in catalogue.tags:
            if tag.boolean:
                assert rule_lines(tag, catalogue, words)[0] == in_words(parse(tag.text), words)


LINES = {
    "home": ["What Town says"],
    "large_inflow": [
        "Inflow, 1 hour is at least 50,000 CNY and is at least 3 × Inflow, 30 days ÷ 30",
        "Once on, it stays on for at least 10 minutes",
    ],
    "life": [
        "active: if Since the last payment is less than 14 days",
        "dormant: else if Since the last payment is less than 90 days",
        "lost: otherwise",
    ],
    "intent": [
        "Probability that “A deposit is opened”: high from 30 %, low from 0 %",
        "A level is left only 2 points below where it begins",
    ],
    "asleep": ["Life cycle is dormant"],
}


@pytest.mark.parametrize("name", LINES)
def test_every_kind_of_rule_has_its_sentences(name: str) -> None:
    assert rules_in_words(loads(CATALOGUE))[name]["en"] == LINES[name]


def test_quantiles_say_of_what_and_which_end_is_the_lowest() -> None:
    said = rules_in_words(load(ROOT / "schemas" / "bank.yaml"))["rfm_monetary"]
    assert said == {
        "en": ["One of 5 equal parts of the customers by Inflow of 90 days, 1 the lowest"],
        "zh": ["按近90天入账将客户5等分，1为最低"],
    }
    recency = rules_in_words(load(ROOT / "schemas" / "bank.yaml"))["rfm_recency"]
    assert recency["en"][0].endswith("by Since the last activity, 1 the highest value")


@pytest.fixture(params=["schemas/bank.yaml", "schemas/retail.yaml", "tests/everything.yaml"])
def catalogue(request: pytest.FixtureRequest) -> Catalogue:
    return load(ROOT / request.param)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_rule_names_all_that_it_rests_on(catalogue: Catalogue, language: str) -> None:
    words, said = vocabulary(catalogue, language), rules_in_words(catalogue)
    for tag in catalogue.tags:
        text = " ".join(said[tag.name][language])
        assert all(words.title(name) in text for name in rests_on(tag.rule)), text
    assert said.keys() == {one.name for one in (*catalogue.tags, *catalogue.segments)}
