"""Every metric of a worker, declared once: name, kind, unit, help, labels, and where its figures come from.

Nothing is counted for Prometheus alone: figures are read from the worker's counters when they are asked for.
`docs/metrics.md` is made from the table below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC
from enum import StrEnum
from itertools import accumulate
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from schemas.freshness import Freshness, SourceState
from schemas.values import parse_iso
from streams.ages import BOUNDS_MS
from streams.counters import Counters, Standing

PREFIX: Final = "livetags_"


class Kind(StrEnum):
    """The kinds of Prometheus."""

    COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"


class Reading(msgspec.Struct, frozen=True):
    """What metrics are read from."""

    counters: Counters
    freshness: Freshness


class Steps(msgspec.Struct, frozen=True):
    """A histogram: how many values lay in each step, the last one above all bounds, and their sum."""

    bounds: Sequence[float]
    counts: Sequence[int]
    sum: float


class Sample(msgspec.Struct, frozen=True):
    """A figure, by the values of its labels."""

    labels: tuple[str, ...]
    value: float | Steps


Samples = Iterable[Sample]


class Declared(msgspec.Struct, frozen=True):
    """A metric. `unit` is the end of its name (a counter's is followed by `_total`), empty where it has none."""

    name: str
    kind: Kind
    unit: str
    help: str
    labels: tuple[str, ...]
    read: Callable[[Reading], Samples]

    @property
    def sample(self) -> str:
        """The name under which Prometheus keeps it."""
        return f"{PREFIX}{self.name}_total" if self.kind is Kind.COUNTER else PREFIX + self.name


# --------------------------------------------------------------------------------------------- where figures come from


def _one(value: float | None) -> Samples:
    return () if value is None else (Sample((), value),)


def _each(found: Mapping[str, int]) -> Samples:
    return (Sample((label,), value) for label, value in sorted(found.items()))


def _places(reading: Reading, figure: Callable[[Standing], float | None]) -> Iterator[Sample]:
    """A figure of every source and partition that has one."""
    for source, standings in reading.counters.standings.items():
        for number, standing in sorted(standings.items()):
            value = figure(standing)
            if value is not None:
                yield Sample((source, str(number)), value)


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000


def _known(pairs: Iterable[tuple[str, float | None]]) -> Samples:
    return (Sample((label,), value) for label, value in pairs if value is not None)


def _published(reading: Reading) -> Samples:
    ages = reading.counters.ages
    if ages is None:
        return ()
    steps = Steps([ms / 1000 for ms in BOUNDS_MS], ages.counts.sum(axis=0).tolist(), ages.sum_ms / 1000)
    return (Sample((), steps),)


def _flushes(reading: Reading) -> Samples:
    flushes = reading.counters.flush_s
    return (Sample((), Steps(flushes.bounds, flushes.counts, flushes.sum)),)


def _frozen(reading: Reading) -> Samples:
    now_ms = _ms(reading.freshness.at)
    found = ((one.name, one.frozen_at) for one in reading.freshness.sources)
    return [Sample((name,), 0.0 if at is None else (now_ms - _ms(at)) / 1000) for name, at in found]


def _ms(text: str) -> int:
    return parse_iso(text, UTC)


def _states(reading: Reading) -> Samples:
    return (
        Sample((source.name, state.value), float(source.state is state))
        for source in reading.freshness.sources
        for state in SourceState
    )


COUNTER, GAUGE, HISTOGRAM = Kind
PLACE: Final = ("source", "partition")

METRICS: Final[tuple[Declared, ...]] = (
    Declared(
        "events_applied", COUNTER, "", "Records that changed a customer's row.", (),
        lambda r: _one(r.counters.events),
    ),
    Declared(
        "source_records", COUNTER, "", "Records of a source dealt with, whatever became of them.", ("source",),
        lambda r: _each({name: one.events for name, one in r.counters.sources.items()}),
    ),
    Declared(
        "records_lost", COUNTER, "", "Records of a source that had expired from its topic before they were read.",
        ("source",), lambda r: _each(r.counters.lost),
    ),
    Declared(
        "records_rekeyed", COUNTER, "", "Records of a source written on under their customer as key.", ("source",),
        lambda r: _each(r.counters.rekeyed),
    ),
    Declared(
        "changes", COUNTER, "", "Changes of tags and segments, by what caused them.", ("cause",),
        lambda r: _each(r.counters.changes),
    ),
    Declared(
        "late_events", COUNTER, "", "Records too late to count, set aside.", (),
        lambda r: _one(r.counters.late),
    ),
    Declared(
        "duplicates", COUNTER, "", "Records dropped because they had been applied before.", (),
        lambda r: _one(r.counters.duplicates),
    ),
    Declared(
        "superseded", COUNTER, "", "Profile records older than the profile they would replace.", (),
        lambda r: _one(r.counters.superseded),
    ),
    Declared(
        "dead_letters", COUNTER, "", "Records that could not be read, by reason.", ("reason",),
        lambda r: _each(r.counters.dead),
    ),
    Declared(
        "flush_duration_seconds", HISTOGRAM, "seconds", "How long writing a partition's state took.", (), _flushes,
    ),
    Declared(
        "flushed_rows", COUNTER, "", "Customers' rows written.", (),
        lambda r: _one(r.counters.flushed_rows),
    ),
    Declared(
        "flushed_bytes", COUNTER, "bytes", "Bytes of customers' rows written.", (),
        lambda r: _one(r.counters.flushed_bytes),
    ),
    Declared(
        "customers", GAUGE, "", "Customers of whom this worker knows.", ("partition",),
        lambda r: _each({str(number): held.customers for number, held in r.counters.held.items()}),
    ),
    Declared(
        "memory_rows", GAUGE, "", "Customers' rows in memory.", ("partition",),
        lambda r: _each({str(number): held.rows for number, held in r.counters.held.items()}),
    ),
    Declared(
        "memory_rows_bytes", GAUGE, "bytes", "Memory that customers' rows take.", ("partition",),
        lambda r: _each({str(number): held.bytes for number, held in r.counters.held.items()}),
    ),
    Declared(
        "cold_reads", COUNTER, "", "Times rows were read from disk, any number at once.", (),
        lambda r: _one(r.counters.cold.reads),
    ),
    Declared(
        "cold_rows", COUNTER, "", "Rows read from disk.", (), lambda r: _one(r.counters.cold.rows),
    ),
    Declared(
        "evicted_rows", COUNTER, "", "Rows that left memory so that others had room.", (),
        lambda r: _one(r.counters.cold.evicted),
    ),
    Declared(
        "timers", GAUGE, "", "Customers with a timer that has yet to fire.", ("partition",),
        lambda r: _each({str(number): held.timers for number, held in r.counters.held.items()}),
    ),
    Declared(
        "recovery_partitions", GAUGE, "partitions", "Partitions whose state is being recovered.", (),
        lambda r: _one(0 if (found := r.counters.recovery.status) is None else found.partitions),
    ),
    Declared(
        "recovery_left_records", GAUGE, "records", "Offsets of the changelog that recovery has to read.", (),
        lambda r: _one(0 if (found := r.counters.recovery.status) is None else found.left),
    ),
    Declared(
        "recovered_records", COUNTER, "", "Records of the changelog that recoveries have read.", (),
        lambda r: _one(r.counters.recovery.records),
    ),
    Declared(
        "standby_lag_records", GAUGE, "records",
        "Offsets of the changelog not taken in, of partitions that this worker stands by for.", ("partition",),
        lambda r: _known((str(number), lag) for number, lag in sorted(r.counters.standbys.items())),
    ),
    Declared(
        "source_watermark_timestamp_seconds", GAUGE, "seconds",
        "Event time up to which a partition's timers have fired.", PLACE,
        lambda r: _places(r, lambda one: _seconds(one.watermark_ms)),
    ),
    Declared(
        "source_newest_event_timestamp_seconds", GAUGE, "seconds", "Newest event time applied.", PLACE,
        lambda r: _places(r, lambda one: _seconds(one.newest_ms)),
    ),
    Declared(
        "source_lag_records", GAUGE, "records", "Records that are there and not applied.", PLACE,
        lambda r: _places(r, lambda one: one.lag),
    ),
    Declared(
        "source_lag_seconds", GAUGE, "seconds",
        "How long the oldest record that is there and not applied has waited, over all workers, estimated.",
        ("source",),
        lambda r: _known((one.name, one.lag_s) for one in r.freshness.sources),
    ),
    Declared(
        "source_silence_seconds", GAUGE, "seconds", "Time since a record of the source came, over all workers.",
        ("source",),
        lambda r: _known((one.name, one.silence_s) for one in r.freshness.sources),
    ),
    Declared(
        "source_unread_partitions", GAUGE, "partitions", "Partitions of the source that no living worker has.",
        ("source",),
        lambda r: _known((one.name, float(len(one.unread))) for one in r.freshness.sources),
    ),
    Declared(
        "source_state", GAUGE, "", "1 for the state the source is in, 0 for the others.", ("source", "state"), _states,
    ),
    Declared(
        "source_frozen_seconds", GAUGE, "seconds", "How long the source's features have stood still; 0 while it flows.",
        ("source",), _frozen,
    ),
    Declared(
        "event_to_published_seconds", HISTOGRAM, "seconds",
        "From an event to the publishing of a change it made; empty with the event clock.", (), _published,
    ),
    Declared(
        "tag_freshness_seconds", GAUGE, "seconds", "How old what is published of a tag may be, over all workers.",
        ("tag",),
        lambda r: _known((one.name, one.age_s) for one in r.freshness.tags),
    ),
    Declared(
        "tag_freshness_promise_seconds", GAUGE, "seconds", "How old the catalogue allows it to be.", ("tag",),
        lambda r: _known((one.name, one.promise_s) for one in r.freshness.tags),
    ),
    Declared(
        "trigger_decisions", COUNTER, "", "What triggers decided about changes, and why.",
        ("trigger", "verdict", "reason"),
        lambda r: (
            Sample((one.trigger, one.verdict.value, one.why.value), number)
            for one, number in r.counters.decisions.items()
        ),
    ),
    Declared(
        "outreach_requests", COUNTER, "", "Requests to contact a customer that were sent.", ("trigger", "channel"),
        lambda r: (Sample((one.trigger, one.channel), number) for one, number in r.counters.outreach.items()),
    ),
    Declared(
        "questions", COUNTER, "", "Examples asked for a target, their answer to come.", ("target",),
        lambda r: _each(r.counters.questions),
    ),
    Declared(
        "answers", COUNTER, "", "Examples answered, by whether the outcome came.", ("target", "outcome"),
        lambda r: (
            Sample((one.target, "true" if one.label else "false"), number)
            for one, number in r.counters.answers.items()
        ),
    ),
    Declared(
        "model_version", GAUGE, "", "Version of the model that scores.", ("target",),
        lambda r: _known((target, float(one.version)) for target, one in r.counters.models.items()),
    ),
    Declared(
        "model_ready", GAUGE, "", "1 where the model's scores are shown, 0 while it warms up.", ("target",),
        lambda r: _known((target, float(one.ready)) for target, one in r.counters.models.items()),
    ),
    Declared(
        "model_log_loss", GAUGE, "", "Progressive log loss of the model, in nats.", ("target",),
        lambda r: _known((target, one.log_loss) for target, one in r.counters.models.items()),
    ),
    Declared(
        "model_roc_auc", GAUGE, "", "Progressive area under the model's ROC curve, 0.5 is chance.", ("target",),
        lambda r: _known((target, one.auc) for target, one in r.counters.models.items()),
    ),
    Declared(
        "model_calibration_slope", GAUGE, "",
        "What came regressed on the model's log odds; 1 is calibrated.", ("target",),
        lambda r: _known((target, one.slope) for target, one in r.counters.models.items()),
    ),
    Declared(
        "model_calibration_in_large", GAUGE, "",
        "Positives over those foretold in the newest answered weeks; 1 is calibrated.", ("target",),
        lambda r: _known((target, one.in_large) for target, one in r.counters.models.items()),
    ),
    Declared(
        "model_challenger_evidence", GAUGE, "",
        "E-value of the test whether the target's other model is better.", ("target",),
        lambda r: _known((target, one.evidence) for target, one in r.counters.models.items()),
    ),
    Declared(
        "model_drifts", GAUGE, "", "Changes of level found in base rate, log loss and features.", ("target",),
        lambda r: _known((target, float(one.drifts)) for target, one in r.counters.models.items()),
    ),
)  # fmt: skip


# ------------------------------------------------------------------------------------------------------- for Prometheus


class Exposed(msgspec.Struct, frozen=True):
    """An answer to Prometheus and its content type."""

    body: bytes
    content_type: str


class WorkerMetrics(Collector):
    """The metrics of one worker, in a registry of their own."""

    def __init__(self, read: Callable[[], Reading]) -> None:
        """`read` is called at each scrape."""
        self._read = read
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """Nothing: names are those of the table."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every metric with its figures of this moment."""
        reading = self._read()
        for metric in METRICS:
            yield _family(metric, metric.read(reading))

    def exposed(self, accept: str) -> Exposed:
        """All metrics, in the format that the `Accept` header asks for; the text format where it asks for none."""
        encode, content_type = choose_encoder(accept)
        return Exposed(encode(self._registry), content_type)


def _family(metric: Declared, samples: Samples) -> Metric:
    """The metric as the client library writes it."""
    name, labels = PREFIX + metric.name, metric.labels
    match metric.kind:
        case Kind.HISTOGRAM:
            histogram = HistogramMetricFamily(name, metric.help, labels=labels, unit=metric.unit)
            for sample in samples:
                if isinstance(sample.value, Steps):
                    histogram.add_metric(sample.labels, _buckets(sample.value), sample.value.sum)
            return histogram
        case Kind.COUNTER:
            family: CounterMetricFamily | GaugeMetricFamily = CounterMetricFamily(
                name, metric.help, labels=labels, unit=metric.unit
            )
        case Kind.GAUGE:
            family = GaugeMetricFamily(name, metric.help, labels=labels, unit=metric.unit)
    for sample in samples:
        if not isinstance(sample.value, Steps):
            family.add_metric(sample.labels, sample.value)
    return family


def _buckets(steps: Steps) -> list[tuple[str, float]]:
    """Counts at or below each bound, as Prometheus wants them."""
    bounds = [*(f"{bound:g}" for bound in steps.bounds), "+Inf"]
    return [(bound, float(count)) for bound, count in zip(bounds, accumulate(steps.counts), strict=True)]


def documented() -> str:
    """The table of `docs/metrics.md`."""
    rows = [
        f"| `{one.sample}` | {one.kind.value} | {', '.join(f'`{label}`' for label in one.labels)} | {one.help} |"
        for one in METRICS
    ]
    return "\n".join(["| Metric | Kind | Labels | What it says |", "|---|---|---|---|", *rows])
