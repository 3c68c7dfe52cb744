"""Whenever a caretaker is killed nothing is closed twice, nothing is forgotten, and what is not known is said.

`CRASH_KILLS=500 pytest tests/crash -k caretakers` kills that many; `CRASH_SEED` chooses other moments.
"""

import os
import random
import select
import signal
from collections import Counter
from pathlib import Path

import pytest

import tallystick
from tallystick import Delivery, Ledger, OpenResource, Receipt
from tallystick.ledger.evolve import fold
from tallystick.ledger.facts.deliveries import DeliveryQueued, DeliveryReleased, DeliveryWithheld
from tallystick.ledger.facts.resources import TaskCleanedUp, TaskCleanupBegun
from tests.probes.parts import running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0 if "CRASH_KILLS" in os.environ else 120)]

KILLS = int(os.environ.get("CRASH_KILLS", "12"))
SEED = os.environ.get("CRASH_SEED", "tally")
LIFE_US_MAX = 60_000
US_PER_S = 1_000_000

CLOSING = """
import sys, threading, tallystick
def close(resource):
    print("closing", flush=True)
    threading.Event().wait()
ledger = tallystick.open(sys.argv[1])
ledger.closer("tab", close)
task = ledger.create(runtime="subagent", task="x", owner="o", notify="silent", run_id="run")
task.opened("tab", "one")
task.succeed("42")
threading.Event().wait()
"""

LIFE = """
import itertools, sys, tallystick
ledger = tallystick.open(sys.argv[1])
closed = open(sys.argv[2], "a", buffering=1)
ledger.channel("chat", lambda delivery: tallystick.Receipt())
ledger.closer("tab", lambda resource: closed.write(f"{resource.task_id} {resource.name}\\n"))
print("ready", flush=True)
for number in itertools.count():
    own = f"agent:main:cron:{sys.argv[3]}:{number}"
    run = ledger.create(runtime="cron", task="x", owner="o", origin={"channel": "chat", "to": 1},
        child_session=own, notify="done_only")
    run.start()
    run.opened("tab", "one")
    child = ledger.create(runtime="subagent", task="y", owner=own, notify="silent")
    child.start()
    ledger.session(own).opened("tab", "two")
    run.succeed("on it")
    child.succeed(f"output {number}")
"""


def test_what_was_being_closed_when_its_owner_was_killed_is_not_closed_again_and_not_called_closed(
    tmp_path: Path,
) -> None:
    with running(CLOSING, tmp_path / "ledger") as process:
        assert "closing" == process.first_line
        process.send_signal(signal.SIGKILL)
        process.wait()
    again: list[OpenResource] = []
    with tallystick.open(tmp_path / "ledger") as ledger:
        ledger.closer("tab", again.append)
        ledger.sweep()
        task = ledger.find("run")

        [outcome] = [event.data for event in ledger.timeline(task.id) if isinstance(event.data, TaskCleanedUp)]
        assert "interrupted" in (outcome.failed or {})["tab one"]
        assert ((), "succeeded", "42") == (task.record.resources, task.status, task.record.terminal_summary)
    assert [] == again


def test_every_run_is_told_and_cleaned_up_once_whenever_its_owner_is_killed(tmp_path: Path) -> None:
    chance = random.Random(f"{SEED} caretakers")
    folder, closed = tmp_path / "ledger", tmp_path / "closed"
    for number in range(KILLS):
        with running(LIFE, folder, closed, number) as process:
            watched = os.pidfd_open(process.pid)
            select.select([watched], [], [], chance.randrange(LIFE_US_MAX) / US_PER_S)
            os.close(watched)
            process.send_signal(signal.SIGKILL)
            process.wait()
    texts: list[str] = []

    def receive(delivery: Delivery) -> Receipt:
        texts.append(delivery.text)
        return Receipt()

    with tallystick.open(folder) as ledger:
        ledger.channel("chat", receive)
        ledger.closer("tab", lambda resource: note(closed, resource))
        for status in ("queued", "running"):
            for record in ledger.list(status=status, limit=100).tasks:
                ledger.get(record.task_id).succeed("in another life")
        ledger.sweep()
        ledger.settled()
        for record in ledger.list(limit=10_000).tasks:
            check(ledger, record.task_id)
        assert 0 == ledger.status().outbox.withheld
    calls = Counter(closed.read_text("utf-8").splitlines())
    assert 1 >= max(calls.values(), default=0)


def note(closed: Path, resource: OpenResource) -> None:
    with closed.open("a", encoding="utf-8") as file:
        file.write(f"{resource.task_id} {resource.name}\n")


def check(ledger: Ledger, task_id: str) -> None:
    """Hold one task to what its history must be."""
    events = ledger.timeline(task_id)
    counts = Counter(type(event.data) for event in events)
    assert counts[TaskCleanupBegun] == counts[TaskCleanedUp] <= 1
    assert counts[DeliveryWithheld] == counts[DeliveryReleased] == counts[DeliveryQueued] <= 1
    record = ledger.get(task_id).record
    assert fold(events) == record
    assert () == record.resources
    if record.status == "succeeded" and record.runtime == "cron":
        assert "delivered" == record.delivery_status
