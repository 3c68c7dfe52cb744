"""How long do `tally list`, `show` and `status` take as whole processes, and does a million tasks make it longer?

Hypothesis: most of it is Python starting; the rows are found through an index, and the tail of the log is short.
The commands find their modules compiled, as an installer or a first call leaves them, whatever this environment says.
Unit: milliseconds from the start of the process to its end, nobody else having the ledger open; and the same at a
million tasks as a multiple of that at a thousand.
"""

import os
import resource
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple

from tallystick.bench import large
from tallystick.bench.question import Setting, answer
from tallystick.bench.report import TIMES, Findings, at_most, figure
from tallystick.config import Config
from tallystick.readings import Readings, due_rules

SIZE, QUICK_SIZE = 1_000_000, 20_000
FEW = 1_000
TIMES_EACH = 7  # in every round; of a round the median counts
MS_PER_S = 1_000
COMMAND_S_MAX = 60

Command = tuple[str, ...]


class Took(NamedTuple):
    """What one command took: from its start to its end, and of that the processor's part."""

    ms: float
    cpu_ms: float


_RUN = "from tallystick.cli import main; main()"


def main(argv: list[str]) -> int:
    """Answer the question."""
    return answer(argv, name="g6_commands", about=__doc__, measure=measure, size=SIZE, quick_size=QUICK_SIZE)


def measure(setting: Setting) -> Findings:
    """Run each command on the small and on the large ledger in turn."""
    small, big = large.ledger(setting.cache, FEW), large.ledger(setting.cache, setting.size)
    times = TIMES_EACH if setting.size > FEW else 1
    compiled = setting.cache / "bytecode"
    commands = {name: (_command(name, small), _command(name, big)) for name in ("list", "show", "status")}
    at_few: dict[str, list[Took]] = {name: [] for name in commands}
    at_many: dict[str, list[Took]] = {name: [] for name in commands}
    bare: list[Took] = []
    for pair in commands.values():  # the first call compiles
        took(pair[0], compiled)
    for _ in range(setting.rounds):
        for name, (few, many) in commands.items():
            pairs = [(took(few, compiled), took(many, compiled)) for _ in range(times)]
            at_few[name].append(_middle([pair[0] for pair in pairs]))
            at_many[name].append(_middle([pair[1] for pair in pairs]))
        bare.append(_middle([took(("-c", ""), compiled) for _ in range(times)]))
    return Findings(
        size=f"{setting.size:,} and {FEW:,} running tasks; {times} runs a round, of which the median counts",
        goals=(
            *(at_most("G6", 200, f"ms, tally {name}", [each.ms for each in at_many[name]]) for name in commands),
            *(
                at_most(
                    "G6",
                    1.3,
                    f"{TIMES} the same at {FEW:,} tasks, tally {name}",
                    [many.ms / few.ms for many, few in zip(at_many[name], at_few[name], strict=True)],
                )
                for name in commands
            ),
        ),
        figures=(
            *(figure(f"tally {name}, {FEW:,} tasks", "ms", [each.ms for each in at_few[name]]) for name in commands),
            *(
                figure(f"tally {name}, {setting.size:,} tasks", "ms", [each.ms for each in at_many[name]])
                for name in commands
            ),
            *(
                figure(
                    f"tally {name}, {setting.size:,} tasks: processor", "ms", [each.cpu_ms for each in at_many[name]]
                )
                for name in commands
            ),
            figure("python -c '' (Python itself)", "ms", [each.ms for each in bare]),
            figure("python -c '': processor", "ms", [each.cpu_ms for each in bare]),
        ),
    )


def _command(name: str, path: Path) -> Command:
    said = {
        "list": ("list", "--status", "running", "--limit", "50"),
        "show": ("show", _some_task(path)),
        "status": ("status",),
    }[name]
    return ("-c", _RUN, "--ledger", str(path), *said)


def _some_task(path: Path) -> str:
    readings = Readings.open(path, rules=due_rules(Config()))
    try:
        return readings.list(limit=1).tasks[0].task_id
    finally:
        readings.close()


def took(command: Command, compiled: Path) -> Took:
    """Run a command to its end, with its modules compiled in a folder of their own, and say what it took."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(compiled)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    began, spent = perf_counter(), _spent_s()
    subprocess.run(
        [sys.executable, *command], stdout=subprocess.DEVNULL, check=True, timeout=COMMAND_S_MAX, env=environment
    )
    return Took((perf_counter() - began) * MS_PER_S, (_spent_s() - spent) * MS_PER_S)


def _spent_s() -> float:
    """The processor time of this process's children so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _middle(several: list[Took]) -> Took:
    return Took(median(each.ms for each in several), median(each.cpu_ms for each in several))
