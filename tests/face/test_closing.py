"""Closing: everybody is answered, nothing that was acknowledged is lost, and who forgets to close is told."""

import gc
import json
import threading
import time
import weakref
from contextlib import suppress
from pathlib import Path

import pytest

import tallystick
from tallystick import Closed, Ledger, NotOwner
from tests.face.parts import ORDINARY, at_once, said

WORKERS = 6


@pytest.mark.usefixtures("restless")
@pytest.mark.parametrize("turn", range(5))
def test_whoever_writes_while_the_ledger_is_closed_is_answered_truly(folder: Path, turn: int) -> None:
    ledger = tallystick.open(folder)
    started = threading.Barrier(WORKERS)
    acknowledged: dict[str, int] = {}

    def work(number: int) -> None:
        started.wait()
        if number == 0:
            until = time.perf_counter() + turn / 1_000
            while time.perf_counter() < until:
                pass
            ledger.close()
            return
        with suppress(Closed):  # which nothing else ends
            while True:
                task = ledger.create(**ORDINARY)
                acknowledged[task.id] = 1
                acknowledged[task.id] = task.start().version
                acknowledged[task.id] = task.succeed().version

    at_once(WORKERS, work)

    with tallystick.open(folder) as again:
        assert again.verify().ok
        assert {} == {
            task_id: version for task_id, version in acknowledged.items() if again.get(task_id).record.version < version
        }


def test_who_waits_for_the_lock_finds_everything_that_was_acknowledged(folder: Path) -> None:
    ledger = tallystick.open(folder)
    started = threading.Barrier(WORKERS)
    acknowledged: list[int] = []

    def take_over() -> int:
        while True:
            with suppress(NotOwner), tallystick.open(folder) as heir:
                head = heir.status().head
                assert head + 1 == heir.create(**ORDINARY).record.position
                assert heir.verify().ok
                return head

    def work(number: int) -> int:
        started.wait()
        if number == 0:
            ledger.close()
        elif number == 1:
            return take_over()
        else:
            with suppress(Closed):
                while True:
                    acknowledged.append(ledger.create(**{**ORDINARY, "task": "x" * 10_000}).record.position)
        return 0

    heads = at_once(WORKERS, work)

    assert max(acknowledged, default=0) == max(heads)


def test_many_may_close_at_once_and_all_find_it_closed(folder: Path) -> None:
    ledger = tallystick.open(folder)
    ledger.create(**ORDINARY)

    at_once(WORKERS, lambda _number: ledger.close())

    with tallystick.open(folder) as again:
        assert 1 == again.counts().total


def test_read_models_are_at_the_head_when_a_ledger_was_closed(folder: Path) -> None:
    with tallystick.open(folder) as ledger, ledger.batch() as batch:
        for _ in range(3_000):
            batch.create(**ORDINARY).start()

    with tallystick.open(folder, read_only=True) as reader:
        status = reader.status()
        assert 6_000 == status.head
        assert {(name, 6_000, 0) for name in ("board", "counts", "due", "outbox", "flows", "quarantine")} == {
            (each.name, each.position, each.lag) for each in status.projections
        }


def test_progress_that_was_held_back_is_written_by_closing(folder: Path) -> None:
    with tallystick.open(folder) as ledger:
        task = ledger.create(**ORDINARY)
        task.progress("one")
        task.progress("two")

    with tallystick.open(folder, read_only=True) as reader:
        assert "two" == reader.get(task.id).record.progress_summary


def test_who_reads_while_the_ledger_is_closed_gets_an_answer_or_hears_so(folder: Path) -> None:
    ledger = tallystick.open(folder)
    with ledger.batch() as batch:
        for _ in range(500):
            batch.create(**ORDINARY)
    reading = threading.Barrier(WORKERS)

    def work(number: int) -> None:
        reading.wait()
        if number == 0:
            ledger.close()
            return
        with suppress(Closed):
            while True:
                assert 500 == len(list(ledger.events())) == ledger.counts().total
                assert 500 == len(ledger.list(limit=500).tasks)

    at_once(WORKERS, work)


def test_a_block_that_raises_closes_the_ledger_too(folder: Path) -> None:
    with suppress(ZeroDivisionError), tallystick.open(folder) as ledger:
        ledger.create(**ORDINARY)
        raise ZeroDivisionError

    with tallystick.open(folder) as ledger:
        assert 1 == ledger.counts().total


FORGET = """
    import asyncio, gc, json, sys, time, warnings
    import tallystick
    from tallystick.testing import memory_ledger

    def warned(forget):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            forget()
            until = time.monotonic() + 2  # the ledger's own thread may be about to let go of it
            while not caught and time.monotonic() < until:
                gc.collect()
        return [[each.category.__name__, str(each.message)] for each in caught]

    folder = sys.argv[1]
    tallystick.open(folder).close()
    ORDINARY = {"runtime": "cli", "task": "Count", "owner": "o"}

    def forgotten():
        memory_ledger()

    def read_only():
        tallystick.open(folder, read_only=True)

    def with_a_task():
        task = memory_ledger().create(**ORDINARY)
        assert "running" == task.start().status  # the ledger is there as long as somebody speaks with it

    def asynchronous():
        async def main():
            await tallystick.open_async(folder).__aenter__()
        asyncio.run(main())

    def never_entered():
        tallystick.open_async(folder)

    def closed():
        ledger = memory_ledger()
        ledger.close()
        with tallystick.open(folder, read_only=True):
            pass

    for case in (forgotten, read_only, with_a_task, never_entered, closed, asynchronous):
        print(json.dumps(warned(case)))
"""


def test_a_ledger_that_is_collected_while_it_is_open_warns(folder: Path) -> None:
    forgotten, read_only, with_a_task, never_entered, closed, asynchronous = map(json.loads, said(FORGET, folder))

    in_memory = ["ResourceWarning", ":memory: was never closed"]
    on_disk = ["ResourceWarning", f"{folder} was never closed"]
    assert [in_memory] == forgotten == with_a_task
    assert [on_disk] == read_only == asynchronous
    assert [] == never_entered == closed


def test_a_program_that_ends_with_an_open_ledger_ends_well_and_loses_nothing(folder: Path) -> None:
    [task_id] = said(
        """
        import sys, tallystick
        ledger = tallystick.open(sys.argv[1])
        task = ledger.create(runtime="cli", task="Count", owner="o")
        task.succeed("done")
        print(task.id)
        """,
        folder,
    )

    with tallystick.open(folder) as ledger:
        assert "done" == ledger.get(task_id).record.terminal_summary


def test_a_closed_ledger_can_be_forgotten_whole(folder: Path) -> None:
    def used() -> weakref.ref[object]:
        with tallystick.open(folder) as ledger:
            ledger.create(**ORDINARY).start()
            next(ledger.subscribe())
        return weakref.ref(ledger._house)  # noqa: SLF001 - what nobody should keep

    house = used()
    gc.collect()

    assert house() is None


def test_many_openings_leave_no_file_and_no_thread_behind(folder: Path) -> None:
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    with tallystick.open(folder) as ledger:
        ledger.create(**ORDINARY)
    files, threads = open_files(), threading.active_count()
    for _ in range(25):
        with tallystick.open(folder) as ledger:
            ledger.counts()
        for _ in range(3):
            with tallystick.open(folder, read_only=True) as reader:
                assert isinstance(reader, Ledger)

    assert (files, threads) == (open_files(), threading.active_count())
