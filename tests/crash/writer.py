"""The program that is killed: it writes to a ledger as hard as it can and says what was acknowledged.

Run as `python writer.py FOLDER MODE SEED`. It waits for a line on standard input before it opens the ledger. On
standard output it says, one line each, never in two pieces:

    m WORD                           it is about to do this: open, grow, rebuild, close; or has: archived, closed
    a ID VERSION POSITION STATUS     this was answered; position 0 when the answer did not tell it
"""

import asyncio
import os
import random
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tallystick import AsyncLedger, BatchFailed, Closed, Config, Ledger, Refused, Task, TaskRecord
from tallystick.building import assemble
from tallystick.config import Actors
from tallystick.house import House
from tallystick.ledger.archive.sealing import Sealing
from tallystick.ledger.clock import system_clock
from tallystick.ledger.store.disk import DiskLog
from tallystick.owner import OwnerLock, this_process
from tallystick.projections.rebuild import rebuild
from tallystick.projections.views import Views
from tallystick.readings import Readings, due_rules

SAY = 1
LINE_BYTES_MAX = 4_096  # what a pipe takes in one piece
ROOM_BYTES = 64 * 1_024  # what a map has beyond what is used, so that it has to grow at once
GROWN_BYTES_MAX = 1 << 36
UNEXPECTED = 70  # the exit code of a writer that met something else than its end
CALLERS = 20  # coroutines at once
BATCH_TASKS_MAX = 60


def say(*lines: str) -> None:
    """Say lines, each in one piece."""
    for line in lines:
        told = f"{line}\n".encode()
        assert len(told) <= LINE_BYTES_MAX
        os.write(SAY, told)


def acknowledge(record: TaskRecord) -> None:
    """Say what an answer said."""
    say(f"a {record.task_id} {record.version} {record.position} {record.status}")


def open_tight(folder: Path) -> tuple[House, DiskLog, Views]:
    """Open a ledger as its owner, with maps that are nearly full and few actors in memory."""

    def map_bytes(part: Path) -> int:
        data = part / "data.mdb"
        return (data.stat().st_size if data.exists() else 0) + ROOM_BYTES

    Readings.prepare(folder)
    lock = OwnerLock.take(folder, this_process(system_clock()))
    log = DiskLog.open(folder / "log", map_bytes=map_bytes(folder / "log"))
    views = Views.open(folder / "views", log, map_bytes=map_bytes(folder / "views"))
    settings = Config(actors=Actors(live=50))
    readings = Readings(log, views, rules=due_rules(settings), folder=folder)
    house = assemble(readings, readings.followers(), settings, clock=system_clock, actor="writer", lock=lock)
    return house, log, views


LAST_WORDS: tuple[Callable[[Task], TaskRecord], ...] = (
    lambda task: task.succeed("done"),
    lambda task: task.fail("it broke"),
    lambda task: task.cancel("enough", wait_ms=0),
    lambda task: task.hold("evidence"),
    lambda task: task.settle("lost", "by hand"),
)


class Writer:
    """One life of an owner: what its threads do until it is killed, or closes."""

    def __init__(self, folder: Path, seed: str) -> None:
        self.house, self.log, self.views = open_tight(folder)
        self.ledger = Ledger(self.house)
        self.seed = seed

    def creation(self, chance: random.Random) -> dict[str, Any]:
        """Return what is said of some task; a few of them are said again and again, in every life."""
        given: dict[str, Any] = {"runtime": "cli", "task": "x" * chance.choice((3, 300, 3_000)), "owner": "o"}
        if chance.random() < 0.3:
            number = chance.randrange(40)
            given |= {"task": f"Run {number}", "run_id": f"run-{number}"}
        elif chance.random() < 0.1:
            given["idempotency_key"] = f"key-{chance.randrange(10)}"
        return given

    def threads(self, chance: random.Random) -> None:
        """Write one by one; what was left by an earlier life goes on, too."""
        left = iter(self.ledger.list(status="running", limit=20).tasks)
        while True:
            record = next(left, None)
            task = self.ledger.create(**self.creation(chance)) if record is None else self.ledger.get(record.task_id)
            acknowledge(task.record)
            with suppress(Refused):
                acknowledge(task.start())
                for number in range(chance.randrange(4)):
                    acknowledge(task.progress(f"step {number}", force=chance.random() < 0.5, tool="x"))
                acknowledge(chance.choice(LAST_WORDS)(task))

    def batches(self, chance: random.Random) -> None:
        """Write in batches; when the block was left, everything that was not refused is acknowledged."""
        while True:
            given = []
            try:
                with self.ledger.batch() as batch:
                    for _ in range(chance.randrange(1, BATCH_TASKS_MAX)):
                        task = batch.create(runtime="subagent", task="Count", owner="o")
                        task.start()
                        task.progress("reading", force=True)
                        if chance.random() < 0.5:
                            task.succeed()
                            given.append((task.id, 4, "succeeded"))
                            task.fail("late")  # refused, and kept
                        else:
                            given.append((task.id, 3, "running"))
            except BatchFailed as failed:
                assert {Refused} == {type(error) for _place, error in failed.refusals}  # noqa: PT017 - no test
            say(*(f"a {task_id} {version} 0 {status}" for task_id, version, status in given))

    def coroutines(self, chance: random.Random) -> None:
        """Write from many coroutines at once."""

        async def caller(ledger: AsyncLedger) -> None:
            while True:
                task = await ledger.create(**self.creation(chance))
                acknowledge(task.record)
                with suppress(Refused):
                    acknowledge(await task.start())
                    acknowledge(await task.succeed("done"))

        async def main() -> None:
            ledger = await AsyncLedger(lambda _loop: self.house).__aenter__()
            await asyncio.gather(*(caller(ledger) for _ in range(CALLERS)))

        asyncio.run(main())

    def reads(self, chance: random.Random) -> None:
        """Ask, so that there are readers when the end comes."""
        while True:
            self.ledger.list(limit=chance.randrange(1, 100), owner="o")
            self.ledger.counts()
            for _event in self.ledger.events(max(self.log.head() - 50, 0)):
                pass

    def grows(self, chance: random.Random) -> None:
        """Let both maps grow, again and again, under everybody's hands."""
        while True:
            for environment in (self.log.environment, self.views.environment):
                if environment.info().map_bytes < GROWN_BYTES_MAX:
                    say("m grow")
                    environment.grow()
            if chance.random() < 0.5:
                self.ledger.counts()

    def archives(self, chance: random.Random) -> None:
        """Move what was written into small segments of the archive, as soon as there is enough for one."""
        sealing = Sealing(self.log, segment_events=256 * chance.randrange(1, 3))
        while True:
            while sealing.due(1 << 50, 0) is not None:
                while sealing.step():
                    pass
                say("m archived")
            self.ledger.counts()

    def rebuilds(self, chance: random.Random) -> None:
        """Fold the read models anew, again and again, beside the ones that are written.

        In slices that are large enough to overtake the writers on a busy machine.
        """
        while True:
            say("m rebuild")
            rebuild(self.views, self.log, slice_events=chance.choice((256, 1_024, 4_096)))


MODES: dict[str, tuple[Callable[[Writer, random.Random], None], ...]] = {
    "threads": (Writer.threads, Writer.threads, Writer.threads, Writer.reads),
    "batches": (Writer.batches, Writer.batches, Writer.reads),
    "coroutines": (Writer.coroutines, Writer.reads),
    "all": (Writer.threads, Writer.batches, Writer.coroutines, Writer.reads),
    "grow": (Writer.threads, Writer.batches, Writer.reads, Writer.grows),
    "rebuild": (Writer.threads, Writer.batches, Writer.reads, Writer.rebuilds),
    "archive": (Writer.threads, Writer.batches, Writer.reads, Writer.archives),
    "open": (),
}


def main(folder: Path, mode: str, seed: str) -> None:
    """Live one life. Only the mode "close" has an end of its own."""
    sys.stdin.readline()
    say("m open")
    writer = Writer(folder, seed)
    closing = threading.Event()

    def work(do: Callable[[Writer, random.Random], None], number: int) -> None:
        try:
            with suppress(Closed):
                do(writer, random.Random(f"{seed} {number}"))
        except BaseException:
            if not closing.is_set():
                traceback.print_exc()
                os._exit(UNEXPECTED)
            raise

    jobs = MODES["all" if mode == "close" else mode]
    for number, job in enumerate(jobs):
        threading.Thread(target=work, args=(job, number), daemon=True).start()
    if not jobs:
        acknowledge(writer.ledger.create(runtime="cli", task="x", owner="o").record)
    sys.stdin.readline()
    if mode == "close":
        closing.set()
        say("m close")
        writer.ledger.close()
        say("m closed")
    sys.stdin.readline()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
