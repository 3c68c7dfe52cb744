"""Parts for the tests of metrics: who keeps the numbers in memory, and how a scrape is read."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from urllib.request import urlopen

from tallystick.actors.metrics import Metric, Sample

PATIENCE_S = 20.0
_LINE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
_PAIR = re.compile(r'(\w+)="([^"]*)"')

Key = tuple[str, tuple[str, ...]]
"""A metric's name, and the values of its labels."""


class Kept:
    """Keeps numbers as they come, and refuses what no metric says that it can say."""

    def __init__(self) -> None:
        self.counted: Counter[Key] = Counter()
        self.observed: dict[Key, list[float]] = {}
        self.gauges: Callable[[], Iterable[Sample]] | None = None

    def add(self, metric: Metric, labels: tuple[str, ...], amount: float) -> None:
        check(metric, labels)
        assert amount > 0
        self.counted[metric.name, labels] += amount  # type: ignore[assignment]  # whole ones are what is counted

    def observe(self, metric: Metric, labels: tuple[str, ...], value: float) -> None:
        check(metric, labels)
        assert value >= 0
        self.observed.setdefault((metric.name, labels), []).append(value)

    def show(self, gauges: Callable[[], Iterable[Sample]]) -> Callable[[], None]:
        self.gauges = gauges

        def leave() -> None:
            self.gauges = None

        return leave

    def shown(self) -> dict[Key, float]:
        """Return the gauges as they are now."""
        assert self.gauges is not None
        found: dict[Key, float] = {}
        for sample in self.gauges():
            check(sample.metric, sample.labels)
            assert (sample.metric.name, sample.labels) not in found
            found[sample.metric.name, sample.labels] = sample.value
        return found


def check(metric: Metric, labels: tuple[str, ...]) -> None:
    """Hold the values of labels to what there may be: that bounds the number of series."""
    assert len(metric.labels) == len(labels), metric.name
    for label, value in zip(metric.labels, labels, strict=True):
        assert value in label.values, (metric.name, label.name, value)


def scraped(port: int) -> dict[Key, float]:
    """Ask for the numbers as Prometheus does."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE_S) as answer:
        text = answer.read().decode()
    found = {}
    for line in text.splitlines():
        read = None if line.startswith("#") else _LINE.fullmatch(line)
        if read is not None:
            labels = tuple(value for _, value in sorted(_PAIR.findall(read[2] or "")))
            found[read[1], labels] = float(read[3])
    return found
