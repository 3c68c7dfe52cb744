"""`tally timeline`, `watch`, `replay` and `status` of a ledger that has flows."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

import tallystick
from tallystick.testing import HandClock
from tests.cli.support import BEGIN_MS, OWNER, tally


def make_flows(folder: Path) -> dict[str, str]:
    """Make a managed flow, and one that mirrors a task and was joined; return their ids and those of the tasks."""
    clock = HandClock(BEGIN_MS)
    with tallystick.open(folder, clock=clock, actor="bot:1") as ledger:
        flow = ledger.flows.create(owner=OWNER, goal="release", controller="release-bot")  # 1
        flow.claim("build", claimant="release-bot-1")  # 2
        clock.advance(1_000)
        first = ledger.create(runtime="acp", task="Read the inbox", owner=OWNER)  # 3
        assert first.record.parent_flow_id is not None
        mirror = first.record.parent_flow_id
        second = ledger.create(runtime="acp", task="Read it again", owner=OWNER, flow=mirror)  # 4, 5, 6
        second.start()  # 7
        flow.set_waiting({"kind": "approval"}, state=None)  # 8
        ledger.settled()
        return {"flow": flow.id, "first": first.id, "second": second.id, "mirror": mirror}


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


# Timelines.


def test_a_timeline_of_a_flow_tells_its_events(ids: Mapping[str, str]) -> None:
    lines = tally("timeline", ids["flow"]).out.splitlines()
    data = tally("timeline", ids["flow"], "--json").data

    assert f"Flow {ids['flow']}  3 events" == lines[0]
    assert "          release; mode managed; owner agent:main:main; controller release-bot" == lines[2]
    assert lines[3].endswith("+0ms  v2 flow step claimed  by bot:1")
    assert "          build; claimant release-bot-1" == lines[4]
    assert "          wait kind=approval" == lines[-1]
    assert {"flowId", "events"} == data.keys()
    assert [(1, ids["flow"]), (2, ids["flow"]), (8, ids["flow"])] == [
        (event["position"], event["flowId"]) for event in data["events"]
    ]
    assert {"step": "build", "claimant": "release-bot-1"} == data["events"][1]["data"]


def test_a_timeline_of_a_mirror_says_of_each_event_whose_it_is(ids: Mapping[str, str]) -> None:
    lines = tally("timeline", ids["mirror"]).out.splitlines()
    data = tally("timeline", ids["mirror"], "--json").data

    heads = [line for line in lines if line[:8].strip().isdecimal()]
    assert ["3", "4", "5", "6", "7"] == [head.split()[0] for head in heads]
    assert f"v1 task {ids['first'][-12:]} created  by bot:1" in heads[0]
    assert "v1 flow created  by bot:1" in heads[2]
    assert ids["mirror"] == data["flowId"]
    whose = [event.get("taskId") or event["flowId"] for event in data["events"]]
    assert [ids[name] for name in ("first", "second", "mirror", "mirror", "second")] == whose


def test_a_timeline_takes_what_names_a_task_first(ids: Mapping[str, str]) -> None:
    assert ids["first"] == tally("timeline", ids["first"][-12:], "--json").data["taskId"]
    assert ids["flow"] == tally("timeline", ids["flow"][-12:], "--json").data["flowId"]
    assert ids["second"] == tally("timeline", OWNER, "--json").data["taskId"]
    said = tally("timeline", "nope")
    assert (1, 'Task not found: nope. Run "tally list" to see recent tasks.\n') == (said.code, said.err)


@pytest.mark.usefixtures("ids")
def test_watch_says_which_events_are_of_flows(ids: Mapping[str, str]) -> None:
    lines = tally("watch", "--after", "0", "--limit", "6").out.splitlines()
    events = [json.loads(line) for line in tally("watch", "--after", "0", "--limit", "6", "--json").out.splitlines()]

    assert f"  {ids['flow'][-12:]}  flow created: release; " in lines[0]
    assert f"  {ids['mirror'][-12:]}  flow task linked: {ids['second']}" in lines[5]
    flow, first, second, mirror = (ids[name] for name in ("flow", "first", "second", "mirror"))
    assert [None, None, first, second, None, None] == [event.get("taskId") for event in events]
    assert [flow, flow, None, None, mirror, mirror] == [event.get("flowId") for event in events]


# Replays.


def test_a_replay_of_one_flow_shows_it_as_it_was(ids: Mapping[str, str]) -> None:
    claimed = tally("replay", ids["flow"], "--position", "7")
    data = tally("replay", ids["flow"], "--at", str(BEGIN_MS + 999), "--json").data

    assert f"Flow {ids['flow']}  running  managed, revision 2" == claimed.out.splitlines()[0]
    assert (BEGIN_MS + 999, "running", 2) == (data["at"], data["flow"]["status"], data["flow"]["revision"])
    assert "waiting" == tally("replay", ids["flow"], "--json").data["flow"]["status"]


@pytest.mark.parametrize(("position", "status"), [(3, "queued"), (6, "queued"), (7, "running")])
def test_a_replay_of_a_mirror_shows_what_its_tasks_were(ids: Mapping[str, str], position: int, status: str) -> None:
    data = tally("replay", ids["mirror"], "--position", str(position), "--json").data

    assert (position, status, position) == (data["position"], data["flow"]["status"], data["flow"]["revision"])


def test_a_flow_that_did_not_exist_then_is_not_found(ids: Mapping[str, str]) -> None:
    for name, position in (("flow", "0"), ("mirror", "2")):
        said = tally("replay", ids[name], "--position", position)

        assert (1, "") == (said.code, said.out)
        assert said.err.startswith(f"Flow not found: {ids[name]}. It had not been created then.")


def test_a_replay_of_everything_says_how_many_flows_there_were(ids: Mapping[str, str]) -> None:
    lines = tally("replay", "--position", "7").out.splitlines()
    now, then = (tally("replay", "--json", *words).data["flows"] for words in ([], ["--position", "0"]))

    assert "flows: 1 active · 0 waiting · 0 blocked · 0 being cancelled · 1 total" == lines[1]
    assert tally("status", "--json").data["flows"] == now
    assert ({"waiting": 1}, 0) == ({name: n for name, n in now["byStatus"].items() if n}, then["total"])
    assert "flows" not in tally("replay", "--position", "0").out
    assert ids.keys()


def test_a_difference_lists_the_flows_that_changed(ids: Mapping[str, str]) -> None:
    text = tally("replay", "--diff", "5").out
    data = tally("replay", "--diff", "5", "--json").data

    assert text.startswith("From position 5 to 8: 3 events touched 1 task, 0 of them new, and 2 flows, 0 of them new\n")
    assert f"flow {ids['flow']}  running → waiting  release\n" in text
    assert "    wait json: nothing → kind=approval\n" in text
    assert f"flow {ids['mirror']}  queued → running  Read the inbox\n" in text or "queued → queued" in text
    assert (1, 2) == (data["count"], data["flowCount"])
    assert [ids["flow"], ids["mirror"]] == [flow["flowId"] for flow in data["flows"]]
    assert {"before": "running", "after": "waiting"} == data["flows"][0]["changes"]["status"]
    assert ("running", "waiting") == (data["flows"][0]["statusBefore"], data["flows"][0]["status"])
    assert {"after": ids["second"]} == data["flows"][1]["changes"]["followedTaskId"]


def test_a_difference_of_one_flow_has_its_fields(ids: Mapping[str, str]) -> None:
    data = tally("replay", ids["flow"], "--diff", "1", "--json").data
    new = tally("replay", ids["mirror"], "--diff", "0").out

    assert (0, 1, 1, 8) == (data["count"], data["flowCount"], data["from"], data["to"])
    assert {"before": "queued", "after": "waiting"} == data["flows"][0]["changes"]["status"]
    assert f"flow {ids['mirror']}  new → running  Read the inbox" in new
    assert "Nothing changed.\n" == tally("replay", ids["flow"], "--diff", "2", "--position", "7").out


def test_more_flows_than_asked_for_are_counted(ids: Mapping[str, str]) -> None:
    said = tally("replay", "--diff", "0", "--limit", "1").out

    assert said.endswith("and 2 more; --limit 2 shows all\n")
    assert ids["second"] in said


# Status.


@pytest.mark.usefixtures("ids")
def test_a_status_has_a_line_for_flows_and_the_same_as_data() -> None:
    lines = tally("status").out.splitlines()
    data = tally("status", "--json").data

    assert "flows           1 waiting" == lines[3]
    assert {"total", "active", "cancelling", "byStatus"} == data["flows"].keys()
    assert (1, 1, 0) == tuple(data["flows"][name] for name in ("total", "active", "cancelling"))
    assert {"name": "flows", "position": data["log"]["head"], "lag": 0} in data["projections"]


def test_a_status_says_how_many_flows_are_being_cancelled(tmp_path: Path) -> None:
    folder = str(tmp_path / "ledger")
    with tallystick.open(folder) as ledger:
        flow = ledger.flows.create(owner=OWNER, goal="release", controller="bot")
        ledger.create(runtime="cli", task="make", owner=OWNER, flow=flow.id).start()
        flow.cancel(wait_ms=0)

    assert "flows           1 queued; 1 being cancelled" in tally("status", "--ledger", folder).out
    assert 1 == tally("status", "--json", "--ledger", folder).data["flows"]["cancelling"]
