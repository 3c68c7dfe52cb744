"""Whenever an owner is killed while it prunes or archives, the next one goes on, and nothing is done twice.

`CRASH_KILLS=500 pytest tests/crash -k keepers` kills that many; `CRASH_SEED` chooses other moments.
"""

import os
import random
import select
import signal
from collections import Counter
from pathlib import Path

import pytest

import tallystick
from tallystick.config import Config
from tallystick.ledger.clock import system_clock
from tallystick.ledger.facts.flows import FlowPruned
from tallystick.ledger.facts.tasks import TaskPruned
from tallystick.ledger.limits import ARCHIVE_SEGMENT_EVENTS
from tallystick.sync import Ledger
from tests.probes.parts import running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0 if "CRASH_KILLS" in os.environ else 180)]

KILLS = int(os.environ.get("CRASH_KILLS", "12"))
SEED = os.environ.get("CRASH_SEED", "tally")
PRUNING_US_MAX, ARCHIVING_US_MAX = 600_000, 1_500_000
US_PER_S = 1_000_000
WEEK_MS = 7 * 86_400_000
TASKS, FLOWS = 3_000, 100
IDLE = Config(sweep={"first": WEEK_MS})

KEEPS = """
import sys, threading, tallystick
config = tallystick.Config(sweep={"first": 10, "interval": 10}, retention={"terminal": %s}, archive={"after": %d})
with tallystick.open(sys.argv[1], config=config) as ledger:
    print("ready", flush=True)
    if sys.argv[2] == "hurried":
        ledger.sweep()
    threading.Event().wait()
"""


def old_work(ledger: Ledger, count: int) -> None:
    with ledger.batch() as batch:
        for _ in range(count):
            task = batch.create(runtime="cli", task="x", owner="o", notify="silent")
            task.start()
            task.succeed("done")


def kill(script: str, folder: Path, how: str, after_us: int) -> None:
    with running(script, folder, how) as process:
        watched = os.pidfd_open(process.pid)
        select.select([watched], [], [], after_us / US_PER_S)
        os.close(watched)
        process.send_signal(signal.SIGKILL)
        process.wait()


def test_whenever_it_is_killed_while_it_prunes_everything_is_pruned_once_in_the_end(tmp_path: Path) -> None:
    chance = random.Random(f"{SEED} keepers")
    folder = tmp_path / "ledger"
    with tallystick.open(folder, clock=lambda: system_clock() - 2 * WEEK_MS, config=IDLE) as ledger:
        old_work(ledger, TASKS)
        for _ in range(FLOWS):
            ledger.flows.create(owner="o", goal="x", controller="bot").finish("done")
    with tallystick.open(folder, config=IDLE) as ledger:
        new = ledger.create(runtime="cli", task="x", owner="o", notify="silent")
        new.succeed("done")

    left = [TASKS + 1]
    for _ in range(KILLS):
        kill(KEEPS % (WEEK_MS, WEEK_MS), folder, "paced", chance.randrange(PRUNING_US_MAX))
        with tallystick.open(folder, read_only=True) as ledger:
            left.append(ledger.counts().total)
    with tallystick.open(folder, config=IDLE) as ledger:
        assert sorted(left, reverse=True) == left
        ledger.sweep()
        assert [new.id] == [task.task_id for task in ledger.list().tasks]
        pruned = Counter(event.stream for event in ledger.events() if isinstance(event.data, TaskPruned | FlowPruned))
        assert (TASKS + FLOWS, {1}) == (len(pruned), set(pruned.values()))
        assert ledger.verify().ok
    assert any(1 < each <= TASKS for each in left), f"somebody was killed in the middle: {left}"


def test_whenever_it_is_killed_while_it_archives_the_next_owner_finishes_and_nobody_sees_a_difference(
    tmp_path: Path,
) -> None:
    chance = random.Random(f"{SEED} archiving keepers")
    folder = tmp_path / "ledger"
    with tallystick.open(folder, clock=lambda: system_clock() - 2 * WEEK_MS, config=IDLE) as ledger:
        for _ in range(0, ARCHIVE_SEGMENT_EVENTS, 3 * 2_000):
            old_work(ledger, 2_000)
        known = ledger.verify()

    for number in range(KILLS // 2):
        how = ("paced", "hurried")[number % 2]
        kill(KEEPS % (None, WEEK_MS), folder, how, chance.randrange(ARCHIVING_US_MAX))
        with tallystick.open(folder, read_only=True) as ledger:
            found = ledger.verify()
            assert (known.root_hash, known.head, True) == (found.root_hash, found.head, found.ok)
    kept = Config(sweep={"first": WEEK_MS}, retention={"terminal": None}, archive={"after": WEEK_MS})
    with tallystick.open(folder, config=kept) as ledger:
        ledger.sweep()
        assert [ARCHIVE_SEGMENT_EVENTS] == [segment.last for segment in ledger.archives()]
        found = ledger.verify()
        assert (known.root_hash, True) == (found.root_hash, found.ok)
        assert ["archive"] == [each.name for each in folder.glob("log/archive") if each.is_dir()]
        assert [] == list(folder.glob("log/archive/*.unfinished"))
