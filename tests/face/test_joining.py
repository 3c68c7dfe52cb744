"""Joining: other processes write through the owner, without one they own the ledger, and nobody notices the change."""

import asyncio
import os
import socket
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import tallystick
from tallystick import Busy, Closed, InvalidInput, Ledger, NotFound, NotOwner, Refused, TallystickError, WrongVersion
from tallystick.ledger.commands import Command
from tallystick.ledger.facts.tasks import TaskStarted
from tallystick.ledger.limits import INBOX_COMMANDS_MAX
from tallystick.ledger.store.inbox import INBOX_FOLDER, CommandInbox
from tallystick.owner import OwnerLock, live_owner, this_process
from tallystick.sharing.bell import DOOR_NAME
from tests.cli.damage import set_format
from tests.face.parts import ORDINARY, PATIENCE_S, wait_until


def owner_pid(folder: Path) -> int | None:
    owner = live_owner(folder)
    return None if owner is None else owner.pid


def test_a_guest_writes_through_the_owner_and_reads_what_it_wrote(folder: Path, ledger: Ledger) -> None:
    with tallystick.join(folder, actor="guest") as joined:
        task = joined.create(**ORDINARY, run_id="run-1")
        task.start()
        assert "running" == ledger.get(task.id).status
        task.progress("half", force=True)
        task.succeed("all")

        assert ["guest"] * 4 == [event.actor for event in ledger.timeline(task.id)]
        assert task.record == joined.get(task.id).record == ledger.find("run-1").record
        assert joined.verify().ok
        joined.settled()
        joined.sweep()
    assert os.getpid() == owner_pid(folder)


def test_an_owner_that_opened_the_ledger_does_not_give_way(folder: Path, ledger: Ledger) -> None:
    ledger.create(**ORDINARY)

    with pytest.raises(NotOwner, match=r"tallystick\.join\(\)"):
        tallystick.open(folder)


REFUSED: dict[str, Callable[[Ledger, str, str], Any]] = {
    "a late signal": lambda ledger, ended, _: ledger.get(ended).fail("too late"),
    "the same again": lambda ledger, ended, _: ledger.get(ended).fail("too late"),
    "another version": lambda ledger, _, running: ledger.get(running).succeed(expected_version=77),
    "a status that nobody settles": lambda ledger, _, running: ledger.get(running).settle("succeeded", "so it is"),
    "no such task": lambda ledger, _a, _b: one_of(ledger).start(),
    "a second start": lambda ledger, _, running: ledger.get(running).start(backing={"pid": 7}),
}


def one_of(ledger: Ledger) -> Any:
    """A handle for a task that was never created, raising what its verb would answer."""

    class Unknown:
        def start(self) -> None:
            with ledger.batch() as batch:
                batch.task("0198c2f0-7b7e-7cc3-8a53-1f0a9d8e4b21").start()

    return Unknown()


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_is_the_same_as_in_the_owners_process(folder: Path, ledger: Ledger, name: str) -> None:
    ended, running = ledger.create(**ORDINARY), ledger.create(**ORDINARY)
    ended.succeed()
    running.start()
    ledger.get(ended.id)
    with tallystick.join(folder) as joined:
        refusals = []
        for through in (ledger, joined):
            with pytest.raises(TallystickError) as refused:
                REFUSED[name](through, ended.id, running.id)
            error: Any = refused.value
            if isinstance(error, tallystick.BatchFailed):
                error = error.refusals[0][1]
            refusals.append((type(error), str(error), error.data))

    assert refusals[0] == refusals[1]
    assert refusals[0][0] in {Refused, WrongVersion, InvalidInput, NotFound}


def test_a_batch_of_a_guest_is_as_one_of_the_owner(folder: Path, ledger: Ledger) -> None:
    known = ledger.create(**ORDINARY, run_id="run-1")
    ids: list[str] = []

    def pipeline(joined: Ledger) -> None:
        with joined.batch() as batch:
            for number in range(600):
                task = batch.create(**ORDINARY)
                task.start()
                if number == 300:
                    task.start(backing={"pid": 7})
            again = batch.create(**ORDINARY, run_id="run-1")
            again.start()
            again.succeed("found")
            ids.append(again.id)

    with tallystick.join(folder) as joined, pytest.raises(tallystick.BatchFailed) as failed:
        pipeline(joined)

    assert [602] == [place for place, _ in failed.value.refusals]
    assert ([known.id], "succeeded") == (ids, ledger.get(known.id).status)
    assert 601 == ledger.counts().total


def test_coroutines_join_too_and_their_loop_never_waits(folder: Path) -> None:
    async def work() -> tuple[list[str], list[bool]]:
        async with tallystick.join_async(folder) as ledger:
            tasks = await asyncio.gather(*(ledger.create(**ORDINARY) for _ in range(50)))
            await asyncio.gather(*(task.start() for task in tasks))
            with ThreadPoolExecutor(1) as other:  # a gateway comes and goes meanwhile
                gateway = await asyncio.get_running_loop().run_in_executor(other, tallystick.open, folder)
                async with ledger.batch() as batch:
                    for task in tasks:
                        await batch.task(task.id).succeed()
                await asyncio.get_running_loop().run_in_executor(other, gateway.close)
            late = await ledger.create(**ORDINARY)
            return [(await ledger.get(task.id)).status for task in tasks], [late.record.is_active]

    assert (["succeeded"] * 50, [True]) == asyncio.run(work())


def test_a_cancel_is_answered_when_somebody_elsewhere_has_ended_the_task(folder: Path, ledger: Ledger) -> None:
    task = ledger.create(**ORDINARY)
    task.start()
    with tallystick.join(folder) as joined, ThreadPoolExecutor(1) as other:
        handle = joined.get(task.id)
        asked = other.submit(handle.cancel, "enough", wait_ms=20_000)
        for event in ledger.subscribe():
            if event.type == "task-cancel-requested.1":
                break
        task.cancelled("enough", stopped="all of it")

        assert "all of it" == asked.result(PATIENCE_S).terminal_summary


def test_who_follows_the_log_beside_the_owner_hears_of_it(folder: Path, ledger: Ledger) -> None:
    with tallystick.join(folder) as joined, joined.subscribe() as events:
        ledger.create(**ORDINARY)
        assert "task-created.1" == next(events).type
        joined.create(**ORDINARY)
        assert 2 == next(events).position


def test_a_sign_of_life_of_a_guest_reaches_the_owner(folder: Path, ledger: Ledger) -> None:
    with tallystick.join(folder) as joined:
        task = joined.create(**ORDINARY)
        task.start()
        first = task.keep_alive(5_000)
        again = task.keep_alive(5_000)

    assert (5_000, first) == (first.lease_ms, again)
    assert ["task-created.1", "task-started.1", "task-leased.1"] == [each.type for each in ledger.timeline(task.id)]


def test_who_joined_registers_no_probe_and_hears_where(folder: Path, ledger: Ledger) -> None:
    assert ledger.path == str(folder)
    with tallystick.join(folder) as joined, pytest.raises(NotOwner, match="belong to a process that opened it"):
        joined.probe("subagent", lambda _task: tallystick.Verdict.unknown("?"))


def test_a_socket_that_somebody_left_behind_hurts_nobody(folder: Path) -> None:
    folder.mkdir()
    left = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with folder_as_cwd(folder):
        left.bind(DOOR_NAME)
    left.close()

    with tallystick.join(folder) as first, tallystick.join(folder) as second:
        assert [1, 1] == [each.create(**ORDINARY).record.version for each in (first, second)]
        door = folder / DOOR_NAME
        assert (True, 0o600) == (stat.S_ISSOCK(door.stat().st_mode), door.stat().st_mode & 0o777)
        door.unlink()  # then the owner looks by itself
        assert 1 == second.create(**ORDINARY).record.version
    assert not (folder / DOOR_NAME).exists()


class folder_as_cwd:  # noqa: N801 - it is used like a function
    """Stand in a folder for the length of a block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        self._before = Path.cwd()
        os.chdir(self._folder)

    def __exit__(self, *_: object) -> None:
        os.chdir(self._before)


def test_a_path_that_is_too_long_for_a_socket_is_none_for_a_ledger(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 30) / ("deeper" * 30)
    with tallystick.open(folder) as ledger, tallystick.join(folder) as joined:
        task = joined.create(**ORDINARY)
        assert (1, "queued") == (ledger.counts().total, task.status)
        assert (folder / DOOR_NAME).is_socket()
        assert [1] == [1 for path in (folder / INBOX_FOLDER).iterdir() if path.is_socket()]


def test_a_full_inbox_is_told_as_such_and_nothing_is_stuck(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody holds the lock and serves nobody."""
    monkeypatch.setattr("tallystick.sharing.member.BUSY_S_MAX", 0.2)
    tallystick.open(folder).close()
    lock = OwnerLock.take(folder, this_process(0))
    inbox = CommandInbox.open_as_owner(folder)
    inbox.send(b"o" * 16, [(b"s" * 16, Command(TaskStarted(), "other"))] * INBOX_COMMANDS_MAX, heard=())
    with tallystick.join(folder) as joined:
        with pytest.raises(Busy, match="The inbox of the ledger is full") as refused:
            joined.create(**ORDINARY)
        assert INBOX_COMMANDS_MAX == refused.value.depth
        lock.release()

        assert "queued" == joined.create(**ORDINARY).status
        wait_until(lambda: not inbox.counts()[0])
    inbox.close()


def test_closing_answers_what_was_accepted_and_then_refuses(folder: Path, ledger: Ledger) -> None:
    joined = tallystick.join(folder)
    task = joined.create(**ORDINARY)
    task.start()
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(task.cancel, wait_ms=60_000)
        for event in ledger.subscribe():
            if event.type == "task-cancel-requested.1":
                break
        joined.close()
        with pytest.raises(Closed):
            waiting.result(PATIENCE_S)

    joined.close()
    with pytest.raises(Closed):
        joined.create(**ORDINARY)
    with pytest.raises(Closed):
        task.succeed()
    assert [] == [path for path in (folder / INBOX_FOLDER).iterdir() if path.is_socket()]


def test_a_ledger_of_a_later_version_is_not_joined(folder: Path) -> None:
    tallystick.open(folder).close()
    set_format(folder, 99)

    with pytest.raises(tallystick.NewerFormat):
        tallystick.join(folder)
    assert owner_pid(folder) is None


@pytest.mark.parametrize("path", ["", "a\0b", 7])
def test_a_path_that_is_none_is_refused(path: Any) -> None:
    with pytest.raises(InvalidInput):
        tallystick.join(path)
