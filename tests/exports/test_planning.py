"""What a row of OpenClaw becomes, and which rows are left out, each with the reason."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.imports.columns import Quarantined
from tallystick.imports.database import COLUMNS, DELIVERIES, FLOWS, TASKS, Row, Tables
from tallystick.imports.planning import Plan, plan
from tallystick.ledger.evolve import evolve
from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.facts.flows import FlowFailed, FlowFinished, FlowResumed, FlowSettled, FlowWaitingSet
from tallystick.ledger.facts.tasks import (
    TaskCancelled,
    TaskFailed,
    TaskLost,
    TaskProgressed,
    TaskStarted,
    TaskSucceeded,
    TaskTimedOut,
)
from tallystick.ledger.lifecycle import DeliveryStatus, FlowStatus, Status
from tallystick.ledger.limits import EVIDENCE_BYTES_MAX, KEY_BYTES_MAX
from tests.exports.parts import FLOW, active, task
from tests.story import BEGIN_MS, Story


def planned(*tasks: Row, deliveries: tuple[Row, ...] = (), flows: tuple[Row, ...] = ()) -> Plan:
    """Plan the import of these rows."""
    return plan(Tables(tasks=tasks, deliveries=deliveries, flows=flows))


def left_out(found: Plan) -> list[tuple[str, str, str]]:
    """Return which rows were left out, and because of which column."""
    return [(each.table, each.row, each.field) for each in found.quarantined]


def mirrored(key: str, status: str = "succeeded", **more: Any) -> dict[str, Any]:
    """Return a row of a flow that follows tasks."""
    return {**FLOW, "flow_id": key, "sync_mode": "task_mirrored", "controller_id": None, "status": status, **more}


def test_a_row_is_created_started_and_ended_when_it_says_so_and_nothing_more() -> None:
    [told] = planned(task()).tasks

    assert BEGIN_MS == told.at
    assert [(TaskStarted, BEGIN_MS + 10), (TaskSucceeded, BEGIN_MS + 20)] == [
        (type(move.fact), move.at) for move in told.moves
    ]
    assert DeliveryStatus.DELIVERED is told.delivery
    assert ("openclaw:old-1", {"openclaw": "old-1"}) == (told.created.idempotency_key, told.created.metadata)
    assert {"from": "openclaw", "table": "task_runs", "row": "old-1"} == told.created.imported


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("succeeded", TaskSucceeded),
        ("failed", TaskFailed),
        ("timed_out", TaskTimedOut),
        ("cancelled", TaskCancelled),
        ("lost", TaskLost),
    ],
)
def test_a_row_ends_as_it_says_with_the_error_that_it_has(status: str, kind: type) -> None:
    error = None if status == "succeeded" else "it broke"
    [told] = planned(task(status=status, error=error, delivery_status="pending")).tasks
    story = Story(told.created)
    for move in told.moves:
        story.tell(move.fact, occurred_at=move.at)

    assert kind is type(told.moves[-1].fact)
    assert told.delivery is None  # what the end makes of it is what the row says
    assert (status, error, BEGIN_MS + 20) == (story.record.status, story.record.error, story.record.ended_at)
    assert told.created.imported == story.record.imported


def test_what_is_not_over_stays_as_it_was() -> None:
    running, queued = planned(active("a"), active("b", status="queued")).tasks

    assert [TaskStarted] == [type(move.fact) for move in running.moves]
    assert () == queued.moves
    assert (Status.RUNNING, Status.QUEUED) == (running.status, queued.status)


def test_progress_is_told_when_the_row_last_said_anything_and_never_behind_the_end() -> None:
    said: dict[str, Any] = {"progress_summary": "half of it", "tool_use_count": 3, "last_tool_name": "imap"}
    running, ended = planned(
        active("a", last_event_at=BEGIN_MS + 15, **said), task("b", last_event_at=BEGIN_MS + 99, **said)
    ).tasks

    assert (TaskProgressed(message="half of it", tool="imap", tools=3), BEGIN_MS + 15) == (
        running.moves[-1].fact,
        running.moves[-1].at,
    )
    assert BEGIN_MS + 20 == ended.moves[1].at


def test_what_no_fact_says_of_a_row_is_in_its_mark() -> None:
    more: dict[str, Any] = {
        "cleanup_after": BEGIN_MS + 9,
        "execution_owner_host": "here",
        "execution_owner_pid": 7,
        "detail_json": "{}",
    }
    [told] = planned(task(**more), deliveries=({"task_id": "old-1", "last_notified_event_at": 5},)).tasks

    mark = told.created.imported or {}
    assert (BEGIN_MS + 9, "here", 7, "{}", 5) == (
        mark["cleanupAfter"],
        mark["ownerHost"],
        mark["ownerPid"],
        mark["detail"],
        mark["lastNotifiedAt"],
    )


LONG = st.integers(0, 2 * EVIDENCE_BYTES_MAX).map("ü".__mul__)


@given(LONG, LONG, LONG, st.sampled_from(["queued", "succeeded"]))
def test_however_long_it_is_what_is_only_noted_of_a_row_keeps_nobody_from_importing_it(
    detail: str, origin: str, said: str, status: str
) -> None:
    row = active(status=status) if status == "queued" else task()
    row |= {"detail_json": detail, "progress_summary": said, "error": said}
    came_from = {"task_id": "old-1", "requester_origin_json": json.dumps({"more": origin}, ensure_ascii=False)}

    found = planned(row, deliveries=(came_from,))

    assert [] == left_out(found)
    [told] = found.tasks
    mark = told.created.imported or {}
    for name, text in (("detail", detail), ("progress" if status == "queued" else "error", said)):
        kept = str(mark.get(name, ""))
        assert text.startswith(kept.removesuffix("…"))
        assert kept == text or len(kept.encode()) > EVIDENCE_BYTES_MAX // 4


def test_where_a_request_came_from_is_kept_to_the_letter() -> None:
    said = '{"channel":"telegram","to":"-100","accountId":"work","threadId":77}'
    [told] = planned(task(), deliveries=({"task_id": "old-1", "requester_origin_json": said},)).tasks

    assert Origin("telegram", "-100", "work", 77) == told.created.origin


def test_a_media_job_of_another_ledger_has_its_kind() -> None:
    [told] = planned(task(runtime="cli", task_kind="image_generation")).tasks

    assert "image_generation" == told.created.kind


@pytest.mark.parametrize(
    ("field", "row"),
    [
        ("ended_at", task(ended_at=BEGIN_MS - 1, started_at=None)),
        ("ended_at", task(ended_at=BEGIN_MS + 9)),
        ("started_at", task(started_at=BEGIN_MS - 1)),
        ("ended_at", task(ended_at=None)),
        ("ended_at", active(ended_at=BEGIN_MS + 20)),
        ("started_at", active(started_at=None)),
        ("started_at", active(status="queued", started_at=BEGIN_MS)),
        ("status", task(status="done")),
        ("status", task(status=None)),
        ("status", task(status=7)),
        ("runtime", task(runtime="heartbeat")),
        ("runtime", task(runtime=None)),
        ("scope_kind", task(scope_kind="world")),
        ("notify_policy", task(notify_policy="loud")),
        ("delivery_status", task(delivery_status="withheld")),
        ("terminal_outcome", task(terminal_outcome="odd")),
        ("terminal_outcome", task(status="failed", terminal_outcome="blocked")),
        ("owner_key", task(owner_key="")),
        ("owner_key", task(scope_kind="system", notify_policy="silent")),
        ("notify_policy", task(scope_kind="system", owner_key=None, requester_session_key=None)),
        ("owner_key", task(owner_key="x" * (KEY_BYTES_MAX + 1))),
        ("run_id", task(run_id="two\nlines")),
        ("task", task(task="")),
        ("task", task(task="half \udc80")),
        ("created_at", task(created_at=None)),
        ("created_at", task(created_at="yesterday")),
        ("created_at", task(created_at=-1)),
        ("ended_at", task(ended_at=2**60)),
        ("tool_use_count", task(tool_use_count=-1)),
        ("parent_task_id", task(parent_task_id="nobody")),
        ("parent_task_id", task(parent_task_id="old-1")),
        ("parent_flow_id", task(parent_flow_id="nowhere")),
    ],
)
def test_a_row_that_cannot_be_so_is_left_out_by_the_column_and_the_rest_is_imported(field: str, row: Row) -> None:
    found = planned(row, task("sound"))

    assert [(TASKS, "old-1", field)] == left_out(found)
    assert ["sound"] == [told.row for told in found.tasks]
    assert found.quarantined[0].why


def test_a_row_that_is_left_out_says_which_what_stands_there_and_why() -> None:
    [found] = planned(task(ended_at=BEGIN_MS + 9)).quarantined

    assert (
        Quarantined(
            table=TASKS, row="old-1", field="ended_at", value=str(BEGIN_MS + 9), why="it ended before it started"
        )
        == found
    )


def test_a_second_row_of_the_same_id_or_the_same_run_is_left_out() -> None:
    found = planned(task("a"), task("a", task="another"), task("b", run_id="run-a"))

    assert [(TASKS, "a", "task_id"), (TASKS, "b", "run_id")] == left_out(found)
    assert "it is the same run as a" in found.quarantined[1].why


def test_who_refers_to_what_is_left_out_is_left_out_itself_however_far_below() -> None:
    rows = [task(str(number), parent_task_id=str(number - 1) if number else "gone") for number in range(50)]
    circle = (task("x", parent_task_id="y"), task("y", parent_task_id="x"), task("z", parent_task_id="y"))

    found = planned(*reversed(rows), *circle, task("sound"))

    assert ["sound"] == [told.row for told in found.tasks]
    assert {str(number) for number in range(50)} | {"x", "y", "z"} == {row for _, row, _ in left_out(found)}
    assert {"parent_task_id"} == {field for _, _, field in left_out(found)}


def test_parents_come_before_their_children_whatever_the_clocks_say() -> None:
    below = active("c", parent_task_id="b", created_at=BEGIN_MS - 5, started_at=BEGIN_MS)
    found = planned(below, active("b", parent_task_id="a"), active("a", created_at=BEGIN_MS + 5))

    assert ["a", "b", "c"] == [told.row for told in found.tasks]


@pytest.mark.parametrize(
    ("said", "row"),
    [
        ("task_id", {"task_id": "nobody"}),
        ("requester_origin_json", {"task_id": "old-1", "requester_origin_json": "{"}),
        ("requester_origin_json", {"task_id": "old-1", "requester_origin_json": "[1]"}),
        ("requester_origin_json", {"task_id": "old-1", "requester_origin_json": '{"to": {}}'}),
        ("last_notified_event_at", {"task_id": "old-1", "last_notified_event_at": "x"}),
    ],
)
def test_a_row_about_telling_that_cannot_be_so_is_left_out_and_its_task_is_not(said: str, row: Row) -> None:
    found = planned(task(), deliveries=(row,))

    assert [(DELIVERIES, row["task_id"], said)] == left_out(found)
    assert (1, 0) == (len(found.tasks), found.deliveries)


# Flows.


@pytest.mark.parametrize(
    ("status", "more", "kind"),
    [
        ("running", {}, FlowResumed),
        ("waiting", {"wait_json": '{"for":"approval"}'}, FlowWaitingSet),
        ("blocked", {"blocked_summary": "no key"}, FlowWaitingSet),
        ("succeeded", {"ended_at": BEGIN_MS + 9}, FlowFinished),
        ("failed", {"ended_at": BEGIN_MS + 9}, FlowFailed),
        ("cancelled", {"ended_at": BEGIN_MS + 9}, FlowSettled),
        ("lost", {"ended_at": BEGIN_MS + 9}, FlowSettled),
    ],
)
def test_a_managed_flow_becomes_what_its_row_says(status: str, more: dict[str, Any], kind: type) -> None:
    [flow] = planned(flows=({**FLOW, "status": status, **more},)).flows

    [move] = flow.moves
    assert (kind, FlowStatus(status)) == (type(move.fact), flow.status)
    assert more.get("ended_at", BEGIN_MS + 5) == move.at


@pytest.mark.parametrize(
    ("said", "more"),
    [
        ("status", {"status": "odd"}),
        ("sync_mode", {"sync_mode": "odd"}),
        ("controller_id", {"controller_id": None}),
        ("wait_json", {"status": "waiting"}),
        ("wait_json", {"status": "waiting", "wait_json": "{"}),
        ("state_json", {"state_json": "{"}),
        ("blocked_summary", {"status": "blocked"}),
        ("blocked_task_id", {"status": "blocked", "blocked_task_id": "nobody"}),
        ("ended_at", {"status": "failed"}),
        ("ended_at", {"ended_at": BEGIN_MS + 9}),
        ("ended_at", {"status": "failed", "ended_at": BEGIN_MS - 1}),
        ("updated_at", {"updated_at": BEGIN_MS - 1}),
        ("goal", {"goal": None}),
    ],
)
def test_a_flow_that_cannot_be_so_is_left_out_and_so_are_its_tasks(said: str, more: dict[str, Any]) -> None:
    found = planned(active("a", parent_flow_id="flow-1"), flows=({**FLOW, **more},))

    assert {(FLOWS, "flow-1", said), (TASKS, "a", "parent_flow_id")} == set(left_out(found))


def test_a_task_of_another_owner_is_none_of_the_flow() -> None:
    found = planned(active("a", parent_flow_id="flow-1", owner_key="agent:b"), flows=(FLOW,))

    assert [(TASKS, "a", "parent_flow_id")] == left_out(found)


def test_a_flow_that_follows_tasks_is_held_to_them_and_needs_nothing_written() -> None:
    found = planned(
        task("a", parent_flow_id="m1"),
        task("b", parent_flow_id="m2", status="timed_out"),
        flows=(mirrored("m1", ended_at=BEGIN_MS + 9), mirrored("m2", status="failed", ended_at=BEGIN_MS + 9)),
    )

    assert {"m1": ("a",), "m2": ("b",)} == found.mirrors
    assert ((), ()) == (found.quarantined, found.flows)
    assert [None, None] == [told.flow for told in found.tasks]
    assert ["m1", "m2"] == [(told.created.imported or {})["flow"] for told in found.tasks]


@pytest.mark.parametrize(
    ("said", "flow", "more"),
    [
        ("flow_id", mirrored("m2", ended_at=BEGIN_MS + 9), {}),
        ("status", mirrored("m1", status="failed", ended_at=BEGIN_MS + 9), {}),
        ("owner_key", mirrored("m1", owner_key="agent:b", ended_at=BEGIN_MS + 9), {}),
        ("flow_id", mirrored("m1", ended_at=BEGIN_MS + 9), {"notify_policy": "silent"}),
    ],
)
def test_a_flow_that_says_something_else_than_its_tasks_is_left_out(
    said: str, flow: dict[str, Any], more: dict[str, Any]
) -> None:
    found = planned(
        task("a", parent_flow_id=flow["flow_id"] if flow["flow_id"] == "m1" else None, **more), flows=(flow,)
    )

    assert [(FLOWS, flow["flow_id"], said)] == left_out(found)
    assert ["a"] == [told.row for told in found.tasks]


def test_a_second_task_of_a_flow_that_follows_tasks_comes_behind_the_first_and_joins_it() -> None:
    later = task("b", parent_flow_id="m1", created_at=BEGIN_MS + 1)
    found = planned(later, task("a", parent_flow_id="m1"), flows=(mirrored("m1", ended_at=BEGIN_MS + 9),))

    assert [("a", None), ("b", "m1")] == [(told.row, told.flow) for told in found.tasks]


# Anything.

_values = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(max_size=8),
    st.binary(max_size=8),
    st.sampled_from(["succeeded", "queued", "old-1", "flow-1", "session", "{}", "null", BEGIN_MS, 0]),
)


def _some(table: str, ordinary: Row) -> st.SearchStrategy[Row]:
    said = st.dictionaries(st.sampled_from(COLUMNS[table]), _values, max_size=6)
    return said.map(lambda more: {**ordinary, **more})


@pytest.mark.slow
@given(
    st.lists(_some(TASKS, task()), max_size=4),
    st.lists(_some(DELIVERIES, {"task_id": "old-1"}), max_size=3),
    st.lists(_some(FLOWS, FLOW), max_size=3),
)
def test_whatever_rows_say_each_is_imported_or_left_out_with_a_reason_and_what_is_imported_follows_the_rules(
    tasks: list[Row], deliveries: list[Row], flows: list[Row]
) -> None:
    found = planned(*tasks, deliveries=tuple(deliveries), flows=tuple(flows))

    imported = len(found.tasks) + found.deliveries + len(found.flows) + len(found.mirrors)
    assert len(tasks) + len(deliveries) + len(flows) == imported + len(found.quarantined)
    assert all(each.field and each.why for each in found.quarantined)
    for told in found.tasks:
        story = Story(told.created)
        for move in told.moves:
            story.tell(move.fact, occurred_at=move.at)
        assert (told.status, told.ended_at) == (story.record.status, story.record.ended_at)
        assert evolve(None, story.events[0]).imported
