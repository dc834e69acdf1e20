"""Quantile tags and codes in a catalogue: what is meant where nothing is said, and every mistake explained."""

from __future__ import annotations

import pytest

from schemas.catalogue import Catalogue, Code, Quantiles
from schemas.durations import DAY, HOUR
from schemas.loading import loads
from schemas.loading_tags import rests_on
from schemas.population import definition_of
from schemas.problems import CatalogueError
from schemas.rule_text import unparse
from streams.engine.layout import fingerprint

TOP = """
catalogue: shop
timezone: UTC
currency: CNY
sources:
  buys: {topic: buys, key: who, time: at, id: id, fields: {paid: money, way: [app, web], seen: time}}
features:
  spent: {source: buys, sum: paid, window: 30d}
  idle: {source: buys, since: last}
  top_way: {source: buys, top: way, window: 30d}
  seen_last: {source: buys, last: seen}
tags:
  big: {when: spent > 10}
  tier: {levels: {gold: spent > 100, none: otherwise}}
"""


def catalogue(*tags: str, below: str = "") -> Catalogue:
    return loads(TOP + "".join(f"  {tag}\n" for tag in tags) + below)


def quantiles(settings: str) -> Quantiles:
    rule = catalogue(f"a: {{quantiles: {{{settings}}}}}").tag("a").rule
    assert isinstance(rule, Quantiles)
    return rule


def code(parts: str) -> Code:
    rule = catalogue(
        "worth: {quantiles: {of: spent}}", "late: {quantiles: {of: idle, levels: 3}}", f"c: {{code: {parts}}}"
    )
    found = rule.tag("c").rule
    assert isinstance(found, Code)
    return found


def mistakes(*tags: str) -> list[str]:
    with pytest.raises(CatalogueError) as raised:
        catalogue(*tags)
    return [f"{one.path}: {one.message}; {one.expected}; {one.suggestion}" for one in raised.value.problems]


def test_what_is_not_said_is_a_fifth_a_day_of_all_who_have_a_value() -> None:
    assert quantiles("of: spent") == Quantiles("spent", 5, DAY, False, None, False, 100, 0.02)


def test_of_a_time_since_small_values_are_the_high_levels_unless_said() -> None:
    assert quantiles("of: idle").falling
    assert not quantiles("of: idle, order: rising").falling
    assert quantiles("of: spent, order: falling").falling


def test_the_population_is_a_condition_that_the_tag_rests_on() -> None:
    rule = quantiles(
        "of: spent, refresh: 6h, population: spent > 0 and idle < 30d, missing: lowest, least: 7, tolerance: 5%"
    )
    assert rule.population is not None
    assert unparse(rule.population) == "spent > 0 and idle < 30d"
    assert (rule.refresh_ms, rule.missing_lowest, rule.least, rule.tolerance) == (6 * HOUR, True, 7, 0.05)
    assert rests_on(rule) == {"spent", "idle"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("of: spent, population: spent", "tags.a.quantiles.population: this is money, not a condition"),
        ("of: spent, population: spend > 0", "there is no feature 'spend'"),
        ("of: spent, population: big", "'big' is a tag"),
        ("of: seen_last", "tags.a.quantiles.of: 'seen_last' is"),
        ("of: top_way", "tags.a.quantiles.of: 'top_way' is"),
        ("of: spent, missing: highest", "'highest' is not known here; one of exclude, lowest"),
        ("of: spent, order: down", "'down' is not known here; one of rising, falling"),
        ("of: spent, least: 4", "this is the number 4; a whole number from 5"),
        ("of: spent, tolerance: 2", "this is the number 2; a fraction"),
        ("of: spent, refresh: 1s", "cut-points can't be looked at so often; a duration from 1m on"),
        ("of: spent, toleranse: 2%", "quantiles has no setting 'toleranse'"),
    ],
)
def test_mistakes_in_quantiles_are_explained(settings: str, said: str) -> None:
    (found,) = mistakes(f"a: {{quantiles: {{{settings}}}}}")
    assert said in found


def test_a_code_says_every_combination_in_order() -> None:
    found = code("[worth, late]").values
    assert found[:4] == ("11", "12", "13", "21")
    assert (len(found), found[-1]) == (15, "53")
    assert code("[tier, late]").values[:2] == ("gold-1", "gold-2")
    assert code("[late, top_way]").values[0] == "1-app"
    assert rests_on(code("[worth, late]")) == {"worth", "late"}


def test_rules_compare_codes_like_any_word() -> None:
    parts = ("worth: {quantiles: {of: spent}}", "late: {quantiles: {of: idle}}", "both: {code: [worth, late]}")
    found = catalogue(*parts, "top: {when: \"both in ('55', '54')\"}")
    assert found.tag_order.index("both") < found.tag_order.index("top")
    (wrong,) = mistakes(*parts, "top: {when: both == '56'}")
    assert "'56'" in wrong


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ("late", "this is the text 'late'; a list of tags or features"),
        ("[late]", "a code is made of two or more, each once"),
        ("[late, late]", "a code is made of two or more, each once"),
        ("[late, big]", "'big' is"),
        ("[late, spent]", "'spent' is money"),
        ("[late, teir]", "there is no feature or tag 'teir'; a list of tags or features with words for values"),
        ("[late, most]", "this makes 10,000 values; at most 1,000"),
    ],
)
def test_mistakes_in_codes_are_explained(parts: str, said: str) -> None:
    late, most = "late: {quantiles: {of: idle, levels: 100}}", "most: {quantiles: {of: spent, levels: 100}}"
    (found,) = mistakes(late, most, f"c: {{code: {parts}}}")
    assert said in found


def test_a_code_of_itself_is_found() -> None:
    for tags in (["c: {code: [tier, c]}"], ["c: {code: [tier, d]}", "d: {code: [c, tier]}"]):
        (found,) = mistakes(*tags)
        assert "this code rests on itself" in found


def test_a_code_may_rest_on_a_code_that_comes_later() -> None:
    found = catalogue("c: {code: [tier, d]}", "d: {code: [top_way, tier]}")
    assert found.tag("c").values[:2] == ("gold-app-gold", "gold-app-none")
    assert found.tag_order.index("d") < found.tag_order.index("c")
    (wrong,) = mistakes("c: {code: [tier, 5]}")
    assert "this is the number 5" in wrong


def test_rows_outlive_a_change_of_when_cut_points_come_but_not_of_what_they_cut() -> None:
    def of(settings: str) -> Catalogue:
        return catalogue(f"a: {{quantiles: {{{settings}}}}}")

    usual = of("of: spent")
    for later in ("of: spent, refresh: 2h", "of: spent, least: 9", "of: spent, tolerance: 1%"):
        assert fingerprint(of(later)) == fingerprint(usual)
        assert definition_of(of(later), "a") == definition_of(usual, "a")
    for other in ("of: idle", "of: spent, levels: 4", "of: spent, missing: lowest", "of: spent, population: spent > 0"):
        assert fingerprint(of(other)) != fingerprint(usual)
        assert definition_of(of(other), "a") != definition_of(usual, "a")


def test_cut_points_of_a_feature_that_changed_its_meaning_are_of_another_definition() -> None:
    usual = catalogue("a: {quantiles: {of: spent}}")
    longer = loads(TOP.replace("sum: paid, window: 30d", "sum: paid, window: 60d") + "  a: {quantiles: {of: spent}}\n")
    assert definition_of(longer, "a") != definition_of(usual, "a")
