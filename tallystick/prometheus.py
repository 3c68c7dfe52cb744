"""The numbers of a ledger for Prometheus, through prometheus-client (extra `[metrics]`)."""

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, product
from typing import TYPE_CHECKING, Any, TypeAlias

from tallystick.actors.metrics import METRICS, Metric, Sample, Sort
from tallystick.ledger.errors import InvalidInput

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

Labels: TypeAlias = tuple[str, ...]
Key: TypeAlias = tuple[str, Labels]
Family: TypeAlias = Any
"""A family of prometheus-client: each kind takes other things."""


class _Spread:
    """The values of one histogram: how many fell between its bounds, and what they add up to."""

    __slots__ = ("counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0


class PrometheusMetrics:
    """Keeps the numbers of one open ledger at a time, for a registry: prometheus-client's own unless one is given.

    It is a collector: the registry asks it with every scrape. prometheus-client's own counters would cost the thread
    that commits a third more. Counters go on when the ledger is closed and opened again.
    Raises `InvalidInput` when prometheus-client is missing, or the registry has these numbers already.
    """

    def __init__(self, registry: "CollectorRegistry | None" = None) -> None:
        try:
            import prometheus_client
        except ImportError as error:
            allowed = 'an environment that has prometheus-client; run "pip install tallystick[metrics]"'
            raise InvalidInput("metrics", "PrometheusMetrics", allowed) from error
        self.registry = prometheus_client.REGISTRY if registry is None else registry
        self._lock = threading.Lock()
        # Every combination of labels that there can be is shown from the beginning, for else a first one is no rise.
        self._counted: dict[Key, float] = {key: 0.0 for metric in _of(Sort.COUNTER) for key in _keys(metric)}
        self._spread: dict[Key, _Spread] = {
            (metric.name, ()): _Spread(metric.bounds) for metric in _of(Sort.HISTOGRAM) if not metric.labels
        }
        self._gauges: Callable[[], Iterable[Sample]] | None = None
        try:
            self.registry.register(self)
        except ValueError as error:
            allowed = "a registry without the numbers of another PrometheusMetrics; give each ledger one of its own"
            raise InvalidInput("registry", registry or "prometheus_client.REGISTRY", allowed) from error

    def add(self, metric: Metric, labels: Labels, amount: float) -> None:
        """Count: add a positive amount to a counter."""
        with self._lock:
            self._counted[metric.name, labels] += amount

    def observe(self, metric: Metric, labels: Labels, value: float) -> None:
        """Take one value into a histogram."""
        bounds = metric.bounds
        with self._lock:
            spread = self._spread.get((metric.name, labels))
            if spread is None:
                spread = self._spread[metric.name, labels] = _Spread(bounds)
            spread.counts[bisect_left(bounds, value)] += 1
            spread.total += value

    def show(self, gauges: Callable[[], Iterable[Sample]]) -> Callable[[], None]:
        """Ask for the gauges with every scrape, and never again after what is returned is called.

        Raises `InvalidInput` when those of another open ledger are shown.
        """
        if self._gauges is not None:
            raise InvalidInput("metrics", self, "those of one open ledger; give each one PrometheusMetrics of its own")
        self._gauges = gauges

        def leave() -> None:
            self._gauges = None

        return leave

    def leave(self) -> None:
        """Take everything out of the registry."""
        self.registry.unregister(self)

    # What prometheus-client calls.

    def describe(self) -> Iterator[Family]:
        """Yield everything by name, without asking for any gauge."""
        yield from _families().values()

    def collect(self) -> Iterator[Family]:
        """Yield everything as it is now; no gauge when no ledger is open."""
        families, gauges = _families(), self._gauges
        for sample in () if gauges is None else gauges():
            families[sample.metric.name].add_metric(sample.labels, sample.value)
        with self._lock:
            counted = dict(self._counted)
            spread = {key: (list(each.counts), each.total) for key, each in self._spread.items()}
        for (name, labels), amount in counted.items():
            families[name].add_metric(labels, amount)
        bounds = {metric.name: metric.bounds for metric in METRICS}
        for (name, labels), (counts, total) in spread.items():
            families[name].add_metric(labels, _buckets(bounds[name], counts), total)
        yield from families.values()


def _of(sort: Sort) -> Iterator[Metric]:
    return (metric for metric in METRICS if metric.sort is sort)


def _keys(metric: Metric) -> Iterator[Key]:
    return ((metric.name, labels) for labels in product(*(map(str, label.values) for label in metric.labels)))


def _buckets(bounds: tuple[float, ...], counts: list[int]) -> list[tuple[str, float]]:
    from prometheus_client.utils import floatToGoString

    names = [str(floatToGoString(bound)) for bound in (*bounds, float("inf"))]  # type: ignore[no-untyped-call]
    return list(zip(names, map(float, accumulate(counts)), strict=True))


def _families() -> dict[str, Family]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    kinds: dict[Sort, Any] = {
        Sort.COUNTER: CounterMetricFamily,
        Sort.GAUGE: GaugeMetricFamily,
        Sort.HISTOGRAM: HistogramMetricFamily,
    }
    return {
        metric.name: kinds[metric.sort](metric.name, metric.help, labels=[label.name for label in metric.labels])
        for metric in METRICS
    }
