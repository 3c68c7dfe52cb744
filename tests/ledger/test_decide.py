"""Given what happened, when somebody reports a fact, then exactly this is recorded or answered."""

from collections.abc import Callable

import pytest

from tallystick.ledger.commands import Command
from tallystick.ledger.decide import decide
from tallystick.ledger.errors import InvalidInput, NotFound, Pruned, Refused, WrongVersion
from tallystick.ledger.events import AnyFact
from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.facts.tasks import (
    TaskAmended,
    TaskBackingMissed,
    TaskBackingRestored,
    TaskCancelled,
    TaskCancelRequested,
    TaskFailed,
    TaskHeld,
    TaskLateSignal,
    TaskLost,
    TaskNotifyChanged,
    TaskProgressed,
    TaskPruned,
    TaskReleased,
    TaskSettled,
    TaskStarted,
    TaskSucceeded,
    TaskTimedOut,
)
from tallystick.ledger.lifecycle import DeliveryStatus, NotifyPolicy, Scope, Status
from tallystick.ledger.refusal import NOTHING
from tests.story import OTHER_ID, TASK_ID, Story, created, evidence, refusal

DONE = TaskSucceeded(summary="42 tallies", artifacts=("file:///out",))
BOOM = TaskFailed(error="boom")
GONE = TaskLost(rule="gone", evidence={"pid": 7})


def queued() -> Story:
    return Story(created())


def running() -> Story:
    return Story(created(), TaskStarted(backing={"pid": 7}))


def ended(outcome: AnyFact = DONE) -> Story:
    return Story(created(), TaskStarted(), outcome)


# A task that nobody knows, and one that is created again.


def test_a_creation_is_recorded_as_it_came_in() -> None:
    assert (created(label="tally"),) == Story().tell(created(label="tally"))


def test_a_report_about_a_task_that_nobody_created_finds_nothing() -> None:
    error = refusal(decide(None, Command(DONE, "agent"), token="run-1"), NotFound)

    assert "run-1" == error.token


def test_the_same_creation_again_is_nothing_new() -> None:
    full = created(label="tally", run_id="run-1", parent=OTHER_ID, root=OTHER_ID, metadata={"repo": "a/b"})

    assert NOTHING == Story(full).tell(full)


def test_a_creation_again_fills_what_was_blank() -> None:
    story = Story(created(agent="main", metadata={"repo": "a/b"}))
    again = created(
        kind="image_generation",
        source_id="job-7",
        parent=OTHER_ID,
        root=OTHER_ID,
        flow="0198c2f0-7b7e-7cc3-8a53-0000000000f1",
        agent="other",
        requester_agent="main",
        origin=Origin(channel="slack", to=7),
        timeout_ms=1_000,
        backing={"pid": 7},
        metadata={"repo": "c/d", "branch": "main"},
        idempotency_key="k",
    )

    answer = story.tell(again)

    assert (
        TaskAmended(
            kind="image_generation",
            source_id="job-7",
            parent=OTHER_ID,
            root=OTHER_ID,
            flow="0198c2f0-7b7e-7cc3-8a53-0000000000f1",
            requester_agent="main",
            origin=Origin(channel="slack", to=7),
            timeout_ms=1_000,
            backing={"pid": 7},
            metadata={"branch": "main"},
            idempotency_key="k",
        ),
    ) == answer
    assert NOTHING == story.tell(again)
    assert ("main", {"repo": "a/b", "branch": "main"}) == (story.record.agent_id, story.record.metadata)


def test_a_creation_again_names_the_agent_that_was_not_named_before() -> None:
    assert (TaskAmended(agent="main"),) == queued().tell(created(agent="main"))


def test_a_creation_again_changes_neither_the_root_of_a_task_nor_the_time_of_work_that_began() -> None:
    story = Story(created(root=OTHER_ID), TaskStarted())

    for root in (TASK_ID, "0198c2f0-7b7f-7000-8000-000000000002"):
        assert NOTHING == story.tell(created(root=root, timeout_ms=1_000))


def test_the_root_that_a_task_has_without_being_told_is_blank() -> None:
    story = queued()

    assert NOTHING == story.tell(created(root=TASK_ID))
    assert (TaskAmended(root=OTHER_ID),) == story.tell(created(root=OTHER_ID))
    assert OTHER_ID == story.record.root_task_id


# Starting and getting further.


def test_work_that_is_queued_starts_once() -> None:
    story = queued()

    assert (TaskStarted(backing={"pid": 7}),) == story.tell(TaskStarted(backing={"pid": 7}))
    assert NOTHING == story.tell(TaskStarted(backing={"pid": 7}))
    assert NOTHING == story.tell(TaskStarted())


def test_running_work_does_not_start_again_as_something_else() -> None:
    error = refusal(running().tell(TaskStarted(backing={"pid": 8})), Refused)

    assert (TASK_ID, "running", "start", None) == (error.token, error.status, error.attempted, error.position)


def test_every_progress_of_running_work_counts() -> None:
    story = running()

    for _ in range(2):
        assert (TaskProgressed(message="half"),) == story.tell(TaskProgressed(message="half"))
    assert 2 == story.record.progress_count


@pytest.mark.parametrize("report", [TaskProgressed(step=1), DONE])
def test_only_started_work_gets_further_or_succeeds_so_the_start_is_written_too(report: AnyFact) -> None:
    assert (TaskStarted(implied=True), report) == queued().tell(report)


@pytest.mark.parametrize("outcome", [BOOM, TaskTimedOut(), TaskCancelled()])
def test_work_that_never_started_can_end_badly(outcome: AnyFact) -> None:
    assert (outcome,) == queued().tell(outcome)


# Probes.


def test_a_miss_and_a_return_are_told_once_each() -> None:
    story = running()
    missed, restored = TaskBackingMissed(evidence={"pid": 7}), TaskBackingRestored(evidence={"pid": 7})

    assert NOTHING == story.tell(restored)
    assert (missed,) == story.tell(missed)
    assert NOTHING == story.tell(missed)
    assert (restored,) == story.tell(restored)
    assert NOTHING == story.tell(restored)


@pytest.mark.parametrize("story", [queued, running])
def test_active_work_can_be_lost(story: Callable[[], Story]) -> None:
    assert (GONE,) == story().tell(GONE)


# Cancel and settle.


def test_cancelling_work_that_never_began_needs_nobody_to_stop_it() -> None:
    story = queued()
    asked = TaskCancelRequested(reason="enough")

    answer = story.tell(asked)

    assert (asked, TaskCancelled(reason="enough", stopped="it had not started")) == answer
    assert story.record.status is Status.CANCELLED
    assert NOTHING == story.tell(asked)


def test_running_work_is_asked_to_stop_once_and_goes_on_until_it_has_stopped() -> None:
    story = running()
    asked = TaskCancelRequested(reason="enough")

    assert (asked,) == story.tell(asked)
    assert NOTHING == story.tell(asked)
    assert NOTHING == story.tell(TaskCancelRequested(reason="really"))
    assert (story.record.status, story.record.cancel_reason) == (Status.RUNNING, "enough")


def test_work_that_ends_before_it_is_stopped_keeps_its_real_outcome() -> None:
    story = Story(created(), TaskStarted(), TaskCancelRequested(reason="enough"))

    assert (DONE,) == story.tell(DONE)
    assert "cancelled" == refusal(story.tell(TaskCancelled(reason="enough")), Refused).attempted
    assert story.record.status is Status.SUCCEEDED


def test_a_cancellation_that_was_asked_for_may_be_asked_for_again() -> None:
    story = Story(created(), TaskStarted(), TaskCancelRequested(reason="enough"), TaskCancelled())

    assert NOTHING == story.tell(TaskCancelRequested(reason="enough"))
    assert "cancel" == refusal(story.tell(TaskCancelRequested(reason="more")), Refused).attempted


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED, Status.LOST])
@pytest.mark.parametrize("story", [queued, running])
def test_an_operator_can_settle_any_active_task(story: Callable[[], Story], status: Status) -> None:
    settled = TaskSettled(status=status, reason="enough")
    task = story()

    assert (settled,) == task.tell(settled)
    assert (status, "enough") == (task.record.status, task.record.error)


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING, Status.SUCCEEDED, Status.TIMED_OUT])
def test_an_operator_cannot_settle_as_what_only_a_run_can_know(status: Status) -> None:
    error = refusal(running().tell(TaskSettled(status=status, reason="enough")), InvalidInput)

    assert ("as", repr(status.value), "cancelled, failed, lost") == (error.field, error.value, error.allowed)


# Policies, holds, pruning.


def test_a_policy_changes_at_any_time_and_only_if_it_is_another() -> None:
    story = Story(created(notify="done_only"), TaskStarted(), DONE)

    assert NOTHING == story.tell(TaskNotifyChanged(policy=NotifyPolicy.DONE_ONLY))
    assert (TaskNotifyChanged(policy=NotifyPolicy.SILENT),) == story.tell(TaskNotifyChanged(policy=NotifyPolicy.SILENT))


def test_what_belongs_to_the_system_stays_silent() -> None:
    story = Story(created(runtime="cron", owner=None))
    assert (Scope.SYSTEM, DeliveryStatus.NOT_APPLICABLE) == (story.record.scope_kind, story.record.delivery_status)

    error = refusal(story.tell(TaskNotifyChanged(policy=NotifyPolicy.STATE_CHANGES)), InvalidInput)

    assert ("policy", "'state_changes'") == (error.field, error.value)
    assert NOTHING == story.tell(TaskNotifyChanged(policy=NotifyPolicy.SILENT))


def test_a_task_is_held_and_released_once() -> None:
    story = running()

    assert NOTHING == story.tell(TaskReleased())
    assert (TaskHeld(reason="evidence"),) == story.tell(TaskHeld(reason="evidence"))
    assert NOTHING == story.tell(TaskHeld(reason="again"))
    assert (TaskReleased(),) == story.tell(TaskReleased())


def test_neither_active_nor_held_tasks_are_pruned() -> None:
    held = Story(created(), TaskStarted(), DONE, TaskHeld())

    for story in (queued(), running(), held):
        assert "prune" == refusal(story.tell(TaskPruned()), Refused).attempted
    held.tell(TaskReleased())
    ended_at = held.record.ended_at
    assert (TaskPruned(status=Status.SUCCEEDED, ended_at=ended_at),) == held.tell(TaskPruned())


@pytest.mark.parametrize("version", [None, 1, 4])
@pytest.mark.parametrize("report", [DONE, BOOM, TaskHeld(), TaskPruned(), created(), TaskStarted()])
def test_a_tombstone_says_what_it_was_whatever_it_is_told(report: AnyFact, version: int | None) -> None:
    story = Story(created(), TaskStarted(), DONE, TaskPruned())

    error = refusal(story.tell(report, expected_version=version), Pruned)

    assert (TASK_ID, "succeeded", story.record.ended_at, story.record.pruned_at) == (
        error.token,
        error.status,
        error.ended_at,
        error.pruned_at,
    )


# Who knew what when he asked.


def test_a_stale_version_is_told_both_versions_and_the_record_as_it_is() -> None:
    story = running()

    error = refusal(story.tell(DONE, expected_version=1), WrongVersion)

    assert (TASK_ID, 1, 2, story.record) == (error.token, error.expected, error.actual, error.current)
    assert 2 == story.record.version


@pytest.mark.parametrize("report", [TaskStarted(), TaskProgressed(), BOOM, TaskHeld(), created(agent="main")])
def test_a_stale_version_is_told_of_an_ended_task_too_and_leaves_no_late_signal(report: AnyFact) -> None:
    answer = ended().tell(report, expected_version=2)

    assert 3 == refusal(answer, WrongVersion).actual
    assert evidence(answer) is None


def test_two_workers_that_claim_the_same_version_do_not_both_start() -> None:
    story = queued()

    assert (TaskStarted(),) == story.tell(TaskStarted(), actor="one", expected_version=1)
    assert 2 == refusal(story.tell(TaskStarted(), actor="two", expected_version=1), WrongVersion).actual


@pytest.mark.parametrize(
    ("rule", "attempted"),
    [
        (TaskAmended(kind="x"), "amend"),
        (TaskLateSignal(signal="fail", status=Status.SUCCEEDED, content={}), "late_signal"),
    ],
)
def test_nobody_can_ask_for_what_only_the_rules_write(rule: AnyFact, attempted: str) -> None:
    answer = ended().tell(rule)

    assert attempted == refusal(answer, Refused).attempted
    assert evidence(answer) is None
