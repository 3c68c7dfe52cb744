"""Commands that run side by side on one ledger are all recorded, whichever ends first and whoever owns it meanwhile."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

import tallystick
from tallystick.owner import live_owner
from tests.cli.running import line_of, start

PATIENCE_S = 20


def running(folder: str, label: str) -> "subprocess.Popen[bytes]":
    """A command that is recorded as running, and ends when its input does."""
    words = ["--label", label, "--", "sh", "-c", "echo $$; cat >/dev/null; echo done"]
    command = start(folder, *words, stdin=subprocess.PIPE)
    line_of(command)
    with tallystick.open(folder, read_only=True) as reader, reader.subscribe() as events:
        for event in events:
            if event.type == "task-started.1" and reader.get(event.task_id).record.label == label:
                break
    return command


def end(command: "subprocess.Popen[bytes]") -> int:
    command.communicate(timeout=PATIENCE_S)
    return command.returncode


def told(folder: str) -> dict[str, tuple[str, Any]]:
    with tallystick.open(folder, read_only=True) as reader:
        assert reader.verify().ok
        return {str(each.label): (each.status.value, each.terminal_summary) for each in reader.list().tasks}


@pytest.mark.parametrize("first", ["older", "younger"])
def test_two_commands_are_recorded_whichever_ends_first(tmp_path: Path, first: str) -> None:
    folder = str(tmp_path / "ledger")
    commands = {label: running(folder, label) for label in ("older", "younger")}
    owner = live_owner(Path(folder))
    assert owner is not None
    assert (commands["older"].pid, True) == (owner.pid, owner.transient)

    assert 0 == end(commands.pop(first))
    [other] = commands
    assert {first: ("succeeded", "exit code 0: done"), other: ("running", None)} == told(folder)
    assert 0 == end(commands.pop(other))

    assert {"older": ("succeeded", "exit code 0: done"), "younger": ("succeeded", "exit code 0: done")} == told(folder)
    assert live_owner(Path(folder)) is None


def test_a_gateway_takes_the_ledger_over_while_a_command_runs_and_gives_it_back(tmp_path: Path) -> None:
    folder = str(tmp_path / "ledger")
    before, between = running(folder, "before"), running(folder, "between")
    with tallystick.open(folder) as gateway:
        owner = live_owner(Path(folder))
        assert owner is not None
        assert (os.getpid(), False) == (owner.pid, owner.transient)
        assert 2 == gateway.counts().active
        assert 0 == end(between)
        assert 1 == gateway.counts().active
    assert 0 == end(before)

    assert {"before": ("succeeded", "exit code 0: done"), "between": ("succeeded", "exit code 0: done")} == told(folder)


def test_a_command_whose_owner_is_killed_is_recorded_and_what_ran_within_that_is_lost(tmp_path: Path) -> None:
    folder = str(tmp_path / "ledger")
    victim, survivor = running(folder, "victim"), running(folder, "survivor")
    victim.kill()
    victim.communicate(timeout=PATIENCE_S)

    assert 0 == end(survivor)

    assert {"victim": ("lost", None), "survivor": ("succeeded", "exit code 0: done")} == told(folder)


def test_what_the_ledger_has_ended_itself_is_no_reason_to_complain(tmp_path: Path) -> None:
    folder = str(tmp_path / "ledger")
    with tallystick.open(folder) as gateway:
        command = start(
            folder, "--", "sh", "-c", "echo $$; cat >/dev/null", stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        line_of(command)
        [record] = gateway.list().tasks
        gateway.get(record.task_id).settle("lost", "by hand")
        _, err = command.communicate(timeout=PATIENCE_S)

        assert (0, b"") == (command.returncode, err)
        assert "task-recovered.1" == gateway.timeline(record.task_id)[-1].type


def test_a_command_whose_time_is_over_has_timed_out_whoever_stops_it_first(tmp_path: Path) -> None:
    folder = str(tmp_path / "ledger")
    with tallystick.open(folder) as gateway:
        command = start(folder, "--timeout", "700ms", "--", "sleep", "60", stderr=subprocess.PIPE)
        _, err = command.communicate(timeout=PATIENCE_S)
        [record] = gateway.list().tasks

    assert (124, b"", "timed_out") == (command.returncode, err, record.status)


def test_a_command_that_is_cancelled_and_dies_of_it_is_cancelled_not_failed(tmp_path: Path) -> None:
    folder = str(tmp_path / "ledger")
    command = start(folder, "--", "sh", "-c", "echo $$; exec sleep 60", stderr=subprocess.PIPE)
    line_of(command)
    with tallystick.join(folder) as joined:
        [record] = joined.list().tasks
        ended = joined.get(record.task_id).cancel("enough")
        _, err = command.communicate(timeout=PATIENCE_S)

        assert (128 + 15, b"") == (command.returncode, err)
        assert ("cancelled", "enough", True) == (ended.status, ended.error, ended.cancel_confirmed)
        assert 1 == sum(event.type == "task-cancelled.1" for event in joined.timeline(record.task_id))
