"""What each fact makes of what was known before it, field by field, and what cannot follow."""

import msgspec
import pytest

from tallystick.ledger.events import AnyFact
from tallystick.ledger.evolve import fold, signal_key
from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.facts.tasks import (
    TaskBackingMissed,
    TaskBackingRestored,
    TaskCancelled,
    TaskCancelRequested,
    TaskFailed,
    TaskHeld,
    TaskLateSignal,
    TaskLost,
    TaskProgressed,
    TaskPruned,
    TaskRecovered,
    TaskReleased,
    TaskSettled,
    TaskStarted,
    TaskSucceeded,
    TaskTimedOut,
)
from tallystick.ledger.lifecycle import BLOCKED, DeliveryStatus, NotifyPolicy, Runtime, Scope, Status
from tallystick.ledger.limits import LATE_SIGNALS_KEPT
from tallystick.ledger.record import TaskRecord
from tests.ledger.stories import THEN_MS, ended, running
from tests.story import BEGIN_MS, OTHER_ID, STREAM, TASK_ID, Story, created, differences

CREATED_MS, STARTED_MS = BEGIN_MS + 1_000, BEGIN_MS + 2_000
FULL = created(
    runtime="cli",
    label="tally",
    requester="agent:main:other",
    child_session="agent:main:subagent:7c",
    run_id="run-1",
    kind="image_generation",
    source_id="job-7",
    parent=OTHER_ID,
    root=OTHER_ID,
    flow="0198c2f0-7b7e-7cc3-8a53-0000000000f1",
    agent="main",
    requester_agent="other",
    origin=Origin(channel="telegram", to=-100, account="bot", thread=77),
    notify="state_changes",
    timeout_ms=60_000,
    backing={"pid": 7},
    metadata={"repo": "a/b"},
    idempotency_key="key-1",
)


def test_a_creation_says_everything_that_a_record_begins_with() -> None:
    story = Story(position=6)
    story.happen([FULL])

    assert (
        TaskRecord(
            task_id=TASK_ID,
            runtime=Runtime.CLI,
            task="Count the tallies",
            status=Status.QUEUED,
            scope_kind=Scope.SESSION,
            delivery_status=DeliveryStatus.PENDING,
            notify_policy=NotifyPolicy.STATE_CHANGES,
            created_at=BEGIN_MS,
            last_event_at=BEGIN_MS,
            version=1,
            position=7,
            task_kind="image_generation",
            source_id="job-7",
            owner_key="agent:main:main",
            requester_session_key="agent:main:other",
            child_session_key="agent:main:subagent:7c",
            parent_flow_id="0198c2f0-7b7e-7cc3-8a53-0000000000f1",
            parent_task_id=OTHER_ID,
            root_task_id=OTHER_ID,
            agent_id="main",
            requester_agent_id="other",
            run_id="run-1",
            label="tally",
            origin=Origin(channel="telegram", to=-100, account="bot", thread=77),
            timeout_ms=60_000,
            backing={"pid": 7},
            metadata={"repo": "a/b"},
            idempotency_key="key-1",
        )
        == story.record
    )
    assert STREAM == story.record.stream


def test_a_history_folded_at_once_tells_what_it_told_event_by_event() -> None:
    story = Story(FULL, TaskStarted(), TaskSucceeded(summary="42"))

    assert story.record == fold(story.events) == fold(story.events[1:], fold(story.events[:1]))


def test_a_task_without_a_parent_is_its_own_root_and_its_owner_asked_for_it() -> None:
    record = Story(created()).record

    assert (TASK_ID, None, "agent:main:main") == (
        record.root_task_id,
        record.parent_task_id,
        record.requester_session_key,
    )


def test_a_start_begins_the_time_that_work_has() -> None:
    story = Story(created(timeout_ms=60_000))

    assert {
        "status": Status.RUNNING,
        "started_at": STARTED_MS,
        "last_event_at": STARTED_MS,
        "deadline_at": STARTED_MS + 60_000,
        "backing": {"pid": 7},
    } == differences(story, TaskStarted(backing={"pid": 7}), occurred_at=STARTED_MS)


def test_a_start_without_more_keeps_what_was_known_of_its_backing() -> None:
    story = Story(created(backing={"pid": 7}))

    assert {"status": Status.RUNNING, "started_at": STARTED_MS, "last_event_at": STARTED_MS} == differences(
        story, TaskStarted(), occurred_at=STARTED_MS
    )


def test_a_start_ends_the_doubt_about_queued_work() -> None:
    story = Story(created(), TaskBackingMissed(evidence={}))

    assert differences(story, TaskStarted()).items() >= {"backing_missed_at": None}.items()


def test_progress_counts_and_replaces_what_it_mentions() -> None:
    story = running()
    first = TaskProgressed(message="half", phase="reading", step=1, steps=2, tool="imap", tools=1, usage={"tokens": 2})

    assert {
        "last_event_at": THEN_MS - 5,
        "progress_at": THEN_MS,  # when it was recorded: what is told too often is held back by that
        "progress_count": 1,
        "progress_summary": "half",
        "progress_phase": "reading",
        "progress_step": 1,
        "progress_steps": 2,
        "last_tool_name": "imap",
        "tool_use_count": 1,
        "usage": {"tokens": 2},
    } == differences(story, first, occurred_at=THEN_MS - 5)

    story.happen([first])
    assert {"progress_count": 4, "tool_use_count": 3, "usage": {"tokens": 5, "costUsd": 0.5}} == differences(
        story, TaskProgressed(count=3, tools=2, usage={"tokens": 3, "costUsd": 0.5})
    )
    assert {"progress_count": 2, "progress_step": 0} == differences(story, TaskProgressed(step=0))


def test_progress_that_says_nothing_is_only_counted() -> None:
    assert {"last_event_at": THEN_MS, "progress_at": THEN_MS, "progress_count": 1} == differences(
        running(), TaskProgressed()
    )


ENDINGS: list[tuple[AnyFact, dict[str, object]]] = [
    (
        TaskSucceeded(summary="42", artifacts=("file:///out",), outcome=BLOCKED, usage={"tokens": 3}),
        {
            "status": Status.SUCCEEDED,
            "terminal_summary": "42",
            "artifacts": ("file:///out",),
            "terminal_outcome": "blocked",
            "usage": {"tokens": 3},
            "ended_by": "task-succeeded.1",
        },
    ),
    (
        TaskFailed(error="boom", summary="nothing", artifacts=("file:///log",), usage={"tokens": 3}),
        {
            "status": Status.FAILED,
            "error": "boom",
            "terminal_summary": "nothing",
            "artifacts": ("file:///log",),
            "usage": {"tokens": 3},
            "ended_by": "task-failed.1",
        },
    ),
    (
        TaskTimedOut(error="too long", summary="half", artifacts=("file:///log",), usage={"tokens": 3}),
        {
            "status": Status.TIMED_OUT,
            "error": "too long",
            "terminal_summary": "half",
            "artifacts": ("file:///log",),
            "usage": {"tokens": 3},
            "ended_by": "task-timed-out.1",
        },
    ),
    (
        TaskCancelled(reason="enough", confirmed=False, stopped="the group", usage={"tokens": 3}),
        {
            "status": Status.CANCELLED,
            "error": "enough",
            "terminal_summary": "the group",
            "cancel_confirmed": False,
            "usage": {"tokens": 3},
            "ended_by": "task-cancelled.1",
        },
    ),
    (
        TaskLost(rule="gone", evidence={"pid": 7}),
        {"status": Status.LOST, "error": "lost by rule: gone", "ended_by": "task-lost.1"},
    ),
    (
        TaskLost(rule="gone", evidence={"pid": 7}, error="process 7 is gone"),
        {"status": Status.LOST, "error": "process 7 is gone", "ended_by": "task-lost.1"},
    ),
    (
        TaskSettled(status=Status.CANCELLED, reason="enough"),
        {"status": Status.CANCELLED, "error": "enough", "ended_by": "task-settled.1"},
    ),
]


@pytest.mark.parametrize(("ending", "expected"), ENDINGS)
def test_an_end_says_what_when_and_by_which_event(ending: AnyFact, expected: dict[str, object]) -> None:
    story = running()
    ended_at = {"ended_at": THEN_MS - 5, "last_event_at": THEN_MS - 5, "ended_at_position": 3}

    assert {**expected, **ended_at} == differences(story, ending, occurred_at=THEN_MS - 5)


@pytest.mark.parametrize("ending", [ending for ending, _ in ENDINGS])
def test_an_end_ends_every_doubt_about_the_backing(ending: AnyFact) -> None:
    story = running()
    story.happen([TaskBackingMissed(evidence={})])

    assert differences(story, ending).items() >= {"backing_missed_at": None}.items()


def test_what_the_end_costs_is_added_to_what_was_told_before() -> None:
    story = running()
    story.happen([TaskProgressed(usage={"tokens": 2, "costUsd": 0.25})])

    story.happen([TaskSucceeded(usage={"tokens": 3})])

    assert {"tokens": 5, "costUsd": 0.25} == story.record.usage


def test_a_cancellation_without_a_reason_has_that_of_its_request() -> None:
    story = running()

    assert {
        "cancel_requested_at": THEN_MS - 5,
        "last_event_at": THEN_MS - 5,
        "cancel_reason": "enough",
    } == differences(story, TaskCancelRequested(reason="enough"), occurred_at=THEN_MS - 5)
    story.happen([TaskCancelRequested(reason="enough"), TaskCancelled()])
    assert ("enough", True) == (story.record.error, story.record.cancel_confirmed)


def test_a_miss_begins_a_grace_and_a_return_ends_it() -> None:
    story = running()

    assert {"backing_missed_at": THEN_MS - 5, "last_event_at": THEN_MS - 5} == differences(
        story, TaskBackingMissed(evidence={"pid": 7}), occurred_at=THEN_MS - 5
    )
    story.happen([TaskBackingMissed(evidence={"pid": 7})])
    assert {"backing_missed_at": None} == differences(story, TaskBackingRestored(evidence={"pid": 7}))


def test_a_recovery_replaces_the_inferred_end_by_the_observed_one() -> None:
    story = running()
    story.happen([TaskLost(rule="gone", evidence={"pid": 7})])
    recovered = TaskRecovered(
        status=Status.SUCCEEDED,
        corrects=3,
        signal="succeed",
        summary="42",
        artifacts=("file:///out",),
        outcome=BLOCKED,
        usage={"tokens": 3},
    )

    assert {
        "status": Status.SUCCEEDED,
        "error": None,
        "terminal_summary": "42",
        "artifacts": ("file:///out",),
        "terminal_outcome": "blocked",
        "usage": {"tokens": 3},
        "ended_at": THEN_MS + 5,
        "last_event_at": THEN_MS + 5,
        "ended_by": "task-recovered.1",
        "ended_at_position": 4,
    } == differences(story, recovered, occurred_at=THEN_MS + 5)


def late(place: int = 0) -> TaskLateSignal:
    return TaskLateSignal(signal="fail", status=Status.SUCCEEDED, content={"error": f"boom {place}"})


def test_a_late_signal_is_remembered_by_its_digest_and_place() -> None:
    story = ended()

    assert {"late_signals": ((signal_key(late()), 4),), "late_signal_count": 1} == differences(story, late())


def test_a_record_remembers_the_newest_late_signals_and_counts_all() -> None:
    story = ended()
    many = LATE_SIGNALS_KEPT + 3

    story.happen([late(place) for place in range(many)])

    assert many == story.record.late_signal_count
    assert [signal_key(late(place)) for place in range(3, many)] == [key for key, _ in story.record.late_signals]


def test_a_late_signal_is_recognised_whatever_bytes_it_was_read_from() -> None:
    told = TaskLateSignal(signal="succeed", status=Status.FAILED, content={"artifacts": ("a",), "usage": {"x": 1}})
    read = msgspec.msgpack.decode(msgspec.msgpack.encode(told), type=TaskLateSignal)
    turned = TaskLateSignal(signal="succeed", status=Status.FAILED, content={"usage": {"x": 1}, "artifacts": ["a"]})

    assert signal_key(told) == signal_key(read) == signal_key(turned)
    assert signal_key(told) != signal_key(late())
    assert "2275eed741f84c0a" == signal_key(late()), "records that were written before have these"


def test_holds_and_tombstones_change_nothing_else() -> None:
    story = ended()

    assert {"held_at": THEN_MS - 5} == differences(story, TaskHeld(), occurred_at=THEN_MS - 5)
    assert {"pruned_at": THEN_MS - 5} == differences(story, TaskPruned(), occurred_at=THEN_MS - 5)
    story.happen([TaskHeld()])
    assert {"held_at": None} == differences(story, TaskReleased())
