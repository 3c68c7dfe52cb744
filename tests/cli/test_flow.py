"""`tally flow list` and `show`: flows as text and as data, and whoever is meant by a lookup."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

import tallystick
from tallystick.ledger.lifecycle import FlowStatus
from tallystick.testing import HandClock
from tests.cli.support import BEGIN_MS, OWNER, process, tally

GUEST = "agent:guest:main"
NOBODY = "01999999-9999-7999-8999-999999999999"


def make_flows(folder: Path) -> dict[str, str]:
    """Make a ledger with flows of every kind; return their ids by goal, and those of their tasks by label."""
    clock, ids = HandClock(BEGIN_MS), dict[str, str]()
    with tallystick.open(folder, clock=clock, actor="bot:1") as ledger:

        def flow(goal: str, **more: object) -> tallystick.Flow:
            given = {"owner": OWNER, "controller": "release-bot", **more}
            clock.advance(1_000)
            made = ledger.flows.create(goal=goal, **given)  # type: ignore[arg-type]
            ids[goal] = made.id
            return made

        release = flow("release", step="plan", state={"tags": ["1.2"], "dry": None})
        release.claim("build", claimant="release-bot-1")
        clock.advance(500)
        task = ledger.create(runtime="cli", task="make dist", label="make", owner=OWNER, flow=release.id)
        task.start()
        broken = ledger.create(runtime="cli", task="make check", label="check", owner=OWNER, flow=release.id)
        broken.fail("exit code 2")
        ids |= {"make": task.id, "check": broken.id}
        flow("approve").set_waiting({"kind": "approval", "of": "ada"}, step="ask", blocked="nobody\nanswers")
        flow("done", controller="other").finish("all of it")
        stopping = flow("stopping", owner=GUEST)
        ledger.create(runtime="cli", task="make slow", owner=GUEST, flow=stopping.id).start()
        stopping.cancel("enough", wait_ms=0)
        child = ledger.create(runtime="subagent", task="Read the inbox", label="inbox", owner="agent:reader")
        assert child.record.parent_flow_id is not None
        ids |= {"inbox": child.id, "mirror": child.record.parent_flow_id}
        ledger.settled()
    return ids


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Mapping[str, str]]:
    """A ledger with flows, which none of the tests writes."""
    folder = tmp_path_factory.mktemp("flows") / "ledger"
    return folder, make_flows(folder)


@pytest.fixture
def ids(made: tuple[Path, Mapping[str, str]], monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """The ids of that ledger, which `tally` means when nothing else is said."""
    monkeypatch.setenv("TALLYSTICK_LEDGER", str(made[0]))
    return made[1]


# The list.


def test_a_list_of_flows_counts_them_and_has_the_newest_first(ids: Mapping[str, str]) -> None:
    lines = tally("flow", "list").out.splitlines()

    assert "flows: 3 active · 0 waiting · 1 blocked · 1 being cancelled · 4 total" == lines[0]
    assert ["Flow", "Mode", "Status", "Rev", "Controller", "Tasks", "Age", "Owner", "Goal"] == lines[2].split()
    assert [ids[name] for name in ("mirror", "stopping", "done", "approve", "release")] == [
        line.split()[0] for line in lines[3:]
    ]
    assert lines[3].endswith("agent:reader      inbox")
    assert lines[4].endswith("stopping: cancel requested")
    assert lines[5].endswith("done: all of it")
    assert lines[6].endswith("approve: nobody answers")
    assert re.search(r" managed +running +2 +release-bot +1 active/2 total .* release: build$", lines[7])
    assert lines == tally("flow").out.splitlines()


def test_a_list_of_flows_as_data_has_their_tasks_and_what_they_come_to(ids: Mapping[str, str]) -> None:
    data = tally("flow", "list", "--controller", "release-bot", "--owner", OWNER, "--json").data

    assert {"count", "flows"} == data.keys()
    assert [ids["approve"], ids["release"]] == [flow["flowId"] for flow in data["flows"]]
    release = data["flows"][1]
    assert [ids["check"], ids["make"]] == [task["taskId"] for task in release["tasks"]]
    assert (2, 1, 1, 1) == tuple(release["taskSummary"][name] for name in ("total", "active", "terminal", "failures"))
    assert {"running": 1, "failed": 1} == {name: n for name, n in release["taskSummary"]["byStatus"].items() if n}


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--status", "blocked"], ["approve"]),
        (["--status", "queued"], ["mirror", "stopping"]),
        (["--owner", GUEST], ["stopping"]),
        (["--controller", "other"], ["done"]),
        (["--mode", "mirrored"], ["mirror"]),
        (["--mode", "managed", "--limit", "2"], ["stopping", "done"]),
        (["--status", "lost"], []),
        (["--status", "waiting", "--mode", "mirrored"], []),
    ],
)
def test_a_list_of_flows_has_what_its_filters_let_through(
    ids: Mapping[str, str], words: list[str], names: list[str]
) -> None:
    data = tally("flow", "list", *words, "--json").data
    text = tally("flow", "list", *words).out

    assert [ids[name] for name in names] == [flow["flowId"] for flow in data["flows"]]
    assert all(ids[name] in text for name in names)
    assert names or text.endswith("None is meant.\n")
    assert f"only {words[0].removeprefix('--')} {words[1]}" in text


def test_the_next_page_of_flows_begins_where_the_last_ended(ids: Mapping[str, str]) -> None:
    first = tally("flow", "list", "--limit", "3", "--json").data
    rest = tally("flow", "list", "--limit", "3", "--cursor", first["nextCursor"], "--json").data
    more = tally("flow", "list", "--limit", "3").out.splitlines()[-1]

    flows = [flow["flowId"] for flow in first["flows"] + rest["flows"]]
    assert [ids[name] for name in ("mirror", "stopping", "done", "approve", "release")] == flows
    assert "nextCursor" not in rest
    assert f"more: tally flow list --limit 3 --cursor {first['nextCursor']}" == more


@pytest.mark.parametrize("option", ["--status", "--mode", "--limit", "--cursor"])
@pytest.mark.usefixtures("ids")
def test_what_no_flow_can_be_is_refused_with_what_is_allowed(option: str) -> None:
    said = tally("flow", "list", option, "0")

    assert (2, "") == (said.code, said.out)
    assert said.err.startswith(option.removeprefix("--"))
    if option == "--status":
        assert ", ".join(FlowStatus) in said.err
        assert "InvalidInput" == tally("flow", "list", option, "0", "--json").error["type"]


def test_a_ledger_without_flows_says_how_to_make_one(tmp_path: Path) -> None:
    folder = str(tmp_path / "ledger")
    tallystick.open(folder).close()

    assert tally("flow", "list", "--ledger", folder).out.startswith("No flows yet.\n")
    assert {"count": 0, "flows": []} == tally("flow", "list", "--json", "--ledger", folder).data
    assert "flows           none" in tally("status", "--ledger", folder).out


# One flow.


def test_a_flow_is_shown_with_every_field_who_does_which_step_and_its_tasks(ids: Mapping[str, str]) -> None:
    lines = tally("flow", "show", ids["release"]).out.splitlines()
    said = {line[:15].strip(): line[16:] for line in lines if line[:15].strip() and " " in line}

    assert f"Flow {ids['release']}  running  managed, revision 2" == lines[0]
    assert ("release", OWNER, "release-bot", "build") == tuple(
        said[name] for name in ("goal", "owner", "controller", "step")
    )
    assert '{"tags":["1.2"],"dry":null}' == said["state"]
    assert said["claimed"].startswith("build by bot:1 (release-bot-1), 2026-09-21 ")
    assert "2 total · 1 active · 1 issue" == said["tasks"]
    assert [ids["check"], ids["make"]] == [
        line.split()[0] for line in lines if line.startswith("01") and " cli " in line
    ]
    assert f"tally timeline {ids['release']}" == lines[-1]


def test_what_a_flow_waits_for_and_what_blocks_it_is_shown(ids: Mapping[str, str]) -> None:
    text = tally("flow", "show", ids["approve"]).out
    stopping = tally("flow", "show", ids["stopping"]).out

    assert 'waits for       {"kind":"approval","of":"ada"}\n' in text
    assert "blocked by      nobody\n                answers\n" in text
    assert "tasks           none\n" in text
    assert re.search(r"\ncancel asked +2026-09-21 ", stopping)
    assert "\ncancel reason   enough\n" in stopping


def test_a_flow_as_data_is_the_bare_record_with_its_tasks(ids: Mapping[str, str]) -> None:
    data = tally("flow", "show", ids["release"], "--json").data
    tasks, summary = data.pop("tasks"), data.pop("taskSummary")

    assert {
        "flowId": ids["release"],
        "syncMode": "managed",
        "ownerKey": OWNER,
        "controllerId": "release-bot",
        "status": "running",
        "goal": "release",
        "revision": 2,
        "currentStep": "build",
        "stateJson": {"tags": ["1.2"], "dry": None},
        "claims": [{"step": "build", "actor": "bot:1", "at": BEGIN_MS + 1_000, "claimant": "release-bot-1"}],
        "createdAt": BEGIN_MS + 1_000,
        "updatedAt": BEGIN_MS + 1_000,
        "position": 2,
    } == data
    assert tasks[1] == {
        name: value for name, value in tally("show", "--json", ids["make"]).data.items() if name != "deliveries"
    }
    assert 2 == summary["total"]


def test_a_mirror_is_shown_as_what_its_task_is(ids: Mapping[str, str]) -> None:
    data = tally("flow", "show", "agent:reader", "--json").data

    assert (ids["mirror"], "mirrored", "queued", "inbox") == tuple(
        data[name] for name in ("flowId", "syncMode", "status", "goal")
    )
    assert [ids["inbox"]] == [task["taskId"] for task in data["tasks"]]


# Lookups.


def test_a_flow_is_found_by_its_id_its_owner_and_a_part_of_its_id(ids: Mapping[str, str]) -> None:
    for lookup in (ids["stopping"], f" {GUEST} ", ids["stopping"][-12:]):
        assert ids["stopping"] == tally("flow", "show", lookup, "--json").data["flowId"]


def test_an_owner_with_several_flows_is_refused_with_the_candidates(ids: Mapping[str, str]) -> None:
    for command in ("show", "cancel"):
        said = tally("flow", command, OWNER)
        error = tally("flow", command, OWNER, "--json").error

        assert (1, "") == (said.code, said.out)
        assert f"{OWNER} has 2 flows that have not ended: {ids['approve']}, {ids['release']}." in said.err
        assert ("Ambiguous", OWNER) == (error["type"], error["token"])
        assert [ids["approve"], ids["release"]] == error["candidates"]


def test_a_part_of_several_ids_is_refused_with_the_candidates(ids: Mapping[str, str]) -> None:
    error = tally("flow", "show", ids["release"][:7], "--json").error

    assert "Ambiguous" == error["type"]
    assert {ids[name] for name in ("mirror", "stopping", "done", "approve", "release")} == set(error["candidates"])


def test_a_flow_that_is_not_there_is_not_found(ids: Mapping[str, str]) -> None:
    for lookup in ("nope", NOBODY):
        said = tally("flow", "show", lookup)
        assert (1, f'Flow not found: {lookup}. Run "tally flow list" to see recent flows.\n') == (said.code, said.err)
    error = tally("flow", "show", ids["make"], "--json").error
    assert f"It is a task, of flow {ids['release']}." in error["message"]
    assert ("NotFound", ids["make"]) == (error["type"], error["token"])


@pytest.mark.parametrize("words", [["show"], ["cancel"], ["notify", "silent"], ["hold"]])
def test_who_takes_a_flow_for_a_task_is_told_what_it_is(ids: Mapping[str, str], words: list[str]) -> None:
    for name in ("release", "mirror"):
        said = tally(words[0], ids[name], *words[1:])

        assert (1, "") == (said.code, said.out)
        told = f'It names a flow: "tally flow show {ids[name]}", "tally flow cancel {ids[name]}".'
        assert f"Task not found: {ids[name]}. {told}\n" == said.err


def test_commands_and_recent_flows_are_completed(ids: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def completions(words: str) -> list[str]:
        with monkeypatch.context() as patch:
            patch.setenv("_TALLY_COMPLETE", "zsh_complete")
            patch.setenv("COMP_WORDS", words)
            patch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
            return tally().out.splitlines()[1::3]

    assert ["list", "show", "cancel"] == [word for word in completions("tally flow ") if not word.startswith("-")]
    assert ["waiting"] == completions("tally flow list --status w")
    assert {ids[name] for name in ("mirror", "stopping", "done", "approve", "release")} == set(
        completions("tally flow show 01")
    )


def test_options_of_every_command_may_stand_before_or_behind_the_names(made: tuple[Path, Mapping[str, str]]) -> None:
    folder = str(made[0])
    said = [
        tally(*words).data["count"]
        for words in (
            ["--json", "flow", "--ledger", folder, "list"],
            ["flow", "--ledger", folder, "--json"],
            ["--ledger", folder, "flow", "list", "--json"],
        )
    ]

    assert [5, 5, 5] == said
    assert 2 == tally("flow", "lits").code


# Beside a live owner.


def test_who_only_reads_sees_the_flows_of_a_live_owner_elsewhere(tmp_path: Path) -> None:
    with tallystick.open(tmp_path / "ledger") as ledger:
        flow = ledger.flows.create(owner=OWNER, goal="release", controller="bot")
        for step in ("build", "ship"):
            flow.claim(step)
            shown = process("flow", "show", OWNER, "--json", "--ledger", tmp_path / "ledger").data
            listed = process("flow", "list", "--json", "--ledger", tmp_path / "ledger").data

            assert (flow.record.revision, step) == (shown["revision"], shown["currentStep"])
            assert [shown] == listed["flows"]
        assert 3 == ledger.status().head
