"""Whenever an import is killed, the ledger opens, has the whole log or no event, and the next import makes it.

`CRASH_KILLS=500 pytest tests/crash/test_killed_imports.py` kills that many; `CRASH_SEED` chooses other moments.
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
from tests.exports.parts import fill, make_openclaw, task

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0 if "CRASH_KILLS" in os.environ else 120)]

KILLS = int(os.environ.get("CRASH_KILLS", "8"))
SEED = os.environ.get("CRASH_SEED", "tally")
EVENTS = 4_000
ROWS = 1_000
PATIENCE_S = 60.0

# Says that it is about to begin, so that the moments of the kills are spread over the work and not over the imports.
REBUILD = """
import sys
from pathlib import Path
from tallystick.imports.rebuild import rebuild
print("begins", flush=True)
rebuild(Path(sys.argv[1]), Path(sys.argv[2]), now=0)
"""
TAKE = """
import sys
import tallystick
with tallystick.join(sys.argv[2]) as ledger:
    print("begins", flush=True)
    ledger.import_openclaw(sys.argv[1])
"""


def begun(script: str, *paths: Path) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen([sys.executable, "-c", script, *paths], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert b"begins\n" == process.stdout.readline()
    return process


def whole(script: str, *paths: Path) -> float:
    """Run it to its end; returns what that took."""
    with begun(script, *paths) as process:
        began = time.perf_counter()
        assert 0 == process.wait(PATIENCE_S)
    return time.perf_counter() - began


def killed(chance: random.Random, takes_s: float, script: str, *paths: Path) -> None:
    with begun(script, *paths) as process:
        until = time.perf_counter() + chance.uniform(0, takes_s)
        while time.perf_counter() < until:
            pass
        process.kill()


def test_an_export_is_imported_as_a_whole_or_not_at_all_whenever_that_is_killed(tmp_path: Path) -> None:
    chance, export, ledger = random.Random(SEED), tmp_path / "export", tmp_path / "ledger"
    with tallystick.open(tmp_path / "first") as first:
        with first.batch() as batch:
            for _ in range(EVENTS // 2):
                batch.create(runtime="cli", task="x" * 100, owner="o", notify="silent").start()
        root = first.export("ndjson", export).root_hash
    takes_s = whole(REBUILD, export, ledger)
    heads = set()
    for number in range(KILLS):
        shutil.rmtree(ledger)
        if number % 2:  # into one that is there and empty
            tallystick.open(ledger).close()
        killed(chance, takes_s, REBUILD, export, ledger)
        with tallystick.open(ledger) as opened:
            found = opened.verify()
            heads.add(found.head)
            assert found.ok
            assert found.head in (0, EVENTS)
        if not found.head:
            whole(REBUILD, export, ledger)
        with tallystick.open(ledger, read_only=True) as opened:
            assert (root, EVENTS) == (opened.verify().root_hash, opened.verify().head)
        assert [] == list(ledger.glob("log.*"))
    assert 0 in heads


def test_rows_of_openclaw_are_imported_once_however_often_that_is_killed(tmp_path: Path) -> None:
    chance, database = random.Random(SEED), tmp_path / "openclaw.sqlite"
    make_openclaw(database)
    fill(database, "task_runs", *(task(str(number)) for number in range(ROWS)))
    takes_s = whole(TAKE, database, tmp_path / "measured")
    ledger = tmp_path / "ledger"
    for _ in range(KILLS):
        killed(chance, takes_s / 4, TAKE, database, ledger)
        with tallystick.open(ledger, read_only=True) as opened:
            assert opened.verify().ok

    whole(TAKE, database, ledger)

    with tallystick.open(ledger, read_only=True) as opened:
        assert (ROWS, 4 * ROWS) == (opened.counts().by_status["succeeded"], opened.verify().head)
        assert {"delivered"} == {record.delivery_status.value for record in opened.list(limit=ROWS).tasks}
