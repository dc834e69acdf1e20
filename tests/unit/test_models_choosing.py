"""Which model is shown: by the test, by hand, and back again; every decision is told with an id of its own."""

from __future__ import annotations

import msgspec
import pytest

from models.choosing import FORMERS
from models.report import report
from models.trainer import Trainer
from schemas.catalogue import Catalogue, Promotion, Target
from schemas.durations import DAY
from schemas.learning import Answer, ModelSnapshot, Pipeline
from schemas.model_reports import Happening, ModelEvent, ModelOrder, ModelReport, ModelRole, Order
from schemas.values import iso
from tests.generators_learning import START, TRANSFORMS, question, stream, target
from tests.unit.test_models_trainer import restarted

BY_HAND = msgspec.structs.replace(target(), promotion=Promotion(20.0, automatic=False))
STREAM = stream(BY_HAND, days=110)
AT = "2025-04-01T00:00:00.000Z"


def learned(wanted: Target = BY_HAND) -> tuple[Trainer, list[ModelSnapshot]]:
    """A trainer that has made its snapshots."""
    one = Trainer(wanted, TRANSFORMS)
    made = one.take(STREAM)
    one.take_events()
    return one, made


def ordered(order: Order, name: str = "1", model: Pipeline | None = None, version: int | None = None) -> ModelOrder:
    return ModelOrder(name, "deposit", order, AT, model, version)


def told(one: Trainer) -> list[tuple[Happening, Pipeline, str]]:
    return [(event.what, event.model, event.by) for event in one.take_events()]


def test_by_hand_the_challenger_becomes_champion_with_a_snapshot_of_its_own_at_once() -> None:
    one, made = learned()
    (snapshot,) = one.follow(ordered(Order.PROMOTE))
    assert (snapshot.model, snapshot.version, snapshot.pinned) == (Pipeline.CROSSED, made[-1].version + 1, False)
    assert len(snapshot.crosses) == 4
    assert len(snapshot.spreads) == 6
    assert told(one) == [(Happening.PROMOTED, Pipeline.CROSSED, "1")]
    assert (one.choosing.trial.days, one.choosing.challenger) == (0, Pipeline.LINEAR)
    (again,) = one.follow(ordered(Order.PROMOTE, "2"))
    assert (again.model, again.crosses, again.version) == (Pipeline.LINEAR, [], snapshot.version + 1)


def test_an_order_is_followed_once_also_across_a_restart() -> None:
    one, table = learned()[0], dict[bytes, bytes]()
    assert one.follow(ordered(Order.PROMOTE))
    assert not one.follow(ordered(Order.PROMOTE))
    one.take_events()
    one = restarted(one, table)
    assert not one.follow(ordered(Order.PROMOTE))
    assert one.choosing.champion is Pipeline.CROSSED
    assert told(one) == []


def test_an_order_for_another_target_changes_nothing() -> None:
    one, _ = learned()
    assert not one.follow(ModelOrder("1", "churn", Order.PROMOTE, AT))
    assert told(one) == []


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (ordered(Order.PROMOTE, model=Pipeline.LINEAR), "the linear model is the champion already"),
        (ordered(Order.ROLL_BACK, version=99), "there is no snapshot of version 99 any more"),
    ],
)
def test_an_order_that_cannot_be_followed_is_refused_with_the_reason(order: ModelOrder, why: str) -> None:
    one, _ = learned()
    assert not one.follow(order)
    (event,) = one.take_events()
    assert (event.what, event.why, event.by) == (Happening.REFUSED, why, "1")


def test_before_anything_was_learned_no_order_can_be_followed() -> None:
    one = Trainer(BY_HAND, TRANSFORMS)
    assert not one.follow(ordered(Order.ROLL_BACK))
    assert [event.why for event in one.take_events()] == ["nothing was learned yet"]


def test_rolled_back_the_snapshot_from_before_the_promotion_stays_until_another_order() -> None:
    one, made = learned()
    one.follow(ordered(Order.PROMOTE))
    one.take_events()
    (back,) = one.follow(ordered(Order.ROLL_BACK, "2"))
    assert back == msgspec.structs.replace(made[-1], version=made[-1].version + 2, pinned=True)
    assert told(one) == [(Happening.ROLLED_BACK, Pipeline.LINEAR, "2")]
    table = dict[bytes, bytes]()
    one = restarted(one, table)
    later = [example for example in stream(BY_HAND, days=150, seed=3) if example.at > one.now]
    answers = [example for example in later if isinstance(example, Answer)]
    assert answers
    assert one.take(later) == []
    assert one.choosing.desk.pinned
    (fresh,) = one.follow(ordered(Order.PROMOTE, "3", Pipeline.LINEAR))
    assert (fresh.model, fresh.pinned, fresh.version) == (Pipeline.LINEAR, False, back.version + 1)
    assert fresh.learned > back.learned


def test_without_a_promotion_the_snapshot_before_the_newest_is_put_back_or_the_one_that_is_named() -> None:
    one, made = learned()
    (back,) = one.follow(ordered(Order.ROLL_BACK))
    assert back.weights == made[-2].weights != made[-1].weights
    (named,) = one.follow(ordered(Order.ROLL_BACK, "2", version=made[-5].version))
    assert named.weights == made[-5].weights


def test_so_many_former_snapshots_are_kept_and_the_one_from_before_the_promotion_among_them() -> None:
    one, made = learned()
    assert len(made) > FORMERS
    assert [former.version for former in one.choosing.formers()] == [s.version for s in made[::-1][:FORMERS]]


def test_ids_of_what_is_told_count_on_across_a_restart() -> None:
    one, table = learned()[0], dict[bytes, bytes]()
    one.follow(ordered(Order.PROMOTE, "1"))
    first = [event.id for event in one.take_events()]
    one = restarted(one, table)
    one.follow(ordered(Order.PROMOTE, "2"))
    second = [event.id for event in one.take_events()]
    number = int(first[-1].removeprefix("deposit/"))
    assert second == [f"deposit/{number + 1}"]


def test_the_report_tells_of_both_models_weeks_and_series_and_goes_through_json(catalogue: Catalogue) -> None:
    one, made = learned()
    one.take([question(BY_HAND, "late", one.now + 40 * DAY, [None] * 6)])
    found = report(catalogue, one)
    assert msgspec.json.decode(msgspec.json.encode(found), type=ModelReport) == found
    assert [(s.model, s.role) for s in found.models] == [
        (Pipeline.LINEAR, ModelRole.CHAMPION),
        (Pipeline.CROSSED, ModelRole.CHALLENGER),
    ]
    assert (found.version, found.waiting, found.settling) == (made[-1].version + 1, one.waiting, 0)
    assert sum(week.asked for week in found.weeks) == one.counters.questions
    assert sum(week.models[Pipeline.LINEAR].answers for week in found.weeks if week.models) == one.counters.learned
    assert found.weeks[0].week == iso(START - 2 * DAY)  # 2025-01-01 was a Wednesday
    shown = found.models[0].shown
    losses = [(q.log_loss, q.answers) for week in found.weeks for q in week.models.values()][::2]
    total = sum(loss * count for loss, count in losses if loss is not None)
    assert total / one.counters.learned == pytest.approx(shown.log_loss, rel=1e-9)
    assert len(found.watched) == 2 + 2 * 6
    assert [len(standing.crosses) for standing in found.models] == [0, 4]


def test_weights_are_told_with_what_they_weigh(catalogue: Catalogue) -> None:
    one, _ = learned()
    weight = report(catalogue, one).models[0].weights[0]
    mean, spread = one.learner.mean("inflow"), one.learner.spread("inflow")
    low, high = (
        one.learner.logits([mean, *[float("nan")] * 5]),
        one.learner.logits([mean + spread, *[float("nan")] * 5]),
    )
    assert high.linear - low.linear == pytest.approx(weight.weight)
    assert isinstance(weight.usual, float)
    assert isinstance(weight.higher, float)
    assert weight.higher > weight.usual


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """One whose features are those of the examples."""
    from schemas.loading import loads

    return loads(CATALOGUE)


CATALOGUE = """
catalogue: judged
version: 1
timezone: UTC
currency: CNY
sources:
  pay: {topic: pay, key: c, time: t, fields: {amount: money, rate: {type: number, decimals: 2}}}
features:
  inflow: {source: pay, sum: amount, window: 30d}
  visits: {source: pay, count: true, window: 30d}
  silence: {source: pay, since: last}
  share: {compute: visits / visits}
  member: {compute: visits / visits}
  constant: {compute: visits / visits}
"""


def test_events_are_plain_json_without_what_does_not_apply() -> None:
    one, _ = learned()
    one.follow(ordered(Order.ROLL_BACK, version=99))
    (event,) = one.take_events()
    fields = msgspec.json.decode(msgspec.json.encode(event))
    assert set(fields) == {"id", "target", "at", "what", "model", "version", "by", "why"}
    assert msgspec.json.decode(msgspec.json.encode(event), type=ModelEvent) == event
