"""`tally replay` shows lists, messages and both times as of any moment, and goes through a history step by step."""

import os
import pty
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest

import tallystick
from tallystick.testing import HandClock
from tests.cli.support import BEGIN_MS, COMMAND, OWNER, tally

pytestmark = pytest.mark.usefixtures("ledger")


@pytest.mark.parametrize(
    "filters",
    [
        ["--status", "running"],
        ["--status", "blocked"],
        ["--runtime", "cron"],
        ["--owner", OWNER, "--limit", "3"],
        ["--metadata", "repo=a/b"],
        ["--text", "BUILD"],
        ["--since", str(BEGIN_MS + 70_000)],
        ["--until", str(BEGIN_MS + 4_000)],
    ],
)
def test_a_replayed_list_has_what_the_list_has(filters: list[str]) -> None:
    replayed, listed = tally("replay", "--json", *filters).data, tally("list", "--json", *filters).data

    for task in listed["tasks"]:
        task.pop("cleanupAfter", None)
    assert listed["tasks"] == replayed["tasks"]
    assert [listed.get(name) for name in ("count", "status", "runtime")] == [
        replayed.get(name) for name in ("count", "status", "runtime")
    ]


def test_a_list_is_as_it_was(ids: Mapping[str, str]) -> None:
    said = tally("replay", "--position", "5", "--status", "running")
    data = tally("replay", "--position", "5", "--status", "running", "--json").data

    assert [ids["tests"]] == [task["taskId"] for task in data["tasks"]]
    assert "only status running" in said.out
    assert [] == tally("replay", "--position", "5", "--status", "failed", "--json").data["tasks"]


def test_pages_of_the_past_go_on_with_the_same_moment() -> None:
    page = tally("replay", "--position", "31", "--limit", "4", "--json").data
    rest = tally("replay", "--position", "31", "--limit", "50", "--cursor", page["nextCursor"], "--json").data
    every = tally("replay", "--position", "31", "--limit", "50", "--json").data
    assert [task["taskId"] for task in every["tasks"]] == [
        task["taskId"] for some in (page, rest) for task in some["tasks"]
    ]
    shown = tally("replay", "--position", "31", "--limit", "4").out
    assert f"more: tally replay --position 31 --limit 4 --cursor {page['nextCursor']}" in shown


def test_what_was_told_by_then_is_shown(ids: Mapping[str, str]) -> None:
    now = tally("replay", ids["blocked"], "--json").data
    before = tally("replay", ids["blocked"], "--position", str(now["task"]["position"] - 1), "--json").data
    every = tally("replay", "--deliveries", "--json").data
    shown = tally("replay", "--deliveries").out

    assert ["session_queued"] == [message["status"] for message in now["deliveries"]]
    assert [] == before["deliveries"]
    assert len(every["deliveries"]) == every["outbox"]["queued"]
    assert f"{len(every['deliveries'])} messages had not arrived" in shown
    assert "Every message had arrived." in tally("replay", "--deliveries", "--position", "3").out
    assert "deliveries" in tally("replay", ids["blocked"]).out


def test_reported_time_is_another_question(tmp_path: Path) -> None:
    clock = HandClock(BEGIN_MS)
    folder = str(tmp_path / "ledger")
    with tallystick.open(folder, clock=clock) as opened:
        task = opened.create(runtime="cli", task="x", owner=OWNER)
        clock.advance(60_000)
        task.start(occurred_at=BEGIN_MS + 1_000)
    at = ["--at", str(BEGIN_MS + 2_000), "--ledger", folder]

    assert "queued" == tally("replay", task.id, *at, "--json").data["task"]["status"]
    data = tally("replay", task.id, *at, "--by", "reported", "--json").data
    assert ("running", "reported") == (data["task"]["status"], data["by"])
    whole = tally("replay", *at, "--by", "reported", "--json").data
    assert (1, "reported") == (whole["counts"]["byStatus"]["running"], whole["by"])
    assert "what had happened by " in tally("replay", *at, "--by", "reported").out
    known = tally("replay", task.id, *at, "--by", "reported", "--position", "1", "--json").data
    assert "queued" == known["task"]["status"]


def test_a_difference_can_begin_at_a_moment() -> None:
    by_position = tally("replay", "--diff", "5", "--json").data

    assert by_position == tally("replay", "--diff-at", str(BEGIN_MS + 4_600), "--json").data
    one = tally("replay", "run-7", "--diff-at", str(BEGIN_MS + 4_600), "--json").data
    assert {"before": "running", "after": "failed"} == one["tasks"][0]["changes"]["status"]


def test_a_history_is_gone_through_step_by_step(ids: Mapping[str, str]) -> None:
    data = tally("replay", ids["tests"], "--step", "--json").data
    out = tally("replay", ids["tests"], "--step").out

    assert ids["tests"] == data["taskId"]
    assert [(None, "queued"), ("queued", "running"), ("running", "failed")] == [
        (step.get("statusBefore"), step["status"]) for step in data["steps"]
    ]
    assert "    status: queued → running" in out
    assert "    error: nothing → exit code 1: 2 tests failed" in out
    assert 2 == len(tally("replay", ids["tests"], "--step", "--position", "5", "--json").data["steps"])
    flow = tally("show", ids["blocked"], "--json").data["parentFlowId"]
    steps = tally("replay", flow, "--step", "--json").data["steps"]
    assert "blocked" == steps[-1]["status"]


def test_at_a_terminal_somebody_says_when_to_go_on(ids: Mapping[str, str], ledger: str) -> None:
    ours, theirs = pty.openpty()
    words = [*COMMAND, "replay", ids["tests"], "--step", "--ledger", ledger]
    with subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs) as child:
        os.close(theirs)
        os.write(ours, b"\nq\n")
        said = read_all(ours)
    os.close(ours)

    assert 0 == child.returncode
    text = said.decode()
    assert "-- 1 of 3; Enter goes on, q ends" in text
    assert "-- 2 of 3; Enter goes on, q ends" in text
    assert "exit code 1" not in text


def read_all(terminal: int) -> bytes:
    """What comes from a terminal until nobody holds its other end any more."""
    said = b""
    with suppress(OSError):
        while more := os.read(terminal, 4_096):
            said += more
    return said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--step"], "step: 'no LOOKUP' is not allowed"),
        (["run-7", "--step", "--diff", "3"], "step: 'run-7' is not allowed"),
        (["run-7", "--status", "running"], "status: 'running' is not allowed; give filters for a list only"),
        (["--diff", "3", "--owner", "a"], "owner: 'a' is not allowed"),
        (["--diff", "3", "--diff-at", "2h"], "diff: 3 is not allowed; give a position or a moment, not both."),
        (["--by", "reported"], "by: 'reported' is not allowed; give a moment"),
        (["--by", "heard", "--at", "2h"], "by: 'heard' is not allowed; give recorded or reported."),
        (["run-7", "--step", "--by", "reported", "--at", "2h"], "by: 'reported' is not allowed; give recorded"),
        (["--processes", "0"], "processes: 0 is not allowed; give a whole number from 1 to 64."),
        (["--processes", "65"], "processes: 65 is not allowed"),
        (["--status", "lost in space"], "status: 'lost in space' is not allowed"),
    ],
)
def test_what_does_not_go_together_is_refused(words: list[str], says: str) -> None:
    said = tally("replay", *words)

    assert 2 == said.code
    assert said.err.startswith(says)


def test_the_same_log_gives_the_same_bytes_wherever_and_however_it_is_replayed(
    ledger: str, ids: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(Path(ledger) / "log", elsewhere / "log")
    asked = [["replay", "--deliveries"], ["replay", "--position", "20"], ["replay", ids["late"]], ["why", ids["late"]]]
    asked += [["replay", "--diff", "4"], ["replay", ids["reading"], "--step"], ["timeline", ids["late"]]]

    here = [tally(*words, "--json", "--ledger", ledger).out for words in asked]
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    monkeypatch.setenv("COLUMNS", "40")
    there = [tally(*words, "--json", "--ledger", str(elsewhere)).out for words in asked]

    assert here == there
