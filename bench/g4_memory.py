"""How much memory does a million active tasks take?

Hypothesis: an actor and its record are little more than a kilobyte, and a task whose actor is passivated is nothing.
Unit: bytes of a fresh process that created, started and heard from all of them. Resident is what `ps` shows; own is
that without the pages of the ledger's files, which are the kernel's cache.
"""

from pathlib import Path

import tallystick
from tallystick.bench import child, workload
from tallystick.bench.child import memory_bytes
from tallystick.bench.question import Setting, answer
from tallystick.bench.report import Findings, at_most, figure
from tallystick.bench.rounds import empty_folder
from tallystick.config import Actors, Config
from tallystick.ledger.limits import ACTORS_LIVE_MAX

SIZE, QUICK_SIZE = 1_000_000, 50_000
SETTLE_S_MAX = 3_600.0
MB = 1_000_000

Memory = dict[str, int]


def main(argv: list[str]) -> int:
    """Answer the question."""
    return answer(
        argv,
        name="g4_memory",
        about=__doc__,
        measure=measure,
        size=SIZE,
        quick_size=QUICK_SIZE,
        rounds=1,  # memory does not depend on what others do
    )


def measure(setting: Setting) -> Findings:
    """Fill one process with live actors, and one that lets them go."""
    alive = [_ask(setting, live=setting.size + 1) for _ in range(setting.rounds)]
    idle = [_ask(setting, live=ACTORS_LIVE_MAX) for _ in range(setting.rounds)]
    assert all(each["actors"] == setting.size for each in alive), alive
    return Findings(
        size=f"{setting.size:,} running tasks of 3 events; passivated: at most {ACTORS_LIVE_MAX:,} actors stay live",
        goals=(
            at_most("G4", 1_500, "MB resident, all of them live actors", [each["resident"] / MB for each in alive]),
            at_most("G4", 1_500, "MB of its own, all of them live actors", [each["own"] / MB for each in alive]),
            at_most("G4", 300, "MB resident, passivated", [each["resident"] / MB for each in idle]),
            at_most("G4", 300, "MB of its own, passivated", [each["own"] / MB for each in idle]),
        ),
        figures=(
            figure("all live: resident", "MB", [each["resident"] / MB for each in alive]),
            figure("all live: own", "MB", [each["own"] / MB for each in alive]),
            figure("all live: own, a task", "bytes", [(each["own"] - each["empty"]) / setting.size for each in alive]),
            figure("passivated: resident", "MB", [each["resident"] / MB for each in idle]),
            figure("passivated: own", "MB", [each["own"] / MB for each in idle]),
            figure("passivated: live actors left", "", [each["actors"] for each in idle]),
            figure("before the first task: own", "MB", [each["empty"] / MB for each in idle]),
        ),
    )


def _ask(setting: Setting, *, live: int) -> Memory:
    with empty_folder(setting.folder) as place:
        memory: Memory = child.ask("g4_memory", "fill", folder=str(place), tasks=setting.size, live=live)
    return memory


def fill(folder: str, tasks: int, live: int) -> Memory:
    """Create and start the tasks in this process, and say what it took."""
    with tallystick.open(Path(folder) / "ledger", config=Config(actors=Actors(live=live))) as ledger:
        empty = memory_bytes()
        with ledger.batch() as batch:
            for number in range(tasks):
                task = batch.create(**workload.creation(number))
                task.start()
                task.progress(workload.MESSAGE)
        ledger.settled(SETTLE_S_MAX)
        actors = len(ledger._house.system.directory)  # noqa: SLF001 - nobody else asks how many there are
        return {**memory_bytes(), "empty": empty["own"], "actors": actors}
