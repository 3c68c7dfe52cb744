"""What does upkeep cost those who write beside it, how fast does it prune, and what does an audit cost?

Hypothesis: upkeep takes a few steps at a time, in the same transactions as everybody's commands, and rests between, so
that whoever writes hardly waits longer; an audit reads indexes, and costs what is amiss and not what is stored.
Unit: milliseconds that 64 coroutines wait for each answer, in windows that take turns in one process: one in which
nothing is kept up, one in which retention prunes tasks that ended eight days ago, or in which their range of the log
moves into the archive. Tasks pruned a second beside them and alone; milliseconds of an audit at a million tasks, of
which nothing is amiss with any.
"""

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, perf_counter

import tallystick
from tallystick.bench import child, workload
from tallystick.bench.callers import Latencies
from tallystick.bench.question import Setting, answer
from tallystick.bench.report import TIMES, Findings, at_most, figure
from tallystick.bench.sample import percentile
from tallystick.config import Config
from tallystick.ledger.clock import system_clock
from tallystick.ledger.intake import Creation
from tallystick.ledger.limits import ARCHIVE_SEGMENT_EVENTS

SIZE, QUICK_SIZE = 200_000, 30_000
AUDITED_SHARE = 5  # times as many tasks are audited
EVENTS_EACH = 4
CALLERS, CALLS_EACH = 64, 3
WINDOWS = 5
WINDOW_S_MIN, WINDOW_S_MAX, TASKS_A_SECOND = 0.1, 5.0, 5_000  # shorter where few tasks would soon be pruned
AGE_MS = 8 * 86_400_000
AT_ONCE_MS, NEVER_MS = 10, 365 * 86_400_000
AUDITS = 50
RUNNING_EVERY = 10
SETTLE_S_MAX = 3_600.0
ARCHIVED_S_MAX = 60.0
MS_PER_S = 1_000

Measured = dict[str, float]


def main(argv: list[str]) -> int:
    """Answer the question."""
    return answer(argv, name="g15_upkeep", about=__doc__, measure=measure, size=SIZE, quick_size=QUICK_SIZE, rounds=1)


def measure(setting: Setting) -> Findings:
    """Keep a ledger up beside its writers, in one process, and audit another one in a second."""
    found: list[Measured] = []
    for number in range(setting.rounds):
        kept = child.ask("g15_upkeep", "kept_up", path=str(setting.folder / f"kept-{number}"), size=setting.size)
        many = setting.size * AUDITED_SHARE
        audited = child.ask("g15_upkeep", "audited", path=str(setting.folder / f"healthy-{number}"), size=many)
        found.append({**kept, **audited})
    shown = (
        ("an answer, nothing kept up, p50", "ms", "without_p50"),
        ("the same, p99", "ms", "without_p99"),
        ("an answer while it prunes, p50", "ms", "pruning_p50"),
        ("the same, p99", "ms", "pruning_p99"),
        ("an answer while it archives, p50", "ms", "archiving_p50"),
        ("the same, p99", "ms", "archiving_p99"),
        ("commands, nothing kept up", "a second", "without_rate"),
        ("commands while it prunes", "a second", "pruning_rate"),
        ("commands while it archives", "a second", "archiving_rate"),
        ("tasks pruned beside them", "a second", "pruned_beside"),
        ("tasks pruned by a sweep, alone", "a second", "pruned_alone"),
        ("events archived beside them", "a second", "archived_beside"),
        ("an audit, p50", "ms", "audit_p50"),
        ("an audit, longest", "ms", "audit_longest"),
    )
    return Findings(
        size=f"{setting.size:,} ended tasks, {CALLERS} callers; {setting.size * AUDITED_SHARE:,} healthy tasks",
        goals=(
            at_most("G15", 1.25, f"{TIMES} the p99 without, while it prunes", _ratios(found, "pruning")),
            at_most("G15", 1.25, f"{TIMES} the p99 without, while it archives", _ratios(found, "archiving")),
        ),
        figures=tuple(figure(name, unit, [each[key] for each in found]) for name, unit, key in shown),
    )


def _ratios(found: list[Measured], what: str) -> list[float]:
    return [each[f"{what}_p99"] / each[f"{what}_without_p99"] for each in found]


class _Windows:
    """Windows in which the same callers write to one ledger, each opened as a configuration says."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._is_enough = size * EVENTS_EACH >= ARCHIVE_SEGMENT_EVENTS
        self._window_s = min(max(size / TASKS_A_SECOND, WINDOW_S_MIN), WINDOW_S_MAX)
        self._numbers = itertools.count()
        self.latencies: dict[str, Latencies] = {}
        self.seconds: dict[str, float] = {}
        self.pruned: dict[str, int] = {}

    def take_turns(self, *settings: tuple[str, Config]) -> None:
        """Open as many windows of each kind, one after the other."""
        for _ in range(WINDOWS):
            for name, config in settings:
                asyncio.run(self._write(name, config))

    async def _write(self, name: str, config: Config) -> None:
        waited: Latencies = []
        async with tallystick.open_async(self._path, config=config) as ledger:
            before = (await ledger.counts()).total
            began, until = monotonic(), monotonic() + self._window_s
            await asyncio.gather(*(self._call(ledger, until, waited) for _ in range(CALLERS)))
            self.seconds[name] = self.seconds.get(name, 0.0) + monotonic() - began
            gone = before + len(waited) // CALLS_EACH - (await ledger.counts()).total
        self.pruned[name] = self.pruned.get(name, 0) + gone
        self.latencies.setdefault(name, []).extend(waited)

    async def _call(self, ledger: "tallystick.AsyncLedger", until: float, latencies: Latencies) -> None:
        while monotonic() < until:
            began = perf_counter()
            task = await ledger.create(**_creation(next(self._numbers)))
            created = perf_counter()
            await task.start()
            started = perf_counter()
            await task.succeed(workload.SUMMARY)
            latencies += (created - began, started - created, perf_counter() - started)

    def archived_a_second(self, name: str, config: Config) -> float:
        """How many events were archived in a second of the windows of a kind; longer ones when those were too short."""
        while not _archived(self._path) and self._is_enough and self._window_s < ARCHIVED_S_MAX:
            self._window_s *= 4  # a segment whose window ends is begun anew in the next
            name = f"{name}, longer"
            asyncio.run(self._write(name, config))
        return _archived(self._path) / self.seconds[name]

    def figures(self, name: str) -> Measured:
        """Return what the callers saw in the windows of a kind."""
        waited = self.latencies[name]
        return {
            f"{name}_p50": percentile(waited, 50) * MS_PER_S,
            f"{name}_p99": percentile(waited, 99) * MS_PER_S,
            f"{name}_rate": len(waited) / self.seconds[name],
        }


def kept_up(path: str, size: int) -> Measured:
    """Fill a ledger with tasks whose retention is over; prune them beside callers, then alone; then archive."""
    folder = Path(path)
    with tallystick.open(folder, clock=_long_ago, config=_keeping()) as ledger:
        for numbers in _slices(size):
            with ledger.batch() as batch:
                for number in numbers:
                    task = batch.create(**_creation(number))
                    task.start()
                    task.progress(workload.MESSAGE)
                    task.succeed(workload.SUMMARY)
        ledger.settled(SETTLE_S_MAX)
    windows = _Windows(folder, size)
    windows.take_turns(("without", _looking(kept_ms=None)), ("pruning", _looking()))
    told = windows.figures("without") | windows.figures("pruning")
    told["pruning_without_p99"] = told["without_p99"]
    told["pruned_beside"] = windows.pruned["pruning"] / windows.seconds["pruning"]
    with tallystick.open(folder, config=_keeping()) as ledger:
        before, began = ledger.counts().total, perf_counter()
        ledger.sweep()
        told["pruned_alone"] = (before - ledger.counts().total) / (perf_counter() - began)
        ledger.settled(SETTLE_S_MAX)
    windows = _Windows(folder, size)
    archiving = _looking(archived_after=AGE_MS // 2)
    windows.take_turns(("without", _looking()), ("archiving", archiving))
    told |= windows.figures("archiving")
    told["archiving_without_p99"] = windows.figures("without")["without_p99"]
    told["archived_beside"] = windows.archived_a_second("archiving", archiving)
    return told


def _creation(number: int) -> Creation:
    """A task of which nobody has to be told: it is kept for no message."""
    return {**workload.creation(number), "notify": "silent"}


def _long_ago() -> int:
    return system_clock() - AGE_MS


def _keeping() -> Config:
    """Nothing is kept up by itself."""
    return Config(sweep={"first": NEVER_MS}, archive={"after": NEVER_MS})


def _looking(kept_ms: int | None = AGE_MS // 2, archived_after: int = NEVER_MS) -> Config:
    """The owner looks at once for what is due, and nothing is when everything is kept for ever."""
    retention = {"terminal": kept_ms}
    return Config(sweep={"first": AT_ONCE_MS}, retention=retention, archive={"after": archived_after})


def _slices(size: int) -> Iterator[range]:
    return (range(first, min(first + 10_000, size)) for first in range(0, size, 10_000))


def _archived(folder: Path) -> int:
    with tallystick.open(folder, read_only=True) as ledger:
        return max((segment.last for segment in ledger.archives()), default=0)


def audited(path: str, size: int) -> Measured:
    """Fill a ledger with tasks that are as they should be, and audit it again and again."""
    with tallystick.open(path, config=_keeping()) as ledger:
        for numbers in _slices(size):
            with ledger.batch() as batch:
                for number in numbers:
                    task = batch.create(**_creation(number))
                    task.start()
                    if number % RUNNING_EVERY:
                        task.succeed(workload.SUMMARY)
        ledger.settled(SETTLE_S_MAX)
        took = []
        for _ in range(AUDITS):
            began = perf_counter()
            found = ledger.audit()
            took.append(perf_counter() - began)
            assert not found.findings, found.summary
    return {"audit_p50": percentile(took, 50) * MS_PER_S, "audit_longest": max(took) * MS_PER_S}
