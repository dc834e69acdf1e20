"""Quantile tags of a partition: counted at refreshes, brought up to new cut-points in rounds, own moves told apart."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
import pytest

from schemas.loading import loads
from schemas.population import CutPoints, definition_of
from schemas.records import Change
from schemas.sources import Incoming
from streams import rounds as slices
from streams.engine.plan import Plan, build
from streams.engine.population import buckets_of
from streams.gathering import Cut
from streams.measuring import Measuring
from streams.processor import Partition
from streams.replay import Record, Replay
from tests.explaining import explain

DAY = 86_400_000
START = 1_740_009_600_000  # 2025-02-20T00:00Z
CATALOGUE = """
catalogue: shop
timezone: UTC
currency: CNY
sources:
  buys: {topic: buys, key: who, time: at, id: id, allowed_skew: 1s, fields: {paid: money}}
features:
  spent: {source: buys, sum: paid, window: 30d, title: {en: Spending, zh: 消费额}}
  idle: {source: buys, since: last}
tags:
  worth: {quantiles: {of: spent, levels: 3, least: 4}, title: {en: Worth, zh: 价值}}
  lately: {quantiles: {of: idle, levels: 2, least: 4}}
  both: {code: [worth, lately]}
segments:
  best: {when: "both == '32'"}
"""


@pytest.fixture(scope="module")
def plan() -> Plan:
    return build(loads(CATALOGUE))


def buy(who: str, at: int, paid: float) -> tuple[str, Incoming]:
    value = {"who": who, "at": START + at, "id": f"{who}{at}", "paid": paid}
    return "buys", Incoming(json.dumps(value).encode())


def cuts(plan: Plan, tag: str, *found: float, version: int = 1) -> CutPoints:
    return CutPoints(tag, definition_of(plan.catalogue, tag), version, START, 9, list(found))


def shop(plan: Plan, customers: int = 4) -> Partition:
    """Customers c0, c1, ... who spent 10, 20, ..."""
    part = Partition(plan, keyed=False)
    part.feed([buy(f"c{number}", number, 10.0 * (number + 1)) for number in range(customers)])
    return part


def of(changes: list[Change], name: str) -> list[tuple[str, Any, Any, str]]:
    return [(one.customer_id, one.old, one.new, one.cause.value) for one in changes if one.name == name]


def whole_round(part: Partition, points: CutPoints, offset: int = 7) -> list[Change]:
    rounds, changes = Measuring(part), list[Change]()
    rounds.take(Cut(points, offset))
    while rounds.at_work:
        changes += [change for output in rounds.step() for change in output.changes()]
    return changes


def said(part: Partition, who: str) -> tuple[dict[str, Any], dict[str, str]]:
    found = part.customer_tags(who)
    assert found is not None
    return found.tags, found.status


def test_a_tag_is_warming_and_missing_until_cut_points_come(plan: Plan) -> None:
    part = shop(plan)
    tags, status = said(part, "c0")
    assert (tags, status) == ({"worth": None, "lately": None, "both": None}, {"worth": "warming", "lately": "warming"})
    whole_round(part, cuts(plan, "worth", 2_000.0, 4_000.0))
    tags, status = said(part, "c1")
    assert (tags["worth"], tags["both"], status) == ("2", None, {"lately": "warming"})


def test_new_cut_points_change_levels_with_cause_cut_point_and_their_offset_in_the_id(plan: Plan) -> None:
    part, again = shop(plan), shop(plan)
    changes = whole_round(part, cuts(plan, "worth", 2_000.0, 4_000.0), 41)
    levels = ("1", "2", "2", "3")
    assert of(changes, "worth") == [(f"c{n}", None, level, "cut-point") for n, level in enumerate(levels)]
    assert changes[0].because == {"spent": "10.00"}
    same = cuts(plan, "worth", 2_000.0, 4_000.0)
    assert [one.id for one in whole_round(again, same, 41)] == [one.id for one in changes]
    assert not {one.id for one in whole_round(shop(plan), same, 42)} & {one.id for one in changes}


def test_cut_points_in_force_or_of_another_definition_change_nothing(plan: Plan) -> None:
    part, points = shop(plan), cuts(plan, "worth", 2_000.0, 4_000.0)
    assert part.adopt_cuts(points)
    assert not part.adopt_cuts(points)
    for odd in (
        msgspec.structs.replace(points, definition="0" * 16, version=2),
        msgspec.structs.replace(points, cuts=[1.0], version=2),
        msgspec.structs.replace(points, cuts=[2.0, 1.0], version=2),
        msgspec.structs.replace(points, tag="nobody", version=2),
    ):
        assert not part.adopt_cuts(odd)
    assert part.census.held == {"worth": points}


def test_the_own_move_and_the_cuts_move_are_told_apart_while_a_round_goes_on(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slices, "AT_ONCE", 2)
    part = shop(plan)
    whole_round(part, cuts(plan, "worth", 2_000.0, 4_000.0))
    rounds = Measuring(part)
    rounds.take(Cut(cuts(plan, "worth", 1_500.0, 2_500.0, version=2), 8))
    first = [change for output in rounds.step() for change in output.changes()]
    assert of(first, "worth") == []  # c0 stays 1, c1 stays 2
    own = part.feed([buy("c2", 1_000, 5.0), buy("c0", 1_001, 10.0)]).changes()
    # c2 waits for its turn: 35.00 is level 2 as before, though 3 by the new ones. c0 had it: 20.00 is level 2 now.
    assert of(own, "worth") == [("c0", "1", "2", "event")]
    rest = [change for output in rounds.step() for change in output.changes()]
    assert of(rest, "worth") == [("c2", "2", "3", "cut-point")]
    assert not rounds.at_work


def test_a_round_ends_before_the_next_begins_and_the_newest_of_a_tag_counts(plan: Plan) -> None:
    part = shop(plan)
    rounds = Measuring(part)
    for version, cut in enumerate((1_000.0, 1_100.0, 2_000.0), start=1):
        rounds.take(Cut(cuts(plan, "worth", cut, 4_000.0, version=version), version))
    rounds.take(Cut(cuts(plan, "lately", 0.0), 9))
    rounds.step()
    assert part.census.held["worth"].version == 3
    assert "lately" not in part.census.held
    rounds.step()
    assert part.census.held.keys() == {"worth", "lately"}
    assert not rounds.at_work


def test_a_level_of_a_time_since_turns_right_behind_its_cut_point(plan: Plan) -> None:
    part = shop(plan, 1)
    whole_round(part, cuts(plan, "lately", float(DAY)))
    assert said(part, "c0")[0]["lately"] == "2"
    (turned,) = [one for one in part.advance(START + 5 * DAY).changes() if one.name == "lately"]
    assert (turned.old, turned.new, turned.cause.value) == ("2", "1", "time")
    assert turned.at == "2025-02-21T00:00:00.001Z"


def test_a_level_of_a_window_turns_when_a_tile_leaves(plan: Plan) -> None:
    part = shop(plan)
    whole_round(part, cuts(plan, "worth", 2_000.0, 4_000.0))
    left = of(part.advance(START + 40 * DAY).changes(), "worth")
    assert sorted(left) == [(f"c{n}", level, "1", "time") for n, level in ((1, "2"), (2, "2"), (3, "3"))]


def test_a_stable_population_changes_nobody_by_its_cut_points() -> None:
    replay = Replay(build(loads(CATALOGUE)))
    spent = [("a", 10.0), ("b", 20.0), ("c", 30.0), ("d", 40.0), ("e", 50.0)]
    records = [
        Record(
            "buys", json.dumps({"who": who, "at": START + day * DAY + n, "id": f"{who}{day}", "paid": paid}).encode()
        )
        for day in range(90)
        for n, (who, paid) in enumerate(spent)
    ]
    changes = [change for output in replay.feed(records) for change in output.changes()]
    at = [change.at for change in changes if change.cause.value == "cut-point"]
    assert at
    assert max(at) < "2025-03-24"  # when 30 days are full


def test_time_that_passes_without_a_record_brings_a_refresh_with_the_ages_of_that_moment(plan: Plan) -> None:
    part = shop(plan)
    assert part.advance(START - 1).populations == []
    (worth, lately) = part.advance(START + 3 * DAY + 5).populations
    assert (worth.tag, lately.tag, worth.at, lately.at) == ("worth", "lately", START + 3 * DAY, START + 3 * DAY)
    assert sum(worth.counts) == sum(lately.counts) == 4
    assert lately.buckets == sorted(set(buckets_of(np.array([3.0 * DAY - n for n in range(4)])).tolist()))
    assert worth.buckets == buckets_of(np.array([1_000.0, 2_000.0, 3_000.0, 4_000.0])).tolist()
    assert part.advance(START + 4 * DAY - 1).populations == []


def test_rows_read_back_are_measured_by_the_cut_points_of_their_marker(plan: Plan) -> None:
    part = shop(plan)
    whole_round(part, cuts(plan, "worth", 2_000.0, 4_000.0))
    whole_round(part, cuts(plan, "lately", float(DAY)))
    dirty, clock = part.take_dirty(), json.loads(json.dumps(part.clock_state()))
    back = Partition(plan, keyed=False)
    back.restore_cuts(clock)
    back.load(dirty.customers, dirty.rows)
    back.restore(part.positions(), clock)
    assert said(back, "c3") == said(part, "c3")
    for points in part.census.held.values():
        assert not back.adopt_cuts(points)  # as control has them again
    for one in (part, back):
        assert [change.cause.value for change in one.advance(START + 2 * DAY).changes() if change.name == "lately"] == (
            ["time"] * 4
        )
    assert back.feed([buy("c0", 3 * DAY, 90.0)]).changes() == part.feed([buy("c0", 3 * DAY, 90.0)]).changes()


def test_an_unfinished_round_is_done_again_after_a_restart(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "AT_ONCE", 2)
    part, points = shop(plan), cuts(plan, "worth", 2_000.0, 4_000.0)
    whole_round(part, cuts(plan, "worth", 1_000.0, 2_000.0))
    new = msgspec.structs.replace(points, version=2)
    rounds = Measuring(part)
    rounds.take(Cut(new, 8))
    rounds.step()
    dirty, clock = part.take_dirty(), part.clock_state()
    back = Partition(plan, keyed=False)
    back.restore_cuts(clock)
    back.load(dirty.customers, dirty.rows)
    back.restore(part.positions(), clock)
    assert back.census.held["worth"].version == 1
    assert of(whole_round(back, new, 8), "worth") == [("c2", "3", "2", "cut-point")]
    assert [said(back, f"c{n}")[0]["worth"] for n in range(4)] == ["1", "2", "2", "3"]


def test_a_customer_is_told_where_the_levels_begin(plan: Plan) -> None:
    part = shop(plan)
    whole_round(part, cuts(plan, "worth", 2_000.0, 4_000.0))
    found = part.explain("c1")
    assert found is not None
    worth, lately = found[0], found[1]
    assert worth.because == {"spent": "20.00"}
    assert worth.cut_points is not None
    assert (worth.cut_points.version, worth.cut_points.customers, worth.cut_points.cuts) == (1, 9, ["20.00", "40.00"])
    assert (lately.cut_points, lately.flips) == (None, "its first cut-points wait for 4 customers and a refresh")


def test_explain_says_value_cut_points_and_version_of_a_replay(tmp_path: Any) -> None:
    from click.testing import CliRunner

    from streams.cli import main

    catalogue, lines = tmp_path / "shop.yaml", tmp_path / "lines.ndjson"
    catalogue.write_text(CATALOGUE, encoding="utf-8")
    some = [buy(f"c{n}", n, 10.0 * (n + 1)) for n in range(6)]
    lines.write_text("".join(f'{{"source": "{name}", "value": {(one.value or b"").decode()}}}\n' for name, one in some))
    options = ["--input", str(lines), "--out", str(tmp_path / "out"), "--until", "2025-02-22T00:00:00Z"]
    done = CliRunner().invoke(main, ["replay", str(catalogue), *options])
    assert done.exit_code == 0, done.output
    said_ = explain("c5", "--from", str(tmp_path / "out"), "--tag", "worth").output
    text = " ".join(said_.split())
    assert "Worth (worth): 3" in text
    assert "Spending: 60.00" in text
    assert "Cut-points 2: from 29.8" in text.replace(" CNY", "")
    assert "version 1, made 2025-02-22 00:00 of 6 customers" in text
    assert "分位点" in explain("c5", "--from", str(tmp_path / "out"), "--tag", "worth", "--lang", "zh").output
