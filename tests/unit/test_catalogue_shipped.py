"""The two shipped catalogues load, hold what customer teams ask for, and stay small and readable."""

from __future__ import annotations

import functools
from collections import Counter
from importlib import resources
from pathlib import Path

import pytest

from schemas import rules
from schemas.catalogue import (
    Aggregation,
    Catalogue,
    Category,
    Code,
    FieldKind,
    Levels,
    Quantiles,
    Score,
    Tag,
    TagKind,
    When,
)
from schemas.loading import load
from schemas.loading_tags import rests_on
from schemas.records import Value
from streams.commands.check import base, row_bytes
from tests.oracle_rules import evaluate

FEWEST = {
    "bank": {"features": 20, "tags": 30, "segments": 8, "targets": 2},
    "retail": {"features": 12, "tags": 20, "segments": 6, "targets": 1},
}
BOTH = pytest.mark.parametrize("name", ["bank", "retail"])


@functools.cache
def shipped(name: str) -> Catalogue:
    """A shipped catalogue."""
    return load(Path(str(resources.files("schemas").joinpath(f"{name}.yaml"))))


def chinese(text: str) -> bool:
    """Whether a text has a Chinese character."""
    return any("\u4e00" <= letter <= "\u9fff" for letter in text)


@BOTH
def test_it_has_enough_of_everything(name: str) -> None:
    catalogue = shipped(name)
    assert catalogue.name == name
    for what, least in FEWEST[name].items():
        assert len(getattr(catalogue, what)) >= least
    assert catalogue.triggers


@BOTH
def test_it_has_tags_of_all_five_kinds_and_of_every_sort_of_rule(name: str) -> None:
    tags = shipped(name).tags
    assert {tag.kind for tag in tags} == set(TagKind)
    assert {type(tag.rule) for tag in tags} == {When, Levels, Category, Quantiles, Score, Code}


@BOTH
def test_everything_is_titled_in_english_and_chinese(name: str) -> None:
    catalogue = shipped(name)
    titles: dict[str, dict[str, str]] = {name: catalogue.title}
    for items in (catalogue.features, catalogue.tags, catalogue.segments, catalogue.targets, catalogue.triggers):
        titles |= {item.name: item.title for item in items}
    for key, title in titles.items():
        assert title["en"] != key
        assert chinese(title["zh"]), key
    once = Counter(tag.title["zh"] for tag in catalogue.tags)
    assert max(once.values()) == 1


@BOTH
def test_every_tag_has_an_owner_and_a_definition_that_both_sides_read(name: str) -> None:
    catalogue = shipped(name)
    for tag in catalogue.tags:
        assert tag.owner
        assert tag.about["en"]
        assert chinese(tag.about["zh"]), tag.name
    for segment in catalogue.segments:
        assert segment.about["en"]
        assert segment.about["zh"]


@BOTH
def test_every_feature_is_used_by_a_tag_segment_target_or_trigger(name: str) -> None:
    catalogue = shipped(name)
    named = {name for tag in catalogue.tags for name in rests_on(tag.rule)}
    named |= {name.name for segment in catalogue.segments for name in rules.names_in(segment.rule)}
    named |= {name for target in catalogue.targets for name in target.features}
    named |= {trigger.consent for trigger in catalogue.triggers if trigger.consent is not None}
    used = set(base(catalogue, named).features)
    assert {feature.name for feature in catalogue.features} - used == set()


@BOTH
def test_every_trigger_asks_for_consent_has_a_cooldown_and_a_hold_out(name: str) -> None:
    for trigger in shipped(name).triggers:
        assert trigger.consent is not None
        assert trigger.cooldown_ms > 0
        assert 0 < trigger.holdout < 1


def test_the_bank_calls_who_is_about_to_leave() -> None:
    followed = {trigger.segment: trigger.channel for trigger in shipped("bank").triggers}
    assert followed["churn_watch"] == "relationship-manager"
    assert followed["leaving_funds"] == "phone"


@BOTH
def test_a_row_takes_at_most_4_kilobytes(name: str) -> None:
    assert row_bytes(shipped(name)) <= 4096


@BOTH
def test_the_life_cycle_leads_from_new_to_lost_and_back(name: str) -> None:
    catalogue = shipped(name)
    assert catalogue.tag("lifecycle").values == ("new", "back", "active", "cooling", "dormant", "lost")
    order = catalogue.tag_order
    assert order.index("coming_back") < order.index("lifecycle")


@BOTH
def test_activity_has_tiers(name: str) -> None:
    assert shipped(name).tag("activity").values == ("high", "middle", "low", "none")


@BOTH
def test_quantile_and_score_tags_say_why_they_wait(name: str) -> None:
    waiting = {tag.name: tag.waits for tag in shipped(name).tags if tag.waits}
    predicted = {tag.name for tag in shipped(name).tags if isinstance(tag.rule, Score)}
    assert waiting.keys() == {"rfm_recency", "rfm_frequency", "rfm_monetary", "clv_tier"} | predicted
    assert all("yet to be learned" in waiting[name] for name in predicted)
    assert all("first cut-points" in waiting[name] for name in waiting.keys() - predicted)


CLASSIC = {
    "重要价值": "555",
    "重要发展": "515",
    "重要保持": "155",
    "重要挽留": "115",
    "一般价值": "551",
    "一般发展": "511",
    "一般保持": "151",
    "一般挽留": "111",
}


@BOTH
def test_every_code_is_in_exactly_one_of_the_eight_classic_segments(name: str) -> None:
    catalogue = shipped(name)
    classic = {one.title["zh"]: one.rule for one in catalogue.segments if one.name.startswith("rfm_")}
    assert classic.keys() == CLASSIC.keys()
    codes = catalogue.tag("rfm_code").values
    assert len(codes) == 125
    for code in codes:
        levels: dict[str, Value] = dict(zip(("rfm_recency", "rfm_frequency", "rfm_monetary"), code, strict=True))
        in_it = [title for title, rule in classic.items() if evaluate(rule, levels)]
        high = "".join("5" if level in "45" else "1" for level in code)
        assert in_it == [title for title, typical in CLASSIC.items() if typical == high]


@BOTH
def test_who_lacks_a_level_is_in_none_of_the_eight_classic_segments(name: str) -> None:
    levels: dict[str, Value] = {"rfm_recency": "5", "rfm_frequency": None, "rfm_monetary": "1"}
    rules_ = [one.rule for one in shipped(name).segments if one.name.startswith("rfm_")]
    assert not any(evaluate(rule, levels) for rule in rules_)


def test_the_bank_predicts_deposits_and_churn() -> None:
    bank = shipped("bank")
    deposit, churn = bank.targets
    assert (deposit.name, deposit.label.source, deposit.label.within_ms) == ("deposit", "outcomes", 30 * 86_400_000)
    assert deposit.label.arrives_within_ms == 86_400_000
    assert (churn.name, churn.label.absent, churn.label.source) == ("churn", ("transactions", "app_logs"), None)
    for tag in (bank.tag("deposit_intent"), bank.tag("churn_risk")):
        assert isinstance(tag.rule, Score)
        assert tag.rule.names == ("high", "middle", "low")
        assert tag.rule.margin > 0


def test_the_shop_predicts_coupon_redemptions_within_30_days() -> None:
    (target,) = shipped("retail").targets
    assert (target.label.source, target.label.within_ms) == ("redemptions", 30 * 86_400_000)


WANTED = {
    "bank": (
        "large_inflow inflow_surge outflow_surge funds_spreading funds_gathering income_level balance_tier "
        "preferred_channel preferred_hour birthday_month vip rfm_recency rfm_frequency rfm_monetary coming_back "
        "complained salary_here"
    ),
    "retail": (
        "favourite_department preferred_hour discount_sensitivity coupon_user value_tier vip basket_size "
        "second_purchase_due rfm_recency rfm_frequency rfm_monetary coming_back spending_falling age_band"
    ),
}


@BOTH
def test_it_says_what_the_teams_ask_for(name: str) -> None:
    assert set(WANTED[name].split()) <= {tag.name for tag in shipped(name).tags}


@BOTH
def test_event_sources_drop_duplicates_by_id_and_profiles_have_none(name: str) -> None:
    for source in shipped(name).sources:
        assert (source.id is None) == source.profile


def test_the_fields_are_those_of_the_records() -> None:
    bank, retail = shipped("bank"), shipped("retail")
    seconds = bank.source("app_logs").field("seconds")
    assert (seconds.kind, seconds.decimals, seconds.path, seconds.optional) == (
        FieldKind.NUMBER,
        1,
        ("payload", "seconds"),
        True,
    )
    assert bank.source("profiles").field("birth_month").values[0] == "01"
    assert bank.source("profiles").field("city").all_values[-1] == "other"
    assert bank.offset_ms == 8 * 3_600_000
    assert retail.offset_ms == -5 * 3_600_000
    assert retail.source("purchases").field("department").all_values[-1] == "other"
    assert retail.source("profiles").topic == "household-profiles"
    assert len(retail.source("profiles").field("income").values) == 12


@BOTH
def test_hold_is_only_where_flapping_would_be_and_freshness_is_kept(name: str) -> None:
    held: list[Tag] = [tag for tag in shipped(name).tags if tag.hold_ms]
    assert all(tag.boolean and tag.kind is TagKind.BEHAVIOUR for tag in held)


def test_computed_features_come_after_what_they_rest_on() -> None:
    for name in ("bank", "retail"):
        seen: set[str] = set()
        for feature in shipped(name).features:
            if feature.aggregation is Aggregation.COMPUTE and feature.compute is not None:
                assert {part.name for part in rules.names_in(feature.compute)} <= seen
            seen.add(feature.name)
