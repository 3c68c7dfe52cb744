"""The report: what a question found, as text, and as part of the page about all of them."""

from collections.abc import Iterator, Sequence
from statistics import median

from msgspec import Struct

from tallystick.bench.machine import Machine

AT_LEAST, AT_MOST = "≥", "<"
TIMES = "\N{MULTIPLICATION SIGN}"


class Figure(Struct, frozen=True):
    """A measured figure: one value for every round."""

    name: str
    unit: str
    values: tuple[float, ...]

    @property
    def middle(self) -> float:
        """The median of the rounds."""
        return median(self.values)

    def shown(self) -> tuple[str, str]:
        """Return the median with its unit, and from where to where the rounds went."""
        return f"{number(self.middle)} {self.unit}".rstrip(), spread(self.values)


class Goal(Struct, frozen=True):
    """What a figure should be, and what it was in every round. `unit` says of what the bound is a multiple."""

    name: str
    sense: str
    bound: float
    unit: str
    values: tuple[float, ...]

    @property
    def middle(self) -> float:
        """The median of the rounds: what is held to the bound."""
        return median(self.values)

    @property
    def is_met(self) -> bool:
        """Whether the median keeps to the bound."""
        return self.middle >= self.bound if self.sense == AT_LEAST else self.middle < self.bound

    def wanted(self) -> str:
        """Return the goal as the plan words it."""
        return f"{self.sense} {number(self.bound)} {self.unit}"

    def shown(self) -> tuple[str, str, str]:
        """Return what was measured, from where to where the rounds went, and the verdict."""
        return number(self.middle), spread(self.values), "met" if self.is_met else "missed"


class Findings(Struct, frozen=True):
    """What a measurement found: how large it was, the goals, the figures behind them, and what to know about them."""

    size: str
    goals: tuple[Goal, ...]
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()


class Report(Struct, frozen=True):
    """The answer to one question, on one machine."""

    name: str
    question: str
    about: str
    command: str
    rounds: int
    seconds: float
    findings: Findings
    machine: Machine


def at_least(name: str, bound: float, unit: str, values: Sequence[float]) -> Goal:
    """Return a goal that is met from its bound on."""
    return Goal(name, AT_LEAST, bound, unit, tuple(values))


def at_most(name: str, bound: float, unit: str, values: Sequence[float]) -> Goal:
    """Return a goal that is met below its bound."""
    return Goal(name, AT_MOST, bound, unit, tuple(values))


def figure(name: str, unit: str, values: Sequence[float]) -> Figure:
    """Return a figure of several rounds."""
    return Figure(name, unit, tuple(values))


def number(value: float) -> str:
    """Return a number with three digits that say something, and no more behind the point than that takes."""
    if value != value or abs(value) >= 100:  # noqa: PLR0124 - not a number
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 0.1 or not value else f"{value:.3f}"


def spread(values: Sequence[float]) -> str:
    """Return the least and the greatest of the rounds; nothing when there was one."""
    return f"{number(min(values))} … {number(max(values))}" if len(values) > 1 else ""


def rounds(count: int) -> str:
    """Return how many rounds there were, in words."""
    return "1 round" if count == 1 else f"{count} rounds"


def as_text(report: Report) -> Iterator[str]:
    """Yield the lines that a terminal shows."""
    yield f"{report.name}  {report.question}"
    yield f"{report.findings.size}; {rounds(report.rounds)}, {report.seconds:.0f} s"
    yield ""
    yield from _columns([(each.name, *each.shown()) for each in report.findings.figures])
    yield ""
    yield from _columns([(f"{goal.name}  {goal.wanted()}", *goal.shown()) for goal in report.findings.goals])
    if report.findings.notes:
        yield ""
        yield from report.findings.notes
    yield ""
    yield from report.machine.lines()


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        yield "  ".join(cells).rstrip()
