"""`tally status` and `tally board` say how things are in a few lines."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

import tallystick
from tests.cli.support import OWNER, make_stories, process, tally

pytestmark = pytest.mark.usefixtures("ledger")


def test_a_status_begins_with_counts_and_pressure(ledger: str) -> None:
    lines = tally("status").out.splitlines()

    assert "10 tasks · 1 queued · 2 running · 5 issues · 7 ended" == lines[0]
    assert lines[1].endswith("1 lost (1 of the succeeded blocked)")
    assert "flows           none" == lines[3]
    assert 'audit           2 errors, 1 warning; "tally audit" says which' == lines[4]
    assert lines[5].endswith(ledger)
    assert "nobody: the next who writes becomes it" in lines[6]
    assert ["board", "counts", "due", "outbox", "flows", "quarantine"] == [line.split()[0] for line in lines[8:-1]]
    assert all(line.endswith("at 31, at the head") for line in lines[8:-1])
    assert "messages        3 waiting in sessions" == lines[-1]


def test_a_status_as_data_has_the_names_of_the_interface() -> None:
    data = tally("status", "--json").data

    assert {"tasks", "flows", "audit", "log", "projections", "outbox"} == data.keys()
    assert {"errors": 2, "warnings": 1} == data["audit"]  # two run and one waits since that day in 2026
    assert {"pending": 0, "failed": 0, "sessionQueued": 3, "withheld": 0, "paused": []} == data["outbox"]
    assert {"total", "active", "terminal", "failures", "issues", "blocked", "byStatus", "byRuntime"} == data[
        "tasks"
    ].keys()
    assert (10, 3, 7, 4) == tuple(data["tasks"][name] for name in ("total", "active", "terminal", "failures"))
    assert 31 == data["log"]["head"]
    assert 0 < data["log"]["bytes"] < data["log"]["mapBytes"]
    assert {"name": "board", "position": 31, "lag": 0} == data["projections"][0]


def test_a_status_names_the_live_owner(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    with tallystick.open(folder) as opened:
        opened.create(runtime="cli", task="x", owner=OWNER)
        said = process("status", "--ledger", folder)
        owner = process("status", "--json", "--ledger", folder).data["owner"]

    assert re.search(rf"process {owner['pid']} on {owner['host']}, since [0-4]s\n", said.out)
    assert {"host", "pid", "bootId", "startedAt", "ticks", "since"} == owner.keys()


def test_a_status_says_that_an_owner_leaves_when_somebody_opens_the_ledger(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    with tallystick.join(folder):
        said = process("status", "--ledger", folder)
        owner = process("status", "--json", "--ledger", folder).data["owner"]

    assert re.search(r", since [0-4]s, until somebody opens it\n", said.out)
    assert owner["transient"] is True


def test_a_status_without_read_models_comes_from_the_log(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    make_stories(folder)
    for path in (folder / "views").iterdir():
        path.unlink()

    said = tally("status", "--ledger", str(folder))

    assert "10 tasks · 1 queued · 2 running · 5 issues · 7 ended" == said.out.splitlines()[0]
    assert "none that can be read: answers come from the log itself" in said.out


def test_a_log_that_is_large_enough_says_what_an_event_takes(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    with tallystick.open(folder) as opened, opened.batch() as batch:
        for number in range(1_000):
            batch.create(runtime="cli", task=f"task {number}", owner=OWNER)

    assert " an event; " in tally("status", "--ledger", str(folder)).out
    assert tally("list", "--ledger", str(folder)).out.splitlines()[0].startswith("1,000 tasks · 1,000 queued")


def test_a_board_has_the_active_tasks_first_and_five_at_most(ids: Mapping[str, str]) -> None:
    lines = tally("board", OWNER).out.splitlines()
    data = tally("board", OWNER, "--json").data

    labels = ["stopping", "reading", "late", "lost", "blocked"]
    assert f"{OWNER}  2 active, 3 recent" == lines[0]
    assert [ids[label] for label in labels] == [task["taskId"] for task in data["tasks"]]
    assert [ids[label][-12:] for label in labels] == [line.split()[-1] for line in lines[1:]]
    assert (5, OWNER) == (data["count"], data["session"])


def test_a_board_of_nobody_says_where_to_look() -> None:
    said = tally("board", "agent:nobody")

    assert (0, 'No tasks of session agent:nobody. Run "tally list" to see recent tasks of all.\n') == (
        said.code,
        said.out,
    )


def test_a_waiting_task_waits_on_the_board(tmp_path: Path) -> None:
    with tallystick.open(tmp_path / "ledger") as opened:
        opened.create(runtime="cli", task="x", owner=OWNER)

    assert "queued     waits " in tally("board", OWNER, "--ledger", str(tmp_path / "ledger")).out
