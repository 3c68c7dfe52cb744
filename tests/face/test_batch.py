"""A batch: commands that return at once, everything durable or named when the block is left."""

import asyncio
import gc
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import tallystick
from tallystick import Batch, BatchFailed, Busy, Closed, Config, InvalidInput, Ledger, NotFound, Refused, WrongVersion
from tallystick.batch import WINDOW
from tallystick.building import assemble
from tallystick.ledger.ids import id_text, new_id
from tallystick.ledger.limits import INBOX_DEPTH_MAX
from tallystick.readings import Readings, due_rules
from tallystick.testing import HandClock
from tests.actors.parts import GatedLog
from tests.face.parts import ORDINARY, PATIENCE_S, at_once


def test_everything_is_durable_when_the_block_is_left(any_ledger: Ledger) -> None:
    with any_ledger.batch() as batch:
        tasks = []
        for number in range(100):
            task = batch.create(**{**ORDINARY, "task": f"Count {number}"})
            task.start(backing={"pid": number + 1})
            task.progress("reading", step=1, steps=2, force=True)
            task.succeed(f"counted {number}")
            tasks.append(task)
        assert 400 == len(batch)

    assert [(4, f"Count {number}", f"counted {number}") for number in range(100)] == [
        (record.version, record.task, record.terminal_summary)
        for record in (any_ledger.get(task.id).record for task in tasks)
    ]
    assert list(range(1, 401)) == [event.position for event in any_ledger.events()]
    assert () == batch.refusals


def test_every_refusal_is_told_with_its_place_and_the_rest_is_durable(any_ledger: Ledger) -> None:
    stranger = id_text(new_id())

    def work() -> Batch:
        with any_ledger.batch() as batch:
            task = batch.create(**ORDINARY)  # 0
            task.start()  # 1
            task.succeed("done")  # 2
            task.fail("late")  # 3: refused
            batch.task(stranger).start()  # 4: refused
            other = batch.create(**ORDINARY)  # 5
            other.start(expected_version=7)  # 6: refused
            other.start()  # 7
            task.succeed("done")  # 8: the same again
        return batch

    with pytest.raises(BatchFailed) as failed:
        work()

    refusals = failed.value.refusals
    assert [(3, Refused), (4, NotFound), (6, WrongVersion)] == [(place, type(error)) for place, error in refusals]
    assert "3 of the batch's commands were refused; the first, at 3" in str(failed.value)
    assert {"running": 1, "succeeded": 1} == {k: n for k, n in any_ledger.counts().by_status.items() if n}


def test_the_commands_of_one_task_are_decided_in_the_order_of_the_calls(any_ledger: Ledger) -> None:
    with any_ledger.batch() as batch:
        task = batch.create(**ORDINARY)
        task.start(expected_version=1)
        for number in range(500):
            task.progress(f"step {number}", force=True, expected_version=2 + number)
        task.cancel("enough", expected_version=502)
        task.cancelled("enough", expected_version=503)

    messages = [getattr(event.data, "message", None) for event in any_ledger.timeline(task.id)]
    assert [f"step {number}" for number in range(500)] == messages[2:502]
    assert "cancelled" == any_ledger.get(task.id).status


def test_what_the_block_raises_goes_on_when_all_is_durable(any_ledger: Ledger) -> None:
    class Wrong(Exception):
        """What a block may raise."""

    def work() -> None:
        with any_ledger.batch() as batch:
            task = batch.create(**ORDINARY)
            task.succeed()
            task.fail("late")
            raise Wrong

    with pytest.raises(Wrong) as caught:
        work()

    [note] = caught.value.__notes__
    assert "tallystick: 1 of the batch's commands were refused; the first, at 2" in note
    assert 1 == any_ledger.counts().by_status["succeeded"]


def test_a_bad_argument_is_raised_at_once_and_the_others_are_durable(any_ledger: Ledger) -> None:
    def work() -> None:
        with any_ledger.batch() as batch:
            task = batch.create(**ORDINARY)
            task.start()
            task.progress(step=-1)

    with pytest.raises(InvalidInput, match="step"):
        work()

    assert 1 == any_ledger.counts().by_status["running"]


def test_a_creation_that_comes_again_is_the_task_that_is_there(any_ledger: Ledger) -> None:
    known = any_ledger.create(**ORDINARY, run_id="run-1")
    with any_ledger.batch() as batch:
        again = batch.create(**ORDINARY, run_id="run-1", metadata={"repo": "a/b"})
        again.start()
        new = batch.create(**ORDINARY, idempotency_key="k")
        same = batch.create(**{**ORDINARY, "task": "Whatever"}, idempotency_key="k")
        same.succeed("by its other name")

    assert known.id == again.id
    assert new.id == same.id != known.id
    assert ("running", {"repo": "a/b"}) == (any_ledger.get(known.id).status, any_ledger.get(known.id).record.metadata)
    assert "by its other name" == any_ledger.get(new.id).record.terminal_summary
    assert 2 == any_ledger.counts().total


def test_the_id_of_a_task_that_may_be_there_can_be_had_within_the_block(ledger: Ledger) -> None:
    known = ledger.create(**ORDINARY, run_id="run-1")

    with ledger.batch() as batch:
        assert known.id == batch.create(**ORDINARY, run_id="run-1").id


def test_a_batch_may_be_larger_than_its_window(any_ledger: Ledger) -> None:
    with any_ledger.batch() as batch:
        for _ in range(WINDOW // 2 + 300):
            batch.create(**ORDINARY).start()
        assert WINDOW + 600 == len(batch)

    assert WINDOW // 2 + 300 == any_ledger.counts().by_status["running"]


def test_one_task_may_get_more_commands_than_its_inbox_holds(any_ledger: Ledger) -> None:
    with any_ledger.batch() as batch:
        task = batch.create(**ORDINARY)
        for _ in range(INBOX_DEPTH_MAX):
            task.hold()
            task.release()

    assert 1 + 2 * INBOX_DEPTH_MAX == any_ledger.get(task.id).record.version


def test_a_batch_that_was_left_takes_no_more_commands(any_ledger: Ledger) -> None:
    with any_ledger.batch() as batch:
        task = batch.create(**ORDINARY)

    for call in (task.start, lambda: batch.create(**ORDINARY)):
        with pytest.raises(Closed, match="The batch is closed"):
            call()
    assert 1 == len(batch) == len(list(any_ledger.events()))


def test_many_threads_each_with_a_batch_get_all_of_theirs(ledger: Ledger) -> None:
    def work(number: int) -> list[str]:
        with ledger.batch() as batch:
            tasks = [batch.create(runtime="cli", task=f"Count {number}", owner=f"owner {number}") for _ in range(300)]
            for task in tasks:
                task.start()
        return [task.id for task in tasks]

    ids = at_once(6, work)

    for number, own in enumerate(ids):
        listed = ledger.list(owner=f"owner {number}", status="running", limit=1_000).tasks
        assert set(own) == {record.task_id for record in listed}
    assert ledger.verify().ok


def test_a_ledger_that_is_closed_in_the_middle_of_a_batch_answers_for_every_command(folder: Path) -> None:
    ledger = tallystick.open(folder)
    given = []

    def work() -> None:
        with ledger.batch() as batch:
            for number in range(3_000):
                given.append(batch.create(**ORDINARY))
                if number == 2_000:
                    ledger.close()

    with pytest.raises(Closed):
        work()

    with tallystick.open(folder) as again:
        assert {task.id for task in given} == {event.task_id for event in again.events()}


@pytest.fixture
def gated() -> Iterator[tuple[Ledger, GatedLog]]:
    """A ledger whose disk waits for the test."""
    log = GatedLog()
    readings = Readings(log, None, rules=due_rules(Config()))
    ledger = Ledger(assemble(readings, [], Config(), clock=HandClock(), actor="tester"))
    yield ledger, log
    log.gate.set()
    ledger.close()


def test_a_full_inbox_is_waited_for_by_a_batch_and_told_to_others(gated: tuple[Ledger, GatedLog]) -> None:
    ledger, log = gated
    log.gate.set()
    task = ledger.create(**ORDINARY)
    log.arrived.get(timeout=PATIENCE_S)
    log.gate.clear()

    full = threading.Event()

    def work() -> None:
        with ledger.batch() as batch:
            mine = batch.task(task.id)
            mine.start()
            log.arrived.get(timeout=PATIENCE_S)  # the disk has it, and waits
            for number in range(INBOX_DEPTH_MAX):
                mine.hold() if number % 2 else mine.release()
            full.set()
            mine.succeed()  # waits for room

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert full.wait(PATIENCE_S)

    for send in (task.hold, lambda: ledger.batch().task(task.id).hold()):
        with pytest.raises(Busy, match="Retry later") as busy:
            send()
        assert INBOX_DEPTH_MAX == busy.value.depth
    log.gate.set()
    thread.join(PATIENCE_S)

    assert not thread.is_alive()
    assert "succeeded" == ledger.get(task.id).status


def test_answers_come_only_when_the_disk_has_it(gated: tuple[Ledger, GatedLog]) -> None:
    ledger, log = gated
    with ledger.batch() as batch:
        task = batch.create(**ORDINARY)
        log.arrived.get(timeout=PATIENCE_S)
        assert [] == list(ledger.events())
        assert 0 == ledger.counts().total
        log.gate.set()

    assert "queued" == ledger.get(task.id).status


# For asyncio alone.


def test_coroutines_may_share_a_batch_and_ask_for_its_ids(folder: Path) -> None:
    async def main() -> None:
        async with tallystick.open_async(folder) as ledger:
            known = await ledger.create(**ORDINARY, run_id="run-1")

            async def some(number: int) -> list[str]:
                tasks = [await batch.create(**ORDINARY, run_id=f"run-{number}") for _ in range(500)]
                for task in tasks[:250]:
                    await task.hold()
                    await task.release()
                return [await task.resolved() for task in tasks]

            async with ledger.batch() as batch:
                ids = await asyncio.gather(*(some(number) for number in range(20)))
                assert 20_000 == len(batch)
            assert {known.id} == set(ids[1])
            assert 20 == len(set().union(*ids)) == (await ledger.counts()).total

    asyncio.run(main())


def test_an_id_that_is_not_known_yet_is_not_made_up(folder: Path) -> None:
    async def main() -> None:
        async with tallystick.open_async(folder) as ledger, ledger.batch() as batch:
            sure = await batch.create(**ORDINARY)
            assert sure.id == await sure.resolved()
            task = await batch.create(**ORDINARY, run_id="run-1")
            with pytest.raises(asyncio.InvalidStateError):
                _ = task.id
            assert await task.resolved() == task.id

    asyncio.run(main())


def test_a_caller_that_is_cancelled_while_it_leaves_a_batch_leaves_nothing_half_done(folder: Path) -> None:
    complaints: list[object] = []

    async def work(ledger: tallystick.AsyncLedger) -> None:
        async with ledger.batch() as batch:
            for _ in range(2_000):
                task = await batch.create(**ORDINARY)
                await task.succeed()
                await task.fail("late")

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
        async with tallystick.open_async(folder) as ledger:
            working = asyncio.ensure_future(work(ledger))
            while (await ledger.status()).head < 3_000:
                pass
            working.cancel()
            with pytest.raises(asyncio.CancelledError):
                await working
            del working
            gc.collect()
        gc.collect()

    asyncio.run(main())

    assert [] == complaints
    with tallystick.open(folder) as ledger:
        assert ledger.verify().ok
        assert {1, 3, 4} >= {record.version for record in ledger.list(limit=10_000).tasks}
