"""`tally demo` runs real processes and shows what the ledger knows of them."""

import io
import re
import shlex
import shutil
import subprocess
import sys
import threading
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

import tallystick
from tallystick.cli.demo.stage import Stage, typed_name
from tests.cli.support import COMMAND, make_stories, process, tally

pytestmark = pytest.mark.slow

ENDS = {
    "build": "succeeded",
    "tests": "succeeded",
    "read settings": "failed",
    "wait for database": "timed_out",
    "count primes": "failed",
    "review": "cancelled",
    "summarise build": "succeeded",
    "release notes": "lost",
    "research": "succeeded",
    "triage": "lost",
}


@pytest.fixture(autouse=True)
def _homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)


def test_the_demo_shows_real_work_and_ends_with_three_commands_that_work() -> None:
    said = process("demo")

    assert (0, "") == (said.code, said.err)
    commands = re.findall(r"^\$ tally (\w+)", said.out, re.MULTILINE)
    asked, proved = ["deliveries", "deliveries", "timeline"], ["list", "show", "timeline", "status", "verify"]
    assert [*asked, *proved] == commands
    assert "Every message has arrived." in said.out
    assert "message not delivered: " in said.out
    assert "The log is as it was written." in said.out
    assert "killed by SIGKILL" in said.out
    assert "rule proved dead" in said.out
    lines = said.out.splitlines()
    next_ones = [shlex.split(line) for line in lines[-3:]]
    told = []
    for words in next_ones:
        done = subprocess.run(words, capture_output=True, encoding="utf-8", check=False)
        assert (0, "") == (done.returncode, done.stderr)
        told.append(done.stdout)
    assert "running → lost" in told[0]
    assert re.search(r"has +\d+ events, each with its proof", told[1])
    checked = process("doctor", "--ledger", next_ones[0][next_ones[0].index("--ledger") + 1])
    assert not re.search(r"^(warn|bad) ", checked.out, re.MULTILINE)
    assert told[2].startswith("6 events are proved to be in the log of example.org/tally-demo with ")


def test_the_demo_as_data_says_how_everything_ended() -> None:
    data = tally("demo", "--json").data

    assert data["ok"] is True
    assert ENDS == {task["label"]: task["status"] for task in data["tasks"]}
    tasks = {task["label"]: task for task in data["tasks"]}
    assert tasks["count primes"]["error"].startswith("killed by SIGKILL")
    assert tasks["read settings"]["error"].startswith("exit code 1: Expecting property name")
    assert tasks["wait for database"]["error"].startswith("stopped after 3000 ms")
    assert "startedAt" not in tasks["review"]
    _everybody_was_told_once(data)


def _everybody_was_told_once(data: Any) -> None:
    """The session of what agents ended with, and the webhook, once it was up, of everything else."""
    labels = {task["taskId"]: task["label"] for task in data["tasks"]}
    heard, taken = data["received"], [labels[event["taskId"]] for event in data["taken"]]
    told = [(message["to"], labels[message["id"].split(":")[1]]) for message in heard]

    assert ["release notes", "research", "review", "triage"] == sorted(taken)
    alerts = ["count primes", "read settings", "tests", "wait for database"]
    assert [*(("alerts", label) for label in alerts), ("maintainers", "summarise build")] == sorted(told)
    assert {True} == {message["signed"] for message in heard}
    assert max(message["attempt"] for message in heard) > 1


def test_an_interrupted_demo_leaves_nothing_running(tmp_path: Path) -> None:
    with subprocess.Popen([*COMMAND, "demo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8") as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "created: count primes" in line:
                break
        for line in demo.stdout:
            if " started: " in line:
                break
        demo.send_signal(2)
        out, err = demo.communicate(timeout=30)

    assert (130, "Interrupted by SIGINT.\n") == (demo.returncode, err)
    [home] = tmp_path.glob("tally-demo-*")
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, encoding="utf-8", check=True).stdout
    assert str(home) not in left
    assert "$ tally list" not in out


class Terminal(io.TextIOWrapper):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_the_list_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    make_stories(tmp_path / "ledger")
    done = threading.Event()
    done.set()
    written = io.BytesIO()
    with (
        tallystick.open(tmp_path / "ledger", read_only=True) as opened,
        redirect_stdout(Terminal(written, "utf-8", write_through=True)) as terminal,
    ):
        Stage(str(tmp_path / "ledger"), silent=False).watch(opened, done)
        told = written.getvalue().decode()
    terminal.close()

    assert "10 tasks · 1 queued · 2 running · 5 issues" in told
    assert "timed_out" in told


def test_what_a_person_types_is_what_works_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: "/usr/bin/tally")
    assert "tally" == typed_name()
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    monkeypatch.setattr(sys, "argv", [".venv/bin/tally", "demo"])
    assert ".venv/bin/tally" == typed_name()
    monkeypatch.setattr(sys, "argv", ["/lib/tallystick/__main__.py", "demo"])
    assert f"{shlex.quote(sys.executable)} -m tallystick" == typed_name()
