"""A deadline is the ledger's own promise: it holds after any restart, and whoever can stop the work is called."""

from pathlib import Path

import pytest

import tallystick
from tallystick import Stopped, TaskRecord
from tallystick.ledger.errors import Refused
from tallystick.sync import Ledger
from tallystick.testing import HandClock
from tests.watching.conftest import OWNER, the_event


def begin(ledger: Ledger, timeout_ms: int, runtime: str = "acp") -> str:
    task = ledger.create(runtime=runtime, task="work", owner=OWNER, notify="silent", timeout_ms=timeout_ms)
    task.start()
    return task.id


def test_a_task_times_out_when_its_time_is_over_and_not_before(ledger: Ledger, clock: HandClock) -> None:
    task = begin(ledger, 60_000)
    clock.advance(59_999)
    ledger.sweep()
    before = ledger.get(task).status
    clock.advance(1)

    ledger.sweep()

    record = ledger.get(task).record
    assert ("running", "timed_out") == (before, record.status)
    assert "its time of 60000 ms is over: nobody could stop it" == record.error


def test_the_canceller_is_called_and_what_it_stopped_is_recorded(ledger: Ledger, clock: HandClock) -> None:
    stopped: list[str] = []

    def stop(task: TaskRecord) -> Stopped:
        stopped.append(task.task_id)
        return Stopped(detail="its session was closed")

    ledger.canceller("acp", stop)
    task = begin(ledger, 1_000)
    clock.advance(1_000)

    ledger.sweep()

    assert [task] == stopped
    assert "stopped after 1000 ms: its session was closed" == ledger.get(task).record.error


def test_it_holds_after_a_restart(folder: Path, clock: HandClock) -> None:
    with tallystick.open(folder, clock=clock) as ledger:
        task, other = begin(ledger, 60_000), begin(ledger, 3_600_000)
    clock.advance(60_000)

    with tallystick.open(folder, clock=clock) as ledger:
        ledger.sweep()

        assert ("timed_out", "running") == (ledger.get(task).status, ledger.get(other).status)


def test_what_ended_in_time_is_left_alone(ledger: Ledger, clock: HandClock) -> None:
    task = begin(ledger, 1_000)
    ledger.get(task).succeed()
    clock.advance(1_000)

    ledger.sweep()

    assert "task-succeeded.1" == ledger.timeline(task)[-1].type


def test_time_that_is_over_while_the_work_ends_gives_one_end(ledger: Ledger, clock: HandClock) -> None:
    def stop(task: TaskRecord) -> Stopped:
        ledger.get(task.task_id).succeed("at the last moment")
        return Stopped()

    ledger.canceller("acp", stop)
    task = begin(ledger, 1_000)
    clock.advance(1_000)

    ledger.sweep()

    assert ["task-created.1", "task-started.1", "task-succeeded.1"] == [each.type for each in ledger.timeline(task)]


def test_by_the_systems_clock_it_needs_no_sweep(folder: Path) -> None:
    with tallystick.open(folder) as ledger:
        task = begin(ledger, 50)

        assert task == the_event(ledger, "task-timed-out.1").task_id
        with pytest.raises(Refused, match="is timed_out"):
            ledger.get(task).succeed()
