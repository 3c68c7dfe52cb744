"""What an event is marked with, redacted or erased, is seen wherever somebody looks at its task or flow."""

from pathlib import Path

import pytest

import tallystick
from tallystick import Config
from tallystick.cli.times import stamp
from tallystick.config import Payloads
from tallystick.testing import HandClock
from tests.cli.support import BEGIN_MS, OWNER, tally
from tests.redacting.parts import SECRET, named

TASK_MARKS = [
    "redacted        created: task, metadata",
    "                progressed: message",
    "                succeeded: summary",
    "                message queued: text",
]
FLOW_MARKS = ["redacted        flow created: goal", "                flow waiting set: wait"]
LONG = "and much more than fits a line, " * 20


@pytest.fixture
def redacted(tmp_path: Path) -> tuple[str, str, str]:
    """The folder of a ledger with a hook, a task and a flow in it that said a secret."""
    with tallystick.open(tmp_path, redact_stored=named) as ledger:
        task = ledger.create(
            runtime="subagent", task=f"{SECRET} {LONG}", owner=OWNER, metadata={"key": SECRET}, notify="done_only"
        )
        task.progress(f"1 {SECRET}")
        task.progress(f"2 {SECRET}", force=True)
        task.succeed(f"{SECRET} is new")
        flow = ledger.flows.create(owner="agent:main:flows", goal=f"use {SECRET}", controller="bot")
        flow.set_waiting({"for": SECRET})
        return str(tmp_path), task.id, flow.id


def test_a_task_is_shown_with_what_was_redacted_of_it(redacted: tuple[str, str, str]) -> None:
    folder, token, _ = redacted
    for words in (("show", token), ("replay", token)):
        lines = tally(*words, "--ledger", folder).out.splitlines()
        begin = lines.index(TASK_MARKS[0])
        assert TASK_MARKS == lines[begin : begin + 4]
        data = tally(*words, "--ledger", folder, "--json").data
        assert {"position": 1, "type": "task-created.1", "fields": ["task", "metadata"]} == data["redacted"][0]
        assert 5 == len(data["redacted"])


def test_a_flow_is_shown_with_what_was_redacted_of_it(redacted: tuple[str, str, str]) -> None:
    folder, _, flow = redacted
    for words in (("flow", "show", flow), ("replay", flow)):
        lines = tally(*words, "--ledger", folder).out.splitlines()
        begin = lines.index(FLOW_MARKS[0])
        assert FLOW_MARKS == lines[begin : begin + 2]
        assert ["goal"] == tally(*words, "--ledger", folder, "--json").data["redacted"][0]["fields"]


def test_a_flow_that_mirrors_a_task_has_the_marks_of_that(redacted: tuple[str, str, str]) -> None:
    folder, token, _ = redacted
    flow = tally("show", token, "--ledger", folder, "--json").data["parentFlowId"]
    for words in (("flow", "show", flow), ("replay", flow)):
        assert TASK_MARKS[0] in tally(*words, "--ledger", folder).out.splitlines()


def test_a_replay_of_before_has_no_mark_of_later(redacted: tuple[str, str, str]) -> None:
    folder, token, _ = redacted

    said = tally("replay", token, "--position", "1", "--ledger", folder).out

    assert TASK_MARKS[0] in said.splitlines()
    assert TASK_MARKS[1] not in said.splitlines()


def test_of_what_has_no_secret_nothing_is_said(tmp_path: Path) -> None:
    with tallystick.open(tmp_path, redact_stored=named) as ledger:
        token = ledger.create(runtime="subagent", task="nothing", owner=OWNER).id

    for words in (("show", token), ("replay", token)):
        assert "redacted" not in tally(*words, "--ledger", str(tmp_path)).out
        assert "redacted" not in tally(*words, "--ledger", str(tmp_path), "--json").data


@pytest.mark.parametrize("columns", ["60", "100"])
def test_a_mark_stands_on_a_line_that_is_cut(
    redacted: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    folder, token, _ = redacted
    monkeypatch.setenv("COLUMNS", columns)

    steps = tally("replay", token, "--step", "--ledger", folder).out.splitlines()

    assert "… (redacted: task, metadata)  by " in steps[0]


@pytest.fixture
def twice(tmp_path: Path) -> tuple[str, str]:
    """The folder of a ledger whose task was erased, went on, and was erased again, each a minute after the other."""
    clock = HandClock(BEGIN_MS)
    config = Config(payloads=Payloads(aside="content"))
    with tallystick.open(tmp_path, clock=clock, config=config, actor="ada") as ledger:
        task = ledger.create(runtime="subagent", task="mail her", owner=OWNER, notify="silent")
        clock.advance(60_000)
        task.erase("first")  # at position 2
        clock.advance(60_000)
        task.start()
        task.progress("reading")  # at position 4
        clock.advance(60_000)
        task.erase("second")
        return str(tmp_path), task.id


def test_a_replay_of_now_counts_from_the_newest_event(twice: tuple[str, str]) -> None:
    folder, token = twice

    said = tally("replay", token, "--ledger", folder).out

    assert "(0s ago) by ada: second\n" in said
    assert "(in " not in said


@pytest.mark.parametrize(
    ("command", "position", "fields", "by"),
    [
        ("replay", 1, ["task"], "(in 1m) by ada: first"),
        ("replay", 2, None, ""),
        ("replay", 4, ["message"], "(in 1m) by ada: second"),
        ("replay", 5, None, ""),
        ("why", 1, ["task"], "(in 1m) by ada: first"),
        ("why", 2, None, ""),
        ("why", 4, None, ""),  # progress is no reason
    ],
)
def test_a_past_says_who_erased_later_what_it_cannot_say_itself(
    twice: tuple[str, str], command: str, position: int, fields: list[str] | None, by: str
) -> None:
    folder, token = twice
    words = (command, token, "--position", str(position), "--ledger", folder)

    lines, data = tally(*words).out.splitlines(), tally(*words, "--json").data

    assert fields == data.get("erasedLater", {}).get("fields")
    later = [line for line in lines if line.startswith("erased later")]
    assert later == [line for line in lines if fields and line.endswith(by)]


def test_of_a_flow_that_mirrored_a_task_of_another_flow_its_past_says_so_too(tmp_path: Path) -> None:
    with tallystick.open(tmp_path, config=Config(payloads=Payloads(aside="content")), actor="ada") as ledger:
        task = ledger.create(runtime="subagent", task="mail her", owner=OWNER)
        flow = task.record.parent_flow_id
        assert flow is not None
        ledger.flows.create(owner=OWNER, goal="mail all", controller="bot").link(task.id)
        task.erase("she asked")

    for command in ("replay", "why"):
        said = tally(command, flow, "--position", "1", "--ledger", str(tmp_path))
        assert (0, 1) == (said.code, said.out.count(" by ada: she asked\n"))


def test_a_list_of_the_past_says_what_stands_for_what_was_erased_later(twice: tuple[str, str]) -> None:
    folder, _ = twice
    note = '"-" stands for what was erased later; "tally replay LOOKUP" says by whom'

    assert note == tally("replay", "--position", "1", "--ledger", folder).out.splitlines()[-1]
    for position in ("0", "2", "4"):
        assert note not in tally("replay", "--position", position, "--ledger", folder).out


def test_a_difference_tells_moments_as_people_write_them(twice: tuple[str, str]) -> None:
    folder, token = twice

    said = tally("replay", token, "--diff", "1", "--position", "2", "--ledger", folder).out

    assert f"    erased: nothing → at={stamp(BEGIN_MS + 60_000)}, by=ada, reason=first\n" in said


def test_ages_in_a_why_of_the_past_count_from_there(tmp_path: Path) -> None:
    clock = HandClock(BEGIN_MS)
    with tallystick.open(tmp_path, clock=clock) as ledger:
        task = ledger.create(runtime="subagent", task="x", owner=OWNER)
        task.succeed("y")
        clock.advance(3_600_000)
        task.hold("for the court")

    def ask(*words: str) -> str:
        return tally("why", task.id, "--ledger", str(tmp_path), *words).out

    assert "waits 0s" in ask("--position", "4")
    assert "waits 1h00m" in ask("--at", str(BEGIN_MS + 3_600_000))


def test_a_flow_is_erased_with_the_task_that_it_mirrors(tmp_path: Path) -> None:
    with tallystick.open(tmp_path, config=Config(payloads=Payloads(aside="content")), actor="ada") as ledger:
        task = ledger.create(runtime="subagent", task="mail her", owner=OWNER)
        task.succeed("mailed")
        task.erase("she asked")
        flow = task.record.parent_flow_id
        assert flow is not None
        assert (task.record.erased, "") == (ledger.flows.get(flow).record.erased, ledger.flows.get(flow).record.goal)

    for words in (("flow", "show", flow), ("replay", flow)):
        said = tally(*words, "--ledger", str(tmp_path))
        assert "goal            (erased)\n" in said.out
        assert " by ada: she asked\n" in said.out
    assert "(erased)" in tally("flow", "list", "--ledger", str(tmp_path)).out
    assert [line for line in tally("why", flow, "--ledger", str(tmp_path)).out.splitlines() if "erased later" in line]
    assert (
        "she asked"
        == tally("replay", flow, "--position", "1", "--ledger", str(tmp_path), "--json").data["erasedLater"]["reason"]
    )


def test_of_two_tasks_that_a_flow_mirrors_the_newest_erasure_is_named(tmp_path: Path) -> None:
    clock = HandClock(BEGIN_MS)
    config = Config(payloads=Payloads(aside="content"))
    with tallystick.open(tmp_path, clock=clock, config=config) as ledger:
        origin = ledger.create(runtime="subagent", task="mail her", owner=OWNER)
        flow = origin.record.parent_flow_id
        assert flow is not None
        newest = ledger.create(runtime="subagent", task="mail him", owner=OWNER, flow=flow)
        position = ledger.verify().head
        for task, reason in ((newest, "he asked"), (origin, "she asked")):
            clock.advance(60_000)
            task.erase(reason)
        erased = ledger.flows.get(flow).record.erased

    assert erased is not None
    assert "she asked" == erased.reason
    for command in ("replay", "why"):
        words = (command, flow, "--position", str(position), "--ledger", str(tmp_path), "--json")
        assert "she asked" == tally(*words).data["erasedLater"]["reason"]
