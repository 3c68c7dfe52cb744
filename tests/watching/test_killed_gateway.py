"""A gateway that was killed: what ran in it is settled when the ledger is opened again, once, and nothing else is."""

import itertools
import os
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import tallystick
from tallystick import Config
from tallystick.ledger.facts.deliveries import DeliveryQueued
from tallystick.ledger.facts.tasks import TaskLost
from tests.watching.conftest import OWNER

TASKS = 10_000

GATEWAY = textwrap.dedent("""
    import subprocess, sys
    import tallystick
    from tallystick.probes.process import backing_of, own_backing

    folder, tasks = sys.argv[1], int(sys.argv[2])
    child = subprocess.Popen(["sleep", "600"], process_group=0, stdout=subprocess.DEVNULL)
    ledger = tallystick.open(folder)
    with ledger.batch() as batch:
        for number in range(tasks):
            batch.create(runtime="subagent", task=f"work {number}", owner="agent:main").start(backing=own_backing())
    outlives = ledger.create(runtime="cli", task="sleep 600", owner="agent:main")
    outlives.start(backing=backing_of(child.pid, group=child.pid))
    nothing_said = ledger.create(runtime="acp", task="a session", owner="agent:main")
    nothing_said.start()
    print(outlives.id, nothing_said.id, child.pid, flush=True)
    sys.stdin.read()
""")


@pytest.mark.slow
def test_no_task_stays_running_that_is_not_and_the_second_opening_writes_nothing(folder: Path) -> None:
    gateway = subprocess.Popen(
        [sys.executable, "-c", GATEWAY, str(folder), str(TASKS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert gateway.stdout is not None
    outlives, nothing_said, child = gateway.stdout.readline().split()
    gateway.kill()
    gateway.communicate()
    try:
        began = time.monotonic()
        with tallystick.open(folder) as ledger:
            opened_s = time.monotonic() - began
            ledger.sweep()
            counts = ledger.counts()
            running = {record.task_id for record in ledger.list(status="running").tasks}
            head = ledger.status().head
            missed = ledger.get(nothing_said).record.backing_missed_at
            some = ledger.list(status="lost", limit=1).tasks[0]
            lost, message = (event.data for event in ledger.timeline(some.task_id)[-2:])
        with tallystick.open(folder) as ledger:
            ledger.sweep()
            second_head = ledger.status().head
    finally:
        os.killpg(int(child), 9)

    assert (TASKS, {outlives, nothing_said}) == (counts.by_status["lost"], running)
    assert missed is not None, "nobody can tell: its grace has begun"
    assert isinstance(lost, TaskLost)
    assert ("proved dead", gateway.pid) == (lost.rule, lost.evidence["pid"])
    assert isinstance(message, DeliveryQueued)
    assert ("terminal:lost:default", "agent:main") == (message.delivery, message.session)
    assert f"Background task lost: {some.task}. {some.error}" == message.text
    assert head == second_head
    assert opened_s < 5, "a bound for the slowest machine; the bench has the figure"


def test_a_task_whose_process_is_gone_is_lost_as_soon_as_the_ledger_is_open(folder: Path) -> None:
    with tallystick.open(folder) as ledger:
        task = ledger.create(runtime="cli", task="work", owner=OWNER)
        gone = subprocess.Popen(["true"])
        gone.wait()
        task.start(backing={"pid": gone.pid, "started": 1_790_000_000_000})

    with tallystick.open(folder) as ledger:
        assert "lost" == ledger.get(task.id).status


@pytest.mark.slow
def test_tasks_of_the_dead_are_settled_although_the_read_models_have_to_be_made_anew_first(folder: Path) -> None:
    tasks = 7_000
    gone = subprocess.Popen(["true"])
    gone.wait()
    with tallystick.open(folder) as ledger, ledger.batch() as batch:
        for _ in range(tasks):
            task = batch.create(runtime="cli", task="work", owner=OWNER)
            task.start(backing={"pid": gone.pid, "started": 1_790_000_000_000})
            task.progress("a step", force=True)
    shutil.rmtree(folder / "views")

    with tallystick.open(folder, config=Config(sweep={"first": 20, "interval": 50})) as ledger:
        with ledger.subscribe() as events:
            lost = itertools.islice((event for event in events if event.type == "task-lost.1"), tasks)
            assert tasks == len({event.task_id for event in lost})
        assert tasks == ledger.counts().by_status["lost"]
