"""The probe of a recorded scheduler, and what becomes of ends that the ledger did not take."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

import pytest
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED, EVENT_JOB_SUBMITTED, JobExecutionEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.background import BackgroundScheduler

import tallystick
from tallystick import Ledger
from tallystick.ledger.verdict import Finding
from tallystick.runtimes.apscheduler import RecordedScheduler
from tests.face.parts import PATIENCE_S, Process
from tests.runtimes.cron import Long, Told, ago, background, on_a_loop, runs, tell


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with tallystick.open(tmp_path / "ledger", actor="gateway") as opened:
        yield opened


@pytest.fixture
def scheduler() -> Iterator[BackgroundScheduler]:
    with background() as made:
        yield made


def test_a_run_is_alive_until_it_has_ended_and_its_end_is_recorded(
    ledger: Ledger, scheduler: BackgroundScheduler
) -> None:
    long = Long()
    with RecordedScheduler(scheduler, ledger) as recorded:
        told = Told(scheduler)
        scheduler.add_job(long, id="long")
        scheduler.start()
        assert long.began.wait(PATIENCE_S)
        told.wait(EVENT_JOB_SUBMITTED)
        recorded.settled()
        [run] = runs(ledger)
        alive = recorded.probe(run)
        long.may_end.set()
        told.wait(EVENT_JOB_EXECUTED)
        recorded.settled()
        ended = recorded.probe(run)

    assert (Finding.ALIVE, {"scheduler": "apscheduler", "job": "long"}) == (alive.finding, alive.evidence)
    assert (Finding.MISSING, "succeeded") == (ended.finding, ledger.get(run.task_id).status)


def test_a_run_of_nobody_is_missing_and_one_of_another_scheduler_is_not_ours_to_judge(
    ledger: Ledger, scheduler: BackgroundScheduler
) -> None:
    ours = ledger.create(runtime="cron", task="backup", run_id="backup@1", metadata={"scheduler": "apscheduler"})
    theirs = ledger.create(runtime="cron", task="backup", run_id="backup@2", metadata={"scheduler": "other"})
    by_hand = ledger.create(runtime="cron", task="backup")

    with RecordedScheduler(scheduler, ledger) as recorded:
        found = [recorded.probe(task.record).finding for task in (ours, theirs, by_hand)]

    assert [Finding.MISSING, Finding.UNKNOWN, Finding.UNKNOWN] == found


def test_when_nobody_listens_any_more_nobody_can_tell(ledger: Ledger, scheduler: BackgroundScheduler) -> None:
    long = Long()
    with RecordedScheduler(scheduler, ledger) as recorded:
        told = Told(scheduler)
        scheduler.add_job(long)
        scheduler.start()
        assert long.began.wait(PATIENCE_S)
        told.wait(EVENT_JOB_SUBMITTED)
    long.may_end.set()

    [run] = runs(ledger)
    assert Finding.UNKNOWN is recorded.probe(run).finding


@on_a_loop
async def test_a_run_that_no_executor_counts_any_more_is_missing(tmp_path: Path) -> None:
    scheduler, long = AsyncIOScheduler(timezone=UTC), Long()
    async with tallystick.open_async(tmp_path) as ledger, RecordedScheduler(scheduler, ledger) as recorded:
        scheduler.start()
        scheduler.add_job(long)
        assert await asyncio.to_thread(long.began.wait, PATIENCE_S)
        await asyncio.to_thread(recorded.settled)
        [run] = (await ledger.list()).tasks
        assert Finding.ALIVE is recorded.probe(run).finding

        scheduler.shutdown()  # which gives the thread up, and tells nobody

        while Finding.ALIVE is (verdict := recorded.probe(run)).finding:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
        long.may_end.set()
    assert (Finding.MISSING, "no executor counts a run of this job") == (verdict.finding, verdict.evidence["detail"])


def test_a_ledger_that_is_closed_does_not_disturb_the_scheduler(
    ledger: Ledger, scheduler: BackgroundScheduler, caplog: pytest.LogCaptureFixture
) -> None:
    long = Long()
    with RecordedScheduler(scheduler, ledger) as recorded:
        told = Told(scheduler)
        scheduler.add_job(long, "date", run_date=ago(), id="long", misfire_grace_time=None)
        scheduler.start()
        assert long.began.wait(PATIENCE_S)
        told.wait(EVENT_JOB_SUBMITTED)
        recorded.settled()
        ledger.close()
        long.may_end.set()
        told.wait(EVENT_JOB_EXECUTED)
        scheduler.add_job(breaks, id="next")
        told.wait(EVENT_JOB_ERROR)
        scheduler.shutdown()

    assert isinstance(recorded.last_error, tallystick.Closed)
    assert ["long", "next"] == [run.partition("@")[0] for run in recorded.unrecorded]
    assert recorded.refusals >= 2
    assert {"run_unrecorded"} == {record.message for record in caplog.records if record.name == "tallystick.runtimes"}


def breaks() -> None:
    raise LookupError("nothing there")


def test_a_history_that_cannot_be_written_keeps_no_end_from_the_ledger(
    ledger: Ledger, scheduler: BackgroundScheduler, tmp_path: Path
) -> None:
    with RecordedScheduler(scheduler, ledger, history=tmp_path / "runs", history_bytes_max=8_192) as recorded:
        told = Told(scheduler)
        (tmp_path / "runs" / "runs.older.ndjson").mkdir()  # so that no new file can be begun
        tell_many(scheduler, 200)
        recorded.settled()  # the file is larger than half of what it may be
        scheduler.add_job(breaks, id="breaks")
        scheduler.start()
        told.wait(EVENT_JOB_ERROR)
        scheduler.shutdown()

    assert {"failed", "succeeded"} == {run.status for run in runs(ledger)}
    assert 201 == len(runs(ledger))
    assert 0 < recorded.unremembered
    assert isinstance(recorded.last_error, OSError)


def tell_many(scheduler: BackgroundScheduler, count: int) -> None:
    for _ in range(count):
        tell(scheduler, JobExecutionEvent(EVENT_JOB_EXECUTED, "many", "default", ago(), retval="x" * 390))


def test_of_too_many_ends_that_the_ledger_does_not_take_the_oldest_is_given_up(
    ledger: Ledger, scheduler: BackgroundScheduler, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tallystick.runtimes.runs.UNTOLD_MAX", 2)
    with RecordedScheduler(scheduler, ledger) as recorded:
        ledger.close()
        tell_many(scheduler, 5)

    assert 2 == len(recorded.unrecorded)
    assert 3 == sum(record.message == "run_forgotten" for record in caplog.records)


FULL = """
    import json, os, resource, sys, threading
    import tallystick
    from apscheduler.schedulers.background import BackgroundScheduler
    from tallystick.runtimes.apscheduler import RecordedScheduler

    bound = resource.getrlimit(resource.RLIMIT_FSIZE)
    told = threading.Semaphore(0)
    with tallystick.open(sys.argv[1]) as ledger:
        scheduler = BackgroundScheduler(timezone="UTC")
        with RecordedScheduler(scheduler, ledger) as recorded:
            scheduler.add_listener(lambda event: told.release(), 2**12)
            scheduler.start()
            used = os.stat(sys.argv[1] + "/log/data.mdb").st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (used, bound[1]))
            count = 0
            while not recorded.unrecorded:
                scheduler.add_job(lambda: "x" * 4_000, id=f"job-{count}")
                count += 1
                told.acquire()
                recorded.settled()
            error = type(recorded.last_error).__name__
            resource.setrlimit(resource.RLIMIT_FSIZE, bound)
            while recorded.unrecorded:
                scheduler.add_job(lambda: "y", id=f"job-{count}")
                count += 1
                told.acquire()
                recorded.settled()
            scheduler.shutdown()
        print(json.dumps([error, count, ledger.counts().by_status["succeeded"], ledger.counts().total]))
"""


def test_what_a_full_disk_refuses_is_recorded_when_there_is_space_again(tmp_path: Path) -> None:
    with Process(FULL, tmp_path) as gateway:
        error, count, succeeded, total = json.loads(gateway.hear())
        assert 0 == gateway.end()

    assert ("Full", count, count) == (error, succeeded, total)
