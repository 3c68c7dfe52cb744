"""A scheduler with threads: every run of every job is a task, however it ends and however fast it is."""

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from datetime import UTC
from pathlib import Path

import pytest
from apscheduler.events import (
    EVENT_JOB_ERROR,
    EVENT_JOB_EXECUTED,
    EVENT_JOB_MAX_INSTANCES,
    EVENT_JOB_MISSED,
    EVENT_JOB_SUBMITTED,
    JobExecutionEvent,
    JobSubmissionEvent,
)
from apscheduler.schedulers.background import BackgroundScheduler

import tallystick
from tallystick import Ledger
from tallystick.runtimes.apscheduler import RecordedScheduler
from tests.face.parts import PATIENCE_S, at_once
from tests.runtimes.cron import Told, ago, background, runs, story, tell

ENDED_WELL = ["created", "started", "succeeded"]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with tallystick.open(tmp_path / "ledger", actor="gateway") as opened:
        yield opened


@pytest.fixture
def scheduler() -> Iterator[BackgroundScheduler]:
    with background() as made:
        yield made


def backup() -> str:
    return "3 files"


def test_a_run_is_a_system_task_with_the_name_and_the_moment_of_its_job(
    ledger: Ledger, scheduler: BackgroundScheduler
) -> None:
    due = ago()
    with RecordedScheduler(scheduler, ledger):
        told = Told(scheduler)
        scheduler.add_job(backup, "date", run_date=due, id="backup", name="Nightly backup", misfire_grace_time=None)
        scheduler.start()
        told.wait(EVENT_JOB_EXECUTED)
        scheduler.shutdown()

    [run] = runs(ledger)
    assert ("backup", "Nightly backup", f"backup@{due.isoformat()}") == (run.source_id, run.label, run.run_id)
    assert run.task.endswith("test_background_scheduler:backup")
    assert (None, "system", "silent", "not_applicable") == (
        run.owner_key,
        run.scope_kind,
        run.notify_policy,
        run.delivery_status,
    )
    assert ("succeeded", "3 files") == (run.status, run.terminal_summary)
    assert {"scheduler": "apscheduler", "scheduledAt": due.isoformat()} == run.metadata
    assert {"pid", "started"} <= set(run.backing or {})
    assert ENDED_WELL == story(ledger, run)
    assert run.created_at == run.started_at


def test_a_job_that_raises_fails_with_its_text_and_the_place(ledger: Ledger, scheduler: BackgroundScheduler) -> None:
    def import_mails() -> None:
        raise ConnectionError("the mail server is gone \ud800")

    with RecordedScheduler(scheduler, ledger):
        told = Told(scheduler)
        scheduler.add_job(import_mails, id="mails")
        scheduler.start()
        told.wait(EVENT_JOB_ERROR)
        scheduler.shutdown()

    [run] = runs(ledger)
    lines = (run.error or "").splitlines()
    assert ("failed", "ConnectionError: the mail server is gone \ufffd") == (run.status, lines[0])
    assert "in import_mails" in lines[-2]
    assert ["created", "started", "failed"] == story(ledger, run)


def test_a_job_that_was_cancelled_is_cancelled(ledger: Ledger, scheduler: BackgroundScheduler) -> None:
    def waits_for_another() -> None:
        raise CancelledError

    with RecordedScheduler(scheduler, ledger):
        told = Told(scheduler)
        scheduler.add_job(waits_for_another)
        scheduler.start()
        told.wait(EVENT_JOB_ERROR)
        scheduler.shutdown()

    assert ["cancelled"] == [run.status for run in runs(ledger)]


def test_a_run_that_came_too_late_to_begin_has_failed(ledger: Ledger, scheduler: BackgroundScheduler) -> None:
    with RecordedScheduler(scheduler, ledger):
        told = Told(scheduler)
        scheduler.add_job(backup, "date", run_date=ago(3_600), id="late", misfire_grace_time=1)
        scheduler.start()
        told.wait(EVENT_JOB_MISSED)
        scheduler.shutdown()

    [run] = runs(ledger)
    assert ("failed", "missed: it could not begin within its misfire grace time") == (run.status, run.error)


def test_a_run_that_was_one_too_many_has_failed_and_never_started(
    ledger: Ledger, scheduler: BackgroundScheduler
) -> None:
    began, may_end = threading.Event(), threading.Event()

    def long() -> None:
        began.set()
        assert may_end.wait(PATIENCE_S)

    with RecordedScheduler(scheduler, ledger):
        told = Told(scheduler)
        scheduler.add_job(long, "interval", hours=1, id="long", next_run_time=ago(), max_instances=1)
        scheduler.start()
        assert began.wait(PATIENCE_S)
        scheduler.modify_job("long", next_run_time=ago())
        told.wait(EVENT_JOB_MAX_INSTANCES)
        may_end.set()
        told.wait(EVENT_JOB_EXECUTED)
        scheduler.shutdown()

    first, second = runs(ledger)
    assert ("succeeded", "failed") == (first.status, second.status)
    assert "skipped: the job was at work already, as often as it may be at once" == second.error
    assert (["created", "failed"], None) == (story(ledger, second), second.started_at)


@pytest.mark.parametrize(("coalesce", "expected"), [(True, 1), (False, 3)])
def test_what_a_scheduler_makes_up_for_is_a_task_for_each_run_that_it_makes(
    ledger: Ledger, scheduler: BackgroundScheduler, *, coalesce: bool, expected: int
) -> None:
    due = ago(150)
    with RecordedScheduler(scheduler, ledger):
        told = Told(scheduler)
        scheduler.add_job(
            backup, "interval", minutes=1, next_run_time=due, start_date=due, coalesce=coalesce, misfire_grace_time=None
        )
        scheduler.start()
        told.wait(EVENT_JOB_EXECUTED, expected)
        scheduler.shutdown()

    recorded = runs(ledger)
    assert expected == len(recorded) == len({run.run_id for run in recorded})
    assert {"succeeded"} == {run.status for run in recorded}


def test_jobs_that_end_before_they_are_announced_are_created_started_and_ended_in_this_order(
    ledger: Ledger, scheduler: BackgroundScheduler
) -> None:
    count = 200
    due = ago()
    with RecordedScheduler(scheduler, ledger) as recorded:
        told = Told(scheduler)
        for number in range(count):
            scheduler.add_job(backup, "date", run_date=due, id=f"fast-{number}", misfire_grace_time=None)
        scheduler.start()
        told.wait(EVENT_JOB_EXECUTED, count)
        scheduler.shutdown()

    announced = [event.code for event in told.events if event.code in (EVENT_JOB_SUBMITTED, EVENT_JOB_EXECUTED)]
    assert EVENT_JOB_EXECUTED in announced[: announced.index(EVENT_JOB_SUBMITTED)], "the race that this is about"
    assert count == len(runs(ledger))
    assert [ENDED_WELL] * count == [story(ledger, run) for run in runs(ledger)]
    assert 0 == recorded.refusals


def test_an_event_that_is_told_again_changes_nothing(ledger: Ledger, scheduler: BackgroundScheduler) -> None:
    due = ago()
    submitted = JobSubmissionEvent(EVENT_JOB_SUBMITTED, "backup", "default", [due])
    executed = JobExecutionEvent(EVENT_JOB_EXECUTED, "backup", "default", due, retval="first")
    with RecordedScheduler(scheduler, ledger):
        for event in (executed, submitted, submitted, executed):
            tell(scheduler, event)

    [run] = runs(ledger)
    assert ENDED_WELL == story(ledger, run)


@pytest.mark.parametrize("has_history", [True, False])
def test_whatever_order_threads_tell_it_in_a_run_has_the_order_of_its_life(
    ledger: Ledger, scheduler: BackgroundScheduler, tmp_path: Path, *, has_history: bool
) -> None:
    count, due = 300, ago()
    codes = (EVENT_JOB_SUBMITTED, EVENT_JOB_EXECUTED)

    def tell_all(number: int) -> None:
        code = codes[number % 2]
        for run in range(count):
            job = f"job-{run if number < 2 else count - run}"
            if code == EVENT_JOB_SUBMITTED:
                tell(scheduler, JobSubmissionEvent(code, job, "default", [due]))
            else:
                tell(scheduler, JobExecutionEvent(code, job, "default", due))

    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with RecordedScheduler(scheduler, ledger, history=tmp_path / "runs" if has_history else None) as recorded:
            at_once(4, tell_all)
    finally:
        sys.setswitchinterval(usual)

    told = [story(ledger, run) for run in runs(ledger)]
    assert [ENDED_WELL] * (count + 1) == told
    assert (0, ()) == (recorded.refusals, recorded.unrecorded)


def test_two_schedulers_of_one_ledger_keep_their_runs_apart(ledger: Ledger, scheduler: BackgroundScheduler) -> None:
    due = ago()
    executed = JobExecutionEvent(EVENT_JOB_EXECUTED, "backup", "files", due.astimezone(UTC))
    with background() as other, RecordedScheduler(scheduler, ledger), RecordedScheduler(other, ledger, name="other"):
        tell(scheduler, executed)
        tell(other, executed)

    assert [f"files/backup@{due.isoformat()}", f"other/files/backup@{due.isoformat()}"] == [
        run.run_id for run in runs(ledger)
    ]


def test_a_job_may_have_any_id_and_return_anything(ledger: Ledger, scheduler: BackgroundScheduler) -> None:
    odd = type("list", (), {})  # which says that it is a list, and is none

    job_id = "a\nb" * 1_000
    with RecordedScheduler(scheduler, ledger) as recorded:
        told = Told(scheduler)
        scheduler.add_job(odd, id=job_id, name="n" * 5_000)
        scheduler.add_job(list, args=[range(10_000)], id="list")
        scheduler.start()
        told.wait(EVENT_JOB_EXECUTED, 2)
        scheduler.shutdown()

    by_label = {run.label or "": run for run in runs(ledger)}
    assert 0 == recorded.refusals
    assert "[0, 1, 2, 3, 4, 5, ...]" == by_label.pop("list").terminal_summary
    [(label, run)] = by_label.items()
    assert "<list that cannot be shown: TypeError>" == run.terminal_summary
    assert (512, job_id) == (len(label), (run.metadata or {})["jobId"])


def test_after_close_nobody_listens(ledger: Ledger, scheduler: BackgroundScheduler) -> None:
    with RecordedScheduler(scheduler, ledger) as recorded:
        recorded.close()
        told = Told(scheduler)
        scheduler.add_job(backup)
        scheduler.start()
        told.wait(EVENT_JOB_EXECUTED)

    assert [] == runs(ledger)
