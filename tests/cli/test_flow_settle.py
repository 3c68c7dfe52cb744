"""`tally settle` of a flow: by its id, through the owner if there is one, and never by the name of a session."""

import tallystick
from tests.cli.support import OWNER, tally

GUEST = "agent:guest:main"


def make(folder: str) -> str:
    """Make a flow with a task; return its id."""
    with tallystick.join(folder) as joined:
        flow = joined.flows.create(owner=OWNER, goal="release", controller="bot")
        joined.create(runtime="cli", task="make", owner=OWNER, flow=flow.id)
        return flow.id


def settle(folder: str, lookup: str, *words: str) -> tuple[int, str, str]:
    said = tally("settle", lookup, "--as", "lost", "--reason", "its controller is gone", *words, "--ledger", folder)
    return said.code, said.out, said.err


def types(folder: str) -> list[str]:
    with tallystick.open(folder, read_only=True) as reader:
        return [event.type for event in reader.events()]


def test_a_flow_is_settled_by_its_id_and_its_tasks_go_on(folder: str) -> None:
    flow_id = make(folder)

    told = settle(folder, flow_id)
    data = tally("flow", "show", flow_id, "--json", "--ledger", folder).data

    assert (0, f"Settled {flow_id} as lost. 1 of its tasks is at work still.\nrelease\n", "") == told
    assert ("lost", "its controller is gone", 1) == (data["status"], data["error"], data["taskSummary"]["active"])
    assert ["flow-created.1", "task-created.1", "flow-settled.1"] == types(folder)


def test_a_part_of_its_id_and_json_do_as_well(folder: str) -> None:
    flow_id = make(folder)

    said = tally("settle", flow_id[-12:], "--as", "failed", "--reason", "enough", "--json", "--ledger", folder)

    assert (flow_id, "failed", "enough") == (said.data["flowId"], said.data["status"], said.data["error"])


def test_a_session_that_has_a_flow_and_no_task_names_nothing_that_is_settled(folder: str) -> None:
    with tallystick.join(folder) as joined:
        flow = joined.flows.create(owner=GUEST, goal="release", controller="bot")

    code, out, err = settle(folder, GUEST)

    assert (1, "") == (code, out)
    assert f'Task not found: {GUEST}. It names a flow: "tally flow show {flow.id}".\n' == err


def test_a_flow_that_has_ended_or_mirrors_a_task_is_left_as_it_is(folder: str) -> None:
    flow_id = make(folder)
    settle(folder, flow_id)
    with tallystick.join(folder) as joined:
        mirror_id = joined.create(runtime="subagent", task="Read", owner=OWNER).record.parent_flow_id
    assert mirror_id is not None
    before = types(folder)

    again, mirror = settle(folder, flow_id), settle(folder, mirror_id)

    assert (1, "", f"Flow {flow_id} is lost: settle is refused. It has ended.\n") == again
    assert (1, "") == mirror[:2]
    assert "It mirrors a task: settle that." in mirror[2]
    assert before == types(folder)
