"""P5: when a source freezes and when it flows again, from what workers say; who decides, and what a successor knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from schemas.catalogue import Catalogue
from schemas.durations import HOUR, MINUTE
from schemas.loading import loads
from schemas.silence import Stall, stall_key
from schemas.status import Clock, PlaceStatus, WorkerStatus
from streams.silence import Silence
from streams.stalls import decide

NOW = 1_735_700_000_000
HEARD = NOW - 20 * MINUTE
FROZEN = HEARD + 10 * MINUTE
CATALOGUE = """
catalogue: shop
timezone: UTC
sources:
  pay: {topic: pays, key: customer, time: at, stall_after: 10m, fields: {amount: money}}
  look: {topic: looks, key: customer, time: at, fields: {page: [home, help]}}
features:
  paid: {source: pay, sum: amount, window: 1h}
  seen: {source: look, count: true, window: 1h}
tags: {spends: {when: paid > 100 and seen > 1}}
"""


@pytest.fixture(scope="module")
def shop() -> Catalogue:
    return loads(CATALOGUE)


def place(partition: int, **given: Any) -> PlaceStatus:
    """A partition read to its end, of which the last record came twenty minutes ago."""
    usual = PlaceStatus(partition, newest_ms=HEARD - 2_000, lag=0, at_end=True, received_ms=HEARD)
    return msgspec.structs.replace(usual, **given)


def worker(*places: PlaceStatus, member: str = "one", **given: Any) -> WorkerStatus:
    """A worker that just said where these partitions of `pay` are; of `look` nothing ever came."""
    held = [one.partition for one in places]
    both = {"pay": list(places), "look": [PlaceStatus(number, lag=0, at_end=True) for number in held]}
    usual = WorkerStatus("app", member, Clock.WALL, NOW - 9 * HOUR, NOW - 500, 5.0, held, 2, places=both)
    return msgspec.structs.replace(usual, **given)


def decided(shop: Catalogue, *workers: WorkerStatus, held: Stall | None = None, now_ms: int = NOW) -> list[Stall]:
    return decide(shop, workers, {} if held is None else {"pay": held}, now_ms, 2)


def test_a_source_that_no_partition_brings_freezes_as_of_the_moment_its_time_was_over(shop: Catalogue) -> None:
    found = decided(shop, worker(place(0), place(1, received_ms=HEARD - HOUR)))
    assert found == [Stall("pay", FROZEN, NOW, delay_ms=2_000)]


def test_only_one_of_several_partitions_being_quiet_is_no_stall(shop: Catalogue) -> None:
    flowing = worker(place(1, received_ms=NOW - 1_000), member="two")
    assert decided(shop, worker(place(0)), flowing) == []


def test_a_source_without_stall_after_never_stalls(shop: Catalogue) -> None:
    silent = worker(place(0), place(1))
    assert {stall.source for stall in decided(shop, silent, now_ms=NOW)} == {"pay"}


def test_before_its_time_is_over_it_flows(shop: Catalogue) -> None:
    quiet = worker(place(0), place(1), at_ms=FROZEN - 1)
    assert decided(shop, quiet, now_ms=FROZEN - 1) == []


@pytest.mark.parametrize(
    "workers",
    [
        pytest.param([worker(place(0))], id="a partition that nobody has"),
        pytest.param([worker(place(0)), worker(place(1), member="two", stopped=True)], id="one whose worker stopped"),
        pytest.param([worker(place(0)), worker(place(1), member="two", at_ms=NOW - MINUTE)], id="a lost worker"),
        pytest.param([worker(place(0), place(1, at_end=False, lag=7))], id="records that wait"),
        pytest.param([worker(place(0), place(1), interval_s=600.0, at_ms=FROZEN - 1)], id="nothing said since"),
    ],
)
def test_where_it_is_not_known_that_nothing_came_nothing_freezes(shop: Catalogue, workers: list[WorkerStatus]) -> None:
    assert decided(shop, *workers) == []


def test_nothing_is_decided_before_the_number_of_partitions_is_known(shop: Catalogue) -> None:
    assert decide(shop, [worker(place(0), place(1))], {}, NOW, None) == []


def test_what_a_worker_that_ended_received_counts_as_heard(shop: Catalogue) -> None:
    ended = worker(place(0, received_ms=NOW - MINUTE), member="old", stopped=True)
    assert decided(shop, ended, worker(place(0), place(1))) == []


def test_where_nothing_ever_came_the_time_runs_from_the_workers_start(shop: Catalogue) -> None:
    fresh = [place(number, received_ms=None, newest_ms=None) for number in (0, 1)]
    young, old = (worker(*fresh, started_ms=NOW - minutes * MINUTE) for minutes in (9, 11))
    assert decided(shop, young) == []
    assert decided(shop, old) == [Stall("pay", NOW - MINUTE, NOW)]


HELD = Stall("pay", FROZEN, NOW - 5 * MINUTE, delay_ms=2_000)


def came(**given: Any) -> PlaceStatus:
    """A partition whose last record came after the freeze, and is of the moment."""
    return place(0, **({"received_ms": NOW - 3_000, "newest_ms": NOW - 4_000} | given))


def test_a_frozen_source_stays_frozen_while_nothing_comes(shop: Catalogue) -> None:
    assert decided(shop, worker(place(0), place(1)), held=HELD) == []


def test_it_flows_again_once_all_that_came_is_applied_and_of_the_moment(shop: Catalogue) -> None:
    assert decided(shop, worker(came(), place(1)), held=HELD) == [Stall("pay", None, NOW)]


@pytest.mark.parametrize(
    "places",
    [
        pytest.param((came(at_end=False, lag=10), place(1)), id="it waits"),
        pytest.param((came(), place(1, at_end=False, lag=10)), id="another partition's waits"),
        pytest.param((came(newest_ms=NOW - 11 * MINUTE), place(1)), id="its events are old"),
    ],
)
def test_a_backlog_is_read_before_it_flows_again(shop: Catalogue, places: tuple[PlaceStatus, ...]) -> None:
    assert decided(shop, worker(*places), held=HELD) == []


def test_a_source_whose_events_always_come_late_need_not_be_fresher_than_it_was(shop: Catalogue) -> None:
    late = came(newest_ms=NOW - HOUR)
    assert decided(shop, worker(late, place(1)), held=HELD) == []
    usual = msgspec.structs.replace(HELD, delay_ms=HOUR)
    assert decided(shop, worker(late, place(1)), held=usual) == [Stall("pay", None, NOW)]


def test_after_it_flowed_it_may_stall_again(shop: Catalogue) -> None:
    flowed = Stall("pay", None, HEARD)
    assert decided(shop, worker(place(0), place(1)), held=flowed) == [Stall("pay", FROZEN, NOW, delay_ms=2_000)]


class Topic:
    """A control topic of one process: what is put is there for all who follow once it is handed on."""

    def __init__(self) -> None:
        self.put_so_far: list[tuple[str, bytes | None]] = []
        self.followers: list[Callable[[str, bytes | None, int], None]] = []
        self.is_caught_up = True

    def follow(self, on_record: Callable[[str, bytes | None, int], None]) -> None:
        self.followers.append(on_record)

    def put(self, key: str, value: bytes | None) -> None:
        self.put_so_far.append((key, value))

    def hand_on(self) -> None:
        for offset, (key, value) in enumerate(self.put_so_far):
            for follower in self.followers:
                follower(key, value, offset)


class Partition:
    """What a partition was told."""

    def __init__(self) -> None:
        self.told: list[Stall] = []

    def stall(self, stall: Stall) -> None:
        self.told.append(stall)


def test_what_one_worker_decides_every_partition_of_all_is_told(shop: Catalogue) -> None:
    topic, parts = Topic(), [Partition(), Partition()]
    silences = [Silence(shop, "app") for _ in parts]
    for number, silence in enumerate(silences):
        silence.follow(topic, {number: parts[number]})
    silences[0].decide([worker(place(0), place(1))], NOW, 2)
    assert [part.told for part in parts] == [[], []]
    topic.hand_on()
    assert [part.told for part in parts] == [[Stall("pay", FROZEN, NOW, delay_ms=2_000)]] * 2
    assert [silence.frozen for silence in silences] == [{"pay": FROZEN}] * 2


def test_what_was_put_is_not_put_again_while_it_is_on_its_way(shop: Catalogue) -> None:
    topic, silence = Topic(), Silence(shop, "app")
    silence.follow(topic, {})
    for later in range(3):
        silence.decide([worker(place(0), place(1))], NOW + later, 2)
    assert len(topic.put_so_far) == 1


def test_a_successor_goes_on_from_what_stands_on_control(shop: Catalogue) -> None:
    topic, first, next_one = Topic(), Silence(shop, "app"), Silence(shop, "app")
    first.follow(topic, {})
    first.decide([worker(place(0), place(1))], NOW, 2)
    next_one.follow(topic, {})
    topic.hand_on()
    later = worker(place(0), place(1), started_ms=NOW, at_ms=NOW + HOUR)
    next_one.decide([later], NOW + HOUR, 2)
    assert (next_one.frozen, len(topic.put_so_far)) == ({"pay": FROZEN}, 1)


def test_nothing_is_decided_before_control_was_read(shop: Catalogue) -> None:
    topic, silence = Topic(), Silence(shop, "app")
    topic.is_caught_up = False
    silence.follow(topic, {})
    silence.decide([worker(place(0), place(1))], NOW, 2)
    assert topic.put_so_far == []


def test_other_apps_stalls_and_what_cannot_be_read_are_left_out(shop: Catalogue) -> None:
    silence = Silence(shop, "app")
    silence.on_record(stall_key("other", "pay"), msgspec.json.encode(HELD))
    silence.on_record(stall_key("app", "pay"), b"{")
    assert silence.frozen == {}
    silence.on_record(stall_key("app", "pay"), msgspec.json.encode(HELD))
    assert silence.frozen == {"pay": FROZEN}
    silence.on_record(stall_key("app", "pay"), None)
    assert silence.frozen == {}
