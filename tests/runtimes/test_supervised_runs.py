"""Runs under a ledger's supervision: what the history knows is recorded, what nobody knows is lost."""

from datetime import UTC
from pathlib import Path

import pytest
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED, EVENT_JOB_SUBMITTED
from apscheduler.schedulers.background import BackgroundScheduler

import tallystick
from tallystick.ledger.limits import GRACE_MS
from tallystick.ledger.redaction import REDACTED
from tallystick.ledger.verdict import Finding
from tallystick.runtimes.apscheduler import RecordedScheduler
from tallystick.testing import HandClock
from tests.face.parts import PATIENCE_S, Process
from tests.redacting.parts import SECRET, named
from tests.runtimes.cron import Long, Told, background, runs, story


def test_an_end_that_the_ledger_did_not_hear_is_recorded_from_the_history(tmp_path: Path) -> None:
    long = Long()
    with tallystick.open(tmp_path / "ledger") as ledger, background() as scheduler:
        with RecordedScheduler(scheduler, ledger, history=tmp_path / "runs") as recorded:
            told = Told(scheduler)
            scheduler.add_job(long, id="long")
            scheduler.start()
            assert long.began.wait(PATIENCE_S)
            told.wait(EVENT_JOB_SUBMITTED)
            recorded.settled()
            [run] = runs(ledger)
            ledger.close()
            long.may_end.set()
            told.wait(EVENT_JOB_EXECUTED)
        in_memory = recorded.probe(run)

    with (
        tallystick.open(tmp_path / "ledger", clock=HandClock(run.created_at)) as ledger,
        background() as scheduler,
        RecordedScheduler(scheduler, ledger, history=tmp_path / "runs").install() as recorded,
    ):
        found = recorded.probe(run)
        ledger.sweep()
        task = ledger.get(run.task_id)

    assert in_memory == found
    assert Finding.ENDED is found.finding
    assert ("succeeded", "at last", found.ended_at) == (
        task.status,
        task.record.terminal_summary,
        task.record.ended_at,
    )


def test_what_a_hook_names_is_in_no_history_and_the_event_has_its_mark(tmp_path: Path) -> None:
    def fails() -> None:
        raise ValueError(f"401 {SECRET}")

    with (
        tallystick.open(tmp_path / "ledger", redact_stored=named) as ledger,
        background() as scheduler,
        RecordedScheduler(scheduler, ledger, history=tmp_path / "runs") as recorded,
    ):
        told = Told(scheduler)
        scheduler.add_job(fails, id="fails")
        scheduler.start()
        told.wait(EVENT_JOB_ERROR)
        recorded.settled()
        [run] = runs(ledger)
        marks = [event.data.redacted for event in ledger.timeline(run.task_id) if event.data.redacted]

    assert run.error is not None
    assert f"401 {REDACTED}" in run.error
    assert [("error",)] == marks
    assert not any(SECRET.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


KILLED = """
    import pathlib, sys, threading
    import tallystick
    from apscheduler.schedulers.background import BackgroundScheduler
    from tallystick.runtimes.apscheduler import RecordedScheduler

    may_end, ended = threading.Event(), threading.Event()

    def backup():
        may_end.wait()
        raise ConnectionError("the store is gone")

    def waits():
        threading.Event().wait()

    ledger = tallystick.open(sys.argv[1] + "/ledger")
    scheduler = BackgroundScheduler(timezone="UTC")
    recorded = RecordedScheduler(scheduler, ledger, history=sys.argv[1] + "/runs")
    scheduler.add_listener(lambda event: ended.set(), 2**13)
    announced = threading.Semaphore(0)
    scheduler.add_listener(lambda event: announced.release(), 2**15)
    scheduler.add_job(backup, id="backup")
    scheduler.add_job(waits, id="waits")
    scheduler.start()
    announced.acquire(), announced.acquire()
    recorded.settled()
    stopped = threading.Event()

    def stop(position):
        stopped.set()
        threading.Event().wait()

    with ledger.batch() as batch:
        ledger._house.facts().listen(stop)
        batch.create(runtime="cli", task="the last that it writes", owner="o")
        stopped.wait()  # it never writes again
        may_end.set()
        ended.wait()
        while not pathlib.Path(sys.argv[1] + "/runs/runs.ndjson").read_bytes().endswith(b"\\n"):
            pass
        print("ended", flush=True)
"""


def test_what_a_killed_process_had_ended_is_recovered_and_the_rest_of_its_runs_is_lost(tmp_path: Path) -> None:
    with Process(KILLED, tmp_path) as gateway:
        assert "ended" == gateway.hear()
        gateway.kill()

    with (
        tallystick.open(tmp_path / "ledger") as ledger,
        background() as scheduler,
        RecordedScheduler(scheduler, ledger, history=tmp_path / "runs").install(),
    ):
        ledger.sweep()
        by_job = {run.source_id: run for run in runs(ledger)}
        told = {job: story(ledger, run) for job, run in by_job.items()}

    assert ("failed", "lost") == (by_job["backup"].status, by_job["waits"].status)
    assert (by_job["backup"].error or "").startswith("ConnectionError: the store is gone\n")
    assert {
        "backup": ["created", "started", "lost", "recovered"],
        "waits": ["created", "started", "lost"],
    } == told


def test_a_run_that_nobody_has_is_lost_when_its_grace_is_over(tmp_path: Path) -> None:
    clock, scheduler = HandClock(), BackgroundScheduler(timezone=UTC)
    with tallystick.open(tmp_path, clock=clock) as ledger, RecordedScheduler(scheduler, ledger).install():
        task = ledger.create(runtime="cron", task="backup", run_id="b@1", metadata={"scheduler": "apscheduler"})
        task.start()
        ledger.sweep()
        clock.advance(GRACE_MS)
        ledger.sweep()
        record = ledger.get(task.id).record
        told = story(ledger, record)

    assert ("lost", ["created", "started", "backing-missed", "lost"]) == (record.status, told)


@pytest.mark.parametrize("has_history", [True, False])
def test_a_run_that_is_at_work_is_left_alone(tmp_path: Path, *, has_history: bool) -> None:
    clock, long = HandClock(), Long()
    history = tmp_path / "runs" if has_history else None
    with tallystick.open(tmp_path / "ledger", clock=clock) as ledger, background() as scheduler:
        with RecordedScheduler(scheduler, ledger, history=history).install() as recorded:
            told = Told(scheduler)
            scheduler.add_job(long)
            scheduler.start()
            assert long.began.wait(PATIENCE_S)
            told.wait(EVENT_JOB_SUBMITTED)
            recorded.settled()
            for _ in range(3):
                ledger.sweep()
                clock.advance(GRACE_MS)
            long.may_end.set()
            told.wait(EVENT_JOB_EXECUTED)
            scheduler.shutdown()
        assert [["created", "started", "succeeded"]] == [story(ledger, run) for run in runs(ledger)]
