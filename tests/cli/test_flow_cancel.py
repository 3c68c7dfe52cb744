"""`tally flow cancel`: through the owner if there is one, by itself if not, with one result."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import tallystick
from tests.cli.support import OWNER, process, tally


@pytest.fixture(params=["through the owner", "without an owner"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The folder of a ledger that somebody owns, or nobody."""
    path = tmp_path / "ledger"
    if request.param == "without an owner":
        tallystick.open(path).close()
        yield str(path)
        return
    with tallystick.open(path):
        yield str(path)


def make(folder: str, *, running: int = 0, queued: int = 0) -> str:
    """Make a flow with tasks; return its id."""
    with tallystick.join(folder) as joined:
        flow = joined.flows.create(owner=OWNER, goal="release", controller="bot")
        for number in range(running + queued):
            task = joined.create(runtime="cli", task="make", owner=OWNER, flow=flow.id)
            if number < running:
                task.start()
        return flow.id


def types(folder: str) -> list[str]:
    with tallystick.open(folder, read_only=True) as reader:
        return [event.type for event in reader.events()]


def test_a_flow_is_cancelled_with_its_queued_tasks(folder: str) -> None:
    flow_id = make(folder, queued=2)

    said = tally("flow", "cancel", OWNER, "--reason", "not needed", "--ledger", folder)

    assert (0, "") == (said.code, said.err)
    assert f"Cancelled {flow_id}: none of its 2 tasks is at work any more.\nrelease\n" == said.out
    data = tally("flow", "show", flow_id, "--json", "--ledger", folder).data
    assert ("cancelled", "not needed", 0) == (data["status"], data["cancelReason"], data["taskSummary"]["active"])
    assert "flow-cancelled.1" == types(folder)[-1]


def test_a_cancel_of_running_work_says_that_it_is_still_at_work(folder: str) -> None:
    flow_id = make(folder, running=1, queued=1)

    said = tally("flow", "cancel", flow_id[-12:], "--wait", "200ms", "--ledger", folder)
    data = tally("flow", "cancel", flow_id, "--wait", "0s", "--json", "--ledger", folder).data

    assert (0, f"Cancel requested; {flow_id} is still queued: 1 task is at work.") == (
        said.code,
        said.out.splitlines()[0],
    )
    assert ("queued", 1, True) == (data["status"], data["taskSummary"]["active"], "cancelRequestedAt" in data)
    assert 1 == types(folder).count("flow-cancel-requested.1")


def test_a_cancel_goes_on_in_whoever_owns_the_ledger_next(folder: str) -> None:
    flow_id = make(folder, running=1)
    tally("flow", "cancel", flow_id, "--wait", "0s", "--ledger", folder)
    with tallystick.join(folder) as joined:
        flow = joined.flows.get(flow_id)
        [task] = flow.tasks()
        joined.get(task.task_id).cancelled("it has stopped")

        record = flow.cancel(wait_ms=20_000)

    assert "cancelled" == record.status
    assert ["cancelled"] == [each["status"] for each in tally("list", "--json", "--ledger", folder).data["tasks"]]


def test_a_flow_that_has_ended_otherwise_is_left_as_it_is(folder: str) -> None:
    flow_id = make(folder)
    with tallystick.join(folder) as joined:
        joined.flows.get(flow_id).finish("all of it")
    before = types(folder)

    said = tally("flow", "cancel", flow_id, "--ledger", folder)
    error = tally("flow", "cancel", flow_id, "--json", "--ledger", folder).error

    assert (1, "") == (said.code, said.out)
    assert f"Flow {flow_id} is succeeded: cancel is refused. It has ended.\n" == said.err
    assert ("FlowRefused", "terminal", "succeeded") == (error["type"], error["code"], error["status"])
    assert flow_id == error["current"]["flowId"]
    assert before == types(folder)


def test_a_mirror_is_cancelled_with_its_task_as_data_says(folder: str) -> None:
    with tallystick.join(folder) as joined:
        task = joined.create(runtime="acp", task="Read the inbox", owner=OWNER)

    data = tally("flow", "cancel", OWNER, "--json", "--ledger", folder).data

    assert ("mirrored", "cancelled") == (data["syncMode"], data["status"])
    assert [(task.id, "cancelled")] == [(each["taskId"], each["status"]) for each in data["tasks"]]


def test_another_process_cancels_what_the_owner_holds(tmp_path: Path) -> None:
    with tallystick.open(tmp_path / "ledger") as ledger:
        flow = ledger.flows.create(owner=OWNER, goal="release", controller="bot")
        task = ledger.create(runtime="cli", task="make", owner=OWNER, flow=flow.id)

        said = process("flow", "cancel", OWNER, "--reason", "enough", "--ledger", tmp_path / "ledger")

        assert (0, "") == (said.code, said.err)
        assert ("cancelled", "cancelled") == (flow.refresh().status, ledger.get(task.id).status)
        assert "enough" == flow.record.cancel_reason


@pytest.mark.parametrize("words", [["cancel"], ["show"], ["cancel", "x", "--wait", "soon"]])
def test_what_a_command_of_flows_needs_is_asked_for(words: list[str], folder: str) -> None:
    assert 2 == tally("flow", *words, "--ledger", folder).code


def test_without_a_ledger_no_flow_is_looked_for_and_nothing_is_made(tmp_path: Path) -> None:
    for command in ("show", "cancel"):
        assert 2 == tally("flow", command, "x", "--ledger", str(tmp_path / "nothing")).code
    assert not (tmp_path / "nothing").exists()
