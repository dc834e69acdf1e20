"""The table of topics: names, roles, partitions, cleanup, and the generations of the changelog."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.catalogue import Catalogue
from schemas.loading import load, loads
from schemas.problems import CatalogueError
from schemas.topics import Changelog, Cleanup, Role, Spread, Topic, newest_changelog, topics_of, trainer_topics
from streams.broker import BrokerError
from streams.cluster import Found, shared_partitions

LOG = Changelog(1, "0123456789abcdef", "livetags-everything")


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load(Path(__file__).parents[1] / "everything.yaml")


@pytest.fixture(scope="module")
def bank() -> Catalogue:
    return load(Path(__file__).parents[2] / "schemas" / "bank.yaml")


@pytest.fixture(scope="module")
def topics(catalogue: Catalogue) -> tuple[Topic, ...]:
    return topics_of(catalogue, LOG)


def test_a_catalogue_has_its_sources_seven_outputs_control_and_the_changelog(topics: tuple[Topic, ...]) -> None:
    assert [topic.name for topic in topics] == [
        "pay",
        "look",
        "who",
        "tag-changes",
        "segment-changes",
        "customer-tags",
        "dead-letters",
        "late-events",
        "outreach",
        "trigger-decisions",
        "control",
        "livetags-everything-changelog-1-01234567",
    ]


def test_what_holds_state_is_compacted_and_the_rest_expires(topics: tuple[Topic, ...]) -> None:
    compacted = {topic.role for topic in topics if topic.cleanup is Cleanup.COMPACT}
    assert compacted == {Role.CUSTOMER_TAGS, Role.CONTROL, Role.CHANGELOG}


def test_controls_segments_are_closed_early_so_that_statuses_are_compacted(topics: tuple[Topic, ...]) -> None:
    closed = {topic.role: topic.config["segment.ms"] for topic in topics if "segment.ms" in topic.config}
    assert closed == {Role.CONTROL: "600000"}


def test_everything_but_control_is_spread_alike(topics: tuple[Topic, ...]) -> None:
    assert {topic.role for topic in topics if topic.spread is Spread.SINGLE} == {Role.CONTROL}
    assert {topic.partitions(8) for topic in topics if topic.role is not Role.CONTROL} == {8}


def test_a_catalogue_with_targets_has_a_topic_of_examples_with_a_partition_for_each(bank: Catalogue) -> None:
    (examples,) = (topic for topic in topics_of(bank, LOG, "shop.") if topic.role is Role.TRAINING_EXAMPLES)
    assert (examples.name, examples.cleanup, examples.partitions(8)) == ("shop.training-examples", Cleanup.DELETE, 2)


def test_trainers_read_examples_write_to_control_and_keep_their_state_by_target(bank: Catalogue) -> None:
    learned = Changelog(3, "0123456789abcdef", "livetags-bank-trainer")
    topics = trainer_topics(bank, learned)
    assert [(topic.name, topic.partitions(8), topic.cleanup) for topic in topics] == [
        ("training-examples", 2, Cleanup.DELETE),
        ("control", 1, Cleanup.COMPACT),
        ("model-events", 1, Cleanup.COMPACT),
        ("livetags-bank-trainer-changelog-3-01234567", 2, Cleanup.COMPACT),
    ]


def test_the_trainers_changelog_is_not_taken_for_the_workers() -> None:
    assert newest_changelog("livetags-bank", ["livetags-bank-trainer-changelog-3-01234567"]) is None


def test_examples_spread_over_another_number_of_partitions_are_refused_with_what_to_do(bank: Catalogue) -> None:
    found = {"training-examples": Found("training-examples", "", 3)}
    said = r"has 3 partitions, it must have 2: one for each target.*--delete --topic training-examples.*--rebuild"
    with pytest.raises(BrokerError, match=said):
        shared_partitions(topics_of(bank, LOG), found, 8)


def test_the_prefix_names_what_livetags_writes_but_no_source(catalogue: Catalogue) -> None:
    names = {topic.role: topic.name for topic in topics_of(catalogue, LOG, "shop.")}
    assert names[Role.TAG_CHANGES] == "shop.tag-changes"
    assert names[Role.CONTROL] == "shop.control"
    assert names[Role.SOURCE] == "who"


def test_the_newest_generation_of_the_changelog_is_in_force() -> None:
    there = ["a-changelog-2-ffff0000", "a-changelog-10-01234567", "ab-changelog-99-01234567", "a-changelog-x-1"]
    newest = newest_changelog("a", there)
    assert newest is not None
    assert newest.generation == 10
    assert newest.holds("0123456789abcdef")
    assert not newest.holds("ffff000000000000")


def test_no_changelog_means_that_the_app_never_ran() -> None:
    assert newest_changelog("a", ["b-changelog-1-01234567"]) is None


def test_topics_that_are_there_decide_the_number_of_partitions(topics: tuple[Topic, ...]) -> None:
    found = {name: Found(name, "", 3) for name in ("pay", "who")}
    assert shared_partitions(topics, found, 8) == 3
    assert shared_partitions(topics, {}, 8) == 8


def test_unequal_partitions_are_refused_with_each_topics_number(topics: tuple[Topic, ...]) -> None:
    found = {"pay": Found("pay", "", 4), "look": Found("look", "", 8)}
    with pytest.raises(BrokerError, match=r"same number of partitions, but they have: pay 4, look 8"):
        shared_partitions(topics, found, 8)


def test_control_has_one_partition(topics: tuple[Topic, ...]) -> None:
    with pytest.raises(BrokerError, match=r"'control' has 4 partitions, it must have 1"):
        shared_partitions(topics, {"control": Found("control", "", 4)}, 8)


def test_a_source_to_be_rekeyed_has_a_topic_of_its_own_and_any_number_of_partitions() -> None:
    text = (Path(__file__).parents[1] / "everything.yaml").read_text(encoding="utf-8")
    topics = topics_of(loads(text.replace("    topic: pay\n", "    topic: pay\n    rekey: true\n")), LOG, "live-")
    raw, own = next(t for t in topics if t.name == "pay"), next(t for t in topics if t.name == "live-pay-rekeyed")
    assert (raw.role, raw.spread, own.role, own.spread) == (Role.SOURCE, Spread.ANY, Role.REKEYED, Spread.SHARED)
    assert own.config["max.message.bytes"] == "16777216"
    found = {topic.name: Found(topic.name, "", 3 if topic is raw else topic.partitions(8)) for topic in topics}
    assert shared_partitions(topics, found, 4) == 8


def test_a_topic_that_rekeyed_records_would_mix_with_is_a_mistake() -> None:
    text = (Path(__file__).parents[1] / "everything.yaml").read_text(encoding="utf-8")
    text = text.replace("    topic: pay\n", "    topic: pay\n    rekey: true\n").replace(
        "topic: look", "topic: pay-rekeyed"
    )
    with pytest.raises(CatalogueError) as caught:
        loads(text)
    (problem,) = caught.value.problems
    assert problem.path == "sources.pay.rekey"
    assert "'pay-rekeyed', which belongs to source 'look'" in problem.message
