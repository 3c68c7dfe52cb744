"""The program that is killed while it drives flows: it says every claim, link and end that was acknowledged.

Run as `python controllers.py FOLDER MODE SEED`. It waits for a line on standard input before it opens the ledger. On
standard output it says, one line each, never in two pieces:

    a flow ID REVISION STATUS      the flow was answered to be that
    a claim ID STEP NAME           this claimant does the step
    a join ID TASK                 the task is one of the flow's
    a cancel ID                    the flow is to be cancelled
"""

import os
import random
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import tallystick
from tallystick import Flow, FlowRefused, Ledger, Refused, WrongVersion
from tallystick.config import Actors, Config

SAY = 1
UNEXPECTED = 70  # the exit code of a driver that met something else than its end
KEYS = 40
STEPS = 6
OWNER = "o"


def say(line: str) -> None:
    """Say a line, in one piece."""
    os.write(SAY, f"{line}\n".encode())


def acknowledge(flow: Flow) -> None:
    """Say what an answer said."""
    say(f"a flow {flow.id} {flow.record.revision} {flow.status}")


class Driver:
    """One life of an owner, whose threads drive flows until it is killed."""

    def __init__(self, folder: Path, seed: str) -> None:
        self.ledger: Ledger = tallystick.open(folder, config=Config(actors=Actors(live=20)))
        self.seed = seed.replace(" ", "-")

    def flow(self, chance: random.Random) -> Flow:
        """Return a flow that somebody else drives, too, or one that an earlier life has left, or a new one."""
        key = f"key-{chance.randrange(KEYS)}" if chance.random() < 0.8 else None
        return self.ledger.flows.create(owner=OWNER, goal="g", controller="c", idempotency_key=key)

    def controls(self, chance: random.Random) -> None:
        """Drive flows: claim steps, give them work, and end them."""
        place = 0
        while True:
            flow = self.flow(chance)
            acknowledge(flow)
            with suppress(FlowRefused, WrongVersion):
                for step in chance.sample(range(STEPS), 3):
                    name, place = f"{self.seed}-{chance.random()}-{place}", place + 1
                    flow.claim(str(step), claimant=name)
                    say(f"a claim {flow.id} {step} {name}")
                    self.gives_work(flow, chance)
                    acknowledge(flow)
                chance.choice((lambda flow=flow: flow.set_waiting("x"), flow.resume, flow.finish))()
                acknowledge(flow)

    def gives_work(self, flow: Flow, chance: random.Random) -> None:
        """Create a task of the flow, or link one; let some of it run, and some of it end."""
        if chance.random() < 0.5:
            task = self.ledger.create(runtime="cli", task="x", owner=OWNER, flow=flow.id)
        else:
            task = self.ledger.create(runtime="subagent", task="x", owner=OWNER)
            flow.link(task)
        say(f"a join {flow.id} {task.id}")
        with suppress(Refused):
            if chance.random() < 0.7:
                task.start()
            if chance.random() < 0.5:
                task.succeed("done")

    def cancels(self, chance: random.Random) -> None:
        """Cancel flows, and let the work of some of them end."""
        while True:
            flow = self.flow(chance)
            with suppress(FlowRefused):
                flow.cancel("enough", wait_ms=0)
                say(f"a cancel {flow.id}")
                for task in flow.tasks():
                    with suppress(Refused):
                        if chance.random() < 0.5:
                            self.ledger.get(task.task_id).cancelled()

    def reads(self, chance: random.Random) -> None:
        """Ask, so that there are readers when the end comes."""
        while True:
            self.ledger.flows.list(limit=chance.randrange(1, 50))
            self.ledger.flows.counts()


JOBS: tuple[Callable[[Driver, random.Random], None], ...] = (
    Driver.controls,
    Driver.controls,
    Driver.controls,
    Driver.cancels,
    Driver.reads,
)


def main(folder: Path, _mode: str, seed: str) -> None:
    """Live until somebody kills it."""
    sys.stdin.readline()
    driver = Driver(folder, seed)

    def work(do: Callable[[Driver, random.Random], None], number: int) -> None:
        try:
            do(driver, random.Random(f"{seed} {number}"))
        except BaseException:  # noqa: BLE001 - whatever it is, the test hears of it
            traceback.print_exc()
            os._exit(UNEXPECTED)

    for number, job in enumerate(JOBS):
        threading.Thread(target=work, args=(job, number), daemon=True).start()
    sys.stdin.readline()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
