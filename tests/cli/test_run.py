"""`tally run` makes a command a task that ends as the command ends. Real processes only."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

import tallystick
from tallystick.run import Ran, run_command
from tests.cli.support import COMMAND, OWNER, process, tally

PYTHON = sys.executable


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "ledger")


def newest(folder: str) -> dict[str, Any]:
    """The record of the newest task."""
    record: dict[str, Any] = tally("list", "--ledger", folder, "--json").data["tasks"][0]
    return record


def events(folder: str) -> list[dict[str, Any]]:
    """The events of the newest task."""
    found: list[dict[str, Any]] = tally("timeline", newest(folder)["taskId"], "--ledger", folder, "--json").data[
        "events"
    ]
    return found


def script(tmp_path: Path, text: str) -> str:
    path = tmp_path / "script.py"
    path.write_text(f"import os, signal, subprocess, sys, time\n{text}", "utf-8")
    return str(path)


def start(folder: str, *words: str, **how: Any) -> "subprocess.Popen[bytes]":
    """Start `tally run` as a process; it tells on standard output."""
    return subprocess.Popen([*COMMAND, "run", "--ledger", folder, *words], stdout=subprocess.PIPE, **how)


def line_of(running: "subprocess.Popen[bytes]") -> str:
    assert running.stdout is not None
    return running.stdout.readline().decode().strip()


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has asked how counts as ended."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


# Exit codes.


@pytest.mark.parametrize("code", [0, 1, 3, 255])
def test_it_exits_with_the_commands_own_code(folder: str, code: int) -> None:
    said = tally("run", "--ledger", folder, "--", "sh", "-c", f"exit {code}")

    record = newest(folder)
    assert (code, "", "") == (said.code, said.out, said.err)
    assert ("succeeded" if code == 0 else "failed") == record["status"]
    assert f"exit code {code}" == record.get("error", record.get("terminalSummary"))


def test_a_command_that_a_signal_ended_exits_as_a_shell_says(folder: str) -> None:
    said = tally("run", "--ledger", folder, "--", "sh", "-c", "echo over >&2; kill -SEGV $$")

    assert 128 + signal.SIGSEGV == said.code
    assert "killed by SIGSEGV: over" == newest(folder)["error"]
    assert {"error": "killed by SIGSEGV: over", "signal": "SIGSEGV"} == events(folder)[-1]["data"]


def test_a_signal_without_a_name_has_a_number(folder: str) -> None:
    said = tally("run", "--ledger", folder, "--", "sh", "-c", "kill -40 $$")

    assert (168, "killed by signal 40") == (said.code, newest(folder)["error"])


def test_a_command_that_is_not_there_exits_with_127(folder: str) -> None:
    said = tally("run", "--ledger", folder, "--", "no-such-command")

    assert (127, "", "no-such-command: No such file or directory\n") == (said.code, said.out, said.err)
    assert ("failed", "no-such-command: No such file or directory") == (
        newest(folder)["status"],
        newest(folder)["error"],
    )
    assert ["task-created.1", "task-failed.1"] == [event["type"] for event in events(folder)]


def test_a_command_that_cannot_be_run_exits_with_126(folder: str, tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("no program", "utf-8")

    assert 126 == tally("run", "--ledger", folder, "--", str(path)).code
    path.chmod(0o700)
    assert 126 == tally("run", "--ledger", folder, "--", str(path)).code
    assert newest(folder)["error"].endswith("Exec format error")


# What is recorded.


def test_a_task_knows_its_command_its_process_and_who_asked(folder: str) -> None:
    process(
        "run",
        "--ledger",
        folder,
        "--label",
        "nightly",
        "--owner",
        OWNER,
        "--timeout",
        "5m",
        "--",
        "sh",
        "-c",
        "read line; exit 1",
        stdin=subprocess.DEVNULL,
    )

    record = newest(folder)
    assert "sh -c 'read line; exit 1'" == record["task"]
    assert ("cli", "exec", "nightly", OWNER) == tuple(
        record[name] for name in ("runtime", "taskKind", "label", "ownerKey")
    )
    assert record["startedAt"] + 300_000 == record["deadlineAt"]
    assert record["backing"]["pid"] == record["backing"]["group"]


def test_who_asks_is_the_operator_unless_somebody_else_is_named(folder: str) -> None:
    process("run", "--ledger", folder, "--", "true", environment={"LOGNAME": "ada"})

    assert "operator:ada" == newest(folder)["ownerKey"]


def test_options_of_the_command_are_the_commands(folder: str) -> None:
    said = process("run", "--ledger", folder, "echo", "--json", "--label", "x", "--", "y")

    assert (0, "--json --label x -- y\n") == (said.code, said.out)


def test_a_command_line_of_any_length_and_bytes_is_run(folder: str) -> None:
    words = ["printf", "%s", "x" * 30_000, b"\xff".decode(errors="surrogateescape")]
    done = subprocess.run([*COMMAND, "run", "--ledger", folder, "--", *words], capture_output=True, check=False)

    assert b"x" * 30_000 + b"\xff" == done.stdout
    assert newest(folder)["task"].endswith("…")


def test_progress_is_recorded_at_most_once_a_second_with_the_newest_line_of_both_streams(
    folder: str, tmp_path: Path
) -> None:
    told = """
until = time.monotonic() + 2.4
number = 0
while time.monotonic() < until:
    number += 1
    print(f"\\x1b[32mline\\x1b[0m {number}", flush=True, file=sys.stderr if number % 2 else sys.stdout)
    time.sleep(0.02)
print("almost done", flush=True)
print("   ", flush=True)
"""
    process("run", "--ledger", folder, "--", PYTHON, script(tmp_path, told))

    found = [event for event in events(folder) if event["type"] == "task-progressed.1"]
    assert 2 == len(found)
    assert 1_000 <= found[1]["recordedAt"] - found[0]["recordedAt"] < 2_000
    first, second = (int(event["data"]["message"].removeprefix("line ")) for event in found)
    assert 10 < first < second
    assert "exit code 0: almost done" == newest(folder)["terminalSummary"]


def test_a_failure_says_what_the_command_said_last_on_its_standard_error(folder: str) -> None:
    tally("run", "--ledger", folder, "--", "sh", "-c", "echo broken >&2; echo and more; exit 4")

    assert "exit code 4: broken" == newest(folder)["error"]


# Streams.


def test_output_goes_through_to_the_byte_on_both_streams_at_once(folder: str, tmp_path: Path) -> None:
    told = """
import threading
def write(stream, seed):
    chunk = bytes((seed + place) % 256 for place in range(65_536))
    for _ in range(160):
        stream.write(chunk)
streams = [(sys.stdout.buffer, 3), (sys.stderr.buffer, 7)]
threads = [threading.Thread(target=write, args=each) for each in streams]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    done = subprocess.run(
        [*COMMAND, "run", "--ledger", folder, "--", PYTHON, script(tmp_path, told)], capture_output=True, check=False
    )

    assert 0 == done.returncode
    for stream, seed in ((done.stdout, 3), (done.stderr, 7)):
        assert bytes((seed + place) % 256 for place in range(65_536)) * 160 == stream


def test_what_the_command_reads_is_what_tally_would_read(folder: str) -> None:
    done = subprocess.run(
        [*COMMAND, "run", "--ledger", folder, "--", "cat"], input=b"to\x00be\n", capture_output=True, check=False
    )

    assert (0, b"to\x00be\n") == (done.returncode, done.stdout)


def test_a_reader_that_leaves_ends_the_command_as_it_would_without_tally(folder: str) -> None:
    with start(folder, "--", "yes") as running:
        assert "y" == line_of(running)
        assert running.stdout is not None
        running.stdout.close()

        assert 128 + signal.SIGPIPE == running.wait(30)
    assert "killed by SIGPIPE: y" == newest(folder)["error"]


def test_a_reader_that_is_slow_gets_everything(folder: str) -> None:
    with start(folder, "--", "head", "-c", "100000", "/dev/zero") as running:
        assert running.stdout is not None
        first = running.stdout.read(1)
        with tallystick.open(folder, read_only=True) as opened:
            for event in opened.subscribe():
                if event.type == "task-succeeded.1":  # it has ended, and its pipes still hold what they can
                    break
        rest = running.stdout.read()

        assert (0, bytes(100_000)) == (running.wait(30), first + rest)


def test_what_a_command_leaves_behind_does_not_hold_it_up(folder: str) -> None:
    with start(folder, "--", "sh", "-c", "sleep 60 & echo $!") as running:
        left = int(line_of(running))
        try:
            assert 0 == running.wait(30)
            assert not is_gone(left)
        finally:
            os.kill(left, signal.SIGKILL)
    assert "succeeded" == newest(folder)["status"]


# Stopping.


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
import signal, sys, time
def end(*_):
    print("child ended", flush=True)
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
    with tallystick.open(folder) as opened:
        return run_command(opened, words, owner=OWNER, **more)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=str
)
def test_what_ends_tally_ends_the_command_first_and_the_task_is_cancelled(
    folder: str, number: signal.Signals, code: int
) -> None:
    running = start(folder, "--", "sh", "-c", "echo $$; sleep 60", stderr=subprocess.PIPE)
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
signal.signal(signal.SIGINT, lambda *_: print("told", flush=True))
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

    assert (code, f"Interrupted by SIG{name}.\n") == (said.code, said.err)
    assert f"interrupted by SIG{name}" == newest(folder)["error"]
    assert before == signal.getsignal(signal.SIGTERM)


def test_what_is_ignored_stays_ignored(folder: str) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        said = tally("run", "--ledger", folder, "--", "sh", "-c", "kill -HUP $PPID; echo went on")
    finally:
        signal.signal(signal.SIGHUP, before)

    assert (0, "went on\n") == (said.code, said.out)


# The ledger.


def test_who_is_not_the_owner_is_refused_before_the_command_starts(folder: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with tallystick.open(folder) as opened:
        said = process("run", "--ledger", folder, "--", "touch", str(mark))
        error = process("run", "--ledger", folder, "--json", "--", "touch", str(mark)).error
        assert [] == opened.list().tasks

    assert (1, "") == (said.code, said.out)
    assert f"{folder} has a live owner: process {os.getpid()} on " in said.err
    assert ("NotOwner", folder) == (error["type"], error["path"])
    assert not mark.exists()


def test_a_ledger_that_closes_meanwhile_changes_nothing_about_the_command(
    folder: str, capfd: pytest.CaptureFixture[str]
) -> None:
    opened = tallystick.open(folder)
    out = _Closing(opened)
    with out.reading():
        ran = run_command(opened, ["sh", "-c", "echo ready; read line; exit 5"], owner=OWNER, out=out.sink)

    assert 5 == ran.exit_code
    assert "tallystick could not record this: The ledger is closed" in capfd.readouterr().err


class _Closing:
    """A sink that closes the ledger when the command has said something, and then lets the command go on."""

    def __init__(self, ledger: tallystick.Ledger) -> None:
        self._ledger = ledger
        reading, writing = os.pipe()
        self.sink = os.fdopen(writing, "wb")
        self._told = os.fdopen(reading, "rb")

    def reading(self) -> "_Closing":
        return self

    def __enter__(self) -> None:
        given, keep = os.pipe()
        self._stdin, self._keep = os.dup(0), keep
        os.dup2(given, 0)
        os.close(given)
        self._thread = threading.Thread(target=self._close)
        self._thread.start()

    def _close(self) -> None:
        self._told.readline()
        self._ledger.close()
        os.write(self._keep, b"go\n")

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        os.dup2(self._stdin, 0)
        os.close(self._keep)
        os.close(self._stdin)
        self.sink.close()
        self._told.close()


@pytest.mark.parametrize("words", [[], ["echo", "nul\0"]])
def test_what_is_no_command_is_refused(folder: str, words: list[str]) -> None:
    with tallystick.open(folder) as opened:
        with pytest.raises(tallystick.InvalidInput, match="command: "):
            run_command(opened, words, owner=OWNER)
        assert [] == opened.list().tasks


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--timeout", "soon", "--", "true"], "timeout: 'soon' is not allowed; give a whole number with a unit"),
        (["--timeout", "0s", "--", "true"], "timeout_ms: 0 is not allowed"),
        (["--label", "x" * 600, "--", "true"], "label: "),
        (["--owner", "a\nb", "--", "true"], "owner: "),
        ([], "Missing argument 'COMMAND…'."),
        (["--"], "Missing argument 'COMMAND…'."),
        (["--wrong", "--", "true"], "No such option"),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_written(folder: str, words: list[str], says: str) -> None:
    said = tally("run", "--ledger", folder, *words)

    assert (2, "") == (said.code, said.out)
    assert says in said.err
    assert not Path(folder).exists() or [] == tally("list", "--ledger", folder, "--json").data["tasks"]
