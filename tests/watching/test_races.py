"""When ends, cancels, probes, deadlines and sweeps happen at the same moment, each task ends once, and rightly."""

import random
import threading
from contextlib import suppress
from pathlib import Path

import pytest

import tallystick
from tallystick import Config, Stopped, TaskRecord, Verdict
from tallystick.ledger.errors import Refused
from tallystick.ledger.lifecycle import TERMINAL
from tests.actors.parts import restlessly
from tests.face.parts import at_once
from tests.watching.conftest import OWNER
from tests.watching.law import hold_to_the_law

WORKERS, TASKS = 6, 60
EAGER = Config(sweep={"first": 10, "interval": 10}, grace={"default": 0, "acp": 5}, cancel={"grace": 20, "kill": 10})

VERDICTS = (
    Verdict.alive(),
    Verdict.missing("gone for now"),
    Verdict.dead("deleted"),
    Verdict.unknown("locked"),
    Verdict.ended("succeeded", summary="by its history"),
)


@pytest.mark.slow
def test_everything_at_once_gives_every_task_one_lawful_end(folder: Path) -> None:
    done = threading.Event()

    with restlessly(), tallystick.open(folder, config=EAGER) as ledger:
        for runtime in ("subagent", "acp"):
            ledger.probe(runtime, lambda _task: random.choice(VERDICTS))
        ledger.canceller("acp", _stops_sometimes)

        def work(worker: int) -> list[str]:
            choice = random.Random(worker)
            mine = []
            for number in range(TASKS):
                task = ledger.create(
                    runtime=choice.choice(("subagent", "acp", "cli")),
                    task=f"work {number}",
                    owner=OWNER,
                    timeout_ms=choice.choice((None, 1, 20)),
                )
                mine.append(task.id)
                with suppress(Refused):
                    task.start()
                    task.progress("a step", force=choice.random() < 0.5)
                    if choice.random() < 0.3:
                        task.keep_alive(1_000)
                    if choice.random() < 0.3:
                        task.cancel("enough", wait_ms=choice.choice((0, 5)))
                    task.succeed() if choice.random() < 0.7 else task.fail("it broke")
            return mine

        def sweep() -> None:
            while not done.is_set():
                ledger.sweep()

        sweeper = threading.Thread(target=sweep)
        sweeper.start()
        try:
            ids = [task_id for mine in at_once(WORKERS, work) for task_id in mine]
        finally:
            done.set()
            sweeper.join()
        records = [ledger.get(task_id).record for task_id in ids]
        for record in records:
            hold_to_the_law(ledger.timeline(record.task_id), grace_ms=0)

        assert WORKERS * TASKS == len(records)
        assert {record.status for record in records} <= TERMINAL
        assert ledger.verify().ok


def _stops_sometimes(_task: TaskRecord) -> Stopped:
    if random.random() < 0.2:
        raise ConnectionError("no answer")
    return Stopped(confirmed=random.random() < 0.7, detail="closed")
