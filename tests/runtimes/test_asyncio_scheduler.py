"""A scheduler on a loop: its runs are recorded by a ledger for asyncio, and the loop never waits for that ledger."""

import asyncio
import threading
from datetime import UTC
from pathlib import Path

import pytest
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED
from apscheduler.schedulers.asyncio import AsyncIOScheduler

import tallystick
from tallystick.runtimes.apscheduler import RecordedScheduler
from tests.runtimes.cron import Told, ago, on_a_loop, runs, stand_still, story


async def told_in_time(told: Told, code: int, count: int = 1) -> None:
    await asyncio.to_thread(told.wait, code, count)


async def greets() -> str:
    return "hello"


def counts() -> int:
    return 7


async def breaks() -> None:
    raise LookupError("nothing there")


@on_a_loop
async def test_coroutines_and_functions_are_recorded_by_a_ledger_for_asyncio(tmp_path: Path) -> None:
    scheduler = AsyncIOScheduler(timezone=UTC)
    async with tallystick.open_async(tmp_path) as ledger:
        async with RecordedScheduler(scheduler, ledger) as recorded:
            told = Told(scheduler)
            scheduler.start()
            for job in (greets, counts, breaks):
                scheduler.add_job(job, id=job.__name__)
            await told_in_time(told, EVENT_JOB_EXECUTED, 2)
            await told_in_time(told, EVENT_JOB_ERROR)
            scheduler.shutdown()
        assert 0 == recorded.refusals

    with tallystick.open(tmp_path, read_only=True) as ledger_again:
        by_job = {run.source_id: run for run in runs(ledger_again)}
        assert {"greets": "hello", "counts": "7", "breaks": None} == {
            job: run.terminal_summary for job, run in by_job.items()
        }
        assert ("failed", True) == (
            by_job["breaks"].status,
            (by_job["breaks"].error or "").startswith("LookupError: nothing there\n"),
        )
        assert [["created", "started"]] * 3 == [story(ledger_again, run)[:2] for run in by_job.values()]


@on_a_loop
async def test_a_ledger_that_stands_still_holds_nobody_up(tmp_path: Path) -> None:
    scheduler, count = AsyncIOScheduler(timezone=UTC), 50
    may_write = threading.Event()
    async with tallystick.open_async(tmp_path / "ledger") as ledger:
        stand_still(ledger.house.facts(), may_write)
        async with RecordedScheduler(scheduler, ledger, history=tmp_path / "history"):
            told = Told(scheduler)
            scheduler.start()
            for number in range(count):
                scheduler.add_job(greets, "date", run_date=ago(), id=f"{number}", misfire_grace_time=None)
            await told_in_time(told, EVENT_JOB_EXECUTED, count)
            scheduler.shutdown()
            assert (await ledger.counts()).terminal < count, "the ledger stands still"
            may_write.set()
        assert count == (await ledger.counts()).by_status["succeeded"]


@on_a_loop
async def test_what_a_shutdown_cancels_is_cancelled(tmp_path: Path) -> None:
    scheduler, began = AsyncIOScheduler(timezone=UTC), asyncio.Event()

    async def waits() -> None:
        began.set()
        await asyncio.Event().wait()

    async with tallystick.open_async(tmp_path) as ledger:
        async with RecordedScheduler(scheduler, ledger):
            told = Told(scheduler)
            scheduler.start()
            scheduler.add_job(waits)
            await began.wait()
            scheduler.shutdown()
            await told_in_time(told, EVENT_JOB_ERROR)
        [run] = (await ledger.list()).tasks
        assert ("cancelled", True) == (run.status, run.cancel_confirmed)


@pytest.mark.parametrize("is_async", [True, False])
def test_a_ledger_that_cannot_write_is_refused_at_once(tmp_path: Path, *, is_async: bool) -> None:
    tallystick.open(tmp_path).close()
    scheduler = AsyncIOScheduler(timezone=UTC)
    if is_async:
        with pytest.raises(tallystick.Closed):
            RecordedScheduler(scheduler, tallystick.open_async(tmp_path))
    else:
        with tallystick.open(tmp_path, read_only=True) as ledger, pytest.raises(tallystick.NotOwner):
            RecordedScheduler(scheduler, ledger)
