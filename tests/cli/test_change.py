"""Commands that write about a task: through the owner if there is one, by themselves if not, with one result."""

import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

import tallystick
from tallystick.cli import change
from tests.cli.running import line_of, newest, start
from tests.cli.support import COMMAND, OWNER, tally
from tests.face.parts import Process

NOBODY = "01999999-9999-7999-8999-999999999999"


def make(folder: str, *, run_id: str = "run-1") -> str:
    with tallystick.join(folder) as joined:
        return joined.create(runtime="subagent", task="Count", owner=OWNER, run_id=run_id).id


def write(folder: str, *words: str) -> list[str]:
    """The types of the last task's events, after a command that must succeed."""
    said = tally(*words, "--ledger", folder)
    assert (0, "") == (said.code, said.err)
    with tallystick.join(folder) as joined:
        return [said.out.splitlines()[0], *(event.type for event in joined.timeline("run-1"))]


def test_queued_work_is_cancelled_and_what_has_ended_says_what_it_is(folder: str) -> None:
    task_id = make(folder)

    told, *types = write(folder, "cancel", "run-1", "--reason", "not needed")
    again = tally("cancel", task_id, "--ledger", folder)
    error = tally("cancel", task_id, "--json", "--ledger", folder).error

    assert f"Cancelled {task_id}: it had not started" == told
    assert ["task-created.1", "task-cancel-requested.1", "task-cancelled.1", "delivery-queued.1"] == types
    assert (1, "") == (again.code, again.out)
    assert f"Task {task_id} is cancelled: cancel is refused." in again.err
    assert ("Refused", task_id, "cancelled") == (error["type"], error["token"], error["status"])


def test_a_cancel_that_nobody_answers_says_that_the_work_still_runs(folder: str) -> None:
    task_id = make(folder)
    with tallystick.join(folder) as joined:
        joined.get(task_id).start()

    told, *types = write(folder, "cancel", task_id[-12:], "--wait", "0s")

    assert f"Cancel requested; {task_id} is still running." == told
    assert "task-cancel-requested.1" == types[-1]


def test_a_command_that_runs_elsewhere_is_stopped_and_says_by_what(folder: str) -> None:
    running = start(folder, "--", "sh", "-c", "echo ready; exec sleep 60")
    assert "ready" == line_of(running)

    said = tally("cancel", newest(folder)["taskId"], "--reason", "enough", "--json", "--ledger", folder)
    code = running.wait(20)
    running.communicate()

    assert (0, "cancelled", "enough") == (said.code, said.data["status"], said.data["error"])
    assert 128 + 15 == code
    record = newest(folder)
    assert ("cancelled", True) == (record["status"], record["cancelConfirmed"])


def test_children_are_cancelled_along_when_that_is_asked_for(folder: str) -> None:
    parent = make(folder)
    with tallystick.join(folder) as joined:
        child = joined.create(runtime="subagent", task="Count below", owner=OWNER, parent=parent).id

    write(folder, "cancel", parent, "--cascade")

    assert ["cancelled"] * 2 == [
        tally("show", each, "--json", "--ledger", folder).data["status"] for each in (parent, child)
    ]


def test_a_task_is_settled_by_hand_with_a_reason(folder: str) -> None:
    task_id = make(folder)

    told, *types = write(folder, "settle", task_id, "--as", "lost", "--reason", "its machine burnt down")
    wrong = tally("settle", task_id, "--as", "succeeded", "--reason", "I think so", "--ledger", folder)

    assert f"Settled {task_id} as lost." == told
    assert ["task-created.1", "task-settled.1", "delivery-queued.1"] == types
    assert (2, "") == (wrong.code, wrong.out)
    assert "'succeeded' is not allowed" in wrong.err


def test_a_policy_is_changed_and_a_hold_begins_and_ends(folder: str) -> None:
    task_id = make(folder)

    assert f"{task_id} tells state_changes from now on." == write(folder, "notify", "run-1", "state_changes")[0]
    assert "is held" in write(folder, "hold", "run-1", "--reason", "evidence")[0]
    assert "is not held" in write(folder, "release", "run-1")[0]
    said = tally("release", task_id, "--json", "--ledger", folder).data
    shown = tally("show", task_id, "--json", "--ledger", folder).data
    assert shown == said
    assert ("state_changes", False) == (shown["notifyPolicy"], "heldAt" in shown)


def test_who_is_not_there_and_who_could_be_several_is_said(folder: str) -> None:
    first, second = make(folder), make(folder, run_id="run-2")
    common = next(first[:length] for length in range(len(first), 0, -1) if second.startswith(first[:length]))

    missing = tally("hold", NOBODY, "--ledger", folder)
    error = tally("cancel", common, "--json", "--ledger", folder).error

    assert (1, "") == (missing.code, missing.out)
    assert f"Task not found: {NOBODY}." in missing.err
    assert ("Ambiguous", {first, second}) == (error["type"], set(error["candidates"]))


OWN = """
    import sys, tallystick
    with tallystick.open(sys.argv[1]) as ledger:
        print(ledger.create(runtime="cli", task="Count", owner="o").id, flush=True)
        sys.stdin.readline()
"""


def test_an_owner_that_is_stopped_is_named_to_who_waits_for_it(tmp_path: Path) -> None:
    ledger = str(tmp_path / "ledger")
    with Process(OWN, ledger) as owner:
        words = [*COMMAND, "hold", owner.hear(), "--ledger", ledger]
        os.kill(owner.pid, signal.SIGSTOP)
        waiting = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert waiting.stderr is not None
        told = waiting.stderr.readline()
        os.kill(owner.pid, signal.SIGCONT)
        out, _ = waiting.communicate(timeout=20)

    assert f"Waiting for process {owner.pid} on " in told
    assert (0, True) == (waiting.returncode, "is held" in out)


def test_who_owns_the_ledger_and_has_much_to_do_waits_for_nobody(
    folder: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(change, "PATIENCE_S", 0.0)

    with tallystick.join(folder) as joined, change.impatient(Path(folder)):
        joined.create(runtime="subagent", task="Count", owner=OWNER)
        for each in threading.enumerate():
            if isinstance(each, threading.Timer):
                each.join()

    assert "" == capsys.readouterr().err


@pytest.mark.parametrize("words", [["cancel"], ["settle", "x"], ["notify", "x"], ["hold"], ["release"]])
def test_what_a_command_needs_is_asked_for(words: list[str]) -> None:
    assert 2 == tally(*words).code


def test_without_a_ledger_nothing_is_made(tmp_path: Path) -> None:
    said = tally("cancel", NOBODY, "--ledger", str(tmp_path / "nothing"))

    assert 2 == said.code
    assert not (tmp_path / "nothing").exists()
