"""Whenever a backup is killed, it is there as a whole or not at all, and the next one to the same place is made.

`CRASH_KILLS=500 pytest tests/crash/test_killed_backups.py` kills that many; `CRASH_SEED` chooses other moments.
"""

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tallystick
from tallystick.readings import LOG_FOLDER
from tallystick.unfinished import UNFINISHED

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0 if "CRASH_KILLS" in os.environ else 120)]

KILLS = int(os.environ.get("CRASH_KILLS", "16"))
SEED = os.environ.get("CRASH_SEED", "tally")
EVENTS = 6_000
PATIENCE_S = 60.0

# Says that it is about to begin, so that the moments of the kills are spread over the work and not over the imports.
BACKUP = """
import sys
from pathlib import Path
from tallystick.backup import make
print("begins", flush=True)
make(Path(sys.argv[1]), Path(sys.argv[2]), now=0)
print("done", flush=True)
"""


def begun(ledger: Path, target: Path) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen([sys.executable, "-c", BACKUP, ledger, target], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert b"begins\n" == process.stdout.readline()
    return process


def spin(seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


def test_a_backup_is_whole_or_not_there_whenever_it_is_killed(tmp_path: Path) -> None:
    chance, ledger, target = random.Random(SEED), tmp_path / "ledger", tmp_path / "backup"
    unfinished = target.with_name(target.name + UNFINISHED)
    with tallystick.open(ledger) as opened, opened.batch() as batch:
        for _ in range(EVENTS // 2):
            batch.create(runtime="cli", task="x" * 100, owner="o", notify="silent").start()
    began = time.perf_counter()
    with begun(ledger, target) as process:
        assert 0 == process.wait(PATIENCE_S)
    takes_s = time.perf_counter() - began
    shutil.rmtree(target)
    half = 0
    for _ in range(KILLS):
        with begun(ledger, target) as process:
            spin(chance.uniform(0, takes_s / 2))
            process.kill()
        half += unfinished.exists()
        if target.exists():
            assert not unfinished.exists()
            with tallystick.open(target, read_only=True) as copy:
                assert (True, EVENTS) == (copy.verify().ok, copy.verify().head)
            shutil.rmtree(target)
    assert half

    with begun(ledger, target) as process:
        assert 0 == process.wait(PATIENCE_S)

    assert not unfinished.exists()
    assert (target / LOG_FOLDER).is_dir()
