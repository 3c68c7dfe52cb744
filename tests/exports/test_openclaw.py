"""What OpenClaw recorded is taken over row by row, told to nobody, and only once."""

import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import tallystick
from tallystick import Config, Ledger, Origin, Receipt
from tallystick.imports.database import DELIVERIES, FLOWS, TASKS
from tallystick.ledger.flows.mirror import mirror_of
from tallystick.ledger.limits import RETENTION_LOST_MS
from tallystick.testing import HandClock, memory_ledger
from tests.cli.support import process, tally
from tests.exports.parts import FLOW, active, fill, make_openclaw, task
from tests.story import BEGIN_MS

GOLDEN = Path(__file__).parent.parent / "golden" / "openclaw-2026.9.json"
ROWS: dict[str, list[dict[str, Any]]] = json.loads(GOLDEN.read_text("utf-8"))
"""The rows of an installation of OpenClaw 2026.9 that ran 300 synthetic tasks and 20 flows."""

PROBED_LATER_MS = 3_600_000


@pytest.fixture
def sample(database: Path) -> Path:
    """A database with those rows."""
    for table, rows in ROWS.items():
        fill(database, table, *rows)
    return database


@pytest.fixture
def clock() -> HandClock:
    return HandClock(max(row["created_at"] for row in ROWS[TASKS]) + 10_000)


def silent(ledger: Ledger) -> bool:
    """Whether nothing waits for anybody."""
    return not ledger.deliveries() and not any(task.outbox for task in ledger.list(limit=1_000).tasks)


def test_whoever_waits_hears_how_far_it_is_until_all_is_done(database: Path, clock: HandClock) -> None:
    fill(database, TASKS, task("a", task="x", owner_key="o", requester_session_key="o"), task("b"))
    fill(database, FLOWS, FLOW)
    heard: list[tuple[int, int]] = []
    with memory_ledger(clock=clock) as ledger:
        ledger.create(runtime="subagent", task="x", owner="o", run_id="run-a")
        ledger.import_openclaw(database, dry_run=True, told=lambda done, total: heard.append((done, total)))
        looked, heard = heard, []
        taken = ledger.import_openclaw(database, told=lambda done, total: heard.append((done, total)))

    assert ["a"] == [row.row for row in taken.quarantined]
    assert [(1, 3), (2, 3), (3, 3)] == looked
    assert [(done, 6) for done in range(1, 7)] == heard


# All rows of the sample.


def test_every_row_of_an_installation_is_accounted_for_by_status_and_runtime(sample: Path, tmp_path: Path) -> None:
    where = ("--ledger", str(tmp_path / "ledger"))

    said = tally("import", *where, str(sample), "--json")

    tasks, flows = said.data["tasks"], said.data["flows"]
    assert (0, []) == (said.code, said.data["quarantined"])
    assert (len(ROWS[TASKS]), 0) == (tasks["imported"], tasks["known"])
    assert len(ROWS[FLOWS]) == flows["imported"] + flows["mirrored"]
    assert len(ROWS[DELIVERIES]) == said.data["deliveries"]
    listed = tally("list", *where, "--limit", "1000", "--json").data["tasks"]
    counts = tally("status", *where, "--json").data["tasks"]
    for column, field in (("status", "byStatus"), ("runtime", "byRuntime")):
        wanted = Counter(row[column] for row in ROWS[TASKS])
        assert wanted == Counter(record[column] for record in listed)
        assert wanted == {name: count for name, count in counts[field].items() if count}


def test_every_task_has_what_its_row_says(sample: Path, clock: HandClock) -> None:
    with memory_ledger(clock=clock) as ledger:
        ledger.import_openclaw(sample)
        found = {(record.metadata or {})["openclaw"]: record for record in ledger.list(limit=1_000).tasks}
        origins = {row["task_id"]: json.loads(row["requester_origin_json"]) for row in ROWS[DELIVERIES]}

    assert len(ROWS[TASKS]) == len(found)
    for row in ROWS[TASKS]:
        record = found[row["task_id"]]
        for column, value in {
            "status": record.status.value,
            "runtime": record.runtime.value,
            "task": record.task,
            "label": record.label,
            "run_id": record.run_id,
            "owner_key": record.owner_key,
            "child_session_key": record.child_session_key,
            "task_kind": record.task_kind,
            "source_id": record.source_id,
            "agent_id": record.agent_id,
            "created_at": record.created_at,
            "started_at": record.started_at,
            "ended_at": record.ended_at,
            "delivery_status": record.delivery_status.value,
            "notify_policy": record.notify_policy.value,
            "error": record.error,
            "progress_summary": record.progress_summary,
            "terminal_summary": record.terminal_summary,
            "terminal_outcome": record.terminal_outcome,
        }.items():
            assert (row.get(column) or None) == value, (row["task_id"], column)
        told = origins.get(row["task_id"])
        assert (
            None if told is None else Origin(told["channel"], told["to"], None, told.get("threadId"))
        ) == record.origin


def test_every_flow_is_what_its_row_says_and_those_that_follow_a_task_follow_it_here(
    sample: Path, clock: HandClock
) -> None:
    with memory_ledger(clock=clock) as ledger:
        ledger.import_openclaw(sample)
        tasks = {(record.imported or {})["row"]: record for record in ledger.list(limit=1_000).tasks}
        flows = {flow.flow_id: flow for flow in ledger.flows.list(limit=1_000).flows}
        managed = {(flow.imported or {}).get("row"): flow for flow in flows.values() if flow.is_managed}

    of_flow = {row["parent_flow_id"]: row["task_id"] for row in ROWS[TASKS] if row.get("parent_flow_id")}
    assert len(ROWS[FLOWS]) == len(flows)
    for row in ROWS[FLOWS]:
        if row["sync_mode"] == "managed":
            flow = managed[row["flow_id"]]
            assert (row["controller_id"], row["created_at"]) == (flow.controller_id, flow.created_at)
            assert json.loads(row["state_json"]) == flow.state_json
            if row["flow_id"] in of_flow:
                assert flow.flow_id == tasks[of_flow[row["flow_id"]]].parent_flow_id
        else:
            flow = flows[mirror_of(tasks[of_flow[row["flow_id"]]].task_id)]
            assert row.get("blocked_summary") == flow.blocked_summary
        assert (row["status"], row["owner_key"], row["goal"]) == (flow.status.value, flow.owner_key, flow.goal)
        assert json.loads(row.get("wait_json", "null")) == flow.wait_json


def test_all_that_is_imported_says_so_and_when_it_was_recorded(sample: Path, clock: HandClock) -> None:
    with memory_ledger(clock=clock, actor="me") as ledger:
        ledger.import_openclaw(sample)
        events = list(ledger.events())

    assert {"import:openclaw:me"} == {event.actor for event in events}
    assert {clock.at_ms} == {event.recorded_at for event in events}
    assert all(event.data.imported for event in events if event.version == 1)  # type: ignore[union-attr]  # as they begin


# Nobody is told, nothing is asked, nothing is done twice.


def test_nobody_is_told_of_what_was_imported_whoever_listens(sample: Path, clock: HandClock, tmp_path: Path) -> None:
    sent: list[Any] = []
    woken: list[str] = []
    settings = Config(
        channel={"telegram": {"kind": "registered"}, "ops": {"kind": "registered", "to": "x"}},
        route=({"to": "ops://x"},),
    )

    def send(delivery: Any) -> Receipt:
        sent.append(delivery)
        return Receipt(id="1")

    with tallystick.open(tmp_path / "ledger", clock=clock, config=settings) as ledger:
        for name in ("telegram", "ops", "discord", "slack"):
            ledger.channel(name, send)
        ledger.on_wake(woken.append)
        ledger.import_openclaw(sample)
        ledger.sweep()
        ledger.settled()

        assert silent(ledger)
        assert not [event.type for event in ledger.events() if event.type == "delivery-queued.1"]
    assert ([], []) == (sent, woken)


def test_a_later_end_of_an_imported_task_is_told_as_any_other(database: Path, clock: HandClock) -> None:
    fill(database, TASKS, active())
    with memory_ledger(clock=clock) as ledger:
        ledger.import_openclaw(database)
        [record] = ledger.list().tasks
        ledger.get(record.task_id).succeed("42 tallies")

        [waiting] = ledger.session("agent:main:main").take()
    assert "Background task done: Count the tallies (run run-old-). 42 tallies" == waiting.text


def test_what_ran_elsewhere_is_not_lost_because_this_ledger_never_ran_it(database: Path, tmp_path: Path) -> None:
    clock = HandClock(BEGIN_MS + 100)
    fill(database, TASKS, active("a"), active("b", status="queued"))
    with tallystick.open(tmp_path / "ledger", clock=clock) as ledger:
        ledger.import_openclaw(database)
    with tallystick.open(tmp_path / "ledger", clock=clock) as ledger:
        for _ in range(3):
            clock.advance(PROBED_LATER_MS)
            ledger.sweep()

        assert {"running", "queued"} == {record.status.value for record in ledger.list().tasks}
        assert {"stale_running", "stale_queued"} == {finding.code.value for finding in ledger.audit().findings}


def test_two_active_pictures_with_one_prompt_stay_two_and_keep_nobody_from_a_third(
    database: Path, clock: HandClock
) -> None:
    picture = {"runtime": "cli", "task_kind": "image_generation", "task": "A fox"}
    fill(database, TASKS, active("a", **picture), active("b", **picture))
    with memory_ledger(clock=clock) as ledger:
        ledger.import_openclaw(database)
        third = ledger.create(runtime="cli", task="A fox", owner="agent:main:main", kind="image_generation")

        assert third.is_new
        assert 3 == ledger.counts().total


def test_a_second_import_of_the_same_rows_adds_nothing(sample: Path, clock: HandClock) -> None:
    with memory_ledger(clock=clock) as ledger:
        first = ledger.import_openclaw(sample)
        head = ledger.verify().head
        second = ledger.import_openclaw(sample)

        assert head == ledger.verify().head
    assert (first.tasks, first.flows) == (second.known_tasks, second.known_flows)
    assert (0, 0, 0, ()) == (second.tasks, second.flows, second.updated, second.quarantined)


def test_a_newer_state_of_the_same_rows_adds_what_is_new(database: Path, tmp_path: Path, clock: HandClock) -> None:
    newer = tmp_path / "newer.sqlite"
    make_openclaw(newer)
    fill(database, TASKS, active("a"), active("b", status="queued"), active("c", progress_summary="half"))
    fill(database, FLOWS, FLOW)
    fill(newer, TASKS, task("a"), active("b"), active("c", progress_summary="all", last_event_at=BEGIN_MS + 50))
    fill(newer, FLOWS, {**FLOW, "status": "succeeded", "ended_at": BEGIN_MS + 90})
    with memory_ledger(clock=clock) as ledger:
        ledger.import_openclaw(database)
        taken = ledger.import_openclaw(newer)
        found = {(record.metadata or {})["openclaw"]: record for record in ledger.list().tasks}
        [flow] = ledger.flows.list().flows[-1:]

        assert silent(ledger)
    assert (0, 4, ()) == (taken.tasks, taken.updated, taken.quarantined)
    assert ("succeeded", "delivered") == (found["a"].status.value, found["a"].delivery_status.value)
    assert ("running", "all") == (found["b"].status.value, found["c"].progress_summary)
    assert ("succeeded", BEGIN_MS + 90) == (flow.status.value, flow.ended_at)


def test_an_import_that_was_interrupted_is_completed_by_the_next_one(database: Path, clock: HandClock) -> None:
    fill(database, TASKS, active("a", status="queued"))
    with memory_ledger(clock=clock) as ledger:
        ledger.import_openclaw(database)
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("DELETE FROM task_runs")
        fill(database, TASKS, task("a", progress_summary="half"))

        ledger.import_openclaw(database)
        told = [event.type for event in ledger.events()]

    assert ["task-created.1", "task-started.1", "task-progressed.1", "task-succeeded.1", "delivery-imported.1"] == told


def test_a_run_that_the_ledger_recorded_itself_is_left_alone(database: Path, clock: HandClock) -> None:
    fill(database, TASKS, task("a", task="x", owner_key="o", requester_session_key="o"), task("b"))
    with memory_ledger(clock=clock) as ledger:
        own = ledger.create(runtime="subagent", task="x", owner="o", run_id="run-a")
        taken = ledger.import_openclaw(database)

        assert ("queued", 1) == (ledger.get(own.id).status, ledger.get(own.id).record.version)
    [row] = taken.quarantined
    assert (TASKS, "a", "run_id", "run-a") == (row.table, row.row, row.field, row.value)
    assert own.id in row.why
    assert 1 == taken.tasks


def test_what_the_ledger_has_settled_meanwhile_stays_so_and_the_row_is_listed(database: Path, clock: HandClock) -> None:
    fill(database, TASKS, active("a"))
    with memory_ledger(clock=clock) as ledger:
        ledger.import_openclaw(database)
        [record] = ledger.list().tasks
        ledger.get(record.task_id).settle("failed", "nobody knows")
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("UPDATE task_runs SET status = 'succeeded', ended_at = ?", (BEGIN_MS + 50,))

        first, second = ledger.import_openclaw(database), ledger.import_openclaw(database)
        kept = ledger.get(record.task_id).record

    assert ("failed", 1) == (kept.status.value, kept.late_signal_count)
    assert [("a", "task_id")] * 2 == [(row.row, row.field) for row in (*first.quarantined, *second.quarantined)]


def test_what_retention_has_removed_meanwhile_is_known_and_stays_so(database: Path, clock: HandClock) -> None:
    fill(database, TASKS, active("a", notify_policy="silent", delivery_status="not_applicable"))
    with memory_ledger(clock=clock) as ledger:
        ledger.import_openclaw(database)
        ledger.get(ledger.list().tasks[0].task_id).settle("lost", "nobody knows")
        clock.advance(RETENTION_LOST_MS + 1)
        ledger.maintenance(apply=True)
        assert 0 == ledger.counts().total
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("UPDATE task_runs SET status = 'succeeded', ended_at = ?", (BEGIN_MS + 50,))
        head = ledger.verify().head

        taken = ledger.import_openclaw(database)

        assert (1, 0, ()) == (taken.known_tasks, taken.updated, taken.quarantined)
        assert head == ledger.verify().head


def test_parents_and_flows_are_those_that_were_imported(database: Path, clock: HandClock) -> None:
    fill(database, FLOWS, FLOW, {**FLOW, "flow_id": "flow-2", "status": "blocked", "blocked_task_id": "b"})
    fill(database, FLOWS, {**FLOW, "flow_id": "m", "sync_mode": "task_mirrored", "status": "running"})
    fill(database, TASKS, active("a", parent_flow_id="flow-1"), active("b", parent_task_id="a"))
    fill(database, TASKS, active("c", parent_flow_id="m"), active("d", parent_flow_id="m", created_at=BEGIN_MS + 1))
    with memory_ledger(clock=clock) as ledger:
        taken = ledger.import_openclaw(database)
        found = {(record.metadata or {})["openclaw"]: record for record in ledger.list().tasks}
        flows = {(flow.imported or {}).get("row"): flow for flow in ledger.flows.list().flows}

    assert () == taken.quarantined
    assert found["a"].task_id == found["b"].parent_task_id == found["b"].root_task_id
    assert flows["flow-1"].flow_id == found["a"].parent_flow_id
    assert found["b"].task_id == flows["flow-2"].blocked_task_id
    assert mirror_of(found["c"].task_id) == found["c"].parent_flow_id == found["d"].parent_flow_id


# The command.


@pytest.mark.slow
def test_the_command_goes_through_the_live_owner(sample: Path, tmp_path: Path) -> None:
    with tallystick.open(tmp_path / "ledger") as ledger:
        said = process("import", "--ledger", tmp_path / "ledger", sample, "--json")

        assert (0, len(ROWS[TASKS])) == (said.code, said.data["tasks"]["imported"])
        assert len(ROWS[TASKS]) == ledger.counts().total
        assert ledger.verify().ok


def test_the_command_lists_what_it_left_out_in_words_and_as_data(database: Path, tmp_path: Path) -> None:
    fill(database, TASKS, task("a", ended_at=BEGIN_MS - 1), task("b"))
    where = ("--ledger", str(tmp_path / "ledger"))

    dry = tally("import", *where, str(database), "--dry-run")
    made = tally("import", *where, str(database), "--json")

    assert (0, 0) == (dry.code, made.code)
    assert f"  task_runs a: ended_at {BEGIN_MS - 1}: it ended before it started" in dry.out.splitlines()
    assert "Nothing was written." == dry.out.splitlines()[-1]
    assert [("task_runs", "a", "ended_at", str(BEGIN_MS - 1))] == [
        (row["table"], row["row"], row["field"], row["value"]) for row in made.data["quarantined"]
    ]
    assert ["b"] == [record["metadata"]["openclaw"] for record in tally("list", *where, "--json").data["tasks"]]


def test_tasks_whose_retention_is_over_are_counted(database: Path, clock: HandClock) -> None:
    clock.at_ms = BEGIN_MS + 30 * 24 * 3_600_000
    fill(database, TASKS, task("a"), task("b", ended_at=clock.at_ms - 1_000))
    with memory_ledger(clock=clock) as ledger:
        assert 1 == ledger.import_openclaw(database).over
