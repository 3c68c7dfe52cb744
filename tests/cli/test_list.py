"""`tally list` shows tasks newest first, as a table that fits and as data."""

import re
from collections.abc import Mapping

import msgspec
import pytest

import tallystick
from tallystick.cli.screen import Screen
from tallystick.cli.summary import task_table
from tallystick.ledger.record import TaskRecord
from tests.cli.support import BEGIN_MS, OWNER, Said, tally

pytestmark = pytest.mark.usefixtures("ledger")

LABELS = ["stopping", "reading", "cron", "late", "lost", "blocked", "review", "wait", "tests", "build"]


def labels(said: Said) -> list[str]:
    return [task["label"] for task in said.data["tasks"]]


def test_tally_alone_is_tally_list(ledger: str) -> None:
    assert tally("list", "--ledger", ledger).out == tally().out
    assert LABELS == labels(tally("--json"))


@pytest.mark.parametrize("words", [["--status", "running"], ["--json", "--status", "running"]])
def test_options_alone_are_those_of_list(ledger: str, words: list[str]) -> None:
    said = tally(*words, "--ledger", ledger)

    assert (0, "") == (said.code, said.err)
    assert "reading" in said.out
    assert "build" not in said.out


def test_a_list_begins_with_totals_and_pressure() -> None:
    assert "10 tasks · 1 queued · 2 running · 5 issues" == tally("list").out.splitlines()[0]


def test_a_piped_list_has_whole_ids_and_every_task_on_a_line(ids: Mapping[str, str]) -> None:
    lines = tally("list").out.splitlines()

    assert ["Task", "Runtime", "Status", "Age", "Took", "Owner", "Work"] == lines[2].split()
    assert [ids[label] for label in LABELS] == [line.split()[0] for line in lines[3:]]
    assert re.search(r" succeeded +\S+ +2\.5s  agent:main:main  build: 3 files$", lines[-1])
    assert re.search(r" blocked .* blocked: no access$", lines[8])
    assert re.search(r" running .* reading: 2/5 reading mail$", lines[4])


def test_what_json_lists_are_records(ids: Mapping[str, str]) -> None:
    data = tally("list", "--json", "--status", "running", "--runtime", "acp").data

    assert {"count", "runtime", "status", "tasks"} == data.keys()
    assert (1, "acp", "running") == (data["count"], data["runtime"], data["status"])
    record = msgspec.convert(data["tasks"][0], TaskRecord)
    assert (ids["stopping"], OWNER, "enough") == (record.task_id, record.owner_key, record.cancel_reason)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--status", "blocked"], ["blocked"]),
        (["--status", "succeeded"], ["blocked", "build"]),
        (["--runtime", "cron"], ["cron"]),
        (["--owner", "agent:main:other"], []),
        (["--metadata", "repo=a/b"], ["reading", "build"]),
        (["--metadata", "repo=a/b", "--metadata", "host=one"], ["build"]),
        (["--text", "MAIL"], ["reading"]),
        (["--until", str(BEGIN_MS + 1_001)], ["build"]),
        (["--since", "2026-09-21T14:14:38Z"], ["stopping"]),
        (["--since", "10000d", "--until", "2026-09-21"], []),
        (["--limit", "2"], ["stopping", "reading"]),
    ],
)
def test_every_filter_lets_through_what_it_says(words: list[str], found: list[str]) -> None:
    assert found == labels(tally("list", "--json", *words))


def test_pages_follow_each_other_until_there_are_no_more() -> None:
    seen: list[str] = []
    words: list[str] = []
    while True:
        said = tally("list", "--json", "--limit", "4", *words)
        seen += labels(said)
        if "nextCursor" not in said.data:
            break
        words = ["--cursor", said.data["nextCursor"]]

    assert seen == LABELS


def test_a_list_says_how_to_see_more_even_of_a_span_that_ends_now(ledger: str) -> None:
    said = tally("list", "--ledger", ledger, "--limit", "4", "--since", "10000d")

    again = said.out.splitlines()[-1].removeprefix("more: tally ").split()
    assert LABELS[4:8] == labels(tally(*again, "--json"))


def test_a_list_says_what_it_was_asked_for() -> None:
    lines = tally("list", "--status", "failed", "--metadata", "a=b", "--since", "1970-01-02T00:00:00Z").out.splitlines()

    assert lines[1].startswith("only status failed, from 1970-01-02 0")
    assert "None of them is meant." == lines[-1]


def test_nothing_at_all_says_what_to_try(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TALLYSTICK_LEDGER", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    said = tally()

    assert (0, "No tasks yet.") == (said.code, said.out.splitlines()[0])
    assert "tally run -- COMMAND" in said.out
    assert {"count": 0, "tasks": []} == tally("list", "--json").data
    assert 0 == tally("status").code


@pytest.mark.parametrize(("columns", "has_owner", "whole"), [(80, False, False), (120, True, False), (160, True, True)])
def test_a_table_fits_every_terminal(
    ledger: str, ids: Mapping[str, str], columns: int, *, has_owner: bool, whole: bool
) -> None:
    with tallystick.open(ledger, read_only=True) as opened:
        lines = list(task_table(Screen(columns), opened.list().tasks, BEGIN_MS))

    assert all(len(line) <= columns for line in lines)
    assert has_owner is ("Owner" in lines[0])
    assert (ids["stopping"] if whole else ids["stopping"][-12:]) == lines[1].split()[0]
