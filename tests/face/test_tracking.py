"""Track: a block or a function as a task that starts, and ends as the code ends."""

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import tallystick
from tallystick import AsyncTask, InvalidInput, Ledger, Task, TaskRecord
from tallystick.probes import own_backing
from tallystick.testing import HandClock, memory_ledger
from tests.face.parts import ORDINARY, at_once


@pytest.fixture
def ledger(clock: HandClock) -> Iterator[Ledger]:
    with memory_ledger(clock=clock) as opened:
        yield opened


def only(ledger: Ledger) -> TaskRecord:
    [record] = ledger.list().tasks
    return record


ENDS: list[tuple[BaseException | None, str, str | None]] = [
    (None, "succeeded", None),
    (ValueError("no mails"), "failed", "ValueError: no mails"),
    (ValueError(), "failed", "ValueError"),
    (ValueError("x\ud800"), "failed", "ValueError: x�"),
    (TimeoutError("too long"), "timed_out", "TimeoutError: too long"),
    (asyncio.TimeoutError(), "timed_out", "TimeoutError"),  # noqa: UP041 - the same, as it is still written
    (KeyboardInterrupt(), "cancelled", "KeyboardInterrupt"),
    (asyncio.CancelledError(), "cancelled", "CancelledError"),
    (SystemExit(0), "succeeded", None),
    (SystemExit(), "succeeded", None),
    (SystemExit(3), "failed", "SystemExit: 3"),
    (SystemExit("no space"), "failed", "SystemExit: no space"),
    (MemoryError(), "failed", "MemoryError"),
]


def ending(error: BaseException | None) -> None:
    if error is not None:
        raise error


def caught(work: Callable[[], object]) -> BaseException | None:
    try:
        work()
    except BaseException as error:  # noqa: BLE001 - whatever it is
        return error
    return None


def check(record: TaskRecord, status: str, error: str | None) -> None:
    assert (status, error) == (record.status, record.error)
    assert record.backing is not None
    assert os.getpid() == record.backing["pid"]
    started = record.backing["started"]
    assert isinstance(started, int)
    assert 1_000 > abs(started - psutil.Process().create_time() * 1_000)
    assert own_backing() == record.backing


@pytest.mark.parametrize(("error", "status", "said"), ENDS)
def test_a_block_ends_its_task_as_it_ends(
    ledger: Ledger, error: BaseException | None, status: str, said: str | None
) -> None:
    def work() -> None:
        with tallystick.track(ledger, **ORDINARY) as task:
            assert "running" == task.status == ledger.get(task.id).status
            ending(error)

    assert error is caught(work)
    check(only(ledger), status, said)


@pytest.mark.parametrize(("error", "status", "said"), ENDS)
def test_a_call_of_a_decorated_function_ends_its_task_as_it_ends(
    ledger: Ledger, error: BaseException | None, status: str, said: str | None
) -> None:
    @tallystick.track(ledger, **ORDINARY)
    def work() -> None:
        """Work."""
        ending(error)

    assert ("work", "Work.") == (work.__name__, work.__doc__)
    assert error is caught(work)
    check(only(ledger), status, said)


@pytest.mark.parametrize("coroutines", [True, False])
@pytest.mark.parametrize("decorated", [True, False])
@pytest.mark.parametrize(("error", "status", "said"), ENDS[:9])
def test_a_coroutine_ends_its_task_as_it_ends(
    tmp_path: Path, error: BaseException | None, status: str, said: str | None, *, coroutines: bool, decorated: bool
) -> None:
    async def body() -> None:
        await asyncio.sleep(0)
        ending(error)

    async def work(ledger: Any) -> None:
        if decorated:
            await tallystick.track(ledger, **ORDINARY)(body)()
        else:
            async with tallystick.track(ledger, **ORDINARY) as task:
                assert isinstance(task, AsyncTask if coroutines else Task)
                await body()

    async def main() -> None:
        if coroutines:
            async with tallystick.open_async(tmp_path / "ledger") as ledger:
                await work(ledger)
        else:
            with tallystick.open(tmp_path / "ledger") as ledger:
                await work(ledger)

    outcome = caught(lambda: asyncio.run(main()))
    assert type(error) is type(outcome)
    with tallystick.open(tmp_path / "ledger", read_only=True) as reader:
        check(only(reader), status, said)


def test_a_decorated_function_takes_and_returns_what_it_did(ledger: Ledger) -> None:
    @tallystick.track(ledger, **ORDINARY)
    def add(one: int, *, other: int) -> int:
        return one + other

    assert [3, 5] == [add(1, other=2), add(2, other=3)]
    assert {"succeeded"} == {record.status for record in ledger.list().tasks}
    assert 2 == ledger.counts().total


def test_every_call_is_a_task_of_its_own_on_many_threads(ledger: Ledger) -> None:
    @tallystick.track(ledger, **ORDINARY)
    def work(number: int) -> None:
        if number % 2:
            raise ValueError(number)

    at_once(8, lambda number: caught(lambda: work(number)))

    counts = ledger.counts()
    assert (8, 4, 4) == (counts.total, counts.by_status["failed"], counts.by_status["succeeded"])


def test_blocks_and_calls_may_be_nested(ledger: Ledger) -> None:
    block = tallystick.track(ledger, **ORDINARY)
    with block as outer:
        with block as inner:
            assert outer.id != inner.id
        assert ["succeeded", "running"] == [ledger.get(task.id).status for task in (inner, outer)]

    assert "succeeded" == ledger.get(outer.id).status


def test_a_generator_runs_as_long_as_it_is_read(ledger: Ledger) -> None:
    @tallystick.track(ledger, **ORDINARY)
    def numbers() -> Iterator[int]:
        yield 1
        yield 2

    generator = numbers()
    assert 0 == ledger.counts().total
    assert 1 == next(generator)
    assert "running" == only(ledger).status
    assert [2] == list(generator)
    assert "succeeded" == only(ledger).status

    left = numbers()
    next(left)
    left.close()  # type: ignore[attr-defined]  # an Iterator that is a generator
    assert ["cancelled", "succeeded"] == [record.status for record in ledger.list().tasks]


@pytest.mark.parametrize("end", ["succeed", "fail"])
def test_a_block_may_end_its_task_itself(ledger: Ledger, end: str) -> None:
    with tallystick.track(ledger, **ORDINARY) as task:
        task.succeed("3 mails", artifacts=["file:///a"]) if end == "succeed" else task.fail("no mails")

    assert 3 == only(ledger).version
    assert ("3 mails" if end == "succeed" else None) == only(ledger).terminal_summary


def test_a_task_that_somebody_else_has_ended_stays_as_it_is(ledger: Ledger) -> None:
    with tallystick.track(ledger, **ORDINARY) as task:
        ledger.get(task.id).settle("failed", "by hand")

    assert ("failed", "by hand", 1) == (only(ledger).status, only(ledger).error, only(ledger).late_signal_count)


def test_an_exception_goes_on_although_the_task_has_ended(ledger: Ledger) -> None:
    error = ValueError("no mails")

    def work() -> None:
        with tallystick.track(ledger, **ORDINARY) as task:
            ledger.get(task.id).settle("cancelled", "by hand")
            raise error

    assert error is caught(work)
    assert ["is cancelled: fail is refused"] == [note.split(" ", 3)[3].split(".")[0] for note in error.__notes__]


def test_a_task_that_was_settled_as_lost_is_recovered_by_how_its_block_ends(ledger: Ledger) -> None:
    with tallystick.track(ledger, **ORDINARY) as task:
        ledger.get(task.id).settle("lost", "nobody knows where it is")

    assert "succeeded" == only(ledger).status
    assert "task-recovered.1" == ledger.timeline(task.id)[-1].type


def test_a_ledger_that_was_closed_within_the_block_is_told(clock: HandClock) -> None:
    ledger = memory_ledger(clock=clock)
    error = ValueError("no mails")

    def work(*, fails: bool) -> None:
        with tallystick.track(ledger, **ORDINARY):
            ledger.close()
            if fails:
                raise error

    assert isinstance(caught(lambda: work(fails=False)), tallystick.Closed)
    ledger = memory_ledger(clock=clock)
    assert error is caught(lambda: work(fails=True))
    assert ["tallystick: The ledger is closed. Open it again."] == error.__notes__


def test_a_creation_that_is_refused_keeps_the_block_from_running(ledger: Ledger) -> None:
    ran = []

    @tallystick.track(ledger, runtime="chat", task="x")
    def work() -> None:
        ran.append(1)

    assert isinstance(caught(work), InvalidInput)
    assert [] == ran


def test_what_cannot_be_tracked_is_refused_when_it_is_decorated(ledger: Ledger, folder: Path) -> None:
    async def numbers() -> Any:
        yield 1

    async def main() -> None:
        async with tallystick.open_async(folder) as asynchronous:
            track = tallystick.track(asynchronous, **ORDINARY)
            with pytest.raises(InvalidInput, match="async with"):
                track.__enter__()
            with pytest.raises(InvalidInput, match="async def"):
                track(lambda: None)

    with pytest.raises(InvalidInput, match="a generator or a coroutine function"):
        tallystick.track(ledger, **ORDINARY)(numbers)
    asyncio.run(main())


@pytest.mark.parametrize("coroutines", [True, False])
def test_a_coroutine_that_is_cancelled_at_any_moment_leaves_no_task_running(folder: Path, *, coroutines: bool) -> None:
    ran = []

    async def work(ledger: Any, steps: int) -> None:
        async def tracked() -> None:
            async with tallystick.track(ledger, **ORDINARY):
                ran.append(steps)
                await asyncio.Event().wait()

        working = asyncio.ensure_future(tracked())
        for _ in range(steps):
            await asyncio.sleep(0)
        while steps > 40 and steps not in ran:
            await asyncio.to_thread(lambda: None)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working

    async def main() -> None:
        for steps in (*range(12), 20, 41, 42):
            if coroutines:
                async with tallystick.open_async(folder) as asynchronous:
                    await work(asynchronous, steps)
            else:
                with tallystick.open(folder) as ledger:
                    await work(ledger, steps)

    asyncio.run(main())

    with tallystick.open(folder, read_only=True) as reader:
        counts = reader.counts()
        assert (0, counts.total) == (counts.active, counts.by_status["cancelled"])
        assert counts.total >= len(ran) >= 2
