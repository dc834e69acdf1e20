"""Metrics: every one documented, named as Prometheus asks, readable, and with the worker's figures."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.samples import Sample

from schemas.freshness import Freshness
from schemas.outreach import Verdict, Why
from schemas.status import Clock
from streams.ages import Ages
from streams.counters import Counters, Decision, Model, Outcome, Outreach
from streams.exposed import WorkerMetrics
from streams.metrics import METRICS, Declared, Kind, Reading, documented
from streams.output import Fate, Met
from streams.residence import Reads
from tests.browser.fake_fresh import AT, SOURCES, TAGS_FRESH, WORKERS

ROOT = Path(__file__).parents[2]
NOW = 1_735_700_000_000
BASE_UNITS = {"", "seconds", "bytes", "records", "partitions"}
FRESHNESS = Freshness(AT, Clock.WALL, SOURCES, TAGS_FRESH, WORKERS)


def busy() -> Counters:
    """Counters with a figure in each."""
    counters = Counters(["pay"], 10, Ages(["vip"], [5_000]))
    counters.events, counters.late, counters.duplicates, counters.superseded = 9, 3, 2, 1
    counters.changes.update({"event": 7, "time": 4})
    counters.dead["not JSON"] = 5
    counters.reached("pay", 20, NOW)
    counters.lag("pay", 3, 12, False)
    counters.stands("pay", 3, NOW, NOW - 60_000, 20, NOW)
    counters.holds(3, 200, 150, 120, 480_000)
    counters.cold = Reads(4, 90, 70)
    counters.flushed(0.02, 40, 8_000)
    counters.flushed(99.0, 2, 400)
    counters.published(np.array([0, 0]), np.array([NOW - 200, NOW - 40]), NOW)
    counters.decisions[Decision("call", Verdict.HELD_BACK, Why.QUIET)] = 6
    counters.outreach[Outreach("call", "phone")] = 8
    counters.questions["deposit"] = 30
    counters.answers[Outcome("deposit", True)] = 1
    counters.outcomes[Met("deposit", Fate.LATE)] = 2
    counters.models["deposit"] = Model(4, True, 0.31, None)
    return counters


def scrape(counters: Counters, accept: str = "") -> str:
    return WorkerMetrics(lambda: Reading(counters, FRESHNESS)).exposed(accept).body.decode()


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    """What Prometheus reads of the busy counters."""
    return [one for family in parser.text_string_to_metric_families(scrape(busy())) for one in family.samples]


def test_every_metric_is_documented() -> None:
    assert documented() in (ROOT / "docs" / "metrics.md").read_text()


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_and_units_follow_the_conventions_of_prometheus(metric: Declared) -> None:
    assert re.fullmatch(r"livetags_[a-z]+(_[a-z]+)*", metric.sample)
    assert metric.unit in BASE_UNITS
    assert metric.name.endswith(metric.unit)
    assert metric.sample.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert not re.search(r"_(ms|milliseconds|minutes|hours|kb|mb)\b", metric.name)
    assert metric.help.endswith(".")
    assert not {"le", "customer", "customer_id"} & set(metric.labels)


def test_no_name_is_declared_twice() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_both_formats_are_read_by_their_own_parsers() -> None:
    plain = {family.name for family in parser.text_string_to_metric_families(scrape(busy()))}
    opened = scrape(busy(), "application/openmetrics-text; version=1.0.0")
    families = {family.name: family for family in openmetrics.text_string_to_metric_families(opened)}
    assert plain == set(families) == {f"livetags_{metric.name}" for metric in METRICS}
    assert all(families[f"livetags_{metric.name}"].unit == metric.unit for metric in METRICS)


def test_a_worker_that_has_done_nothing_can_be_scraped() -> None:
    families = list(parser.text_string_to_metric_families(scrape(Counters(["pay"], 10))))
    assert {family.name for family in families} == {f"livetags_{metric.name}" for metric in METRICS}


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("events_applied_total", {}, 9),
        ("source_records_total", {"source": "pay"}, 20),
        ("changes_total", {"cause": "time"}, 4),
        ("late_events_total", {}, 3),
        ("duplicates_total", {}, 2),
        ("superseded_total", {}, 1),
        ("dead_letters_total", {"reason": "not JSON"}, 5),
        ("flush_duration_seconds_bucket", {"le": "0.025"}, 1),
        ("flush_duration_seconds_bucket", {"le": "30"}, 1),
        ("flush_duration_seconds_count", {}, 2),
        ("flush_duration_seconds_sum", {}, 99.02),
        ("flushed_rows_total", {}, 42),
        ("flushed_bytes_total", {}, 8_400),
        ("customers", {"partition": "3"}, 200),
        ("timers", {"partition": "3"}, 150),
        ("memory_rows", {"partition": "3"}, 120),
        ("memory_rows_bytes", {"partition": "3"}, 480_000),
        ("cold_reads_total", {}, 4),
        ("cold_rows_total", {}, 90),
        ("evicted_rows_total", {}, 70),
        ("source_watermark_timestamp_seconds", {"source": "pay", "partition": "3"}, NOW / 1000 - 60),
        ("source_newest_event_timestamp_seconds", {"source": "pay", "partition": "3"}, NOW / 1000),
        ("source_lag_records", {"source": "pay", "partition": "3"}, 12),
        ("source_lag_seconds", {"source": "app_logs"}, 94.0),
        ("source_silence_seconds", {"source": "profiles"}, 3_590.0),
        ("source_unread_partitions", {"source": "outcomes"}, 2),
        ("source_frozen_seconds", {"source": "calls"}, 3_000.0),
        ("source_frozen_seconds", {"source": "profiles"}, 0),
        ("source_state", {"source": "calls", "state": "frozen"}, 1),
        ("source_state", {"source": "outcomes", "state": "unread"}, 1),
        ("source_state", {"source": "outcomes", "state": "silent"}, 0),
        ("event_to_published_seconds_bucket", {"le": "0.05"}, 1),
        ("event_to_published_seconds_bucket", {"le": "+Inf"}, 2),
        ("event_to_published_seconds_sum", {}, 0.24),
        ("tag_freshness_seconds", {"tag": "wealth_interest"}, 94.0),
        ("tag_freshness_promise_seconds", {"tag": "large_inflow"}, 5.0),
        ("trigger_decisions_total", {"trigger": "call", "verdict": "held back", "reason": "quiet hours"}, 6),
        ("outreach_requests_total", {"trigger": "call", "channel": "phone"}, 8),
        ("questions_total", {"target": "deposit"}, 30),
        ("answers_total", {"target": "deposit", "outcome": "true"}, 1),
        ("outcomes_total", {"target": "deposit", "fate": "late"}, 2),
        ("model_version", {"target": "deposit"}, 4),
        ("model_ready", {"target": "deposit"}, 1),
        ("model_log_loss", {"target": "deposit"}, 0.31),
    ],
)
def test_figures_are_the_workers(samples: list[Sample], name: str, labels: dict[str, str], value: float) -> None:
    found = [one.value for one in samples if one.name == f"livetags_{name}" and one.labels == labels]
    assert found == [pytest.approx(value)]


def test_a_figure_that_is_not_known_is_left_out(samples: list[Sample]) -> None:
    assert not [one for one in samples if one.name == "livetags_model_roc_auc"]
    promised = {one.labels["tag"] for one in samples if one.name == "livetags_tag_freshness_promise_seconds"}
    assert promised == {"large_inflow", "wealth_interest"}
