"""The page of metrics has everything that is counted and shown, with its labels and what they can say."""

from tallystick.actors.metrics import METRICS, Sort
from tests.docs.pages import doc, rows

PAGE = doc("reference/metrics.md")
SECTIONS = {Sort.COUNTER: "Counters", Sort.HISTOGRAM: "Histograms", Sort.GAUGE: "Gauges"}


def words(cell: str) -> list[str]:
    return cell.replace("`", "").split()


def test_every_metric_is_listed_with_its_labels_and_its_help() -> None:
    for sort, heading in SECTIONS.items():
        listed = [(row[0], words(row[1]), row[2]) for row in rows(PAGE.section(heading))]
        known = [
            (metric.name, [label.name for label in metric.labels], metric.help)
            for metric in METRICS
            if metric.sort is sort
        ]
        assert known == listed


def test_the_bounds_of_every_histogram_are_listed() -> None:
    listed = {row[0]: [float(bound) for bound in row[3].split(", ")] for row in rows(PAGE.section("Histograms"))}

    assert listed == {metric.name: list(metric.bounds) for metric in METRICS if metric.bounds}


def test_every_value_of_a_label_is_listed() -> None:
    known: dict[str, set[str]] = {}
    for metric in METRICS:
        for label in metric.labels:
            known.setdefault(label.name, set()).update(label.values)

    assert known == {row[0]: set(words(row[1])) for row in rows(PAGE.section("Labels"))}
