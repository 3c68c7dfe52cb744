"""How long do `tally list`, `show` and `status` take as whole processes, and does a million tasks make it longer?

Hypothesis: most of it is Python starting; the rows are found through an index, and the tail of the log is short.
Unit: milliseconds from the start of the process to its end, nobody else having the ledger open; and the same at a
million tasks as a multiple of that at a thousand.
"""

import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

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
_RUN = "from tallystick.cli import main; main()"


def main(argv: list[str]) -> int:
    """Answer the question."""
    return answer(argv, name="g6_commands", about=__doc__, measure=measure, size=SIZE, quick_size=QUICK_SIZE)


def measure(setting: Setting) -> Findings:
    """Run each command on the small and on the large ledger in turn."""
    small, big = large.ledger(setting.cache, FEW), large.ledger(setting.cache, setting.size)
    commands = {name: (_command(name, small), _command(name, big)) for name in ("list", "show", "status")}
    at_few: dict[str, list[float]] = {name: [] for name in commands}
    at_many: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(setting.rounds):
        for name, (few, many) in commands.items():
            pairs = [(_ms(few), _ms(many)) for _ in range(TIMES_EACH)]
            at_few[name].append(median(pair[0] for pair in pairs))
            at_many[name].append(median(pair[1] for pair in pairs))
    bare = [median(_ms(("-c", "")) for _ in range(TIMES_EACH)) for _ in range(setting.rounds)]
    return Findings(
        size=f"{setting.size:,} and {FEW:,} running tasks; {TIMES_EACH} runs a round, of which the median counts",
        goals=(
            *(at_most("G6", 200, f"ms, tally {name}", at_many[name]) for name in commands),
            *(
                at_most(
                    "G6",
                    1.3,
                    f"{TIMES} the same at {FEW:,} tasks, tally {name}",
                    [many / few for many, few in zip(at_many[name], at_few[name], strict=True)],
                )
                for name in commands
            ),
        ),
        figures=(
            *(figure(f"tally {name}, {FEW:,} tasks", "ms", at_few[name]) for name in commands),
            *(figure(f"tally {name}, {setting.size:,} tasks", "ms", at_many[name]) for name in commands),
            figure("python -c '' (Python itself)", "ms", bare),
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


def _ms(command: Command) -> float:
    began = perf_counter()
    subprocess.run([sys.executable, *command], stdout=subprocess.DEVNULL, check=True, timeout=COMMAND_S_MAX)
    return (perf_counter() - began) * MS_PER_S
