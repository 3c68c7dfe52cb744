"""What only asyncio asks of a ledger: a loop that never waits, callers that go away, loops that end."""

import asyncio
import gc
import inspect
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import uvloop

import tallystick
from tallystick import AsyncLedger, AsyncTask, Batch, BatchTask, Closed, Config, Ledger, NotOwner, Task
from tallystick.async_batch import AsyncBatch, AsyncBatchTask
from tallystick.building import assemble
from tallystick.readings import Readings, due_rules
from tallystick.testing import HandClock
from tests.actors.parts import GatedLog
from tests.face.parts import ORDINARY, PATIENCE_S

CALLERS = 2_000
COMMANDS = 5_000
BLOCKED_S_MAX = 0.05


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Iterator[Callable[[Awaitable[Any]], Any]]:
    """Run a coroutine on a new loop of each kind; nobody may leave an error behind that nobody looked at."""
    complaints: list[object] = []

    def on_loop(work: Awaitable[Any]) -> Any:
        async def main() -> Any:
            asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
            return await work

        with asyncio.Runner(loop_factory=uvloop.new_event_loop if request.param == "uvloop" else None) as runner:
            answer = runner.run(main())
            gc.collect()
        return answer

    yield on_loop
    gc.collect()
    assert [] == complaints


Run = Callable[[Awaitable[Any]], Any]


def test_two_thousand_callers_at_once_are_all_answered(run: Run, folder: Path) -> None:
    async def main() -> None:
        async with tallystick.open_async(folder) as ledger:

            async def caller(number: int) -> AsyncTask:
                task = await ledger.create(**{**ORDINARY, "task": f"Count {number}"})
                await task.start()
                assert 3 == (await task.succeed(f"counted {number}")).version
                return task

            tasks = await asyncio.gather(*(caller(number) for number in range(CALLERS)))
            assert [f"counted {number}" for number in range(CALLERS)] == [
                task.record.terminal_summary for task in tasks
            ]
            assert CALLERS == (await ledger.counts()).by_status["succeeded"]
            assert (await ledger.verify()).ok

    run(main())


def test_commands_are_decided_in_the_order_of_the_calls_awaited_or_not(run: Run, folder: Path) -> None:
    async def main() -> None:
        async with tallystick.open_async(folder) as ledger:
            task = await ledger.create(**ORDINARY)
            answers = [task.start(), *(task.progress(f"step {n}", force=True) for n in range(50)), task.succeed("done")]
            records = await asyncio.gather(*reversed(answers))
            assert list(range(2, 54)) == [record.version for record in reversed(records)]
            assert (53, "succeeded") == (task.record.version, task.status)

    run(main())


async def write(ledger: AsyncLedger, how: str) -> None:
    if how == "batch":
        async with ledger.batch() as batch:
            for _ in range(COMMANDS // 2):
                await (await batch.create(**ORDINARY)).start()
    elif how == "one by one":
        task = await ledger.create(**ORDINARY)
        for _ in range(COMMANDS // 50):
            await task.hold()
            await task.release()
    else:
        waiting = []
        for number in range(COMMANDS):
            waiting.append(asyncio.ensure_future(ledger.create(**ORDINARY)))
            if number % 64 == 63:
                await asyncio.sleep(0)  # as a server between two requests
        await asyncio.gather(*waiting)


@pytest.mark.parametrize("how", ["batch", "one by one", "gather"])
def test_writing_keeps_the_loop_for_a_moment_at_most(folder: Path, how: str) -> None:
    """The most that the loop's thread computes between two turns; how long it waits for a processor is not ours."""

    async def main() -> None:
        async with tallystick.open_async(folder) as ledger:
            await ledger.create(**ORDINARY)
            gc.collect()
            gc.freeze()  # what other tests have left is not looked at again
            longest, last, done = 0.0, time.thread_time(), False

            async def tick() -> None:
                nonlocal longest, last
                while not done:
                    await asyncio.sleep(0)
                    now = time.thread_time()
                    longest, last = max(longest, now - last), now

            ticking = asyncio.ensure_future(tick())
            await write(ledger, how)
            done = True
            await ticking
            gc.unfreeze()
            assert BLOCKED_S_MAX > longest

    asyncio.run(main())


def test_the_loop_turns_while_the_disk_does_nothing(run: Run) -> None:
    log = GatedLog()
    readings = Readings(log, None, rules=due_rules(Config()))
    house = assemble(readings, [], Config(), clock=HandClock(), actor="tester")

    async def main() -> None:
        async with AsyncLedger(lambda _loop: house) as ledger:
            writing = [asyncio.ensure_future(write(ledger, how)) for how in ("batch", "gather", "one by one")]
            await asyncio.to_thread(log.arrived.get, timeout=PATIENCE_S)  # the disk has something, and waits
            for _ in range(COMMANDS):
                await asyncio.sleep(0)
            assert 0 == log.head()
            assert not any(each.done() for each in writing)
            log.gate.set()
            await asyncio.wait_for(asyncio.gather(*writing), PATIENCE_S)
            assert COMMANDS < (await ledger.counts()).total

    run(main())


def test_callers_that_go_away_at_any_moment_leave_a_sound_ledger(run: Run, folder: Path) -> None:
    answered: list[tuple[str, int]] = []

    async def caller(ledger: AsyncLedger, number: int) -> None:
        task = await ledger.create(**{**ORDINARY, "task": f"Count {number}"})
        answered.append((task.id, 1))
        answered.append((task.id, (await task.start()).version))
        answered.append((task.id, (await task.succeed()).version))
        with suppress(tallystick.Refused):
            await task.fail("late")

    async def main() -> None:
        async with tallystick.open_async(folder) as ledger:
            for turn in range(40):
                callers = [asyncio.ensure_future(caller(ledger, number)) for number in range(25)]
                for _ in range(turn % 13):
                    await asyncio.sleep(0)
                for each in callers[turn % 3 :: 2]:
                    each.cancel()
                await asyncio.gather(*callers, return_exceptions=True)

    run(main())

    with tallystick.open(folder) as ledger:
        assert ledger.verify().ok
        for task_id, version in answered:
            assert version <= ledger.get(task_id).record.version
        assert 1_000 >= ledger.counts().total >= len({task_id for task_id, _version in answered})


def test_a_loop_that_is_closed_with_answers_under_way_leaves_a_sound_ledger(folder: Path) -> None:
    loop = asyncio.new_event_loop()
    ledger = loop.run_until_complete(tallystick.open_async(folder).__aenter__())
    task = loop.run_until_complete(ledger.create(**ORDINARY))

    async def begin() -> list[Awaitable[Any]]:
        return [task.hold() if number % 2 else task.release() for number in range(1_000)]

    waiting = loop.run_until_complete(begin())
    loop.close()
    ledger.house.close()

    del waiting
    with tallystick.open(folder) as again:
        assert again.verify().ok
        assert 1_000 == again.get(task.id).record.version


def test_errors_come_where_they_are_awaited_and_nowhere_else(run: Run, folder: Path) -> None:
    async def main() -> None:
        async with tallystick.open_async(folder) as ledger:
            task = await ledger.create(**ORDINARY)
            await task.succeed()
            answers = await asyncio.gather(*(task.fail(f"late {n}") for n in range(50)), return_exceptions=True)
            assert {tallystick.Refused} == {type(answer) for answer in answers}
            with pytest.raises(tallystick.NotFound):
                await ledger.get("nobody")

    run(main())


def test_a_cancel_waits_until_the_work_has_ended(run: Run, folder: Path) -> None:
    async def main() -> None:
        async with tallystick.open_async(folder) as ledger:
            task = await ledger.create(**ORDINARY)
            await task.start()
            worker = await ledger.get(task.id)
            cancelling = asyncio.ensure_future(task.cancel("enough", wait_ms=60_000))
            while (await ledger.get(task.id)).record.cancel_requested_at is None:
                pass
            await worker.cancelled("enough", stopped="pid 7")
            assert ("cancelled", "pid 7") == ((await cancelling).status, task.record.terminal_summary)

            other = await ledger.create(**ORDINARY)
            await other.start()
            assert "running" == (await other.cancel("enough", wait_ms=1)).status
            waiting = asyncio.ensure_future(other.cancel("enough", wait_ms=60_000))
            await asyncio.sleep(0)
        with pytest.raises(Closed):
            await waiting

    run(main())


def test_a_ledger_is_closed_before_it_is_opened_and_after_it_was_closed(run: Run, folder: Path) -> None:
    async def main() -> None:
        ledger = tallystick.open_async(folder)
        for call in (lambda: ledger.create(**ORDINARY), ledger.counts, ledger.sweep):
            with pytest.raises(Closed, match="async with"):
                await call()
        with pytest.raises(Closed):
            ledger.subscribe()
        await ledger.close()
        for number in (1, 2):  # it may be opened again
            async with ledger:
                await ledger.create(**ORDINARY)
                assert number == (await ledger.counts()).total
            await ledger.close()
            with pytest.raises(Closed):
                await ledger.counts()
            assert str(folder) == ledger.path

    run(main())


def test_a_ledger_is_entered_once_at_a_time(run: Run, folder: Path) -> None:
    async def main() -> None:
        tallystick.open(folder).close()
        for read_only in (True, False):
            async with tallystick.open_async(folder, read_only=read_only) as ledger:
                with pytest.raises(tallystick.InvalidInput, match="one that is not open"):
                    await ledger.__aenter__()
                assert 0 == (await ledger.counts()).total

    run(main())


def test_who_cannot_open_hears_why_and_may_try_again(run: Run, folder: Path) -> None:
    async def main() -> None:
        second = tallystick.open_async(folder)
        async with tallystick.open_async(folder):
            with pytest.raises(NotOwner):
                await second.__aenter__()
            async with tallystick.open_async(folder, read_only=True) as reader:
                with pytest.raises(NotOwner, match="read_only=True"):
                    await reader.create(**ORDINARY)
                with pytest.raises(NotOwner):
                    reader.batch()
                assert 0 == (await reader.counts()).total
        async with second:
            await second.create(**ORDINARY)
        with pytest.raises(tallystick.InvalidInput):
            async with tallystick.open_async(""):
                pass

    run(main())


@pytest.mark.parametrize("steps", [0, 1, 2, 5, 50])
def test_an_opening_that_is_cancelled_leaves_the_folder_free(run: Run, folder: Path, steps: int) -> None:
    async def main() -> None:
        opening = asyncio.ensure_future(tallystick.open_async(folder).__aenter__())
        for _ in range(steps):
            await asyncio.sleep(0)
        if opening.cancel():
            with pytest.raises(asyncio.CancelledError):
                await opening
        else:  # it was quick
            await (await opening).close()
        async with tallystick.open_async(folder) as ledger:
            await ledger.create(**ORDINARY)

    run(main())


def test_a_closing_that_is_cancelled_goes_on(run: Run, folder: Path) -> None:
    async def main() -> None:
        ledger = await tallystick.open_async(folder).__aenter__()
        await ledger.create(**ORDINARY)
        closing = asyncio.ensure_future(ledger.close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        with pytest.raises(Closed):
            await ledger.counts()
        await ledger.close()
        with tallystick.open(folder) as again:
            assert 1 == again.counts().total

    run(main())


def test_commands_that_were_accepted_before_the_close_are_answered(run: Run, folder: Path) -> None:
    async def main() -> None:
        ledger = await tallystick.open_async(folder).__aenter__()
        task = await ledger.create(**ORDINARY)
        answers = [task.hold() if number % 2 else task.release() for number in range(1_000)]
        await asyncio.wait_for(ledger.close(), PATIENCE_S)
        with pytest.raises(Closed):
            await task.start()
        assert 1_000 == max(record.version for record in await asyncio.gather(*answers))

    run(main())


TWINS: list[tuple[type, type]] = [
    (Ledger, AsyncLedger),
    (Task, AsyncTask),
    (Batch, AsyncBatch),
    (BatchTask, AsyncBatchTask),
]


@pytest.mark.parametrize(("threads", "coroutines"), TWINS)
def test_every_name_has_a_twin_that_takes_the_same(threads: type, coroutines: type) -> None:
    names = [name for name in dir(threads) if not name.startswith("_")]

    assert [] == [name for name in names if not hasattr(coroutines, name)]
    for name in names:
        one, other = getattr(threads, name), getattr(coroutines, name)
        if callable(one):
            assert inspect.signature(one).parameters == inspect.signature(other).parameters, name
            assert inspect.getdoc(other), name
