"""The program whose children are killed while they send: each opens the ledger, works as hard as it can and sends.

Run as `python -m tests.crash.couriers`. It has everything in memory that a life needs, and forks one for each line on
standard input: forking costs a hundredth of starting an interpreter. On standard output lives say, one line each:

    a ID VERSION POSITION STATUS     this was answered; position 0 when the answer did not tell it
    t SESSION POSITION               this was taken from a session, and is about to be acknowledged
    k SESSION POSITION               the acknowledgement was answered
    m end CODE                       the life is over
"""

import gc
import os
import random
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from tallystick import Config, Ledger, Refused, Task
from tallystick import open as open_ledger
from tallystick.probes.process import own_backing
from tests.crash.receiver import Chat
from tests.crash.writer import UNEXPECTED, acknowledge, say

CHANNEL = "chat"
SESSIONS = ("agent:main:main", "agent:main:night", "agent:main:chat:group:-100123")
SETTINGS = Config(outbox={"first": 5, "ceiling": 40})  # lives are short
TARGETS = (("ops", None), (-100123, 77), ("-100123", "77"))
"""Where requests come from: parts that differ in nothing but being numbers."""

BATCH_TASKS_MAX = 20
US_PER_S = 1_000_000


class Life(Struct, frozen=True):
    """What a life is told: which ledger, which receiver, which chances it has, and when it is killed."""

    folder: str
    port: int
    seed: str
    after_us: int


ENDS: tuple[Callable[[Task], Any], ...] = (
    lambda task: task.succeed("three are urgent"),
    lambda task: task.succeed("nobody may write there", outcome="blocked"),
    lambda task: task.fail("it broke"),
    lambda task: task.time_out(),
    lambda task: task.cancel("enough", wait_ms=0),
    lambda task: task.settle("lost", "by hand"),
    lambda task: task.hold("it goes on in another life"),
)


def creation(chance: random.Random) -> dict[str, Any]:
    """Return what is said of some task: with somebody to tell, or only a session."""
    given: dict[str, Any] = {
        "runtime": chance.choice(("subagent", "acp", "cli", "cron")),
        "task": "x" * chance.choice((3, 30, 3_000)),
        "owner": chance.choice(SESSIONS),
        "notify": chance.choice(("done_only", "done_only", "state_changes", "failures_only", "silent")),
    }
    if chance.random() < 0.7:
        to, thread = chance.choice(TARGETS)
        given["origin"] = {"channel": CHANNEL, "to": to, "thread": thread}
    return given


def one_by_one(ledger: Ledger, chance: random.Random) -> None:
    """Live lives, waiting for every answer; what was left by an earlier life goes on, too."""
    left = iter([*ledger.list(status="running", limit=5).tasks, *ledger.list(status="lost", limit=5).tasks])
    while True:
        record = next(left, None)
        task = ledger.create(**creation(chance)) if record is None else ledger.get(record.task_id)
        acknowledge(task.record)
        with suppress(Refused):
            acknowledge(task.start(backing=own_backing() if chance.random() < 0.2 else None))
            if chance.random() < 0.3:
                acknowledge(task.progress("half of them", force=True))
            acknowledge(chance.choice(ENDS)(task))


def in_batches(ledger: Ledger, chance: random.Random) -> None:
    """Live many lives at once."""
    while True:
        given = []
        with ledger.batch() as batch:
            for _ in range(chance.randrange(1, BATCH_TASKS_MAX)):
                task = batch.create(**{**creation(chance), "notify": "done_only"})
                task.start()
                task.succeed("done")
                given.append(task.id)
        say(*(f"a {task_id} 3 0 succeeded" for task_id in given))


def sessions(ledger: Ledger, chance: random.Random) -> None:
    """Take what waits in sessions; and be the operator, who has sent again what nobody wanted."""
    while True:
        number = chance.randrange(len(SESSIONS))
        session = ledger.session(SESSIONS[number])
        taken = session.take(chance.randrange(1, 20))[: chance.randrange(1, 20)]
        say(*(f"t {number} {event.position}" for event in taken))
        if taken:
            session.ack(taken[-1].position)
        say(*(f"k {number} {event.position}" for event in taken))
        stuck = {each.task_id for each in ledger.deliveries(limit=5) if each.status == "failed"}
        if stuck and chance.random() < 0.1:
            with suppress(Refused):
                ledger.retry(*stuck)


def live(life: Life) -> None:
    """Live one life. It has no end of its own."""
    ledger = open_ledger(Path(life.folder), config=SETTINGS, actor="gateway")
    ledger.channel(CHANNEL, Chat(life.port))

    def work(do: Callable[[Ledger, random.Random], None], number: int) -> None:
        try:
            do(ledger, random.Random(f"{life.seed} {number}"))
        except BaseException:  # noqa: BLE001 - whatever it is, it ends this life
            traceback.print_exc()
            os._exit(UNEXPECTED)

    for number, job in enumerate((one_by_one, one_by_one, in_batches, sessions)):
        threading.Thread(target=work, args=(job, number), daemon=True).start()
    threading.Event().wait()


def end(pid: int, after_us: int) -> int:
    """Kill a child so many microseconds from now, if it has not ended by itself; return its exit code."""
    watched = os.pidfd_open(pid)
    select.select([watched], [], [], after_us / US_PER_S)
    os.close(watched)
    os.kill(pid, signal.SIGKILL)  # it was not waited for, so this is nobody else's number
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main() -> None:
    """Fork a life for each line, and end it."""
    gc.freeze()
    read = msgspec.json.Decoder(Life).decode
    while line := sys.stdin.buffer.readline():
        life = read(line)
        pid = os.fork()
        if not pid:
            try:
                live(life)
            except BaseException:  # noqa: BLE001 - whatever it is, it must not come back to the loop
                traceback.print_exc()
            os._exit(UNEXPECTED)
        say(f"m end {end(pid, life.after_us)}")


if __name__ == "__main__":
    main()
