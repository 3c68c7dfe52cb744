"""How many bytes on disk does an event of an ordinary life take?

Hypothesis: the record, its place in the index, its share of the tree, and the row of its task's life.
Unit: bytes an event of what the folder takes on the disk after closing, log and views, by how the callers write:
large batches pack the pages best, callers who wait leave more room in them.
"""

from pathlib import Path

from tallystick.bench import workload
from tallystick.bench.callers import from_threads
from tallystick.bench.g1a_pipelined import live
from tallystick.bench.question import Setting, answer
from tallystick.bench.report import Figure, Findings, Goal, at_most, figure
from tallystick.bench.rounds import Run, empty_folder
from tallystick.config import Config
from tallystick.ledger.store.disk import DiskLog
from tallystick.ledger.store.environment import Environment
from tallystick.readings import LOG_FOLDER, VIEWS_FOLDER, Readings, due_rules

SIZE, QUICK_SIZE = 50_000, 2_000
THREADS = 64
ONE_CALLERS_SHARE = 10
BLOCK_BYTES = 512  # of `st_blocks`, by definition

RECORDS = "records"
SHOWN_BYTES_MIN = 0.5
NOTE = """\
Of the log and of the views: what their folders take on the disk. Of a table: the pages that it has now; pages that are
free to be used again make the rest. Records: their bytes by themselves."""

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
    """Write the same lives in several ways, and look at the folders."""
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
    figures: list[Figure] = []
    for name, way in ways.items():
        found = [_taken_by(way, setting.folder) for _ in range(setting.rounds)]
        goals.append(
            at_most("G9", 300, f"bytes an event, {name}", [each[LOG_FOLDER] + each[VIEWS_FOLDER] for each in found])
        )
        parts = [part for part, taken in found[0].items() if taken > SHOWN_BYTES_MIN]
        figures += [figure(f"{name}: {part}", "bytes/event", [each[part] for each in found]) for part in parts]
    return Findings(
        size=f"{setting.size:,} tasks of {workload.EVENTS_PER_LIFE} events; one caller {few:,} tasks",
        goals=tuple(goals),
        figures=tuple(figures),
        notes=(NOTE,),
    )


def _taken_by(way: Run, folder: Path) -> Bytes:
    with empty_folder(folder) as place:
        count = way(place).count
        path = place / "ledger"
        readings = Readings.open(path, rules=due_rules(Config()))
        try:
            log, views = readings.log, readings.views
            assert isinstance(log, DiskLog)
            assert views is not None
            taken = {
                LOG_FOLDER: _bytes_on_disk(path / LOG_FOLDER),
                RECORDS: sum(len(body) for _, body in log.bodies()),
                **_tables(LOG_FOLDER, log.environment),
                VIEWS_FOLDER: _bytes_on_disk(path / VIEWS_FOLDER),
                **_tables(VIEWS_FOLDER, views.environment),
            }
        finally:
            readings.close()
        return {part: size / count for part, size in taken.items()}


def _tables(folder: str, environment: Environment) -> dict[str, int]:
    """The bytes of the pages that each table has."""
    sizes = {}
    with environment.read() as txn:
        for name, database in environment.databases.items():
            told = txn.stat(database)
            pages = told["leaf_pages"] + told["branch_pages"] + told["overflow_pages"]
            sizes[f"{folder}, table {name.decode()}"] = pages * told["psize"]
    return sizes


def _bytes_on_disk(folder: Path) -> int:
    """What the files take on the disk: a file with holes takes less than its length."""
    return sum(each.stat().st_blocks * BLOCK_BYTES for each in folder.rglob("*") if each.is_file())
