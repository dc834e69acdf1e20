"""Every setting of livetags, declared once: name, default, unit, help.

Each is read from the environment as `LIVETAGS_<NAME>`; the README's table is made from here. A setting says how a
worker runs, never what a tag means: that is the catalogue's.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.status import Clock as Clock

PREFIX = "LIVETAGS_"
FLUSH_S = 5.0
COMMIT_S = 0.2


class Delivery(StrEnum):
    """How often a reader of what a worker publishes may see the same."""

    AT_LEAST_ONCE = "at_least_once"
    EXACTLY_ONCE = "exactly_once"


class SettingInfo(msgspec.Struct, frozen=True):
    """A setting as the documentation shows it."""

    variable: str
    default: str
    unit: str
    help: str


class Settings(BaseSettings):
    """How a worker runs. Environment variables `LIVETAGS_*` set what the command line does not."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore")

    broker: str = Field(
        default="127.0.0.1:9092", description="The Kafka broker to start from.", json_schema_extra={"unit": "host:port"}
    )
    app_id: str = Field(
        default="",
        description="Names the consumer group, the state and its changelog; empty: `livetags-` and the catalogue.",
        json_schema_extra={"unit": "name"},
    )
    data_dir: Path = Field(
        default=Path(".livetags"), description="Where the local state is kept.", json_schema_extra={"unit": "directory"}
    )
    topic_prefix: str = Field(
        default="",
        description="Put before the names of the topics livetags writes.",
        json_schema_extra={"unit": "text"},
    )
    partitions: int = Field(
        default=8,
        ge=1,
        le=1024,
        description="Partitions of the topics livetags creates; topics that are there already decide instead.",
        json_schema_extra={"unit": "partitions"},
    )
    replication: int = Field(
        default=1, ge=1, description="Replicas of the topics livetags creates.", json_schema_extra={"unit": "replicas"}
    )
    clock: Clock = Field(
        default=Clock.WALL,
        description="What moves time: `wall`, or `event` where only records do (demos, catching up on the past).",
        json_schema_extra={"unit": "wall | event"},
    )
    linger_ms: int = Field(
        default=5,
        ge=0,
        le=1000,
        description="How long changes may wait for company before they are sent.",
        json_schema_extra={"unit": "ms"},
    )
    delivery: Delivery = Field(
        default=Delivery.AT_LEAST_ONCE,
        description="`at_least_once`: changes leave at once, those since the last flush again after a kill, with the "
        "same ids; `exactly_once`: they become visible with their flush, to readers with `read_committed`.",
        json_schema_extra={"unit": "at_least_once | exactly_once"},
    )
    flush_interval_s: float = Field(
        default=0.0,
        ge=0.0,
        le=10.0,
        description=f"State is written at least this often while it changes; 0: {FLUSH_S:g}, or {COMMIT_S:g} with "
        "`exactly_once`, as changes wait for it.",
        json_schema_extra={"unit": "s"},
    )
    flush_bytes: int = Field(
        default=16_000_000,
        ge=1_000,
        description="State is written when about this much of a partition's changed.",
        json_schema_extra={"unit": "bytes"},
    )
    arena_bytes: int = Field(
        default=1_000_000_000,
        ge=0,
        description="How much memory customers' rows may take; the others are read from disk when they are needed. "
        "0: all rows are kept in memory.",
        json_schema_extra={"unit": "bytes"},
    )
    fetch_wait_ms: int = Field(
        default=20,
        ge=1,
        le=5000,
        description="How long the broker may hold back an empty answer.",
        json_schema_extra={"unit": "ms"},
    )
    fetch_bytes: int = Field(
        default=1_048_576,
        ge=1_000,
        description="Most that is fetched from one partition at a time.",
        json_schema_extra={"unit": "bytes"},
    )
    session_timeout_s: float = Field(
        default=10.0,
        ge=1.0,
        le=60.0,
        description="A worker unheard of for so long loses its partitions; at most 2 on the embedded broker.",
        json_schema_extra={"unit": "s"},
    )
    member_id: str = Field(
        default="",
        description="A lasting name of this worker: its partitions wait for it over a restart (static membership).",
        json_schema_extra={"unit": "name"},
    )
    standbys: int = Field(
        default=0,
        ge=0,
        le=3,
        description="Other workers that keep a copy of a partition's state, so that one takes over in seconds.",
        json_schema_extra={"unit": "workers"},
    )
    max_queued: int = Field(
        default=50_000,
        ge=100,
        description="A source that is so many records ahead of the others in a partition is not read further.",
        json_schema_extra={"unit": "records"},
    )
    run_records: int = Field(
        default=2_048,
        ge=1,
        description="Most records applied before the worker looks up (heartbeats, the page).",
        json_schema_extra={"unit": "records"},
    )
    recent: int = Field(
        default=200,
        ge=1,
        description="How many of the latest changes the page can show.",
        json_schema_extra={"unit": "changes"},
    )
    status_interval_s: float = Field(
        default=5.0,
        ge=0.1,
        le=60.0,
        description="How often a worker says on the control topic how far it is; silent for three times, it counts "
        "as stopped.",
        json_schema_extra={"unit": "s"},
    )
    web_host: str = Field(
        default="127.0.0.1", description="Address the page listens on.", json_schema_extra={"unit": "address"}
    )
    web_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="Port of the page; 0 means none for a worker, and a free one for a demo.",
        json_schema_extra={"unit": "port"},
    )

    def group(self, catalogue: str) -> str:
        """The app id in force for a catalogue of that name."""
        return self.app_id or f"livetags-{catalogue}"

    @property
    def whole(self) -> bool:
        """Whether changes go into the flush's transaction."""
        return self.delivery is Delivery.EXACTLY_ONCE

    @property
    def flush_s(self) -> float:
        """The flush interval in force, in seconds."""
        return self.flush_interval_s or (COMMIT_S if self.whole else FLUSH_S)

    def trainer_group(self, catalogue: str) -> str:
        """The app id of that catalogue's trainers, who are a group of their own."""
        return f"{self.group(catalogue)}-trainer"


class SettingsError(Exception):
    """A setting with a value it can't have; the message names each."""


def read(given: Mapping[str, object | None] | None = None) -> Settings:
    """The settings in force: what is given (None is not), else the environment, else the defaults.

    Raises
    ------
    SettingsError
        A value is not allowed.
    """
    known: dict[str, Any] = {name: value for name, value in (given or {}).items() if value is not None}
    try:
        return Settings(**known)
    except ValidationError as error:
        said = [f"{PREFIX}{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors()]
        raise SettingsError("; ".join(said)) from None


def documented() -> list[SettingInfo]:
    """Every setting with its variable, default, unit and help, in the order declared."""
    found = []
    for name, field in Settings.model_fields.items():
        extra = field.json_schema_extra
        unit = str(extra["unit"]) if isinstance(extra, dict) else ""
        found.append(SettingInfo(PREFIX + name.upper(), str(field.default), unit, field.description or ""))
    return found


def wall_ms() -> int:
    """The wall's clock in UTC milliseconds."""
    return time.time_ns() // 1_000_000
