"""Processes that join a ledger: they come, go and are killed, and what they were answered is recorded once."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import tallystick
from tallystick.ledger.store.inbox import INBOX_FOLDER, CommandInbox
from tallystick.owner import live_owner
from tests.face.parts import ORDINARY, PATIENCE_S, Process, said, wait_until

OWN = """
    import sys, tallystick
    with tallystick.open(sys.argv[1], actor="gateway") as ledger:
        print("open", flush=True)
        sys.stdin.readline()
"""

JOIN = """
    import sys, tallystick
    with tallystick.join(sys.argv[1], actor="guest") as ledger:
        task = ledger.create(runtime="cli", task="Count", owner="o")
        print(task.id, flush=True)
        for line in sys.stdin:
            word = line.strip()
            if word == "leave":
                break
            record = getattr(task, word)()
            print(record.version, record.status.value, flush=True)
    print("left", flush=True)
"""


def owner_pid(folder: Path) -> int | None:
    owner = live_owner(folder)
    return None if owner is None else owner.pid


def test_without_an_owner_who_joins_is_the_owner_until_it_leaves(folder: Path) -> None:
    with Process(JOIN, folder) as guest:
        task_id = guest.hear()
        owner = live_owner(folder)
        assert owner is not None
        assert (guest.pid, True) == (owner.pid, owner.transient)

        with tallystick.join(folder) as second:
            assert ("running", guest.pid) == (second.get(task_id).start().status, owner_pid(folder))
            guest.say("leave")
            assert "left" == guest.hear()
            assert 0 == guest.end()
            assert ("succeeded", os.getpid()) == (second.get(task_id).succeed().status, owner_pid(folder))
    assert owner_pid(folder) is None


def test_a_gateway_takes_over_without_a_gap_while_others_go_on(folder: Path) -> None:
    with Process(JOIN, folder) as guest:
        guest.hear()
        with tallystick.open(folder) as ledger:
            assert os.getpid() == owner_pid(folder)
            guest.say("start")
            assert "2 running" == guest.hear()
            assert 1 == ledger.counts().active
        guest.say("succeed")
        assert "3 succeeded" == guest.hear()
        assert guest.pid == owner_pid(folder)


def test_when_the_owner_is_killed_while_somebody_waits_the_command_is_decided_once(folder: Path) -> None:
    """The owner is stopped, so that the command surely waits when it is killed."""
    with Process(OWN, folder) as owner, tallystick.join(folder) as joined:
        assert "open" == owner.hear()
        task = joined.create(**ORDINARY)
        os.kill(owner.pid, 19)
        with ThreadPoolExecutor(1) as other:
            started = other.submit(task.start)
            waits_in(folder)
            assert not started.done()
            owner.kill()
            assert 2 == started.result(PATIENCE_S).version

        assert 2 == len(joined.timeline(task.id))
        assert os.getpid() == owner_pid(folder)


DYING = """
    import os, sys
    from pathlib import Path
    from tallystick.actors.porter import Porter
    from tallystick.actors.system import System
    from tallystick.ledger.clock import system_clock
    from tallystick.ledger.store.disk import DiskLog
    from tallystick.ledger.store.inbox import CommandInbox
    from tallystick.owner import OwnerLock, this_process

    class Dying(CommandInbox):
        def answer(self, given):
            os._exit(9)

    folder = Path(sys.argv[1])
    lock = OwnerLock.take(folder, this_process(0))
    system = System(DiskLog.open(folder / "log"), [], system_clock)
    system.start()
    porter = Porter(system, Dying.open_as_owner(folder))
    print("open", flush=True)
    while True:
        porter.carry()
"""


def test_when_the_owner_dies_between_the_log_and_the_answer_the_log_answers(folder: Path) -> None:
    tallystick.open(folder).close()
    with Process(DYING, folder) as owner:
        assert "open" == owner.hear()
        with tallystick.join(folder) as joined:
            task = joined.create(**ORDINARY)

            assert 9 == owner.end()
            assert ("queued", 1) == (task.status, task.record.version)
            assert ["task-created.1"] == [event.type for event in joined.events()]


def waits_in(folder: Path) -> None:
    """Wait until a command is in the inbox."""
    inbox = CommandInbox.open(folder)
    assert inbox is not None
    wait_until(lambda: bool(inbox.counts()[0]))
    inbox.close()


FORGET = """
    import gc, os, sys, warnings, tallystick
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tallystick.join(sys.argv[1])
        gc.collect()
        print(*(str(each.message) for each in caught), flush=True)
    os._exit(0)
"""

FORK = """
    import os, sys, tallystick
    with tallystick.open(sys.argv[1]) as owner, tallystick.join(sys.argv[1]) as ledger:
        task = ledger.create(runtime="cli", task="Count", owner="o")
        child = os.fork()
        if not child:
            said = []
            for work in (task.start, ledger.counts, lambda: tallystick.join(sys.argv[1]).close()):
                try:
                    said.append(type(work()).__name__)
                except BaseException as error:
                    said.append(type(error).__name__)
            ledger.close()
            print(*said, flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        print(task.start().version, task.succeed().version, owner.verify().ok)
"""


def test_a_forked_child_hears_that_the_ledger_is_not_its_own(folder: Path) -> None:
    assert ["ForkedStore ForkedStore NoneType", "2 3 True"] == said(FORK, folder)


def test_a_killed_guest_leaves_nothing_behind_for_long(folder: Path) -> None:
    def bells() -> list[Path]:
        return list((folder / INBOX_FOLDER).glob("*.sock"))

    with tallystick.open(folder), Process(JOIN, folder) as guest:
        guest.hear()
        [left] = bells()
        guest.kill()
        assert [left] == bells()
    os.utime(left, (left.stat().st_mtime - 3_600,) * 2)  # an hour later

    with tallystick.open(folder):
        wait_until(lambda: not bells())


def test_a_joined_ledger_that_is_forgotten_warns(folder: Path) -> None:
    told = said(FORGET, folder)

    assert [f"{folder} was never closed"] == told


def test_every_owner_is_named_in_the_log_from_its_first_event_on(folder: Path) -> None:
    with tallystick.open(folder) as ledger:
        ledger.create(**ORDINARY)
        ledger.create(**ORDINARY)
    tallystick.open(folder).close()  # and writes nothing
    with Process(JOIN, folder) as guest:
        guest.hear()
        with tallystick.open(folder, read_only=True) as reader:
            owners = reader._house.readings.owners()  # noqa: SLF001 - no face shows it yet

    assert [(1, os.getpid(), False), (3, guest.pid, True)] == [
        (position, who.pid, who.transient) for position, who in owners
    ]
    assert all(who.ticks and who.started_at and who.since and who.boot_id for _, who in owners)
