"""`tally run` makes a command a task that ends as the command ends. Real processes only."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import tallystick
from tallystick.run import run_command
from tests.cli.running import events, newest, script
from tests.cli.support import COMMAND, OWNER, process, tally

PYTHON = sys.executable


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "ledger")


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


# The ledger.


def test_who_is_not_the_owner_records_through_the_one_who_is(folder: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with tallystick.open(folder) as opened:
        said = process("run", "--ledger", folder, "--", "touch", str(mark))
        [record] = opened.list().tasks

    assert (0, "", "") == (said.code, said.out, said.err)
    assert ("succeeded", "exit code 0") == (record.status, record.terminal_summary)
    assert mark.exists()


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
