"""A worker's metrics as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from streams.metrics import METRICS, PREFIX, Declared, Kind, Reading, Samples, Steps


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
