"""The large ledger: very many active tasks with four events each, built once a machine and kept for the next run."""

import sys
from hashlib import blake2b
from pathlib import Path
from shutil import rmtree

import tallystick
from tallystick.bench import workload
from tallystick.ledger.store.layout import FORMAT
from tallystick.projections.rows import shape_hash
from tallystick.projections.views import VIEWS_FORMAT

EVENTS_PER_TASK = 4  # created, started, and two times progressed: every task runs
SETTLE_S_MAX = 3_600.0
SECOND_MESSAGE = "and the other half of them"

_DONE = "complete"


def ledger(cache: Path, tasks: int) -> Path:
    """Return the folder of a ledger with so many running tasks; made when it is not there."""
    shape = blake2b(f"{FORMAT} {VIEWS_FORMAT} {shape_hash()} {workload.creation(0)}".encode(), digest_size=4)
    folder = cache / f"running-{tasks}-{shape.hexdigest()}"
    if not (folder / _DONE).exists():
        rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        print(f"Building a ledger with {tasks:,} running tasks in {folder} …", file=sys.stderr)
        build(folder / "ledger", tasks)
        (folder / _DONE).touch()
    return folder / "ledger"


def build(path: Path, tasks: int) -> None:
    """Create the tasks, start them, and let each tell twice how far it is."""
    with tallystick.open(path) as ledger:
        with ledger.batch() as batch:
            for number in range(tasks):
                task = batch.create(**workload.creation(number))
                task.start()
                task.progress(workload.MESSAGE)
                task.progress(SECOND_MESSAGE, force=True)  # else it would wait for its second to be over
        ledger.settled(SETTLE_S_MAX)
