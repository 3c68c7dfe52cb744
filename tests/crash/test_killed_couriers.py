"""Whenever a sender is killed, every message arrives at least once, always the same; and nothing else is lost.

`CRASH_KILLS=5000 pytest tests/crash -k couriers` kills that many; `CRASH_SEED` chooses other moments.
"""

import os
import random
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Self

import msgspec
import pytest

import tallystick
from tallystick import SessionEvent, TaskRecord
from tallystick.ledger.evolve import evolve
from tests.crash.couriers import CHANNEL, SESSIONS, SETTINGS, Life
from tests.crash.lives import Witness
from tests.crash.mail import Log, check_arrivals, check_sessions, failed_messages_wait_in_sessions
from tests.crash.receiver import Chat, Receiver

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0 if "CRASH_KILLS" in os.environ else 120)]

ROOT = Path(__file__).parent.parent.parent
LIVES = 20  # of one ledger
KILLS = int(os.environ.get("CRASH_KILLS", "60"))
SEED = os.environ.get("CRASH_SEED", "tally")

OPENING_US = 25_000  # about what a life takes until it sends
LIFE_US_MAX = 150_000
DOWN_SHARE = 0.15  # of the lives in which the receiver is down
CHECK_SHARE = 0.1  # of the lives after which everything is looked at, and not only after the last
TAKE_MAX = 1_000


class Couriers:
    """The process that forks lives, and what they said."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.crash.couriers"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
        self._end = f"m end {-signal.SIGKILL}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def live(self, life: Life) -> list[str]:
        """Live a life to its end; return what it said."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(life) + b"\n")
        self._process.stdin.flush()
        said = []
        for line in iter(self._process.stdout.readline, b""):
            said.append(line.decode().rstrip("\n"))
            if said[-1].startswith("m "):
                break
        assert self._end == said.pop(), "it ended by itself"
        return said


@pytest.fixture(scope="module")
def couriers() -> Iterator[Couriers]:
    with Couriers() as running:
        yield running


class Postmaster:
    """Knows what lives were answered and what arrived, and holds the ledger to both."""

    def __init__(self, folder: Path, receiver: Receiver) -> None:
        self.folder, self.receiver = folder, receiver
        self._witness = Witness(folder)
        self._taken: defaultdict[str, set[int]] = defaultdict(set)
        self._acknowledged: defaultdict[str, set[int]] = defaultdict(set)

    def hear(self, said: list[str]) -> None:
        """Take note of what a life said."""
        for line in said:
            word, *told = line.split(" ")
            if word in ("t", "k"):
                positions = self._taken if word == "t" else self._acknowledged
                positions[SESSIONS[int(told[0])]].add(int(told[1]))
        self._witness.hear(said)

    def check(self) -> str:
        """Let everything be sent that can be, look at everything; return the figures."""
        self.receiver.is_down = False
        waiting = self._drain()
        self._witness.check()
        with tallystick.open(self.folder, read_only=True) as ledger:
            log = Log(list(ledger.events()))
        mail = check_arrivals(log, self.receiver.arrivals)
        check_sessions(log, waiting, self._taken, self._acknowledged)
        assert failed_messages_wait_in_sessions(log)
        assert self.receiver.duplicates() == mail.duplicates
        return " ".join(f"{name}={getattr(mail, name)}" for name in mail.__struct_fields__)

    def _drain(self) -> dict[str, list[SessionEvent]]:
        """Open the ledger as the next owner would, wait until nothing is left to be sent, and look into sessions."""
        with (
            closing(Chat(self.receiver.port)) as chat,
            tallystick.open(self.folder, config=SETTINGS, actor="gateway") as ledger,
        ):
            ledger.channel(CHANNEL, chat)
            ledger.sweep()
            last = ledger.create(runtime="cli", task="x", owner="o", notify="silent").record
            records: dict[str, TaskRecord] = {}
            unsent: set[str] = set()
            with ledger.subscribe() as events:
                for event in events:
                    record = records[event.task_id] = evolve(records.get(event.task_id), event)
                    is_sent = any(waiting.is_sent for waiting in record.outbox)
                    (unsent.add if is_sent else unsent.discard)(event.task_id)
                    if event.position >= last.position and not unsent:
                        break
            ledger.settled()
            return {session: ledger.session(session).take(TAKE_MAX) for session in SESSIONS}


@pytest.mark.parametrize("number", range(-(-KILLS // LIVES)))
def test_every_message_arrives_always_the_same_whenever_its_sender_is_killed(
    tmp_path: Path, couriers: Couriers, number: int
) -> None:
    chance = random.Random(f"{SEED} couriers {number}")
    with Receiver() as receiver:
        postmaster = Postmaster(tmp_path / "ledger", receiver)
        for count in range(LIVES):
            receiver.is_down = chance.random() < DOWN_SHARE
            after_us = chance.randrange(0 if chance.random() < 0.2 else OPENING_US, LIFE_US_MAX)
            seed = f"{SEED} {number} {count}"
            postmaster.hear(couriers.live(Life(str(postmaster.folder), receiver.port, seed, after_us)))
            if chance.random() < CHECK_SHARE:
                postmaster.check()
        print(f"kills={LIVES}", postmaster.check())  # noqa: T201 - with -s a long run says what it came to
