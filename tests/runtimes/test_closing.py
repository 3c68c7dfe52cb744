"""A cron job that spawns a subagent and a helper, all of them real processes: who is waited for, and who is closed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from apscheduler.events import EVENT_JOB_EXECUTED
from apscheduler.schedulers.background import BackgroundScheduler

import tallystick
from tallystick import Delivery, Ledger, NotFound, Receipt
from tallystick.ledger.facts.resources import TaskCleanedUp
from tallystick.run import run_command
from tallystick.runtimes.apscheduler import RecordedScheduler
from tests.probes.parts import PATIENCE_S, WAITS, Running, running
from tests.runtimes.cron import Told, ago, background, runs

OWN = "agent:main:cron:nightly"
SUBAGENT = """
import sys, tallystick
with tallystick.join(sys.argv[1]) as ledger:
    task = ledger.create(
        runtime="subagent", task="Read the mails", owner=sys.argv[2], notify="silent", run_id="subagent"
    )
    task.start()
    print("ready", flush=True)
    input()
    task.succeed("3 mails, none urgent")
    print("done", flush=True)
"""
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + WAITS


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    settings = tallystick.Config(cancel={"kill": 200})
    with tallystick.open(tmp_path / "ledger", actor="gateway", config=settings) as opened:
        yield opened


@pytest.fixture
def scheduler() -> Iterator[BackgroundScheduler]:
    with background() as made:
        yield made


def cleaned(ledger: Ledger, task_id: str) -> list[TaskCleanedUp]:
    return [event.data for event in ledger.timeline(task_id) if isinstance(event.data, TaskCleanedUp)]


def told_of(job_id: str, _run_id: str) -> dict[str, object]:
    return {
        "owner": "agent:main:main",
        "origin": {"channel": "chat", "to": 1},
        "child_session": f"agent:main:cron:{job_id}",
        "notify": "done_only",
    }


def test_a_run_is_told_by_its_subagent_and_its_helper_is_stopped_once_it_completes(
    ledger: Ledger, scheduler: BackgroundScheduler
) -> None:
    texts: list[str] = []

    def receive(delivery: Delivery) -> Receipt:
        texts.append(delivery.text)
        return Receipt()

    with ExitStack() as processes, RecordedScheduler(scheduler, ledger, about=told_of) as recorded:
        ledger.channel("chat", receive)
        started: dict[str, Running] = {}

        def nightly() -> str:
            started["helper"] = processes.enter_context(running(start_new_session=True))
            recorded.opened("nightly", "process", "helper", pid=started["helper"].pid)
            started["subagent"] = processes.enter_context(running(SUBAGENT, ledger.path, OWN))
            return "on it, one subagent spawned"

        told = Told(scheduler)
        scheduler.add_job(nightly, "date", run_date=ago(), id="nightly", name="nightly", misfire_grace_time=None)
        scheduler.start()
        told.wait(EVENT_JOB_EXECUTED)
        recorded.settled()
        ledger.settled()
        [run] = runs(ledger)

        assert -signal.SIGTERM == started["helper"].wait(PATIENCE_S)
        assert [("process helper",)] == [outcome.closed for outcome in cleaned(ledger, run.task_id)]
        assert ("succeeded", "pending", []) == (run.status, run.delivery_status, texts)

        started["subagent"].communicate("go on\n", PATIENCE_S)
        ledger.settled()

    assert ["Background task done: nightly (run nightly@). 3 mails, none urgent"] == [
        text.replace(f"run {run.run_id[:8]}", "run nightly@") for text in texts if run.run_id
    ]
    assert "delivered" == ledger.get(run.task_id).record.delivery_status


def test_a_helper_that_does_not_heed_sigterm_is_killed_with_all_of_its_group(ledger: Ledger) -> None:
    with running(STUBBORN, start_new_session=True) as helper:
        task = ledger.create(runtime="subagent", task="x", owner="o", child_session="agent:child", notify="silent")
        ledger.session("agent:child").opened("process", "helper", pid=helper.pid)
        task.succeed()
        ledger.settled()

        assert -signal.SIGKILL == helper.wait(PATIENCE_S)
        assert ("process helper",) == cleaned(ledger, task.id)[0].closed


def test_a_process_that_has_gone_meanwhile_counts_as_closed_and_nobody_else_is_signalled(ledger: Ledger) -> None:
    task = ledger.create(runtime="subagent", task="x", owner="o", notify="silent")
    with running() as gone:
        task.opened("process", "gone", pid=gone.pid)
    with running() as other:
        known = task.record.resources[0].evidence or {}
        task.opened("process", "of another time", evidence={**known, "pid": other.pid, "group": None})
        task.opened("process", "bare", evidence={"pid": other.pid})
        task.succeed()
        ledger.settled()

        [outcome] = cleaned(ledger, task.id)
        assert {"process gone", "process of another time"} == set(outcome.closed)
        assert ["process bare"] == list(outcome.failed or {})
        assert other.poll() is None


def test_this_very_process_is_never_closed(ledger: Ledger) -> None:
    task = ledger.create(runtime="subagent", task="x", owner="o", notify="silent")
    task.opened("process", "gateway", pid=os.getpid())
    task.succeed()
    ledger.settled()

    assert "does other work, too" in (cleaned(ledger, task.id)[0].failed or {})["process gateway"]


def test_a_command_that_is_run_as_a_task_may_have_helpers_too(ledger: Ledger, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import subprocess, sys, tallystick\n"
        "helper = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE, start_new_session=True)\n"
        "with tallystick.join(sys.argv[1]) as ledger:\n"
        "    [task] = ledger.list(runtime='cli', status='running').tasks\n"
        "    ledger.get(task.task_id).opened('process', 'helper', pid=helper.pid)\n"
        "sys.exit(0)\n",
        "utf-8",
    )
    ran = run_command(ledger, [sys.executable, str(script), ledger.path], owner="agent:main:main")
    ledger.settled()

    assert 0 == ran.exit_code
    assert [("process helper",)] == [outcome.closed for outcome in cleaned(ledger, ran.task.id)]


def test_who_is_not_at_work_opens_nothing(ledger: Ledger, scheduler: BackgroundScheduler) -> None:
    with RecordedScheduler(scheduler, ledger) as recorded, pytest.raises(NotFound, match="No run of this job"):
        recorded.opened("nightly", "browser_tab", "tab-17")


def test_a_program_that_cannot_describe_a_run_does_not_keep_it_from_being_recorded(
    ledger: Ledger, scheduler: BackgroundScheduler
) -> None:
    with RecordedScheduler(scheduler, ledger, about=lambda _job, _run: {"owner": 7}) as recorded:
        told = Told(scheduler)
        scheduler.add_job(subprocess.list2cmdline, "date", run_date=ago(), args=[["x"]], misfire_grace_time=None)
        scheduler.start()
        told.wait(EVENT_JOB_EXECUTED)
        recorded.settled()

    assert ["system"] == [run.scope_kind for run in runs(ledger)]
