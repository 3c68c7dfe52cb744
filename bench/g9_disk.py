"""How many bytes on disk does an event of an ordinary life take?

Hypothesis: the record, its place in the index, its share of the tree, and the row of its task's life.
Unit: bytes an event of what the folder takes on the disk after closing, log and views, by how the callers write:
large batches pack the pages best, callers who wait leave more room in them.
"""

from pathlib import Path

import tallystick
from tallystick.bench import workload
from tallystick.bench.callers import from_threads
from tallystick.bench.g1a_pipelined import live
from tallystick.bench.question import Setting, answer
from tallystick.bench.report import Findings, Goal, at_most, figure
from tallystick.bench.rounds import Run, empty_folder
from tallystick.readings import LOG_FOLDER, VIEWS_FOLDER

SIZE, QUICK_SIZE = 50_000, 2_000
THREADS = 64
ONE_CALLERS_SHARE = 10
BLOCK_BYTES = 512  # of `st_blocks`, by definition

LOG, VIEWS, RECORDS = "log", "views", "records"
Bytes = dict[str, float]


def main(argv: list[str]) -> int:
    """Answer the question."""
    return answer(
        argv,
        name="g9_disk",
        about=__doc__,
        measure=measure,
        size=SIZE,
        quick_size=QUICK_SIZE,
        rounds=1,  # bytes do not depend on what others do
    )


def measure(setting: Setting) -> Findings:
    """Write the same lives in three ways, and look at the folders."""
    few = max(setting.size // ONE_CALLERS_SHARE, 1)
    creations = [workload.creation(number) for number in range(setting.size)]
    runs = [workload.creation(number, run_id=True) for number in range(setting.size)]
    ways: dict[str, Run] = {
        "batch()": lambda folder: live(folder, creations),
        "batch(), every task with a run id": lambda folder: live(folder, runs),
        "64 waiting threads": lambda folder: from_threads(folder, creations, callers=THREADS),
        "one waiting caller": lambda folder: from_threads(folder, creations[:few], callers=1),
    }
    goals: list[Goal] = []
    figures = []
    for name, way in ways.items():
        found = [_taken_by(way, setting.folder) for _ in range(setting.rounds)]
        goals.append(at_most("G9", 300, f"bytes an event, {name}", [each[LOG] + each[VIEWS] for each in found]))
        figures += [
            figure(f"{name}: {part}", "bytes/event", [each[part] for each in found]) for part in (LOG, VIEWS, RECORDS)
        ]
    return Findings(
        size=f"{setting.size:,} tasks of {workload.EVENTS_PER_LIFE} events; one caller {few:,} tasks",
        goals=tuple(goals),
        figures=tuple(figures),
    )


def _taken_by(way: Run, folder: Path) -> Bytes:
    with empty_folder(folder) as place:
        count = way(place).count
        return taken(place / "ledger", count)


def taken(path: Path, count: int) -> Bytes:
    """Return the bytes an event of the log and of the views, and of the records alone."""
    with tallystick.open(path, read_only=True) as ledger:
        records = sum(len(body) for _, body in ledger._house.readings.log.bodies())  # noqa: SLF001 - the bytes alone
    return {
        LOG: _bytes_on_disk(path / LOG_FOLDER) / count,
        VIEWS: _bytes_on_disk(path / VIEWS_FOLDER) / count,
        RECORDS: records / count,
    }


def _bytes_on_disk(folder: Path) -> int:
    """What the files take on the disk: a file with holes takes less than its length."""
    return sum(each.stat().st_blocks * BLOCK_BYTES for each in folder.rglob("*") if each.is_file())
