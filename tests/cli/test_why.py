"""`tally why` tells what led to what a task or a flow is."""

import re
from collections.abc import Mapping

import pytest

from tallystick.cli.times import stamp
from tests.cli.support import BEGIN_MS, OWNER, tally

pytestmark = pytest.mark.usefixtures("ledger")


def test_why_tells_the_events_the_rules_and_the_evidence(ids: Mapping[str, str]) -> None:
    data = tally("why", ids["late"], "--json").data
    lines = tally("why", ids["late"]).out.splitlines()

    assert (ids["late"], "failed") == (data["taskId"], data["status"])
    assert [("created", "queued"), ("table", "failed"), ("late_signal", None)] == [
        (reason["rule"], reason.get("after")) for reason in data["reasons"]
    ]
    late = data["reasons"][-1]
    assert late["isIgnored"]
    assert [data["reasons"][1]["position"]] == late["because"]
    assert f"Task {ids['late']} is failed, because:" == lines[0]
    assert any("ignored  late signal  by teller" in line for line in lines)
    assert any(line.strip().startswith("late_signal: What reaches a task that has ended is kept") for line in lines)
    assert any("It stands on position" in line for line in lines)
    assert any(line.endswith("queued → failed  failed  by teller") for line in lines)


def test_why_tells_who_was_told_or_why_nobody_was(ids: Mapping[str, str]) -> None:
    told = tally("why", ids["blocked"], "--json").data
    silent = tally("why", ids["build"], "--json").data

    assert [OWNER] == [message["session"] for message in told["told"]]
    assert "silence" not in told
    assert ([], "its policy silent does not let succeeded through") == (silent["told"], silent["silence"])
    assert "nobody was told: its policy silent does not let succeeded through" in tally("why", ids["build"]).out


def test_why_tells_what_follows_if_nothing_more_is_heard(ids: Mapping[str, str]) -> None:
    said = tally("why", ids["stopping"])

    assert "if nothing more is heard: cancelled without a confirmation, from " in said.out
    [at] = re.findall(r"from (\d+) \(ms\) on", tally("why", ids["stopping"], "--json").data["next"])
    assert f"from {stamp(int(at))} on\n" in said.out  # as people write it


def test_why_can_be_asked_of_the_past(ids: Mapping[str, str]) -> None:
    by_position = tally("why", "run-7", "--position", "5", "--json").data
    by_moment = tally("why", "run-7", "--at", str(BEGIN_MS + 4_600), "--json").data

    assert "running" == by_position["status"] == by_moment["status"]
    assert by_position["reasons"] == by_moment["reasons"]
    said = tally("why", ids["tests"], "--position", "3")
    assert (1, f"Task not found: {ids['tests']}. It had not been created then.\n") == (said.code, said.err)
    assert 2 == tally("why", "run-7", "--at", "2h", "--position", "3").code


def test_why_of_a_flow_names_the_task_that_moved_it(ids: Mapping[str, str]) -> None:
    flow = tally("show", ids["blocked"], "--json").data["parentFlowId"]

    data = tally("why", flow, "--json").data
    out = tally("why", flow).out

    assert (flow, "blocked") == (data["flowId"], data["status"])
    assert {ids["blocked"]} == {reason["token"] for reason in data["reasons"]}
    assert f"Flow {flow} is blocked, because:" in out
    assert f"of task {ids['blocked'][-12:]}" in out


def test_what_is_not_there_is_not_found() -> None:
    assert 1 == tally("why", "nobody").code
