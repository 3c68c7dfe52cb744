"""The page: what all questions found on one machine, as Markdown for people and as JSON to compare with."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from tallystick.bench.machine import Machine
from tallystick.bench.report import Report, rounds

HEADER = """# Benchmarks

<!-- Written by `tally bench all --write docs/benchmarks.md`. Do not edit: the next run writes it anew. -->

Absolute figures move with the machine; ratios within one run hardly do. So every goal that can be one is a ratio, taken
between a subject and its peer in the same round; the rounds take turns, and a figure is the median of its rounds with
the least and the greatest beside it. "fsyncs" stands beside every throughput, for a rate without it says nothing about
durability: here, and for every peer, an answer means that an fsync was waited for.
"""

Recorded = Mapping[str, Sequence[float]]
"""The medians of a question's goals in an earlier run, by the question's name."""


def as_markdown(reports: Sequence[Report]) -> str:
    """Return the whole page."""
    return "\n".join(_lines(reports)) + "\n"


def write(path: Path, reports: Sequence[Report]) -> None:
    """Write the page, and beside it the same as JSON."""
    path.write_text(as_markdown(reports), "utf-8")
    figures = msgspec.json.format(msgspec.json.encode(reports), indent=1)
    _beside(path).write_bytes(figures + b"\n")


def recorded(path: Path) -> Recorded:
    """Return what an earlier run wrote beside the page; nothing when there was none."""
    try:
        reports = msgspec.json.decode(_beside(path).read_bytes(), type=list[Report])
    except (OSError, msgspec.MsgspecError):
        return {}
    return {report.name: [goal.middle for goal in report.findings.goals] for report in reports}


def _beside(path: Path) -> Path:
    return path.with_suffix(".json")


def _lines(reports: Sequence[Report]) -> Iterator[str]:
    yield HEADER
    if reports:
        yield from _machine(reports[0].machine)
    yield "## Goals"
    yield ""
    yield from _table(
        ("", "goal", "measured", "rounds from … to", "verdict"),
        [(goal.name, goal.wanted(), *goal.shown()) for report in reports for goal in report.findings.goals],
    )
    for report in reports:
        yield ""
        yield from _section(report)


def _machine(machine: Machine) -> Iterator[str]:
    yield "## Machine"
    yield ""
    for line in machine.lines():
        yield f"- {line}"
    yield ""


def _section(report: Report) -> Iterator[str]:
    yield f"## {report.name}. {report.question}"
    yield ""
    yield report.about
    yield ""
    yield f"{report.findings.size}; {rounds(report.rounds)}, {report.seconds:.0f} s. The command: `{report.command}`."
    yield ""
    yield from _table(
        ("figure", "median", "rounds from … to"), [(each.name, *each.shown()) for each in report.findings.figures]
    )
    for note in report.findings.notes:
        yield ""
        yield note


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
