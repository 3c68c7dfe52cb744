"""Ten processes write at once while their owners are killed: every command that was answered is in the log once."""

import os
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import tallystick
from tallystick.owner import live_owner
from tests.face.parts import PATIENCE_S, Process

WRITERS = 10
ROUNDS = 40
KILLS = 6
SHARE = WRITERS * ROUNDS * 5 // (3 * KILLS)  # so that those who are left write more than there are kills for

WRITER = """
    import sys
    import tallystick
    folder, name = sys.argv[1:3]
    with tallystick.join(folder, actor=name) as ledger:
        for number in range(int(sys.argv[3])):
            task = ledger.create(runtime="cli", task=f"{name}.{number}", owner="o")
            print(f"{name}.{number}", flush=True)
            for step in "ab":
                task.progress(f"{name}.{number}.{step}", force=True)
                print(f"{name}.{number}.{step}", flush=True)
            task.succeed(f"{name}.{number}.end")
            print(f"{name}.{number}.end", flush=True)
"""

GATEWAY = """
    import sys
    import tallystick
    with tallystick.open(sys.argv[1], actor="gateway"):
        print("open", flush=True)
        sys.stdin.readline()
"""


class Crowd:
    """The writers, and what each was answered."""

    def __init__(self, folder: Path, heard: Path) -> None:
        self.files = [heard / f"{number}" for number in range(WRITERS)]
        self.processes = []
        for number, file in enumerate(self.files):
            words = [sys.executable, "-c", textwrap.dedent(WRITER), str(folder), f"w{number}", str(ROUNDS)]
            with file.open("w") as out:
                self.processes.append(subprocess.Popen(words, stdout=out))

    def answered(self) -> list[str]:
        """Every command that was answered, by its text; a line that was cut off in the middle was not said."""
        return [line for file in self.files for line in file.read_text().split("\n")[:-1]]


def commands(folder: Path) -> list[str]:
    """Every command that is in the log, by its text; what owners conclude by themselves has none."""
    with tallystick.open(folder, read_only=True) as reader:
        assert reader.verify().ok
        texts = [
            getattr(event.data, name, None) for event in reader.events() for name in ("task", "message", "summary")
        ]
    return [text for text in texts if text]


def kills(folder: Path) -> Iterator[int]:
    """Kill whoever owns the ledger each time that so much more was written; yields the process id."""
    with tallystick.open(folder, read_only=True) as reader, reader.subscribe() as events:
        due = SHARE
        for event in events:
            owner = live_owner(folder) if event.position >= due else None
            if owner is None:
                continue
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(owner.pid, signal.SIGKILL)
                due = event.position + SHARE
                yield owner.pid
            if due > KILLS * SHARE:
                return


@pytest.mark.slow
def test_every_command_that_was_answered_is_in_the_log_once_whoever_is_killed(tmp_path: Path) -> None:
    folder, heard = tmp_path / "ledger", tmp_path / "heard"
    heard.mkdir()
    killed: list[int] = []
    gateway = Process(GATEWAY, folder)
    with gateway:
        assert "open" == gateway.hear()
        crowd = Crowd(folder, heard)
        for pid in kills(folder):
            killed.append(pid)
            if pid == gateway.pid and len(killed) < KILLS // 2:
                gateway.__exit__()
                gateway = Process(GATEWAY, folder)
                gateway.hear()
        codes = [process.wait(PATIENCE_S) for process in crowd.processes]
        gateway.__exit__()
    answered, written = Counter(crowd.answered()), Counter(commands(folder))
    victims = {process.pid for process in crowd.processes} & set(killed)

    assert len(killed) >= KILLS // 2
    assert codes.count(-signal.SIGKILL) == len(victims)
    assert codes.count(0) == WRITERS - len(victims)
    assert {1} == set(written.values())
    assert answered.keys() <= written.keys()
    assert len(written.keys() - answered.keys()) <= len(victims)  # one that was on its way when it was killed
    assert {1} == set(answered.values())
