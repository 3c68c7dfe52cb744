"""Cancel has two steps: what was asked for is recorded, then what was really stopped; and a real end outranks both."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import tallystick
from tallystick import Config, Stopped, TaskRecord
from tallystick.ledger.errors import InvalidInput, Refused
from tallystick.ledger.facts.tasks import TaskCancelled, TaskCancelRequested
from tallystick.probes.process import backing_of
from tallystick.sync import Ledger
from tallystick.task import Task
from tallystick.testing import HandClock
from tests.watching.conftest import OWNER

STUBBORN = "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); signal.pause()"


def running(ledger: Ledger, runtime: str = "acp", **given: Any) -> Task:
    task = ledger.create(runtime=runtime, task="work", owner=OWNER, notify="silent", **given)
    task.start()
    return task


@contextmanager
def a_process(*words: str) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(words, stdout=subprocess.PIPE, process_group=0)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_a_canceller_stops_the_work_and_the_task_says_what_was_stopped(ledger: Ledger) -> None:
    seen: list[TaskRecord] = []

    def stop(task: TaskRecord) -> Stopped:
        seen.append(task)
        return Stopped(detail="session 7 was closed")

    ledger.canceller("acp", stop)
    task = running(ledger)

    record = task.cancel("no longer needed")

    requested, cancelled = [event.data for event in ledger.timeline(task.id)[-2:]]
    assert requested == TaskCancelRequested(reason="no longer needed")
    assert cancelled == TaskCancelled(reason="no longer needed", stopped="session 7 was closed")
    assert ("cancelled", True) == (record.status, record.cancel_confirmed)
    assert ["no longer needed"] == [each.cancel_reason for each in seen]


def test_a_canceller_may_be_a_coroutine_function(ledger: Ledger) -> None:
    async def stop(_task: TaskRecord) -> Stopped:
        await asyncio.sleep(0)
        return Stopped(detail="by the loop")

    ledger.canceller("acp", stop)

    assert "by the loop" == running(ledger).cancel().terminal_summary


def test_on_asyncio_it_runs_on_the_embedders_loop(folder: Path) -> None:
    async def scene() -> tuple[bool, str]:
        loops = []

        async def stop(_task: TaskRecord) -> Stopped:
            loops.append(asyncio.get_running_loop())
            return Stopped()

        async with tallystick.open_async(folder) as ledger:
            ledger.canceller("acp", stop)
            task = await ledger.create(runtime="acp", task="work", owner=OWNER)
            await task.start()
            record = await task.cancel()
            return loops == [asyncio.get_running_loop()], record.status

    assert (True, "cancelled") == asyncio.run(scene())


def test_when_nobody_can_stop_it_the_task_is_cancelled_unconfirmed_after_its_time(
    ledger: Ledger, clock: HandClock
) -> None:
    task = running(ledger)
    asked = task.cancel("enough", wait_ms=0)
    clock.advance(29_999)
    ledger.sweep()
    before = ledger.get(task.id).status
    clock.advance(1)

    ledger.sweep()

    record = ledger.get(task.id).record
    assert ("running", "running") == (asked.status, before)
    assert ("cancelled", False, "enough") == (record.status, record.cancel_confirmed, record.cancel_reason)


@pytest.mark.parametrize(
    "answer", [Stopped(confirmed=False, detail="no answer"), OSError("no connection"), "nonsense", None], ids=repr
)
def test_a_canceller_that_fails_leaves_it_to_whoever_runs_the_work(
    ledger: Ledger, clock: HandClock, answer: object
) -> None:
    def stop(_task: TaskRecord) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    ledger.canceller("acp", stop)
    by_itself, never = running(ledger), running(ledger)
    by_itself.cancel(wait_ms=0)
    never.cancel(wait_ms=0)
    ledger.sweep()
    by_itself.cancelled(stopped="I stopped")
    clock.advance(30_000)

    ledger.sweep()

    assert (True, "I stopped") == (
        ledger.get(by_itself.id).record.cancel_confirmed,
        ledger.get(by_itself.id).record.terminal_summary,
    )
    assert ("cancelled", False) == (ledger.get(never.id).status, ledger.get(never.id).record.cancel_confirmed)


def test_a_task_that_ends_in_between_keeps_its_real_outcome_and_cancel_answers_with_it(ledger: Ledger) -> None:
    finished = threading.Event()
    task = running(ledger)

    def stop(record: TaskRecord) -> Stopped:
        ledger.get(record.task_id).succeed("just in time")
        finished.set()
        return Stopped(detail="too late")

    ledger.canceller("acp", stop)

    record = task.cancel()

    assert finished.wait(60)
    assert ("succeeded", "just in time") == (record.status, record.terminal_summary)
    ledger.sweep()
    assert "task-succeeded.1" == ledger.timeline(task.id)[-1].type, "the canceller's answer left no trace"


def test_cancelling_what_has_ended_says_what_it_is(ledger: Ledger) -> None:
    task = running(ledger)
    task.fail("it broke")

    with pytest.raises(Refused, match="is failed: cancel is refused") as refused:
        task.cancel("too late")

    assert "failed" == refused.value.status


def test_a_pending_cancel_survives_a_restart_and_is_tried_again(folder: Path, clock: HandClock) -> None:
    with tallystick.open(folder, clock=clock) as ledger:
        stopped, unstopped = running(ledger), running(ledger, "subagent")
        stopped.cancel("enough", wait_ms=0)
        unstopped.cancel("enough", wait_ms=0)
    clock.advance(3_600_000)

    with tallystick.open(folder, clock=clock) as ledger:
        ledger.canceller("acp", lambda _task: Stopped(detail="after the restart"))
        ledger.sweep()

        record = ledger.get(stopped.id).record
        assert ("cancelled", True, "after the restart") == (
            record.status,
            record.cancel_confirmed,
            record.terminal_summary,
        )
        assert ("cancelled", False) == (
            ledger.get(unstopped.id).status,
            ledger.get(unstopped.id).record.cancel_confirmed,
        )


def test_a_cascade_asks_every_active_task_below_and_leaves_the_others(ledger: Ledger) -> None:
    ledger.canceller("acp", lambda _task: Stopped())
    parent = running(ledger)
    child = running(ledger, parent=parent.id)
    ended = running(ledger, parent=parent.id)
    grandchild = running(ledger, parent=ended.id)
    queued = ledger.create(runtime="cli", task="later", owner=OWNER, parent=child.id)
    stranger = running(ledger)
    ended.succeed()

    parent.cancel("enough", cascade=True)
    ledger.sweep()

    below = [ledger.get(task.id).record for task in (child, grandchild, queued)]
    assert ["cancelled"] * 3 == [record.status for record in below]
    assert f"enough (with its parent {parent.id})" == below[0].cancel_reason
    assert ("succeeded", "running") == (ledger.get(ended.id).status, ledger.get(stranger.id).status)


def test_a_process_group_is_stopped_by_sigterm_and_what_is_left_by_sigkill(folder: Path) -> None:
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {STUBBORN!r}])"
    with (
        tallystick.open(folder, config=Config(cancel={"kill": 200})) as ledger,
        a_process("sleep", "100") as mild,
        a_process(sys.executable, "-c", script) as stubborn,
    ):
        assert stubborn.stdout is not None
        stubborn.stdout.readline()
        records = []
        for process in (mild, stubborn):
            task = ledger.create(runtime="cli", task="work", owner=OWNER)
            task.start(backing=backing_of(process.pid, group=process.pid))
            records.append(task.cancel())

        assert ["cancelled", "cancelled"] == [record.status for record in records]
        assert f"process group {mild.pid}, by SIGTERM" == records[0].terminal_summary
        assert "SIGKILL" in str(records[1].terminal_summary)
        assert (-15, True) == (mild.wait(), stubborn.wait() < 0)


@pytest.mark.parametrize("nonsense", [None, 7, "stop"])
def test_what_cannot_be_called_is_refused_as_a_canceller_and_as_a_probe(ledger: Ledger, nonsense: Any) -> None:
    with pytest.raises(InvalidInput, match="canceller"):
        ledger.canceller("acp", nonsense)
    with pytest.raises(InvalidInput, match="probe"):
        ledger.probe("acp", nonsense)
    with pytest.raises(InvalidInput, match="runtime"):
        ledger.probe("heartbeat", lambda _task: None)  # type: ignore[arg-type, return-value]
