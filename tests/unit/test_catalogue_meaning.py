"""What a good catalogue's settings come to: defaults, units, orders, and where values stand in records."""

from __future__ import annotations

import pytest

from schemas.catalogue import (
    Aggregation,
    Cap,
    Catalogue,
    Crossing,
    FieldKind,
    Occasion,
    QuietHours,
    Score,
    TagKind,
    Trigger,
    Unit,
    When,
)
from schemas.durations import DAY, HOUR, MINUTE
from schemas.loading import loads
from schemas.problems import CatalogueError
from schemas.rules import Compare, Name, Number, Op

SMALL = """
catalogue: small
timezone: Asia/Shanghai
sources:
  payments:
    topic: payments
    key: customer
    time: at
    id: payment
    allowed_skew: 5s
    accept_late: 2h
    stall_after: 10m
    open: 09:00-21:00
    fields:
      amount: money
      cents: {type: money, unit: minor}
      rate: {type: number, decimals: 2, path: details.rate, optional: true}
      raw: number
      kind: [salary, card]
      bank: {type: [icbc, ccb], other: true}
      settled: time
      online: boolean
      note: text
  profiles: {topic: profiles, kind: profile, key: customer, time: at, fields: {vip: boolean, city: [Beijing, Shanghai]}}
features:
"""


def small(features: str = "", rest: str = "") -> Catalogue:
    """A small catalogue with these features and whatever else."""
    return loads(f"{SMALL}  paid: {{source: payments, count: true, window: 30d}}\n{features}\n{rest}")


@pytest.mark.parametrize(
    ("settings", "aggregation", "unit"),
    [
        ("count: true, window: 30d", Aggregation.COUNT, Unit.COUNT),
        ("days: true, window: 30d", Aggregation.DAYS, Unit.COUNT),
        ("sum: amount, window: 30d", Aggregation.SUM, Unit.MONEY),
        ("sum: rate", Aggregation.SUM, Unit.RATIO),
        ("mean: cents, window: ever", Aggregation.MEAN, Unit.MONEY),
        ("min: raw, window: 1h", Aggregation.MIN, Unit.RATIO),
        ("max: settled, window: 1h", Aggregation.MAX, Unit.TIME),
        ("distinct: bank, window: 7d", Aggregation.DISTINCT, Unit.COUNT),
        ("top: bank, window: 7d", Aggregation.TOP, Unit.CATEGORY),
        ("last: kind", Aggregation.LAST, Unit.CATEGORY),
        ("first: online", Aggregation.FIRST, Unit.BOOLEAN),
        ("since: last", Aggregation.SINCE_LAST, Unit.DURATION),
        ("since: first, where: kind == 'card'", Aggregation.SINCE_FIRST, Unit.DURATION),
    ],
)
def test_an_aggregation_has_its_unit(settings: str, aggregation: Aggregation, unit: Unit) -> None:
    feature = small(f"  x: {{source: payments, {settings}}}").feature("x")
    assert (feature.aggregation, feature.unit) == (aggregation, unit)


def test_sources_and_fields_are_read_as_written() -> None:
    source = small().source("payments")
    assert (source.allowed_skew_ms, source.accept_late_ms, source.stall_after_ms) == (5_000, 2 * HOUR, 10 * MINUTE)
    assert (source.max_ahead_ms, source.id, source.profile) == (5 * MINUTE, "payment", False)
    assert source.field("rate").path == ("details", "rate")
    assert source.field("rate").optional
    assert source.field("cents").minor
    assert not source.field("amount").minor
    assert source.field("bank").all_values == ("icbc", "ccb", "other")
    assert source.field("kind").kind is FieldKind.ENUM
    profile = small().source("profiles")
    assert (profile.profile, profile.id, profile.accept_late_ms, profile.allowed_skew_ms) == (True, None, DAY, MINUTE)


@pytest.mark.parametrize(
    ("zone", "hours"),
    [
        ("Asia/Shanghai", 8),
        ("America/New_York", -5),
        ("Europe/Berlin", 1),
        ("UTC", 0),
        ("Asia/Kolkata", 5.5),
        ("Australia/Sydney", 10),
    ],
)
def test_tiles_are_cut_in_the_standard_offset_of_the_zone(zone: str, hours: float) -> None:
    assert loads(SMALL.replace("Asia/Shanghai", zone) + "  {}").offset_ms == hours * HOUR


@pytest.mark.parametrize(("currency", "literal"), [("CNY", 1_000.0), ("JPY", 10.0), ("KWD", 10_000.0)])
def test_money_in_rules_is_scaled_to_the_currency_s_minor_unit(currency: str, literal: float) -> None:
    paid = "  paid: {source: payments, sum: amount, window: 30d}\ntags:\n  rich: {when: paid > 10}"
    rule = loads(f"currency: {currency}\n{SMALL}{paid}").tag("rich").rule
    assert isinstance(rule, When)
    assert isinstance(rule.rule, Compare)
    assert isinstance(rule.rule.right, Number)
    assert rule.rule.right.scaled == literal


def test_a_since_feature_stands_on_the_left() -> None:
    catalogue = small("  gap: {source: payments, since: last}", "tags:\n  gone: {when: 14d <= gap}")
    rule = catalogue.tag("gone").rule
    assert isinstance(rule, When)
    assert isinstance(rule.rule, Compare)
    assert isinstance(rule.rule.left, Name)
    assert rule.rule.op is Op.GE


def test_computed_features_may_stand_before_what_they_rest_on() -> None:
    catalogue = small("  c: {compute: b + 1}\n  b: {compute: paid * 2}")
    assert [feature.name for feature in catalogue.features] == ["paid", "b", "c"]


def test_tags_are_evaluated_after_what_they_rest_on_and_else_in_the_file_s_order() -> None:
    tags = """tags:
  d: {when: b and paid > 1}
  a: {when: paid > 1}
  c: {levels: {x: d, y: otherwise}}
  b: {when: a}
  e: {when: paid > 2}"""
    catalogue = small(rest=tags)
    assert catalogue.tag_order == ("a", "b", "d", "c", "e")
    assert [tag.name for tag in catalogue.tags] == ["d", "a", "c", "b", "e"]


def test_words_that_other_yaml_takes_for_booleans_are_words() -> None:
    catalogue = small(
        rest="tags:\n  on: {levels: {yes: paid > 3, no: otherwise}}\nsegments:\n  off: {when: on == 'no'}"
    )
    assert catalogue.tag("on").values == ("yes", "no")
    assert catalogue.segments[0].name == "off"


def test_tags_default_to_the_kind_of_their_rule() -> None:
    tags = """tags:
  a: {when: paid > 1}
  b: {levels: {x: paid > 1, y: otherwise}}
  c: {quantiles: {of: paid}}
  d: {score: t, levels: {high: 20%, low: 0}, margin: 0.05}
  e: {category: city, kind: static}
targets:
  t: {label: {source: payments, where: kind == 'salary', within: 30d, arrives_within: 1d}, features: [paid]}
segments:
  s: {when: c == '5' and d == 'high'}
triggers:
  call:
    on: {segment: s, change: leave}
    channel: phone
    consent: a
    expires: 2h
    cap: 3 per 30d
    quiet: '21:30-09:00'
    holdout: 10%"""
    catalogue = small("  city: {source: profiles, last: city}", tags)
    kinds = [tag.kind for tag in catalogue.tags]
    assert kinds == [TagKind.BEHAVIOUR, TagKind.LIFECYCLE, TagKind.VALUE, TagKind.PREDICTED, TagKind.STATIC]
    score = catalogue.tag("d").rule
    assert isinstance(score, Score)
    assert (score.names, score.thresholds, score.margin) == (("high", "low"), (0.2, 0.0), 0.05)
    assert catalogue.tag("c").values == ("1", "2", "3", "4", "5")
    (target,) = catalogue.targets
    assert (target.label.within_ms, target.label.arrives_within_ms, target.example_every_ms) == (30 * DAY, DAY, 7 * DAY)
    assert (target.refresh_ms, target.prior) == (DAY, 0.02)
    (trigger,) = catalogue.triggers
    assert trigger == Trigger(
        name="call",
        title={"en": "call", "zh": "call"},
        segment="s",
        change=Crossing.LEAVE,
        channel="phone",
        consent="a",
        expires_ms=2 * HOUR,
        cooldown_ms=0,
        cap=Cap(3, 30 * DAY),
        quiet=QuietHours(1290, 540),
        holdout=0.1,
    )


def test_a_trigger_says_whose_consent_it_needs_or_that_it_needs_none() -> None:
    rest = """segments: {s: {when: paid > 1}}
tags: {yes_please: {when: paid > 1}}
triggers:
  a: {on: {segment: s}, consent: agreed}
  b: {on: {segment: s}, consent: yes_please}
  c: {on: {segment: s}, consent: none, expires: 90s}"""
    triggers = small("  agreed: {source: profiles, last: vip}", rest).triggers
    assert [(trigger.consent, trigger.expires_ms) for trigger in triggers] == [
        ("agreed", DAY),
        ("yes_please", DAY),
        (None, 90_000),
    ]


def test_a_target_says_how_often_its_model_is_renewed_and_what_to_expect_before_any_answer() -> None:
    label = "label: {source: payments, within: 30d, arrives_within: 2d}"
    catalogue = small(rest=f"targets:\n  t: {{{label}, features: [paid], refresh: 12h, prior: 5%}}")
    (target,) = catalogue.targets
    assert (target.refresh_ms, target.prior, target.label.settled_ms) == (DAY // 2, 0.05, 32 * DAY)


def test_a_title_in_one_language_stands_for_both() -> None:
    catalogue = small(
        rest="tags:\n  a: {when: paid > 1, title: Rich}\n  b: {when: paid > 1, title: {zh: 富}}\n  c: {when: paid > 1}"
    )
    assert [tag.title for tag in catalogue.tags] == [
        {"en": "Rich", "zh": "Rich"},
        {"en": "富", "zh": "富"},
        {"en": "c", "zh": "c"},
    ]


@pytest.mark.parametrize(
    ("rule", "line", "column"),
    [
        ("when: paid > 3 or nobody", 30, 23),
        ("when: 'paid > 3 or nobody'", 30, 24),
        ('when: "paid > 3 or nobody"', 30, 24),
        ("when:\n      paid > 3 or nobody", 31, 19),
        ("when: paid > 3\n      or nobody", 31, 10),
        ("when: |\n      paid > 3\n      or nobody", 32, 10),
        ("when: >-\n      paid > 3 or\n\n      nobody", 33, 7),
        ("when: 'kind == ''card'' or nobody'", 30, 12),
    ],
)
def test_a_mistake_is_shown_where_it_stands_however_the_rule_is_written(rule: str, line: int, column: int) -> None:
    with pytest.raises(CatalogueError) as error:
        small(rest=f"tags:\n  a:\n    {rule}")
    problem = error.value.problems[0]
    assert (problem.line, problem.column) == (line, column)


def test_a_target_may_name_the_records_after_which_it_asks() -> None:
    target = """
targets:
  buys: {label: {source: payments, within: 30d}, features: [paid], example_on: %s}"""
    (plain,) = small("", target % "{source: payments}").targets
    assert plain.example_on == Occasion("payments")
    (narrow,) = small("", target % "{source: payments, where: kind == 'salary'}").targets
    assert narrow.example_on is not None
    assert narrow.example_on.where is not None


@pytest.mark.parametrize(
    ("on", "said"),
    [
        ("{where: kind == 'salary'}", "the source whose records are the occasion"),
        ("{source: profiles}", "source of events"),
        ("{source: payments, every: 7d}", "an occasion has no setting 'every'"),
        ("{source: payments, where: kind == 'up'}", "'up' is not one of its values"),
    ],
)
def test_what_is_no_occasion_to_ask_is_said(on: str, said: str) -> None:
    target = f"""
targets:
  buys: {{label: {{source: payments, within: 30d}}, features: [paid], example_on: {on}}}"""
    with pytest.raises(CatalogueError) as caught:
        small("", target)
    assert said in str(caught.value)
