"""Flows of OpenClaw's are taken over with their tasks, whatever has become of both."""

from pathlib import Path
from typing import Any

import pytest

from tallystick.imports.database import FLOWS, TASKS
from tallystick.ledger.flows.mirror import mirror_of, mirror_status
from tallystick.ledger.lifecycle import FLOW_ACTIVE, FlowStatus, Status
from tallystick.testing import HandClock, memory_ledger
from tests.exports.parts import FLOW, active, fill, make_openclaw, task
from tests.story import BEGIN_MS

NOW_MS = BEGIN_MS + 1_000


def flow(status: str) -> dict[str, Any]:
    """Return a row of a flow that says all that one of this status has to say."""
    more: dict[str, Any] = {
        "waiting": {"wait_json": '{"for":"approval"}'},
        "blocked": {"blocked_summary": "no key"},
    }.get(status, {})
    ended = None if status in FLOW_ACTIVE else BEGIN_MS + 40
    return {**FLOW, "status": status, "ended_at": ended, **more}


def of_flow(key: str, status: str) -> dict[str, Any]:
    """Return a row of a task of it."""
    make = active if status in ("queued", "running") else task
    return make(key, status=status, parent_flow_id=str(FLOW["flow_id"]))


@pytest.mark.parametrize("status", FlowStatus)
def test_a_flow_has_its_tasks_whatever_has_become_of_both(database: Path, status: str) -> None:
    rows = {f"old-{each}": each.value for each in Status}
    fill(database, FLOWS, flow(status))
    fill(database, TASKS, *(of_flow(key, each) for key, each in rows.items()))

    with memory_ledger(clock=HandClock(NOW_MS)) as ledger:
        taken = ledger.import_openclaw(database)
        [made] = ledger.flows.list(owner=FLOW["owner_key"]).flows
        told = {(record.metadata or {})["openclaw"]: record for record in ledger.list().tasks}

    assert (1, len(rows), ()) == (taken.flows, taken.tasks, taken.quarantined)
    assert status == made.status
    assert rows == {key: record.status for key, record in told.items()}
    assert {made.flow_id} == {record.parent_flow_id for record in told.values()}


def test_a_flow_that_has_ended_meanwhile_has_the_tasks_that_came_before_that(database: Path, tmp_path: Path) -> None:
    fill(database, FLOWS, flow("running"))
    newer = tmp_path / "newer.sqlite"
    make_openclaw(newer)
    fill(newer, FLOWS, flow("succeeded"))
    fill(newer, TASKS, of_flow("a", "succeeded"))

    with memory_ledger(clock=HandClock(NOW_MS)) as ledger:
        ledger.import_openclaw(database)
        taken = ledger.import_openclaw(newer)

        assert (1, 1, 1, ()) == (taken.tasks, taken.known_flows, taken.updated, taken.quarantined)
        assert ["succeeded"] == [each.status for each in ledger.flows.list(owner=FLOW["owner_key"]).flows]


def test_a_task_that_came_to_a_flow_after_its_end_was_imported_is_left_out_and_listed(
    database: Path, tmp_path: Path
) -> None:
    newer = tmp_path / "newer.sqlite"
    make_openclaw(newer)
    for made in (database, newer):
        fill(made, FLOWS, flow("failed"))
        fill(made, TASKS, of_flow("a", "failed"))
    fill(newer, TASKS, of_flow("b", "succeeded"))

    with memory_ledger(clock=HandClock(NOW_MS)) as ledger:
        ledger.import_openclaw(database)
        taken = ledger.import_openclaw(newer)

    assert (0, 1, ["b"]) == (taken.tasks, taken.known_tasks, [each.row for each in taken.quarantined])
    assert "is failed: link is refused. It has ended." in taken.quarantined[0].why


@pytest.mark.parametrize("second", Status)
@pytest.mark.parametrize("first", Status)
def test_tasks_that_one_flow_follows_stay_together_whatever_has_become_of_them(
    database: Path, first: Status, second: Status
) -> None:
    says = mirror_status(second, None)
    key = {"flow_id": FLOW["flow_id"], "sync_mode": "task_mirrored", "controller_id": None}
    fill(database, FLOWS, flow(says) | key)
    fill(database, TASKS, of_flow("a", first), of_flow("b", second) | {"created_at": BEGIN_MS + 5})

    with memory_ledger(clock=HandClock(NOW_MS)) as ledger:
        taken = ledger.import_openclaw(database)
        again = ledger.import_openclaw(database)
        [made] = ledger.flows.list().flows
        told = {(record.metadata or {})["openclaw"]: record for record in ledger.list().tasks}

    assert (2, 1, ()) == (taken.tasks, taken.mirrors, taken.quarantined)
    assert (2, 0, ()) == (again.known_tasks, again.updated, again.quarantined)
    assert {"a": first, "b": second} == {key: record.status for key, record in told.items()}
    assert {mirror_of(told["a"].task_id)} == {made.flow_id} | {record.parent_flow_id for record in told.values()}
    assert says is made.status
