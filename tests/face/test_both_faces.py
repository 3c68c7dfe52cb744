"""What a ledger promises, whichever it is: on disk, in memory, for threads, for asyncio."""

import pickle
from collections.abc import Callable
from typing import Any

import pytest

from tallystick import (
    Closed,
    InvalidInput,
    Ledger,
    NotFound,
    Origin,
    Refused,
    TallystickError,
    Task,
    TaskRecord,
    WrongVersion,
)
from tallystick.ledger.ids import id_text, new_id
from tallystick.testing import HandClock
from tests.face.parts import ORDINARY, OWNER, told

T0 = HandClock().at_ms


def test_a_task_is_what_was_said_of_it(any_ledger: Ledger) -> None:
    task = any_ledger.create(
        runtime="subagent",
        task="Summarise the inbox",
        label="inbox",
        owner=OWNER,
        child_session="agent:main:subagent:7c",
        run_id="run-1",
        kind=None,
        source_id=None,
        parent=None,
        agent=None,
        origin=Origin(channel="telegram", to="123", account=None, thread=77),
        notify=None,
        timeout_ms=60_000,
        backing=None,
        metadata={"repo": "a/b"},
        idempotency_key=None,
    )

    record = task.record
    assert (task.id, "queued") == (record.task_id, task.status)
    assert ("inbox", OWNER, "run-1") == (record.label, record.owner_key, record.run_id)
    assert Origin(channel="telegram", to="123", account=None, thread=77) == record.origin
    assert ("done_only", "pending", "session") == (record.notify_policy, record.delivery_status, record.scope_kind)
    assert ({"repo": "a/b"}, 60_000, T0) == (record.metadata, record.timeout_ms, record.created_at)
    assert (1, 1) == (record.version, record.position)
    with pytest.raises(AttributeError):
        record.label = "another"  # type: ignore[misc]  # frozen


def test_a_task_ends_as_it_was_told(any_ledger: Ledger, clock: HandClock) -> None:
    task = any_ledger.create(**ORDINARY)
    clock.advance(10)
    assert "running" == task.start(backing={"pid": 7}).status
    clock.advance(10)
    record = task.progress("reading", step=2, steps=5, tool="imap", usage={"tokens": 3})
    assert ("reading", 2, 5, "imap", 1) == (
        record.progress_summary,
        record.progress_step,
        record.progress_steps,
        record.last_tool_name,
        record.tool_use_count,
    )
    clock.advance(10)
    record = task.succeed("3 mails answered", artifacts=["file:///a"], usage={"tokens": 4})

    assert record == task.record == any_ledger.get(task.id).record
    assert ("succeeded", "3 mails answered", ("file:///a",)) == (
        task.status,
        record.terminal_summary,
        record.artifacts,
    )
    assert (T0, T0 + 10, T0 + 30, {"tokens": 7}) == (
        record.created_at,
        record.started_at,
        record.ended_at,
        record.usage,
    )
    assert ["task-created.1", "task-started.1", "task-progressed.1", "task-succeeded.1"] == [
        event.type for event in any_ledger.timeline(task.id)
    ]


ENDS: list[tuple[Callable[[Task], TaskRecord], str, str | None]] = [
    (lambda task: task.succeed(), "succeeded", None),
    (lambda task: task.succeed("no access", outcome="blocked"), "succeeded", None),
    (lambda task: task.fail("it broke", exit_code=1), "failed", "it broke"),
    (lambda task: task.time_out("too long"), "timed_out", "too long"),
    (lambda task: task.cancelled("enough", stopped="pid 7"), "cancelled", "enough"),
    (lambda task: task.settle("failed", "by hand"), "failed", "by hand"),
    (lambda task: task.settle("lost", "by hand"), "lost", "by hand"),
]


@pytest.mark.parametrize(("end", "status", "error"), ENDS)
def test_every_verb_that_ends_a_task_ends_it(
    any_ledger: Ledger, end: Callable[[Task], TaskRecord], status: str, error: str | None
) -> None:
    task = any_ledger.create(**ORDINARY)
    task.start()

    record = end(task)

    assert (status, error, 3) == (record.status, record.error, record.version)
    assert record == any_ledger.get(task.id).record


def test_policy_and_hold_change_at_any_time(any_ledger: Ledger) -> None:
    task = any_ledger.create(**ORDINARY)
    task.succeed()

    assert "state_changes" == task.notify("state_changes").notify_policy
    assert T0 == task.hold("evidence").held_at
    assert task.release().held_at is None


def test_queued_work_is_cancelled_at_once_and_running_work_is_asked(any_ledger: Ledger) -> None:
    queued, running = any_ledger.create(**ORDINARY), any_ledger.create(**ORDINARY)
    running.start()

    assert "cancelled" == queued.cancel("not needed").status
    asked = running.cancel("not needed", wait_ms=0)
    assert ("running", "not needed") == (asked.status, asked.cancel_reason)
    assert asked == running.cancel("not needed", wait_ms=1)


def test_a_late_signal_is_kept_and_its_sender_told(any_ledger: Ledger) -> None:
    task = any_ledger.create(**ORDINARY)
    task.succeed("done")

    with pytest.raises(Refused) as refused:
        task.fail("no, it broke")

    assert (task.id, "succeeded", "fail", 4) == (
        refused.value.token,
        refused.value.status,
        refused.value.attempted,
        refused.value.position,
    )
    assert "task-late-signal.1" == any_ledger.timeline(task.id)[-1].type
    assert "succeeded" == any_ledger.get(task.id).status


def test_the_same_signal_twice_is_answered_as_the_first(any_ledger: Ledger) -> None:
    task = any_ledger.create(**ORDINARY)
    first = task.succeed("done", artifacts=["file:///a"])

    assert first == task.succeed("done", artifacts=["file:///a"])
    assert 3 == len(list(any_ledger.events()))


def test_a_writer_who_knows_too_little_gets_the_present_record(any_ledger: Ledger) -> None:
    task = any_ledger.create(**ORDINARY)
    task.start(expected_version=1)

    with pytest.raises(WrongVersion) as wrong:
        task.succeed(expected_version=1)

    assert (1, 2, task.record) == (wrong.value.expected, wrong.value.actual, wrong.value.current)
    assert "succeeded" == task.succeed(expected_version=2).status


def test_what_happened_earlier_is_said_so(any_ledger: Ledger) -> None:
    task = any_ledger.create(occurred_at=T0 - 500, **ORDINARY)
    task.start(occurred_at=T0 - 400)

    assert (T0 - 500, T0 - 400) == (task.record.created_at, task.record.started_at)
    assert [(T0 - 500, T0), (T0 - 400, T0)] == [
        (event.occurred_at, event.recorded_at) for event in any_ledger.timeline(task.id)
    ]


def test_the_same_run_is_the_same_task_and_blanks_are_filled(any_ledger: Ledger) -> None:
    first = any_ledger.create(**ORDINARY, run_id="run-1")
    first.start()
    again = any_ledger.create(**ORDINARY, run_id="run-1", metadata={"repo": "a/b"})

    assert first.id == again.id
    assert ("running", {"repo": "a/b"}) == (again.status, again.record.metadata)
    assert "succeeded" == again.succeed().status
    assert first.id != any_ledger.create(**{**ORDINARY, "task": "Another"}, run_id="run-1").id


def test_the_same_key_is_the_same_task_whatever_else_is_said(any_ledger: Ledger) -> None:
    first = any_ledger.create(**ORDINARY, idempotency_key="k")
    again = any_ledger.create(runtime="cli", task="Something else", owner="other", idempotency_key="k")

    assert (first.id, "Count the tallies") == (again.id, again.record.task)
    assert 1 == any_ledger.counts().total


def test_a_task_is_found_by_its_id_its_run_and_its_sessions(any_ledger: Ledger) -> None:
    older = any_ledger.create(**ORDINARY, run_id="run-1", child_session="child")
    newer = any_ledger.create(**{**ORDINARY, "task": "Another"}, run_id="run-1")

    assert older.id == any_ledger.get(older.id).id == any_ledger.find(f" {older.id} ").id
    assert newer.id == any_ledger.find("run-1").id == any_ledger.find(OWNER).id
    assert older.id == any_ledger.find("child").id
    assert "running" == any_ledger.find("child").start().status


@pytest.mark.parametrize("token", ["nobody", id_text(new_id())])
def test_what_is_not_there_is_not_found(any_ledger: Ledger, token: str) -> None:
    for ask in (any_ledger.get, any_ledger.find, any_ledger.timeline, any_ledger.state_at):
        with pytest.raises(NotFound) as missing:
            ask(token)
        assert token == missing.value.token


def test_a_list_is_newest_first_and_filtered_and_paged(any_ledger: Ledger, clock: HandClock) -> None:
    ids = []
    for number in range(7):
        clock.advance(1)
        more = {"runtime": "cli"} if number % 2 else {"metadata": {"repo": "a/b"}}
        ids.append(any_ledger.create(**{**ORDINARY, "task": f"Count {number}", **more}).id)
    any_ledger.get(ids[0]).fail("it broke")

    def listed(**filters: Any) -> list[str]:
        return [task.task_id for task in any_ledger.list(**filters).tasks]

    assert ids[::-1] == listed()
    assert ids[5::-2] == listed(runtime="cli")
    assert ids[6::-2] == listed(metadata={"repo": "a/b"})
    assert ids[:1] == listed(status="failed") == listed(text="BROKE") == listed(until=T0 + 2)
    assert ids[6:4:-1] == listed(since=T0 + 6)
    assert [] == listed(owner="nobody")
    pages, cursor = [], None
    while True:
        page = any_ledger.list(owner=OWNER, limit=3, cursor=cursor)
        pages.append([task.task_id for task in page.tasks])
        cursor = page.next_cursor
        if cursor is None:
            break
    assert [ids[6:3:-1], ids[3:0:-1], ids[:1]] == pages


def test_counts_say_how_many_tasks_there_are_of_each(any_ledger: Ledger) -> None:
    any_ledger.create(**ORDINARY).fail("it broke")
    any_ledger.create(**ORDINARY).succeed(outcome="blocked")
    any_ledger.create(runtime="cron", task="Nightly").start()

    counts = any_ledger.counts()

    assert (3, 1, 2, 1, 2) == (counts.total, counts.active, counts.terminal, counts.failures, counts.issues)
    assert {"failed": 1, "running": 1, "succeeded": 1} == {k: n for k, n in counts.by_status.items() if n}
    assert {"cron": 1, "subagent": 2} == {k: n for k, n in counts.by_runtime.items() if n}


def test_the_past_is_asked_by_position_or_by_moment(any_ledger: Ledger, clock: HandClock) -> None:
    task = any_ledger.create(**ORDINARY)
    clock.advance(1_000)
    task.start()
    clock.advance(1_000)
    task.succeed()

    assert ["queued", "running", "succeeded", "succeeded"] == [
        any_ledger.state_at(task.id, position=position).status for position in (1, 2, 3, 99)
    ]
    assert ["queued", "running", "succeeded"] == [
        any_ledger.state_at(task.id, at=T0 + at).status for at in (999, 1_000, 5_000)
    ]
    assert task.record == any_ledger.state_at(task.id)
    with pytest.raises(NotFound, match="It had not been created then"):
        any_ledger.state_at(task.id, position=0)
    with pytest.raises(NotFound, match="It had not been created then"):
        any_ledger.state_at(task.id, at=T0 - 1)


def test_the_log_is_read_in_order_from_any_position(any_ledger: Ledger) -> None:
    for number in range(3):
        any_ledger.create(**ORDINARY).succeed(f"number {number}")

    everything = list(any_ledger.events())

    assert list(range(1, 10)) == [event.position for event in everything]
    for after in range(10):
        assert everything[after:] == list(any_ledger.events(after))
    assert [] == list(any_ledger.events(after=99))


def test_a_subscription_gives_what_is_there_and_then_what_comes(any_ledger: Ledger) -> None:
    first = any_ledger.create(**ORDINARY)
    events = any_ledger.subscribe()
    assert [(1, "task-created.1")] == told([next(events)])
    first.start()
    first.succeed()
    assert [(2, "task-started.1"), (3, "task-succeeded.1")] == told([next(events), next(events)])

    events.close()

    assert 3 == events.position
    assert [] == list(events)


def test_held_back_progress_is_answered_at_once_and_written_by_a_sweep(any_owner: Ledger, clock: HandClock) -> None:
    any_ledger = any_owner
    task = any_ledger.create(**ORDINARY)
    task.progress("one")
    clock.advance(10)
    assert "one" == task.progress("two").progress_summary
    assert 3 == len(any_ledger.timeline(task.id))

    any_ledger.sweep()

    assert ("two", 2) == (
        any_ledger.get(task.id).record.progress_summary,
        any_ledger.get(task.id).record.progress_count,
    )
    assert 5 == task.progress("three", force=True).version


def test_the_ledger_says_how_it_is(any_ledger: Ledger) -> None:
    any_ledger.create(**ORDINARY).start()
    any_ledger.settled()

    status = any_ledger.status()
    found = any_ledger.verify()

    assert (1, 2) == (status.tasks.total, status.head)
    assert {0} >= {standing.lag for standing in status.projections}
    assert (True, 2, 2, []) == (found.ok, found.events, found.head, list(found.problems))


def test_many_errors_come_with_their_data_and_can_be_pickled(any_ledger: Ledger) -> None:
    task = any_ledger.create(**ORDINARY)
    task.succeed()
    errors: list[TallystickError] = []
    calls: list[Any] = [
        lambda: any_ledger.create(runtime="chat", task="x"),
        lambda: any_ledger.find("nobody"),
        lambda: task.fail("late"),
        lambda: task.hold(expected_version=99),
        lambda: any_ledger.list(cursor="x"),
    ]

    for call in calls:
        with pytest.raises(TallystickError) as caught:
            call()
        errors.append(caught.value)

    for error in errors:
        again = pickle.loads(pickle.dumps(error))
        assert (type(error), str(error), error.data) == (type(again), str(again), again.data)
        assert error.data
    assert [InvalidInput, NotFound, Refused, WrongVersion, InvalidInput] == [type(error) for error in errors]


def test_a_closed_ledger_says_so_whatever_is_asked(any_ledger: Ledger) -> None:
    task = any_ledger.create(**ORDINARY)
    task.start()

    any_ledger.close()
    any_ledger.close()

    calls: list[Any] = [
        lambda: any_ledger.create(**ORDINARY),
        task.succeed,
        task.cancel,
        any_ledger.sweep,
        any_ledger.settled,
        lambda: any_ledger.get(task.id),
        lambda: any_ledger.find(task.id),
        any_ledger.list,
        any_ledger.counts,
        lambda: any_ledger.timeline(task.id),
        lambda: any_ledger.state_at(task.id),
        lambda: list(any_ledger.events()),
        any_ledger.subscribe,
        any_ledger.verify,
        any_ledger.status,
        lambda: any_ledger.batch().create(**ORDINARY),
    ]
    for call in calls:
        with pytest.raises(Closed):
            call()
    assert "running" == task.status
