"""What a worker or trainer finds on its cluster, and what it makes there: topics, their ids, the changelog in force.

`prepare` refuses what would go wrong later (unequal partitions, state of another catalogue or cluster) with a message
that says what to do. It talks to the cluster once, before the process joins; it knows nothing of records.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import msgspec
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, TopicAlreadyExistsError

from schemas.catalogue import Catalogue
from schemas.topics import (
    LARGE_RECORDS,
    Changelog,
    Cleanup,
    Role,
    Spread,
    Topic,
    newest_changelog,
    topics_of,
    trainer_topics,
)
from streams.broker import BrokerError
from streams.config import Settings

OFFSET_FOR_LEADER_EPOCH = 23  # every Kafka since 0.11 answers it, the embedded broker does not
REACH_WITHIN_MS = 3_000
STAMP = "state.json"
USUAL_RECORDS = 1_048_588  # Kafka's default of max.message.bytes


class StateRefused(Exception):
    """The state that was found does not fit what is to run; the message says which command mends it."""


class Cluster(msgspec.Struct, frozen=True):
    """The cluster as a worker or trainer uses it.

    Attributes
    ----------
    partitions
        How many its state is spread over.
    largest
        Bytes of the largest record that a topic takes, of those that are to take large ones.
    """

    address: str
    id: str
    embedded: bool
    partitions: int
    changelog: Changelog
    topics: tuple[Topic, ...]
    topic_ids: dict[str, str]
    state_dir: Path
    largest: dict[str, int] = {}

    def most_bytes(self, role: Role) -> int:
        """Bytes of the largest record that the topic with that role takes."""
        return self.largest.get(self.named(role), USUAL_RECORDS)

    def named(self, role: Role) -> str:
        """Name of the topic with that role."""
        return next(topic.name for topic in self.topics if topic.role is role)


class Found(msgspec.Struct, frozen=True):
    """A topic that is there."""

    name: str
    id: str
    partitions: int


class Stamp(msgspec.Struct, frozen=True):
    """What the local state says of itself."""

    cluster: str
    changelog: str
    fingerprint: str


class _Group(msgspec.Struct, frozen=True):
    """Processes that share topics and state; `mend` is the command that rebuilds it."""

    app_id: str
    fingerprint: str
    topics: Callable[[Changelog], tuple[Topic, ...]]
    partitions: int
    rebuild: bool
    mend: str


class Admin:
    """Blocking questions to a cluster; a context manager."""

    def __init__(self, address: str) -> None:
        self.address = address
        try:
            self._client = KafkaAdminClient(
                bootstrap_servers=address, bootstrap_timeout_ms=REACH_WITHIN_MS, client_id="livetags-admin"
            )
        except (KafkaError, OSError, ValueError) as error:
            raise BrokerError(
                f"no Kafka broker answers at {address}; start one, or name another with --broker or LIVETAGS_BROKER"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def cluster_id(self) -> str:
        """The cluster's id."""
        return str(self._client.describe_cluster()["cluster_id"])

    def embedded(self) -> bool:
        """Whether it is the embedded broker, which has no transactions and needs care."""
        return OFFSET_FOR_LEADER_EPOCH not in self._client.api_versions()

    def names(self) -> list[str]:
        """The names of all topics."""
        return sorted(self._client.list_topics())

    def describe(self, names: list[str]) -> dict[str, Found]:
        """Those of the named topics that are there."""
        there = set(self.names()).intersection(names)
        answers: list[dict[str, Any]] = self._client.describe_topics(sorted(there)) if there else []
        found = [Found(str(a["name"]), str(a.get("topic_id") or ""), len(a["partitions"])) for a in answers]
        return {topic.name: topic for topic in found if topic.partitions}

    def create(self, topics: list[Topic], partitions: int, replication: int) -> None:
        """Create those topics; one that has come into being meanwhile is left as it is."""
        for topic in topics:
            wanted = {
                "num_partitions": topic.partitions(partitions),
                "replication_factor": replication,
                "configs": topic.config,
            }
            try:
                self._client.create_topics({topic.name: wanted}, wait_for_metadata=True)
            except TopicAlreadyExistsError:
                continue
            except KafkaError as error:
                raise BrokerError(f"topic {topic.name!r} could not be created at {self.address}: {error}") from error

    def policy(self, name: str) -> str:
        """The topic's cleanup policy, or an empty text where the broker does not say."""
        return self._setting(name, "cleanup.policy")

    def largest(self, name: str) -> int:
        """Bytes of the largest record the topic takes; Kafka's default where the broker does not say.

        The embedded broker says nothing and takes all.
        """
        said = self._setting(name, "max.message.bytes")
        return int(said) if said.isdecimal() else LARGE_RECORDS if self.embedded() else USUAL_RECORDS

    def _setting(self, name: str, setting: str) -> str:
        described: Any = self._client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
        return _find(setting, described)


def _find(setting: str, described: Any) -> str:
    """The value of a setting somewhere in an answer of the admin client; empty where it is not there."""
    if isinstance(described, dict):
        if setting in described:
            value = described[setting]
            return str(value.get("value", "")) if isinstance(value, dict) else str(value)
        return next((found for found in (_find(setting, one) for one in described.values()) if found), "")
    if isinstance(described, list | tuple):
        return next((found for found in (_find(setting, one) for one in described) if found), "")
    return ""


def shared_partitions(topics: tuple[Topic, ...], found: dict[str, Found], wanted: int) -> int:
    """How many partitions the topics that workers share have, `wanted` where none is there yet.

    Raises
    ------
    BrokerError
        They don't agree, or another topic has not as many as it must have.
    """
    keyed = [found[topic.name] for topic in topics if topic.spread is Spread.SHARED and topic.name in found]
    numbers = {topic.partitions for topic in keyed}
    if len(numbers) > 1:
        listed = ", ".join(f"{topic.name} {topic.partitions}" for topic in keyed)
        raise BrokerError(
            f"topics keyed by customer must have the same number of partitions, but they have: {listed}. "
            "Create the odd ones anew with the number of the others (more partitions move customers between them)"
        )
    for topic in topics:
        there = found.get(topic.name)
        free = topic.spread in (Spread.SHARED, Spread.ANY)
        if not free and there is not None and there.partitions != topic.partitions(wanted):
            raise BrokerError(_misfit(topic, there))
    return numbers.pop() if numbers else wanted


def _misfit(topic: Topic, there: Found) -> str:
    """What to do about a topic whose number of partitions is not for the cluster to decide."""
    if topic.spread is Spread.SINGLE:
        return f"topic {topic.name!r} has {there.partitions} partitions, it must have 1"
    return (
        f"topic {topic.name!r} has {there.partitions} partitions, it must have {topic.targets}: one for each target of "
        "the catalogue. Stop its workers and trainers, delete the topic (kafka-topics --delete --topic "
        f"{topic.name}), then start them with --rebuild"
    )


def rebuild_command(catalogue_file: str, changelog: Role = Role.CHANGELOG) -> str:
    """The command that drops the state behind a changelog and computes it anew."""
    process = "trainer" if changelog is Role.TRAINER_CHANGELOG else "worker"
    return f"livetags {process} {catalogue_file} --rebuild"


async def prepare(
    settings: Settings, catalogue: Catalogue, fingerprint: str, *, rebuild: bool = False, file: str = "CATALOGUE"
) -> Cluster:
    """Check the cluster and the local state, create what is missing, and return what was found.

    Parameters
    ----------
    fingerprint
        Of the plan: rows of another one mean something else.
    rebuild
        Drop the local state and start the next generation of the changelog.
    file
        The catalogue's file, for messages.

    Raises
    ------
    BrokerError
        The cluster can't be used so.
    StateRefused
        State of another catalogue or cluster is there.
    """
    group = _Group(
        app_id=settings.group(catalogue.name),
        fingerprint=fingerprint,
        topics=lambda changelog: topics_of(catalogue, changelog, settings.topic_prefix),
        partitions=settings.partitions,
        rebuild=rebuild,
        mend=rebuild_command(file),
    )
    return await asyncio.to_thread(_prepare, settings, group)


async def prepare_trainer(
    settings: Settings, catalogue: Catalogue, fingerprint: str, *, rebuild: bool = False, file: str = "CATALOGUE"
) -> Cluster:
    """As `prepare`, for the catalogue's trainers: their state is spread over the targets.

    Parameters
    ----------
    fingerprint
        Of what they learn (`schemas.definitions.learning_fingerprint`).
    """
    group = _Group(
        app_id=settings.trainer_group(catalogue.name),
        fingerprint=fingerprint,
        topics=lambda changelog: trainer_topics(catalogue, changelog, settings.topic_prefix),
        partitions=len(catalogue.targets),
        rebuild=rebuild,
        mend=rebuild_command(file, Role.TRAINER_CHANGELOG),
    )
    return await asyncio.to_thread(_prepare, settings, group)


def _prepare(settings: Settings, group: _Group) -> Cluster:
    state_dir = settings.data_dir / group.app_id
    with Admin(settings.broker) as admin:
        if settings.whole and admin.embedded():
            raise BrokerError(
                "the embedded broker has no transactions: LIVETAGS_DELIVERY=exactly_once needs Apache Kafka"
            )
        cluster_id = admin.cluster_id()
        changelog = _changelog(newest_changelog(group.app_id, admin.names()), group)
        stamp = Stamp(cluster_id, changelog.topic, group.fingerprint)
        _check_local(state_dir, stamp, group)
        topics = group.topics(changelog)
        found = admin.describe([topic.name for topic in topics])
        partitions = shared_partitions(topics, found, group.partitions)
        missing = [topic for topic in topics if topic.name not in found]
        admin.create(missing, partitions, settings.replication)
        _check_compaction(admin, [topic for topic in topics if topic.name in found])
        found = admin.describe([topic.name for topic in topics])
        shared_partitions(topics, found, partitions)
        cluster = Cluster(
            address=settings.broker,
            id=cluster_id,
            embedded=admin.embedded(),
            partitions=partitions,
            changelog=changelog,
            topics=topics,
            topic_ids={name: topic.id for name, topic in found.items()},
            state_dir=state_dir,
            largest={topic.name: admin.largest(topic.name) for topic in topics if topic.large},
        )
    if group.rebuild and state_dir.exists():
        shutil.rmtree(state_dir)
    _write_stamp(state_dir, stamp)
    return cluster


def _changelog(newest: Changelog | None, group: _Group) -> Changelog:
    """The changelog to use: the newest where it fits, the next generation for a rebuild."""
    app_id, fingerprint = group.app_id, group.fingerprint
    if newest is None or group.rebuild:
        return Changelog(newest.generation + 1 if newest else 1, fingerprint, app_id)
    if not newest.holds(fingerprint):
        raise StateRefused(
            f"the state of {app_id!r} belongs to another version of the catalogue (changelog {newest.topic!r}). "
            f"Stop its processes, then compute the state anew with: {group.mend}"
        )
    return Changelog(newest.generation, fingerprint, app_id)


def _check_compaction(admin: Admin, topics: list[Topic]) -> None:
    """Refuse an existing topic that would lose state or tags to retention; a broker that doesn't say is trusted."""
    for topic in topics:
        policy = admin.policy(topic.name) if topic.cleanup is Cleanup.COMPACT else ""
        if policy and "compact" not in policy:
            raise BrokerError(
                f"topic {topic.name!r} has cleanup.policy={policy}, it must be compact: change it with kafka-configs "
                f"--alter --entity-type topics --entity-name {topic.name} --add-config cleanup.policy=compact"
            )


def _check_local(state_dir: Path, stamp: Stamp, group: _Group) -> None:
    """Refuse local state that another catalogue or cluster left; a changelog of a later generation replaces it."""
    path = state_dir / STAMP
    if group.rebuild or not path.exists():
        return
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=Stamp)
    except msgspec.DecodeError as error:
        raise StateRefused(f"{path} can't be read ({error}). Compute the state anew: {group.mend}") from None
    if kept.fingerprint != stamp.fingerprint:
        raise StateRefused(
            f"the state in {state_dir} belongs to another version of the catalogue. Compute it anew with: {group.mend}"
        )
    if kept.cluster != stamp.cluster:
        raise StateRefused(
            f"the state in {state_dir} belongs to another cluster ({kept.cluster}), this one is {stamp.cluster}. Use "
            f"another data directory (LIVETAGS_DATA_DIR), or compute the state anew with: {group.mend}"
        )
    if kept.changelog != stamp.changelog:
        raise StateRefused(
            f"the state in {state_dir} belongs to changelog {kept.changelog!r}, in force is {stamp.changelog!r}. "
            f"Remove {state_dir} to fetch the state from there, or compute it anew with: {group.mend}"
        )


def _write_stamp(state_dir: Path, stamp: Stamp) -> None:
    state_dir.mkdir(parents=True, exist_ok=True)
    part = state_dir / f"{STAMP}.part"
    part.write_bytes(msgspec.json.encode(stamp))
    part.replace(state_dir / STAMP)
