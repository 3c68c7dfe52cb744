"""`tally replay` tells how things were, and what changed since."""

from collections.abc import Mapping
from pathlib import Path

import pytest

import tallystick
from tallystick.cli.times import now_ms, stamp
from tallystick.testing import HandClock
from tests.cli.damage import change_record
from tests.cli.support import BEGIN_MS, OWNER, make_stories, tally

pytestmark = pytest.mark.usefixtures("ledger")


def test_a_replay_to_the_head_is_what_the_read_models_say() -> None:
    replayed, listed = tally("replay", "--json").data, tally("list", "--json").data

    for task in listed["tasks"]:
        task.pop("cleanupAfter", None)  # which the configuration says, and a replay knows only the log
    assert listed["tasks"] == replayed["tasks"]
    assert tally("status", "--json").data["tasks"] == replayed["counts"]
    assert (31, 10) == (replayed["position"], replayed["count"])


@pytest.mark.parametrize("how", [["--position", "5"], ["--at", str(BEGIN_MS + 4_500)]])
def test_a_replay_shows_the_whole_ledger_as_it_was(ids: Mapping[str, str], how: list[str]) -> None:
    data = tally("replay", "--json", *how).data
    lines = tally("replay", *how).out.splitlines()

    assert 5 == data["position"]
    assert [(ids["tests"], "running"), (ids["build"], "succeeded")] == [
        (task["taskId"], task["status"]) for task in data["tasks"]
    ]
    assert "2 tasks at position 5 · 0 queued · 1 running · 0 issues" == lines[0]
    assert lines[1].startswith("5 events replayed, ")
    assert 6 == len(lines)


def test_a_replay_before_everything_shows_nothing() -> None:
    data = tally("replay", "--at", "0", "--json").data

    assert (0, 0, []) == (data["position"], data["counts"]["total"], data["tasks"])
    assert "0 tasks at position 0 · 0 queued · 0 running · 0 issues" == tally("replay", "--at", "0").out.splitlines()[0]


def test_one_task_is_replayed_by_any_of_its_names(ids: Mapping[str, str]) -> None:
    for lookup in (ids["tests"], "run-7", ids["tests"][-12:]):
        data = tally("replay", lookup, "--position", "5", "--json").data
        assert (5, ids["tests"], "running") == (data["position"], data["task"]["taskId"], data["task"]["status"])
    assert "running for 100ms" in tally("replay", "run-7", "--at", str(BEGIN_MS + 4_600)).out.splitlines()[0]


def test_a_task_that_did_not_exist_then_is_not_found(ids: Mapping[str, str]) -> None:
    said = tally("replay", ids["tests"], "--position", "3")

    assert (1, f"Task not found: {ids['tests']}. It had not been created then.\n") == (said.code, said.err)


def test_a_difference_says_what_changed_since_a_position(ids: Mapping[str, str]) -> None:
    data = tally("replay", "--diff", "26", "--json").data
    said = tally("replay", "--diff", "26").out

    assert (26, 31, 5, 2) == tuple(data[name] for name in ("from", "to", "events", "count"))
    stopping, reading = data["tasks"]
    assert (ids["stopping"], "running") == (stopping["taskId"], stopping["status"])
    assert "statusBefore" not in stopping
    assert (ids["reading"], "queued", "running") == (reading["taskId"], reading["statusBefore"], reading["status"])
    assert {"after": "reading mail"} == reading["changes"]["progressSummary"]
    assert {"before": "queued", "after": "running"} == reading["changes"]["status"]
    assert said.startswith("From position 26 to 31: 5 events touched 2 tasks, 1 of them new\n")
    assert f"{ids['reading']}  queued → running  reading" in said
    assert "    progress summary: nothing → reading mail" in said


def test_a_difference_can_end_at_a_position_and_be_asked_backwards() -> None:
    forwards = tally("replay", "--diff", "4", "--position", "6", "--json").data

    assert forwards == tally("replay", "--diff", "6", "--position", "4", "--json").data
    assert (4, 6, 1) == (forwards["from"], forwards["to"], forwards["count"])


def test_no_difference_is_said_too() -> None:
    assert tally("replay", "--diff", "31").out.endswith("Nothing changed.\n")
    assert [] == tally("replay", "--diff", "999", "--json").data["tasks"]


@pytest.mark.parametrize(
    "words",
    [
        ["replay", "--position", "999"],
        ["replay", "--diff", "999"],
        ["replay", "--diff", "4", "--position", "999", "--json"],
        ["replay", "run-7", "--position", "999"],
        ["replay", "run-7", "--diff", "999"],
        ["replay", "run-7", "--step", "--position", "999"],
        ["why", "run-7", "--position", "999"],
    ],
)
def test_a_position_that_is_not_there_yet_is_said(words: list[str]) -> None:
    said = tally(*words)

    assert (0, "There is no position 999 yet: the log ends at 31.\n") == (said.code, said.err)


@pytest.mark.parametrize(
    "words",
    [
        ["replay", "--at"],
        ["replay", "--json", "--at"],
        ["replay", "--diff-at"],
        ["replay", "--by", "reported", "--at"],
        ["replay", "run-7", "--at"],
        ["replay", "run-7", "--diff-at"],
        ["replay", "run-7", "--step", "--at"],
        ["why", "run-7", "--json", "--at"],
    ],
)
def test_a_moment_that_has_not_come_is_said_and_the_answer_is_that_of_the_last_event(words: list[str]) -> None:
    ahead = now_ms() + 1_000_000_000
    said = tally(*words, str(ahead))

    assert (0, f"{stamp(ahead)} has not come yet: this is as of the end of the log, position 31.\n") == (
        said.code,
        said.err,
    )


def test_of_a_moment_that_has_not_come_no_age_is_told() -> None:
    ahead = str(now_ms() + 1_000_000_000)

    assert tally("replay", "reading").code == tally("replay", "reading", "--at", ahead).code
    assert tally("replay", "run-7").out == tally("replay", "run-7", "--at", ahead).out
    now, then = (tally("replay", *words).out.splitlines() for words in ([], ["--at", ahead]))
    assert now[2:] == then[2:]  # but for how fast it was


@pytest.mark.parametrize("words", [["--position", "31"], ["--diff", "31"], ["--diff-at", "0"], ["--at", "0s"]])
def test_what_has_come_needs_no_word(words: list[str]) -> None:
    assert not tally("replay", *words).err


def test_what_has_come_by_the_clock_of_the_owner_needs_no_word(tmp_path: Path) -> None:
    clock = HandClock(now_ms() + 1_000_000_000)
    with tallystick.open(tmp_path, clock=clock) as ledger:
        ledger.create(runtime="cli", task="x", owner="o")

    assert not tally("replay", "--at", str(clock()), "--ledger", str(tmp_path)).err
    assert "has not come" in tally("replay", "--at", str(clock() + 1), "--ledger", str(tmp_path)).err


def test_in_a_ledger_without_events_nothing_has_come_but_now(tmp_path: Path) -> None:
    tallystick.open(tmp_path).close()

    said = tally("replay", "--position", "1", "--ledger", str(tmp_path))
    assert (0, "There is no position 1 yet: the log ends at 0.\n") == (said.code, said.err)
    assert not tally("replay", "--at", "1s", "--ledger", str(tmp_path)).err


def test_one_of_something_is_said_as_one() -> None:
    assert tally("replay", "--position", "1").out.startswith("1 task at position 1 ·")
    assert "1 event replayed, " in tally("replay", "--position", "1").out
    said = tally("replay", "--diff", "0", "--position", "1").out
    assert said.startswith("From position 0 to 1: 1 event touched 1 task, 1 of them new\n")


def test_a_difference_of_one_task_has_its_fields(ids: Mapping[str, str]) -> None:
    data = tally("replay", "run-7", "--diff", "5", "--json").data
    created = tally("replay", "run-7", "--diff", "2").out

    assert 1 == data["count"]
    assert {"before": "running", "after": "failed"} == data["tasks"][0]["changes"]["status"]
    assert f"{ids['tests']}  new → failed  tests" in created
    assert 0 == tally("replay", "run-7", "--diff", "6", "--json").data["count"]
    assert "running → failed" in tally("replay", "run-7", "--diff", "31", "--position", "5").out


def test_more_tasks_than_asked_for_are_counted() -> None:
    said = tally("replay", "--diff", "0", "--limit", "3")

    assert said.out.endswith("and 7 more; --limit 10 shows all\n")
    assert 3 == tally("replay", "--limit", "3", "--json").data["count"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--at", "2h", "--position", "3"], "at: '2h' is not allowed; give a moment or a position, not both."),
        (["--position", "-1"], "position: -1 is not allowed"),
        (["--diff", "-1"], "diff: -1 is not allowed"),
        (["--limit", "-1"], "limit: -1 is not allowed"),
        (["--at", "soon"], "at: 'soon' is not allowed"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: list[str], says: str) -> None:
    said = tally("replay", *words)

    assert 2 == said.code
    assert said.err.startswith(says)


def test_a_replay_goes_round_what_is_damaged_and_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    make_stories(folder)
    change_record(folder, 5, lambda _: b"broken")

    said = tally("replay", "--ledger", str(folder))
    data = tally("replay", "--ledger", str(folder), "--json").data

    assert "1 record cannot be read; tally verify" in said.out
    assert [5] == data["damaged"]
    assert "queued" == next(task["status"] for task in data["tasks"] if task["label"] == "tests")


def test_a_moment_ends_before_the_first_event_that_was_recorded_later(tmp_path: Path) -> None:
    clock = HandClock(BEGIN_MS)
    with tallystick.open(tmp_path, clock=clock) as opened:
        for step in (10, 10, -15, 10):  # the clock is set back in between
            clock.advance(step)
            opened.create(runtime="cli", task="x", owner=OWNER)

    positions = [
        tally("replay", "--at", str(BEGIN_MS + ms), "--ledger", str(tmp_path), "--json").data["position"]
        for ms in (0, 10, 15, 20)
    ]
    assert [0, 1, 1, 4] == positions
