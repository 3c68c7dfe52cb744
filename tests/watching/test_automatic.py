"""By the system's clock everything happens by itself, and a probe that hangs delays nobody else."""

import asyncio
import threading
from pathlib import Path

import pytest

import tallystick
from tallystick import Config, TaskRecord, Verdict
from tallystick.ledger.clock import system_clock
from tallystick.readings import ProbeStanding
from tallystick.testing import HandClock
from tests.watching.conftest import OWNER, the_event

AT_ONCE = Config(sweep={"first": 20, "interval": 50}, grace={"default": 100}, cancel={"grace": 100})


def test_a_miss_and_the_loss_after_it_come_without_anybody_asking(folder: Path) -> None:
    with tallystick.open(folder, config=AT_ONCE) as ledger:
        ledger.probe("subagent", lambda _task: Verdict.missing("gone"))
        task = ledger.create(runtime="subagent", task="work", owner=OWNER)
        task.start()

        missed = the_event(ledger, "task-backing-missed.1")
        lost = the_event(ledger, "task-lost.1")

        assert task.id == missed.task_id == lost.task_id
        assert lost.recorded_at - missed.recorded_at >= 100


def test_an_unconfirmed_cancel_comes_without_anybody_asking(folder: Path) -> None:
    with tallystick.open(folder, config=AT_ONCE) as ledger:
        task = ledger.create(runtime="subagent", task="work", owner=OWNER)
        task.start()

        record = task.cancel("enough", wait_ms=60_000)

        assert ("cancelled", False) == (record.status, record.cancel_confirmed)


def test_silence_beyond_its_promise_is_a_miss_without_anybody_asking(folder: Path) -> None:
    with tallystick.open(folder, config=AT_ONCE) as ledger:
        task = ledger.create(runtime="subagent", task="work", owner=OWNER)
        task.start()
        task.keep_alive(1_000)

        assert task.id == the_event(ledger, "task-backing-missed.1").task_id


@pytest.mark.parametrize("hanging", [1, 20])
def test_a_probe_that_hangs_delays_nobody_else(folder: Path, hanging: int) -> None:
    release = threading.Event()

    def hang(_task: TaskRecord) -> Verdict:
        release.wait()
        return Verdict.dead("at last")

    with tallystick.open(folder, config=AT_ONCE) as ledger:
        ledger.probe("acp", hang)
        ledger.probe("subagent", lambda _task: Verdict.dead("deleted"))
        for _ in range(hanging):
            ledger.create(runtime="acp", task="hangs", owner=OWNER).start()
        other = ledger.create(runtime="subagent", task="work", owner=OWNER)
        other.start()
        late = ledger.create(runtime="acp", task="late", owner=OWNER, timeout_ms=50)
        late.start()

        try:
            assert other.id == the_event(ledger, "task-lost.1").task_id
            assert late.id == the_event(ledger, "task-timed-out.1").task_id
        finally:
            release.set()


def test_the_owner_tells_how_often_a_probe_was_asked_and_how_often_it_failed(folder: Path, clock: HandClock) -> None:
    def probe(task: TaskRecord) -> Verdict:
        if task.label == "broken":
            raise OSError("no such store")
        return Verdict.alive()

    with tallystick.open(folder, clock=clock) as ledger:
        ledger.probe("subagent", probe)
        for label in ("broken", "sound"):
            ledger.create(runtime="subagent", task="work", label=label, owner=OWNER).start()
        ledger.sweep()
        ledger.sweep()

        assert [ProbeStanding("subagent", asked=4, failed=2, hanging=0)] == list(ledger.status().probes)


def test_a_gateway_has_time_to_register_its_probes_before_the_first_look(folder: Path) -> None:
    with tallystick.open(folder) as ledger:
        ledger.create(runtime="subagent", task="work", owner=OWNER).start()
        head = ledger.status().head

    before = system_clock()  # opening may take its time, and counts from somewhere in between
    with tallystick.open(folder, config=Config(sweep={"first": 700})) as ledger:
        missed = the_event(ledger, "task-backing-missed.1", after=head)

        assert missed.recorded_at - before >= 600


def test_a_coroutine_that_has_not_answered_is_cancelled_when_the_ledger_is_closed(folder: Path) -> None:
    async def scene() -> tuple[bool, int]:
        asked, cancelled = asyncio.Event(), asyncio.Event()

        async def probe(_task: TaskRecord) -> Verdict:
            asked.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise
            return Verdict.alive()

        async with tallystick.open_async(folder, config=AT_ONCE) as ledger:
            ledger.probe("subagent", probe)
            task = await ledger.create(runtime="subagent", task="work", owner=OWNER)
            await task.start()
            await asked.wait()
        await asyncio.wait_for(cancelled.wait(), 60)
        return cancelled.is_set(), len(asyncio.all_tasks())

    assert (True, 1) == asyncio.run(scene())
