"""The process canceller, on real processes and process groups."""

import os
import signal
from typing import Any

import pytest

from tallystick.ledger.stopped import Stopped
from tallystick.probes import ProcessCanceller, backing_of, own_backing
from tallystick.probes.look import members
from tallystick.process import Process
from tests.probes.parts import end, end_unasked, line_of, lives, record, running

SOON_MS = 200

STUBBORN = """
import os, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); signal.pause()"
child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
signal.pause()
"""

# Both end by SIGTERM, and say so; the child is told first what to say, so that nothing is said before it can be.
WILLING = '''
import signal, subprocess, sys
code = """
import os, signal, sys
def end(*_):
    os.write(1, b"child ended\\\\n")  # a print may be interrupted in another one
    sys.exit()
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
signal.pause()
"""
child = subprocess.Popen([sys.executable, "-c", code])
signal.pause()
'''

LEAVES_A_CHILD = """
import subprocess, sys
code = "print('ready', flush=True); print('heard', input(), flush=True)"
child = subprocess.Popen([sys.executable, "-c", code])
child.wait()
"""


def cancel(backing: dict[str, Any], kill_after_ms: int = 5_000) -> Stopped:
    return ProcessCanceller(kill_after_ms)(record(backing))


def test_what_ignores_being_told_is_killed_with_all_its_children() -> None:
    with running(STUBBORN, process_group=0) as process:
        child = int(process.first_line)
        assert {process.pid, child} == set(members(process.pid))

        stopped = cancel(backing_of(process.pid, group=process.pid), SOON_MS)

        assert Stopped(True, f"process group {process.pid}, by SIGKILL, SIGTERM having done nothing") == stopped  # noqa: FBT003
        assert [] == list(members(process.pid))
        assert -signal.SIGKILL == process.wait()


def test_a_group_that_ends_when_it_is_told_is_not_killed() -> None:
    with running(WILLING, process_group=0) as process:
        stopped = cancel(backing_of(process.pid, group=process.pid))

        assert Stopped(detail=f"process group {process.pid}, by SIGTERM") == stopped
        assert "child ended" == line_of(process)
        assert -signal.SIGTERM == process.wait()


def test_two_who_stop_the_same_command_say_the_same_to_the_letter() -> None:
    process = Process.start(["sleep", "60"], None, None)
    stopped = cancel(process.backing())

    assert process.stop(signal.SIGTERM) == stopped.detail


def test_without_a_group_of_its_own_only_the_process_is_stopped() -> None:
    with running() as process, running() as beside:
        stopped = cancel(backing_of(process.pid))

        assert Stopped(detail=f"process {process.pid}, by SIGTERM") == stopped
        assert -signal.SIGTERM == process.wait()
        assert lives(beside)


def test_a_process_that_ignores_being_told_is_killed_alone() -> None:
    with running(STUBBORN, process_group=0) as process:
        child = int(process.first_line)
        stopped = cancel(backing_of(process.pid), SOON_MS)

        assert f"process {process.pid}, by SIGKILL, SIGTERM having done nothing" == stopped.detail
        assert [child] == list(members(process.pid))
        os.kill(child, signal.SIGKILL)


def test_the_own_group_of_who_stops_is_never_signalled() -> None:
    with running() as process, running() as beside:
        stopped = cancel(backing_of(process.pid, group=os.getpgrp()))

        assert f"process {process.pid}, by SIGTERM" == stopped.detail
        assert lives(beside)


def test_a_group_that_the_process_is_not_in_is_never_signalled() -> None:
    with running() as process, running(process_group=0) as other:
        stopped = cancel(backing_of(process.pid, group=other.pid))

        assert f"process {process.pid}, by SIGTERM" == stopped.detail
        assert lives(other)


@pytest.mark.parametrize("group", [0, 1, -1, True, "7", 2**40])
def test_an_odd_group_is_no_group(group: Any) -> None:
    with running() as process:
        assert f"process {process.pid}, by SIGTERM" == cancel({**backing_of(process.pid), "group": group}).detail


@pytest.mark.parametrize("name", ["ticks", "boot"])
@pytest.mark.parametrize("has_group", [True, False])
def test_a_process_that_has_the_pid_by_now_is_never_signalled(name: str, *, has_group: bool) -> None:
    with running(process_group=0) as process:
        backing = backing_of(process.pid, group=process.pid if has_group else None)

        assert Stopped(detail="it had ended already") == cancel({**backing, name: {"ticks": 1, "boot": "x"}[name]})
        assert lives(process)


def test_without_ticks_a_process_that_started_at_another_time_is_never_signalled() -> None:
    with running() as process:
        backing = {**backing_of(process.pid), "started": 1_000}
        del backing["ticks"]

        assert Stopped(detail="it had ended already") == cancel(backing)
        assert lives(process)


@pytest.mark.parametrize("finish", [end, end_unasked])
@pytest.mark.parametrize("has_group", [True, False])
def test_what_had_ended_is_confirmed_and_not_signalled(finish: Any, *, has_group: bool) -> None:
    with running(process_group=0) as process:
        backing = backing_of(process.pid, group=process.pid if has_group else None)
        finish(process)

        assert Stopped(detail="it had ended already") == cancel(backing)


def test_children_are_stopped_when_their_parent_has_ended_and_nobody_asked_how() -> None:
    with running(LEAVES_A_CHILD, process_group=0) as process:
        backing = backing_of(process.pid, group=process.pid)
        end_unasked(process)
        assert 1 == len(list(members(process.pid)))

        assert Stopped(detail=f"process group {process.pid}, by SIGTERM") == cancel(backing)
        assert "" == line_of(process)


def test_who_is_left_when_nothing_proves_whose_it_is_is_named_and_not_signalled() -> None:
    with running(LEAVES_A_CHILD, process_group=0) as process:
        backing = backing_of(process.pid, group=process.pid)
        end(process)
        [child] = members(process.pid)
        stopped = cancel(backing)

        assert not stopped.confirmed
        assert f"it had ended already; who is left in group {process.pid}" in str(stopped.detail)
        assert str(stopped.detail).endswith(f": {child}")
        assert lives(process)


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        ({"shared": True}, "process PID does other work, too"),
        ({"host": "elsewhere", "boot": "x"}, "process PID runs on another host"),
        ({"ticks": None, "started": None}, "its backing does not say when process PID started"),
        ({"pid": 0}, "its backing names no process"),
        ({"pid": -1}, "its backing names no process"),
        ({"pid": True}, "its backing names no process"),
        ({"pid": None}, "its backing names no process"),
        ({"pid": 1}, "process 1 is never stopped"),
    ],
)
def test_what_may_not_be_signalled_is_not_and_the_detail_says_why(odd: dict[str, object], why: str) -> None:
    with running() as process:
        stopped = cancel({**backing_of(process.pid), **odd})

        assert Stopped(confirmed=False, detail=why.replace("PID", str(process.pid))) == stopped
        assert lives(process)


def test_who_stops_does_not_stop_itself() -> None:
    backing = own_backing()
    del backing["shared"]

    assert Stopped(confirmed=False, detail=f"process {os.getpid()} does other work, too") == cancel(backing)
    assert Stopped(confirmed=False, detail="its backing names no process") == ProcessCanceller()(record())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
@pytest.mark.parametrize("has_group", [True, False])
def test_what_another_user_runs_is_not_confirmed(*, has_group: bool) -> None:
    script = """
import os, sys
import psutil
from tallystick.probes import ProcessCanceller, backing_of
from tests.probes.parts import record
pid, group = map(int, sys.argv[1:])
canceller, task = ProcessCanceller(), record(backing_of(pid, group=group or None))
os.setgroups([])
os.setuid(65534)
stopped = canceller(task)
print(stopped.confirmed, stopped.detail, flush=True)
"""
    with running(process_group=0) as process:
        with running(script, process.pid, process.pid * has_group) as nobody:
            said = nobody.first_line

        assert f"False process {process.pid}: Operation not permitted" == said
        assert lives(process)
