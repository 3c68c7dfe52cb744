"""Is anything lost that was acknowledged when the owner is killed under full load, and how long until the next answer?

Hypothesis: what was answered is on the disk, so that a kill costs what was not answered; opening settles the tasks
whose processes died with their owner, and asks nobody about the others.
Unit: events that were acknowledged and are not in the log; milliseconds in a fresh process from `open` to the first
answer, and until no task runs that does not; the second opening, and the events that it writes.
"""

import signal
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import tallystick
from tallystick.bench import child, workload
from tallystick.bench.question import Setting, answer
from tallystick.bench.report import Findings, at_most, figure
from tallystick.ledger.ids import id_bytes
from tallystick.probes.process import own_backing

SIZE, QUICK_SIZE = 10_000, 2_000
MS_PER_S = 1_000
GONE_S_MAX = 600.0

_LOAD = "import sys; from tallystick.bench.g10_kill import load; load(sys.argv[1], int(sys.argv[2]))"


def main(argv: list[str]) -> int:
    """Answer the question."""
    return answer(argv, name="g10_kill", about=__doc__, measure=measure, size=SIZE, quick_size=QUICK_SIZE)


def measure(setting: Setting) -> Findings:
    """Kill an owner that writes as fast as it can, then open what it left in fresh processes."""
    rounds: list[dict[str, float]] = []
    for number in range(setting.rounds):
        path = setting.folder / f"killed-{number}"
        said = setting.folder / f"acknowledged-{number}"
        said.write_text("\n".join(_killed(path, setting.size)), "utf-8")
        first = child.ask("g10_kill", "open_again", path=str(path), said=str(said))
        second = child.ask("g10_kill", "open_again", path=str(path), said=str(said))
        rounds.append({**first, **{f"second_{name}": value for name, value in second.items()}})
    return Findings(
        size=f"killed with {setting.size:,} tasks running in it and more being written",
        goals=(
            at_most("G10", 1, "acknowledged events that are missing", [each["missing"] for each in rounds]),
            at_most("G10", 1_000, "ms to the first answer", [each["answered"] for each in rounds]),
        ),
        figures=(
            figure("until no task runs that does not", "ms", [each["settled"] for each in rounds]),
            figure("tasks that were lost with their owner", "", [each["lost"] for each in rounds]),
            figure("the second opening, first answer", "ms", [each["second_answered"] for each in rounds]),
            figure("events that the second opening wrote", "", [each["second_written"] for each in rounds]),
        ),
    )


def _killed(path: Path, running: int) -> list[str]:
    """Return what an owner said was durable until it was killed in the middle of it."""
    process = subprocess.Popen(
        [sys.executable, "-c", _LOAD, str(path), str(running)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    acknowledged: list[str] = []
    try:
        for line in process.stdout:
            acknowledged.append(line.strip())
            if len(acknowledged) > running + running // 10:
                break
    finally:
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().splitlines(keepends=True)
        process.wait()
        process.stdout.close()
    acknowledged.extend(line.strip() for line in rest if line.endswith("\n"))
    return acknowledged


def load(path: str, running: int) -> None:
    """Let so many tasks run in this process, then write on without an end; say each task that is durable."""
    ledger = tallystick.open(path)
    told = []
    with ledger.batch() as batch:
        for number in range(running):
            task = batch.create(**workload.creation(number))
            task.start(backing=own_backing())
            told.append(task)
    print(*(task.id for task in told), sep="\n", flush=True)
    number = running
    while True:
        with ledger.batch() as batch:
            told = [batch.create(**workload.creation(number + place)) for place in range(100)]
            for task in told:
                task.start(backing=own_backing())
        print(*(task.id for task in told), sep="\n", flush=True)
        number += len(told)


def open_again(path: str, said: str) -> dict[str, float]:
    """Open the ledger, ask, and wait until all that is provable is settled; `said` lists what was acknowledged."""
    acknowledged = Path(said).read_text("utf-8").split()
    open_ledger = tallystick.open  # loads what it needs
    began = perf_counter()
    ledger = open_ledger(path)
    head = ledger.status().head
    answered = perf_counter()
    ledger.sweep()
    settled = perf_counter()
    log = ledger.events()
    known = {event.stream for event in log}
    missing = sum(id_bytes(task_id) not in known for task_id in acknowledged)
    running = ledger.counts().by_status["running"]
    assert running == 0, f"{running} still run"
    result = {
        "answered": (answered - began) * MS_PER_S,
        "settled": (settled - began) * MS_PER_S,
        "missing": float(missing) + 1e-9,
        "lost": float(ledger.counts().by_status["lost"]),
        "written": float(ledger.status().head - head),
    }
    ledger.close()
    return result
