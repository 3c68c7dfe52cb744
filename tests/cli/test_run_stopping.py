"""A command run by `tally run` is stopped with all that it started, and the ledger says how. Real processes only."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tallystick
from tallystick.run import Ran, run_command
from tests.cli.running import is_gone, line_of, newest, script, start
from tests.cli.support import OWNER, process, tally

PYTHON = sys.executable


@pytest.fixture(autouse=True)
def _hang_ups_are_heard() -> Iterator[None]:
    """Children inherit what is ignored: without this the tests would fail under `nohup`, where hang-ups are."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "ledger")


def test_a_timeout_kills_what_ignores_being_told_and_all_its_children(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
child.stdout.readline()
print(os.getpid(), child.pid, flush=True)
time.sleep(60)
"""
    monkeypatch.setattr("tallystick.process.KILL_AFTER_S", 0.2)
    ran = run_here(folder, [PYTHON, script(tmp_path, told)], timeout_ms=1_500)

    record = ran.task.record
    assert (124, "timed_out") == (ran.exit_code, record.status)
    assert record.error is not None
    assert record.error.startswith("stopped after 1500 ms: process group ")
    assert record.error.endswith(", by SIGKILL, SIGTERM having done nothing")
    assert record.terminal_summary is not None
    assert [True, True] == [is_gone(int(pid)) for pid in record.terminal_summary.split()]


def test_a_timeout_lets_the_whole_group_end_by_itself(folder: str, tmp_path: Path) -> None:
    told = '''
code = """
import os, signal, sys, time
def end(*_):
    os.write(1, b"child ended\\\\n")  # a print may be interrupted in another one
    sys.exit()
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
time.sleep(60)
"""
child = subprocess.Popen([sys.executable, "-c", code])
time.sleep(60)
'''
    ran = run_here(folder, [PYTHON, script(tmp_path, told)], timeout_ms=1_000)

    record = ran.task.record
    assert record.error is not None
    assert record.error.endswith(", by SIGTERM")
    assert "child ended" == record.terminal_summary


def test_a_timeout_of_the_command_line_exits_with_124(folder: str) -> None:
    said = process("run", "--ledger", folder, "--timeout", "300ms", "--", "sleep", "60")

    assert (124, "timed_out") == (said.code, newest(folder)["status"])


def run_here(folder: str, words: list[str], **more: Any) -> Ran:
    with tallystick.join(folder) as joined:
        return run_command(joined, words, owner=OWNER, **more)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=str
)
def test_what_ends_tally_ends_the_command_first_and_the_task_is_cancelled(
    folder: str, number: signal.Signals, code: int
) -> None:
    # Between fork and exec a shell loses an interruption of its child, so there is no child.
    running = start(folder, "--", "sh", "-c", "echo $$; exec sleep 60", stderr=subprocess.PIPE)
    pid = int(line_of(running))
    running.send_signal(number)
    _, err = running.communicate(timeout=30)

    assert (code, f"Interrupted by {number.name}.\n".encode()) == (running.returncode, err)
    assert is_gone(pid)
    record = newest(folder)
    assert ("cancelled", f"interrupted by {number.name}") == (record["status"], record["error"])
    assert f"process group {pid}, by {number.name}" == record["terminalSummary"]
    assert record["cancelConfirmed"] is True


def test_an_interruption_as_json_is_a_failure_with_its_type(folder: str) -> None:
    running = start(folder, "--json", "--", "sh", "-c", "echo ready; exec sleep 60")
    assert "ready" == line_of(running)
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=30)

    assert 130 == running.returncode
    assert b'"type": "Interrupted"' in out


def test_a_second_interruption_kills_at_once(folder: str, tmp_path: Path) -> None:
    stays = """
signal.signal(signal.SIGINT, lambda *_: os.write(1, b"told\\n"))  # a print may be interrupted in another one
print(os.getpid(), flush=True)
while True:
    signal.pause()
"""
    with start(folder, "--", PYTHON, script(tmp_path, stays), stderr=subprocess.PIPE) as running:
        pid = int(line_of(running))
        running.send_signal(signal.SIGINT)
        assert "told" == line_of(running)
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=30)

    assert 130 == running.returncode
    assert is_gone(pid)
    assert f"process group {pid}, by SIGKILL" == newest(folder)["terminalSummary"]


@pytest.mark.parametrize(("name", "code"), [("INT", 130), ("TERM", 143), ("HUP", 129)])
def test_a_command_that_ends_tally_is_ended_itself(folder: str, name: str, code: int) -> None:
    before = signal.getsignal(signal.SIGTERM)

    said = tally("run", "--ledger", folder, "--", "sh", "-c", f"kill -{name} $PPID; sleep 60")

    told = [line for line in said.err.splitlines() if not line.startswith("Waiting for process ")]  # a slow owner
    assert (code, [f"Interrupted by SIG{name}."]) == (said.code, told)
    assert f"interrupted by SIG{name}" == newest(folder)["error"]
    assert before == signal.getsignal(signal.SIGTERM)


def test_what_is_ignored_stays_ignored(folder: str) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        said = tally("run", "--ledger", folder, "--", "sh", "-c", "kill -HUP $PPID; echo went on")
    finally:
        signal.signal(signal.SIGHUP, before)

    assert (0, "went on\n") == (said.code, said.out)
