"""One live owner: who it is, what others hear, and that the lock dies with its process, however it dies."""

import json
import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

import tallystick
from tallystick import Ledger, NotOwner
from tallystick.owner import LOCK_NAME, OwnerInfo, OwnerLock, live_owner, owner_in_words, this_process
from tests.face.parts import ORDINARY, Process, at_once, contents, said

OWN = """
    import sys
    import tallystick
    ledger = tallystick.open(sys.argv[1])
    task = ledger.create(runtime="cli", task="Count", owner="o")
    print(task.id)
    sys.stdin.readline()
"""

TRY = """
    import json, sys
    import tallystick
    try:
        tallystick.open(sys.argv[1])
    except tallystick.NotOwner as error:
        print(json.dumps([error.path, error.who, str(error)]))
"""


def me() -> str:
    return f"process {os.getpid()} on {os.uname().nodename}"


def test_a_second_owner_in_this_process_hears_who_is(folder: Path, ledger: Ledger) -> None:
    ledger.create(**ORDINARY)
    ledger.settled()
    before = contents(folder)

    with pytest.raises(NotOwner) as refused:
        tallystick.open(folder)

    assert (str(folder), me()) == (refused.value.path, refused.value.who)
    assert me() in str(refused.value)
    assert before == contents(folder)
    assert "running" == ledger.create(**ORDINARY).start().status


def test_a_second_owner_in_another_process_hears_who_is(folder: Path, ledger: Ledger) -> None:
    ledger.create(**ORDINARY)
    ledger.settled()
    before = contents(folder)

    [line] = said(TRY, folder)

    path, who, message = json.loads(line)
    assert (str(folder), me()) == (path, who)
    assert "open with read_only=True" in message
    assert before == contents(folder)


def test_the_lock_of_a_killed_owner_is_free_at_once(folder: Path) -> None:
    with Process(OWN, folder) as owner:
        task_id = owner.hear()
        with pytest.raises(NotOwner) as refused:
            tallystick.open(folder)
        assert f"process {owner.pid} on {os.uname().nodename}" == refused.value.who

        owner.kill()

        with tallystick.open(folder) as ledger:
            assert "queued" == ledger.get(task_id).status


def test_an_owner_that_ends_without_closing_leaves_the_ledger_free(folder: Path) -> None:
    with Process(OWN, folder) as owner:
        task_id = owner.hear()
        owner.say()
        assert 0 == owner.end()

    with tallystick.open(folder) as ledger:
        assert "queued" == ledger.get(task_id).status


def test_readers_know_the_owner_as_long_as_there_is_one(folder: Path) -> None:
    with tallystick.open(folder), tallystick.open(folder, read_only=True) as reader:
        owner = reader.status().owner
        assert owner is not None
        assert (os.getpid(), os.uname().nodename, me()) == (owner.pid, owner.host, str(owner))

    with tallystick.open(folder, read_only=True) as reader:
        assert reader.status().owner is None


def test_a_reader_may_not_write_and_hears_who_may(folder: Path) -> None:
    with tallystick.open(folder) as ledger:
        task_id = ledger.create(**ORDINARY).id
        with tallystick.open(folder, read_only=True) as reader:
            for write in (
                lambda: reader.create(**ORDINARY),
                lambda: reader.get(task_id).start(),
                lambda: reader.get(task_id).cancel(),
                reader.batch,
                reader.sweep,
            ):
                with pytest.raises(NotOwner, match="was opened with read_only=True") as refused:
                    write()
                assert (str(folder), me()) == (refused.value.path, refused.value.who)
        assert 1 == len(ledger.timeline(task_id))

    with tallystick.open(folder, read_only=True) as reader:
        with pytest.raises(NotOwner, match="it has no live owner") as refused:
            reader.create(**ORDINARY)
        assert refused.value.who is None


def test_of_many_who_open_at_once_one_becomes_the_owner(folder: Path) -> None:
    def open_it(_number: int) -> Ledger | str | None:
        try:
            return tallystick.open(folder)
        except NotOwner as error:
            return error.who

    opened = at_once(8, open_it)

    [ledger] = [each for each in opened if isinstance(each, Ledger)]
    with ledger:
        assert {me(), "another process"} >= {each for each in opened if not isinstance(each, Ledger)}
        assert 1 == ledger.create(**ORDINARY).record.position


def test_asking_who_the_owner_is_keeps_nobody_from_becoming_it(folder: Path) -> None:
    folder.mkdir()
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            live_owner(folder)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(200):
            OwnerLock.take(folder, this_process(0)).release()
    finally:
        ended.set()
        asking.join()


@pytest.mark.parametrize("left", [b"", b"nonsense", b'{"host": 5}', b"\xff"])
def test_what_a_lock_file_says_does_not_matter_but_the_lock(folder: Path, left: bytes) -> None:
    folder.mkdir()
    (folder / LOCK_NAME).write_bytes(left)
    assert live_owner(folder) is None

    lock = OwnerLock.take(folder, OwnerInfo(host="here", pid=7))
    (folder / LOCK_NAME).write_bytes(left)

    with pytest.raises(NotOwner, match="another process"):
        OwnerLock.take(folder, OwnerInfo(host="here", pid=8))
    lock.release()
    lock.release()
    OwnerLock.take(folder, OwnerInfo(host="here", pid=8)).release()


def test_a_reader_that_was_first_keeps_a_writer_of_its_process_waiting_with_a_clear_error(folder: Path) -> None:
    tallystick.open(folder).close()

    with (
        tallystick.open(folder, read_only=True) as reader,
        pytest.raises(tallystick.StoreError, match="is open for reading in this process: close that before writing"),
    ):
        tallystick.open(folder)

    reader.close()
    with tallystick.open(folder) as ledger:
        assert 1 == ledger.create(**ORDINARY).record.position


def test_an_owner_that_somebody_stopped_is_told_apart_and_how_it_goes_on() -> None:
    with subprocess.Popen(["sleep", "600"]) as process:
        owner = OwnerInfo(host=os.uname().nodename, pid=process.pid)
        before = owner_in_words(owner)
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)  # until it is
        stopped = owner_in_words(owner)
        process.kill()

    assert f"process {process.pid} on {owner.host}" == before
    assert f"{before}, which is stopped (kill -CONT {process.pid} lets it go on)" == stopped
    assert before == owner_in_words(owner), "it is gone"
