"""How long does it take to open a ledger with a million active tasks and to get the first answer?

Hypothesis: opening reads the edge and the positions, never the history; the answers come from the views.
Unit: milliseconds in a fresh process from `open` to the first page of the running tasks. Then the first write, on a
task that has no actor yet; and all of it once more with the ledger's files dropped from the kernel's cache.
"""

import os
from pathlib import Path
from time import perf_counter

import tallystick
from tallystick.bench import child, large
from tallystick.bench.question import Setting, answer
from tallystick.bench.report import Findings, at_most, figure

SIZE, QUICK_SIZE = 1_000_000, 20_000
MS_PER_S = 1_000
PAGE_ROWS = 50

Times = dict[str, float]


def main(argv: list[str]) -> int:
    """Answer the question."""
    return answer(argv, name="g5_open", about=__doc__, measure=measure, size=SIZE, quick_size=QUICK_SIZE)


def measure(setting: Setting) -> Findings:
    """Open it in one fresh process after the other, with warm and with dropped files in turn."""
    path = large.ledger(setting.cache, setting.size)
    warm: list[Times] = []
    cold: list[Times] = []
    for _ in range(setting.rounds):
        drop(path)
        cold.append(child.ask("g5_open", "open_once", path=str(path)))
        warm.append(child.ask("g5_open", "open_once", path=str(path)))
    return Findings(
        size=f"{setting.size:,} running tasks, {large.EVENTS_PER_TASK * setting.size:,} events",
        goals=(
            at_most("G5", 1_000, "ms to the first answer", [each["answered"] for each in warm]),
            at_most("G5", 1_000, "ms to the first answer, files not cached", [each["answered"] for each in cold]),
        ),
        figures=tuple(
            figure(f"{kind}: {what}", "ms", [each[key] for each in times])
            for kind, times in (("cached", warm), ("not cached", cold))
            for key, what in (
                ("imported", "import tallystick"),
                ("opened", "open"),
                ("answered", "open and the first page"),
                ("written", "the first write after that"),
                ("closed", "close"),
            )
        ),
    )


def open_once(path: str) -> Times:
    """Open the ledger, ask, write and close; return how long each took, in milliseconds."""
    began = perf_counter()
    open_ledger = tallystick.open  # loads what it needs
    imported = perf_counter()
    ledger = open_ledger(path)
    opened = perf_counter()
    page = ledger.list(status="running", limit=PAGE_ROWS)
    answered = perf_counter()
    assert page.tasks, "every task runs"
    ledger.get(page.tasks[0].task_id).progress(large.SECOND_MESSAGE, force=True)
    written = perf_counter()
    ledger.close()
    closed = perf_counter()
    return {
        "imported": (imported - began) * MS_PER_S,
        "opened": (opened - imported) * MS_PER_S,
        "answered": (answered - imported) * MS_PER_S,
        "written": (written - answered) * MS_PER_S,
        "closed": (closed - written) * MS_PER_S,
    }


def drop(path: Path) -> None:
    """Ask the kernel to forget the pages of all files below a folder; where it cannot be asked, nothing happens."""
    if not hasattr(os, "posix_fadvise"):
        return
    for each in path.rglob("*"):
        if each.is_file():
            descriptor = os.open(each, os.O_RDONLY)
            try:
                os.fsync(descriptor)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)
