"""The process probe, on real processes."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tallystick.ledger.record import TaskRecord
from tallystick.ledger.verdict import Finding, Verdict
from tallystick.probes import ProcessProbe, backing_of, boot_id, own_backing, process_probe
from tallystick.probes.identity import Found, Identity, judge
from tallystick.probes.look import look, parsed, this_machine
from tallystick.process import Process
from tests.probes.parts import PATIENCE_S, Running, end, end_unasked, record, running


def ask(backing: dict[str, Any]) -> Verdict:
    """Ask a probe that has not looked yet."""
    return ProcessProbe()(record(backing))


def detail(verdict: Verdict) -> tuple[Finding, object]:
    return verdict.finding, verdict.evidence["detail"]


def test_a_process_that_runs_is_alive() -> None:
    with running() as process:
        verdict = process_probe(record(backing_of(process.pid)))

    assert (Finding.ALIVE, f"process {process.pid}: running") == detail(verdict)
    assert verdict.evidence["expectedTicks"] == verdict.evidence["foundTicks"]


@pytest.mark.parametrize(
    ("finish", "words"), [(end, "no such process"), (end_unasked, "a zombie")], ids=["reaped", "zombie"]
)
def test_a_process_that_was_killed_is_dead_whether_or_not_anybody_asked(
    finish: Callable[[Running], None], words: str
) -> None:
    with running() as process:
        backing = backing_of(process.pid)
        finish(process)
        verdict = ask(backing)

    assert (Finding.DEAD, f"process {process.pid}: {words}") == detail(verdict)
    assert backing["ticks"] == verdict.evidence["expectedTicks"]


def test_a_process_that_ended_by_itself_is_dead() -> None:
    with running("print()") as process:
        backing = backing_of(process.pid)
        process.wait(PATIENCE_S)

        assert Finding.DEAD is ask(backing).finding


def test_a_pid_that_another_process_has_by_now_is_dead_and_the_evidence_says_whose_it_is() -> None:
    with running() as process:
        now = backing_of(process.pid)
        verdict = ask({**now, "ticks": now["ticks"] - 1})  # type: ignore[operator]

    assert (Finding.DEAD, f"process {process.pid}: the pid was reused") == detail(verdict)
    assert now["ticks"] == verdict.evidence["foundTicks"] == verdict.evidence["expectedTicks"] + 1  # type: ignore[operator]
    assert str(verdict.evidence["foundName"]).startswith("python")


@pytest.mark.parametrize(
    ("off_ms", "finding"), [(0, Finding.ALIVE), (1_900, Finding.ALIVE), (-5_000, Finding.DEAD), (5_000, Finding.DEAD)]
)
def test_without_ticks_the_start_time_decides_as_exactly_as_a_clock_that_is_set_can(
    off_ms: int, finding: Finding
) -> None:
    with running() as process:
        backing = backing_of(process.pid)
        del backing["ticks"]
        verdict = ask({**backing, "started": backing["started"] + off_ms})  # type: ignore[operator]

    assert finding is verdict.finding
    assert backing["started"] == verdict.evidence["foundStarted"]


def test_a_pid_alone_is_taken_for_what_is_there() -> None:
    with running() as process:
        assert Finding.ALIVE is ask({"pid": process.pid}).finding
        end(process)
        assert Finding.DEAD is ask({"pid": process.pid}).finding


def test_every_process_of_another_boot_is_dead() -> None:
    verdict = ask({**own_backing(), "boot": "before"})

    assert (Finding.DEAD, f"process {os.getpid()}: the machine has restarted") == detail(verdict)
    assert ("before", boot_id()) == (verdict.evidence["expectedBoot"], verdict.evidence["foundBoot"])


@pytest.mark.parametrize("boot", [None, "theirs"])
def test_nobody_here_can_see_a_process_of_another_host_whatever_its_boot(boot: str | None) -> None:
    verdict = ask({"pid": 2**22 - 1, "ticks": 1, "host": "elsewhere", "boot": boot})

    assert (Finding.UNKNOWN, "process 4194303: on another host") == detail(verdict)


def test_a_process_that_has_ended_is_only_missing_until_its_runner_has_ended_too() -> None:
    with running() as process, running() as runner:
        backing = backing_of(process.pid)
        named = {**backing, "runner": runner.pid, "runnerTicks": backing_of(runner.pid)["ticks"]}
        end(process)

        reports = ask(named)
        assert (Finding.MISSING, runner.pid) == (reports.finding, reports.evidence["runner"])
        assert str(reports.evidence["detail"]).endswith(f"its runner, process {runner.pid}: running")
        assert Finding.DEAD is ask({**named, "runnerTicks": 1}).finding, "another process has the runner's pid"
        end_unasked(runner)
        assert Finding.DEAD is ask(named).finding


@pytest.mark.parametrize("pid", [0, -1, True, 1.5, "4711", None, 2**31, 2**80])
def test_a_pid_that_no_process_has_tells_nothing(pid: object) -> None:
    assert Finding.UNKNOWN is ask({"pid": pid}).finding
    assert Finding.UNKNOWN is judge({"pid": pid, "ticks": [pid]}, this_machine(), look).finding


@pytest.mark.parametrize("odd", [{"ticks": "1"}, {"ticks": -1}, {"started": 1.5}, {"ticks": True}])
def test_a_start_that_no_process_has_tells_nothing(odd: dict[str, object]) -> None:
    assert Finding.UNKNOWN is ask({"pid": os.getpid(), **odd}).finding


def test_a_backing_without_a_process_tells_nothing() -> None:
    assert Finding.UNKNOWN is process_probe(record()).finding
    assert Finding.UNKNOWN is process_probe(record({"file": "a"})).finding


def test_a_process_that_is_hidden_tells_nothing() -> None:
    def hidden(_: Identity) -> None:
        raise PermissionError(13, "Hidden from this process")

    verdict = ProcessProbe(look=hidden)(record(own_backing()))

    assert (
        Finding.UNKNOWN,
        f"process {os.getpid()}: it cannot be seen: Hidden from this process",
    ) == detail(verdict)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="where the first thread can end before the others")
def test_a_process_whose_first_thread_has_ended_is_alive_as_long_as_others_run() -> None:
    script = """
import ctypes, os, sys, threading

def work():
    with open(f"/proc/{os.getpid()}/task/{os.getpid()}/stat") as stat:
        while ") Z" not in stat.read():
            stat.seek(0)
    print("first thread ended", flush=True)
    sys.stdin.readline()
    os._exit(0)

threading.Thread(target=work).start()
ctypes.CDLL(None).syscall({"x86_64": 60}.get(os.uname().machine, 93), 0)
"""
    with running(script) as process:
        assert "first thread ended" == process.first_line
        assert Finding.ALIVE is ask(backing_of(process.pid)).finding


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="where a process can name itself")
def test_a_name_with_spaces_and_parentheses_hides_nothing() -> None:
    script = """
with open("/proc/self/comm", "w") as name:
    name.write(") Z 1 (a b")
print("named", flush=True)
input()
"""
    with running(script) as process:
        verdict = ask(backing_of(process.pid))

    assert (Finding.ALIVE, ") Z 1 (a b") == (verdict.finding, verdict.evidence["foundName"])


def test_a_line_of_proc_is_read_behind_the_last_parenthesis() -> None:
    fields = b"Z 7 4712 1 1 " + b"0 " * 12 + b"1 0 998 0"

    assert Found(998, None, True, 4712, "a) b") == parsed(b"4711 (a) b) " + fields)  # noqa: FBT003


# Few looks.


class Looks:
    """Counts the looks, and a clock that moves when it is told."""

    def __init__(self) -> None:
        self.count, self.now = 0, 0.0

    def __call__(self, expected: Identity) -> Found | None:
        self.count += 1
        return look(expected)


def test_ten_thousand_tasks_of_one_dead_process_cost_one_look_a_second() -> None:
    with running() as process:
        backing = backing_of(process.pid)
    looks = Looks()
    probe = ProcessProbe(look=looks, clock=lambda: looks.now)

    assert {Finding.DEAD} == {probe(each).finding for each in [record(backing)] * 10_000}
    assert 1 == looks.count
    looks.now += 1_000
    assert Finding.DEAD is probe(record(backing)).finding
    assert 2 == looks.count


def test_a_look_from_before_a_task_began_says_nothing_about_it() -> None:
    there: list[Found | None] = [None, Found(ticks=2)]
    probe = ProcessProbe(look=lambda _: there.pop(0), clock=lambda: 0)

    assert Finding.DEAD is probe(record({"pid": 4711, "ticks": 1})).finding
    assert Finding.ALIVE is probe(record({"pid": 4711, "ticks": 2})).finding


def test_a_pid_alone_is_looked_at_every_time() -> None:
    there: list[Found | None] = [None, Found(ticks=2)]
    probe = ProcessProbe(look=lambda _: there.pop(0), clock=lambda: 0)

    assert [Finding.DEAD, Finding.ALIVE] == [probe(record({"pid": 4711})).finding for _ in range(2)]


def test_the_looks_that_are_kept_have_a_bound() -> None:
    probe = ProcessProbe(look=lambda _: None, clock=lambda: 0)
    tasks: list[TaskRecord] = [record({"pid": 4711, "ticks": ticks}) for ticks in range(10_000)]

    assert {Finding.DEAD} == {probe(task).finding for task in tasks}
    assert 4_096 >= len(probe._looks)  # noqa: SLF001 - nobody else can see it


# What is recorded.


def test_a_process_records_itself_as_one_that_others_share() -> None:
    backing = own_backing()

    assert (os.getpid(), os.uname().nodename, True) == (backing["pid"], backing["host"], backing["shared"])
    assert "probe" not in backing
    assert Finding.ALIVE is ask(backing).finding


def test_a_fork_records_itself_and_not_its_parent() -> None:
    script = """
import os
from tallystick.probes import own_backing
own_backing()
child = os.fork()
if child:
    os.waitpid(child, 0)
else:
    print(os.getpid() == own_backing()["pid"], flush=True)
    os._exit(0)
"""
    with running(script) as process:
        assert "True" == process.first_line


def test_a_process_that_is_not_there_cannot_be_recorded() -> None:
    with running() as process:
        end(process)
        with pytest.raises(ProcessLookupError, match=f"no process has the pid {process.pid}"):
            backing_of(process.pid)


def test_a_command_that_ends_at_once_is_recorded_whole_and_with_its_runner() -> None:
    process = Process.start(["true"], None, None)
    process.ended.wait(PATIENCE_S)
    process.drain(PATIENCE_S)

    backing = process.backing()
    assert {
        "pid": process.pid,
        "group": process.pid,
        "boot": boot_id(),
        "host": os.uname().nodename,
        "runner": os.getpid(),
        "runnerTicks": own_backing()["ticks"],
        "probe": "process",
    } == {name: value for name, value in backing.items() if name not in {"started", "ticks"}}
    assert Finding.MISSING is ask(backing).finding, "its runner lives"
    assert Finding.DEAD is ask({**backing, "runner": None}).finding


def test_a_system_without_proc_is_looked_at_by_other_means(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallystick.probes.look._PROC", tmp_path)
    with running() as process:
        backing = backing_of(process.pid)
        assert "ticks" not in backing
        assert Finding.ALIVE is ask(backing).finding
        end_unasked(process)
        assert Finding.DEAD is ask(backing).finding
        end(process)
        assert Finding.DEAD is ask(backing).finding
