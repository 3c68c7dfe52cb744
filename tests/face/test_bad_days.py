"""Bad days: a full disk, damaged records, tasks that are gone. Each error says what it knows, and survives pickling."""

import json
import pickle
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

import tallystick
from tallystick import (
    BatchFailed,
    Closed,
    Corrupt,
    InvalidInput,
    Ledger,
    NotFound,
    NotOwner,
    Pruned,
    Refused,
    TallystickError,
    Task,
    TaskRecord,
    WrongVersion,
)
from tallystick.actors.future import LightFuture
from tallystick.ledger.commands import Command
from tallystick.ledger.facts.tasks import TaskPruned
from tallystick.testing import HandClock
from tests.face.parts import ORDINARY, OWNER, said
from tests.ledger.store import raw


def prune(ledger: Ledger, task_id: str) -> None:
    """Prune a task, as maintenance will."""
    house = ledger._house  # noqa: SLF001 - no verb does it
    pruned = LightFuture()
    house.facts().send(house.facts().actor(house.stream(task_id)), Command(TaskPruned(), "maintenance"), pruned)
    pruned.get()


def test_a_pruned_task_says_what_it_was_and_keeps_its_history(ledger: Ledger, clock: HandClock) -> None:
    task = ledger.create(**ORDINARY, run_id="run-1")
    other = ledger.create(**{**ORDINARY, "task": "Another"}, run_id="run-1")
    task.succeed("done")
    clock.advance(5)
    prune(ledger, task.id)

    for ask in (ledger.get, ledger.find, lambda _id: task.hold(), lambda _id: task.succeed("done")):
        with pytest.raises(Pruned) as gone:
            ask(task.id)
        assert (task.id, "succeeded", clock.at_ms - 5, clock.at_ms) == (
            gone.value.token,
            gone.value.status,
            gone.value.ended_at,
            gone.value.pruned_at,
        )
        assert isinstance(gone.value, NotFound)
    assert [other.id] == [record.task_id for record in ledger.list(owner=OWNER).tasks]
    assert other.id == ledger.find("run-1").id
    assert 1 == ledger.counts().total
    assert "task-pruned.1" == ledger.timeline(task.id)[-1].type
    then = ledger.state_at(task.id, position=4)
    assert isinstance(then, TaskRecord)
    assert "done" == then.terminal_summary


@pytest.fixture
def damaged(folder: Path) -> tuple[str, str]:
    """A ledger whose second record cannot be read; the ids of the task that it belongs to, and of another."""
    with tallystick.open(folder) as ledger:
        task, other = ledger.create(**ORDINARY), ledger.create(**ORDINARY)
        task.start()
        other.start()
    raw.change_record(folder / "log", 3, lambda _body: b"nonsense")
    return task.id, other.id


def test_one_damaged_record_leaves_everything_else_as_it_was(folder: Path, damaged: tuple[str, str]) -> None:
    task_id, other_id = damaged

    with tallystick.open(folder) as ledger:
        asks: list[Callable[[], object]] = [ledger.get(task_id).succeed, lambda: ledger.state_at(task_id)]
        for ask in asks:
            with pytest.raises(Corrupt, match="tally verify") as error:
                ask()
            assert 3 == error.value.position
        assert "queued" == ledger.state_at(task_id, position=2).status
        assert "succeeded" == ledger.get(other_id).succeed().status
        assert 6 == ledger.create(**ORDINARY).record.position
        assert [1, 2, 4, 5, 6] == [event.position for event in ledger.events()]
        assert [1] == [event.position for event in ledger.timeline(task_id)]
        found = ledger.verify()
        assert (False, 3) == (found.ok, found.first_bad)


def test_a_batch_tells_which_of_its_commands_met_the_damage(folder: Path, damaged: tuple[str, str]) -> None:
    task_id, other_id = damaged

    with tallystick.open(folder) as ledger:
        with suppress(BatchFailed), ledger.batch() as batch:
            batch.task(other_id).hold()
            batch.task(task_id).hold()
            batch.task(other_id).release()
        [(place, error)] = batch.refusals
        assert (1, Corrupt) == (place, type(error))
        assert 4 == ledger.get(other_id).record.version


FULL = """
    import json, os, resource, sys
    import tallystick
    from tallystick import Full

    ORDINARY = {"runtime": "cli", "task": "x" * 4_000, "owner": "o"}
    bound = resource.getrlimit(resource.RLIMIT_FSIZE)
    with tallystick.open(sys.argv[1]) as ledger:
        ids = [ledger.create(**ORDINARY).id for _ in range(5)]
        used = os.stat(sys.argv[1] + "/log/data.mdb").st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (used + 200_000, bound[1]))
        refused = None
        while refused is None:  # alone, then in batches
            try:
                ids.append(ledger.create(**ORDINARY).id)
            except Full as error:
                refused = error
        kept = len(ids)
        more = []
        try:
            with ledger.batch() as batch:
                more = [batch.create(**ORDINARY) for _ in range(100)]
        except tallystick.BatchFailed as error:
            failed = {type(each).__name__ for _place, each in error.refusals}
        there = {event.task_id for event in ledger.events()}
        resource.setrlimit(resource.RLIMIT_FSIZE, bound)
        ids.append(ledger.create(**ORDINARY).id)
        ids.append(ledger.get(ids[0]).start().task_id)
        ledger.settled()
        print(json.dumps([type(refused).__name__, refused.bytes > 0, str(refused), kept > 5, sorted(failed)]))
        print(json.dumps([set(ids) >= there, ledger.counts().total == len(set(ids)), ledger.verify().ok]))
        print(json.dumps(sorted(set(ids))))
"""


def test_a_full_disk_refuses_what_has_no_room_and_loses_nothing(folder: Path) -> None:
    told, after, ids = map(json.loads, said(FULL, folder))

    name, has_bytes, message, wrote, failed = told
    assert ("Full", True, True, ["Full"]) == (name, has_bytes, wrote, failed)
    assert "Free space and try again" in message
    assert [True, True, True] == after
    with tallystick.open(folder) as ledger:
        assert ids == sorted(record.task_id for record in ledger.list(limit=1_000).tasks)
        assert ledger.verify().ok


KINDS: dict[type[TallystickError], Callable[[Ledger, Task, Task, Task], object]] = {
    # how each comes about, in a ledger with a queued task, one that has ended and one that is gone
    InvalidInput: lambda _ledger, queued, _ended, _gone: queued.settle("done", "by hand"),
    NotFound: lambda ledger, _queued, _ended, _gone: ledger.get("nobody"),
    Pruned: lambda ledger, _queued, _ended, gone: ledger.get(gone.id),
    Refused: lambda _ledger, _queued, ended, _gone: ended.fail("late"),
    WrongVersion: lambda _ledger, queued, _ended, _gone: queued.start(expected_version=7),
    NotOwner: lambda ledger, _queued, _ended, _gone: tallystick.open(ledger.path),
    BatchFailed: lambda ledger, _queued, ended, gone: in_batch(ledger, ended, gone),
    Closed: lambda ledger, queued, _ended, _gone: after_closing(ledger, queued),
}


def after_closing(ledger: Ledger, queued: Task) -> None:
    ledger.close()
    queued.start()


def in_batch(ledger: Ledger, ended: Task, gone: Task) -> None:
    with ledger.batch() as batch:
        batch.task(ended.id).fail("late")
        batch.task(gone.id).hold()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_an_error_of_a_ledger_reaches_another_process_whole(
    ledger: Ledger, kind: type[TallystickError], protocol: int
) -> None:
    queued, ended, gone = (ledger.create(**ORDINARY) for _ in range(3))
    ended.succeed()
    gone.succeed()
    prune(ledger, gone.id)

    with pytest.raises(kind) as caught:
        KINDS[kind](ledger, queued, ended, gone)

    error: TallystickError = caught.value
    again = pickle.loads(pickle.dumps(error, protocol))
    assert type(error) is type(again) is kind
    assert (str(error), error.args) == (str(again), again.args)
    assert repr(error.data) == repr(again.data)
    assert error.data
