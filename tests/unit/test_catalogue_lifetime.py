"""Lifetime models in a catalogue: what is meant where nothing is said, and every mistake explained where it stands."""

from __future__ import annotations

import pytest

from schemas.catalogue import Catalogue, Unit
from schemas.durations import DAY
from schemas.lifetime import definition_of, models_in_use, models_of
from schemas.loading import loads
from schemas.outlook import Gives, Lifetime, Outlook
from schemas.problems import CatalogueError
from schemas.resting import sources_of
from streams.engine.layout import fingerprint

MODEL = "{frequency: buys, last: idle, first: older, value: spent}"
TOP = """
catalogue: shop
timezone: UTC
currency: CNY
sources:
  buys: {topic: buys, key: who, time: at, id: id, fields: {paid: money, way: [app, web]}}
  looks: {topic: looks, key: who, time: at, id: id, fields: {page: count}}
features:
  buys: {source: buys, count: true, window: ever}
  buys_30d: {source: buys, count: true, window: 30d}
  spent: {source: buys, sum: paid, window: ever}
  idle: {source: buys, since: last}
  older: {source: buys, since: first}
  looked: {source: looks, since: last}
"""


def catalogue(features: str = "", model: str = MODEL, below: str = "") -> Catalogue:
    return loads(f"{TOP}{features}lifetime: {{buying: {model}}}\n{below}")


def mistakes(features: str = "", model: str = MODEL, below: str = "") -> list[str]:
    with pytest.raises(CatalogueError) as raised:
        catalogue(features, model, below)
    return [f"{one.path}: {one.message}; {one.expected}; {one.suggestion}" for one in raised.value.problems]


ALIVE = "  alive: {lifetime: buying, gives: alive}\n"
WORTH = "  worth: {lifetime: buying, gives: value, within: 365d}\n"


def test_what_is_not_said_is_once_a_day_of_a_hundred_customers_known_for_a_month() -> None:
    found = catalogue(ALIVE)
    title = {"en": "buying", "zh": "buying"}
    assert found.lifetimes == (Lifetime("buying", title, "buys", "idle", "older", "spent", DAY, 100, 30 * DAY, 0.02),)
    assert found.feature("alive").outlook == Outlook("buying", Gives.ALIVE, ("buys", "idle", "older", "spent"))


def test_what_a_model_gives_has_its_unit() -> None:
    more = "  more: {lifetime: buying, gives: transactions, within: 90d, discount: 10%}\n"
    found = catalogue(ALIVE + WORTH + more)
    units = {name: found.feature(name).unit for name in ("alive", "worth", "more")}
    assert units == {"alive": Unit.RATIO, "worth": Unit.MONEY, "more": Unit.RATIO}
    outlook = found.feature("more").outlook
    assert outlook is not None
    assert (outlook.within_ms, outlook.discount) == (90 * DAY, 0.1)


def test_its_features_serve_rules_quantiles_and_computed_features() -> None:
    below = """
tags:
  here: {when: alive >= 0.5 and worth > 100}
  tier: {quantiles: {of: worth}}
  lost: {levels: {much: losing > 50, none: otherwise}}
  plain: {when: buys_30d > 3}
"""
    found = catalogue(ALIVE + WORTH + "  losing: {compute: worth * (1 - alive)}\n", below=below)
    assert {tag.name: models_of(found, tag) for tag in found.tags} == {
        "here": {"buying"}, "tier": {"buying"}, "lost": {"buying"}, "plain": set(),
    }  # fmt: skip
    assert sources_of(found.tag("lost"), found) == ("buys",)


def test_money_is_not_compared_with_a_probability() -> None:
    found = mistakes(ALIVE + WORTH, below="tags: {odd: {when: worth > alive}}\n")
    assert len(found) == 1
    assert found[0].startswith("tags.odd.when: ")


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("{last: idle, first: older}", "'frequency' is missing; a count of all purchases"),
        ("{frequency: buys_30d, last: idle, first: older}", "'buys_30d' is 'count' over a window; a count of all"),
        ("{frequency: buyz, last: idle, first: older}", "there is no feature 'buyz'"),
        ("{frequency: buys, last: older, first: older}", "'older' is 'since first'; the time since the last"),
        ("{frequency: buys, last: idle, first: idle}", "'idle' is 'since last'; since the first"),
        ("{frequency: buys, last: idle, first: older, value: buys}", "'buys' is 'count'; what they paid"),
        ("{frequency: buys, last: looked, first: older}", "this speaks of looks, the frequency of buys"),
        ("{frequency: buys, last: idle, first: older, refresh: 5s}", "parameters can't be looked at so often"),
        ("{frequency: buys, last: idle, first: older, after: 2h}", "known for so short"),
        ("{frequency: buys, last: idle, first: older, least: 3}", "the number 3; a whole number from 20"),
        ("{frequency: buys, last: idle, first: older, often: 3}", "a lifetime model has no setting 'often'"),
        ("{frequency: 3, last: idle, first: older}", "this is the number 3"),
        ("{frequency: more, last: idle, first: older}", "'more' is made of other features"),
    ],
)
def test_a_model_of_other_purchases_is_explained(model: str, said: str) -> None:
    found = mistakes("  more: {compute: buys * 2}\n", model)
    assert len(found) == 1, found
    assert found[0].startswith("lifetime.buying")
    assert said in found[0]


@pytest.mark.parametrize(
    ("feature", "said"),
    [
        ("{lifetime: buyinng, gives: alive}", "'buyinng' is not known here; one of buying; Did you mean 'buying'?"),
        ("{lifetime: buying}", "'gives' is missing; one of alive, transactions, value"),
        ("{lifetime: buying, gives: alve}", "Did you mean 'alive'?"),
        ("{lifetime: buying, gives: alive, within: 30d}", "whether a customer still comes is said of now"),
        ("{lifetime: buying, gives: value}", "'within' is missing; a horizon such as 365d"),
        ("{lifetime: buying, gives: value, within: 1h}", "so far nothing can be said; a horizon from 1d"),
        ("{lifetime: buying, gives: alive, discount: 10%}", "a probability is not discounted"),
        ("{lifetime: buying, gives: alive, window: 30d}", "has no such setting; no 'window'"),
        ("{source: buys, count: true, window: 30d, gives: alive}", "only a feature of a lifetime model has this"),
        ("{compute: buys * 2, within: 30d}", "a computed feature has no such setting"),
        ("{lifetime: buying, gives: alive, count: true}", "a feature has one aggregation, this one has 2"),
    ],
)
def test_a_mistake_in_a_feature_is_explained_where_it_stands(feature: str, said: str) -> None:
    found = mistakes(f"  odd: {feature}\n")
    assert len(found) == 1, found
    assert found[0].startswith("features.odd")
    assert said in found[0]


def test_without_a_model_or_without_amounts_nothing_can_be_said_of_them() -> None:
    found = mistakes(WORTH, "{frequency: buys, last: idle, first: older}")
    assert found == [
        "features.worth.gives: lifetime model 'buying' knows no amounts; a 'value' there: a sum of money; "
    ]
    with pytest.raises(CatalogueError, match="the catalogue has no lifetime model"):
        loads(TOP + ALIVE)


def test_rows_mean_the_same_whenever_parameters_come_and_another_model_is_another_definition() -> None:
    plain = catalogue(ALIVE)
    later = catalogue(ALIVE, MODEL.replace("}", ", refresh: 7d, least: 500, after: 90d, tolerance: 5%, title: X}"))
    other = catalogue(ALIVE, MODEL.replace(", value: spent", ""))
    assert fingerprint(later) == fingerprint(plain) != fingerprint(other)
    definitions = [definition_of(one, one.lifetime("buying")) for one in (plain, later, other)]
    assert definitions[0] == definitions[1] != definitions[2]


def test_a_model_that_no_feature_looks_through_is_not_fitted() -> None:
    assert list(models_in_use(catalogue(ALIVE))) == ["buying"]
    assert models_in_use(catalogue()) == {}
