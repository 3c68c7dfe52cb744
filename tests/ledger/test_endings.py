"""The end of a task: told twice, told differently, told after the loss of what still ran."""

import pytest

from tallystick.ledger.errors import InvalidInput, Refused
from tallystick.ledger.events import AnyFact
from tallystick.ledger.facts.tasks import (
    TaskBackingMissed,
    TaskBackingRestored,
    TaskCancelled,
    TaskCancelRequested,
    TaskFailed,
    TaskLateSignal,
    TaskLost,
    TaskProgressed,
    TaskRecovered,
    TaskSettled,
    TaskStarted,
    TaskSucceeded,
    TaskTimedOut,
)
from tallystick.ledger.lifecycle import BLOCKED, Status
from tallystick.ledger.refusal import NOTHING
from tests.story import BEGIN_MS, Story, created, evidence, refusal

DONE = TaskSucceeded(summary="42 tallies", artifacts=("file:///out",))
BOOM = TaskFailed(error="boom")
GONE = TaskLost(rule="gone", evidence={"pid": 7})


def running() -> Story:
    return Story(created(), TaskStarted(backing={"pid": 7}))


def ended(outcome: AnyFact = DONE) -> Story:
    return Story(created(), TaskStarted(), outcome)


@pytest.mark.parametrize(
    "outcome",
    [
        DONE,
        TaskSucceeded(outcome=BLOCKED),
        TaskFailed(error="boom", summary="nothing", artifacts=("file:///log",)),
        TaskTimedOut(error="too long"),
        TaskCancelled(reason="enough", stopped="the group"),
        TaskCancelled(confirmed=False),
        TaskSettled(status=Status.LOST, reason="nobody knows"),
        GONE,
    ],
)
def test_an_end_told_twice_is_one_end(outcome: AnyFact) -> None:
    story = running()
    assert (outcome,) == story.tell(outcome, expected_version=2)

    assert NOTHING == story.tell(outcome)
    assert NOTHING == story.tell(outcome, expected_version=2)
    assert NOTHING == story.tell(outcome, occurred_at=story.record.ended_at)
    assert 3 == story.record.version


@pytest.mark.parametrize(
    ("outcome", "other"),
    [
        (DONE, TaskSucceeded(summary="43 tallies", artifacts=("file:///out",))),
        (DONE, TaskSucceeded(summary="42 tallies")),
        (DONE, TaskSucceeded(summary="42 tallies", artifacts=("file:///out",), outcome=BLOCKED)),
        (BOOM, TaskFailed(error="bang")),
        (BOOM, TaskTimedOut(error="boom")),
        (BOOM, TaskSettled(status=Status.FAILED, reason="boom")),
        (TaskSettled(status=Status.FAILED, reason="boom"), BOOM),
        (TaskCancelled(confirmed=False), TaskCancelled(confirmed=True)),
        (DONE, TaskRecovered(status=Status.SUCCEEDED, corrects=3, signal="recover", evidence={})),
    ],
)
def test_an_end_told_differently_is_kept_as_a_late_signal(outcome: AnyFact, other: AnyFact) -> None:
    story = ended(outcome)

    late = evidence(story.tell(other))

    assert late is not None
    assert (late,) == tuple(story.facts[3:])
    assert story.record.status is late.status


def test_the_same_end_at_another_time_is_a_late_signal_that_says_when() -> None:
    content = {"summary": "42 tallies", "artifacts": ["file:///out"], "occurredAt": BEGIN_MS}

    late = evidence(ended().tell(DONE, occurred_at=BEGIN_MS))

    assert TaskLateSignal(signal="succeed", status=Status.SUCCEEDED, content=content) == late


def test_a_late_signal_is_recorded_once_and_its_repetition_answers_where() -> None:
    story = ended()

    first = refusal(story.tell(BOOM), Refused)
    position = story.position
    again = story.tell(BOOM)

    assert (None, "fail", "succeeded") == (first.position, first.attempted, first.status)
    assert {**first.data, "position": position} == refusal(again, Refused).data
    assert evidence(again) is None
    assert 1 == story.record.late_signal_count


@pytest.mark.parametrize(
    ("report", "signal"),
    [
        (TaskStarted(), "start"),
        (TaskProgressed(message="half"), "progress"),
        (TaskCancelRequested(reason="enough"), "cancel"),
        (TaskBackingMissed(evidence={"pid": 7}), "miss"),
        (TaskBackingRestored(evidence={"pid": 7}), "restore"),
        (TaskSettled(status=Status.LOST, reason="old"), "settle"),
    ],
)
def test_whatever_else_reaches_an_ended_task_is_a_late_signal(report: AnyFact, signal: str) -> None:
    late = evidence(ended().tell(report))

    assert late is not None
    assert signal == late.signal


def test_a_loss_is_never_told_of_a_task_that_ended_in_between() -> None:
    answer = ended().tell(GONE)

    assert "lose" == refusal(answer, Refused).attempted
    assert evidence(answer) is None


def test_a_blocked_success_is_refused_under_the_name_that_people_see() -> None:
    assert "blocked" == refusal(ended(TaskSucceeded(outcome=BLOCKED)).tell(BOOM), Refused).status


# Lost, and what it really was.


@pytest.mark.parametrize(
    ("outcome", "recovered"),
    [
        (
            TaskSucceeded(summary="s", artifacts=("a",), outcome=BLOCKED, usage={"tokens": 3}),
            TaskRecovered(
                status=Status.SUCCEEDED,
                corrects=3,
                signal="succeed",
                summary="s",
                artifacts=("a",),
                outcome=BLOCKED,
                usage={"tokens": 3},
            ),
        ),
        (
            TaskFailed(error="e", summary="s", artifacts=("a",), exit_code=0, signal="SIGKILL", usage={"tokens": 3}),
            TaskRecovered(
                status=Status.FAILED,
                corrects=3,
                signal="fail",
                evidence={"exitCode": 0, "signal": "SIGKILL"},
                error="e",
                summary="s",
                artifacts=("a",),
                usage={"tokens": 3},
            ),
        ),
        (
            TaskTimedOut(error="e", summary="s", artifacts=("a",), usage={"tokens": 3}),
            TaskRecovered(
                status=Status.TIMED_OUT,
                corrects=3,
                signal="time_out",
                error="e",
                summary="s",
                artifacts=("a",),
                usage={"tokens": 3},
            ),
        ),
        (
            TaskCancelled(reason="r", confirmed=False, stopped="p", usage={"tokens": 3}),
            TaskRecovered(
                status=Status.CANCELLED,
                corrects=3,
                signal="cancelled",
                evidence={"confirmed": False},
                error="r",
                summary="p",
                usage={"tokens": 3},
            ),
        ),
    ],
)
def test_an_observed_outcome_outranks_an_inferred_loss(outcome: AnyFact, recovered: TaskRecovered) -> None:
    story = ended(GONE)

    assert (recovered,) == story.tell(outcome)
    assert NOTHING == story.tell(outcome)


def test_a_recovered_cancellation_remembers_why_it_was_asked_for() -> None:
    story = Story(created(), TaskStarted(), TaskCancelRequested(reason="enough"), GONE)

    answer = story.tell(TaskCancelled())

    assert (TaskRecovered(status=Status.CANCELLED, corrects=4, signal="cancelled", error="enough"),) == answer
    assert NOTHING == story.tell(TaskCancelled())


def test_what_an_operator_settled_as_lost_can_still_turn_out_otherwise() -> None:
    story = ended(TaskSettled(status=Status.LOST, reason="nobody knows"))

    assert isinstance(story.tell(DONE), tuple)
    assert story.record.status is Status.SUCCEEDED


def recovery(status: Status = Status.SUCCEEDED, corrects: int = 3) -> TaskRecovered:
    return TaskRecovered(status=status, corrects=corrects, signal="recover", evidence={"log": "ended well"})


def test_evidence_found_later_recovers_a_lost_task_once() -> None:
    story = ended(GONE)

    assert (recovery(),) == story.tell(recovery())
    assert NOTHING == story.tell(recovery())


def test_a_recovery_must_name_the_loss_that_it_corrects() -> None:
    error = refusal(ended(GONE).tell(recovery(corrects=2)), InvalidInput)

    assert ("corrects", "2", "the position of the loss, 3") == (error.field, error.value, error.allowed)


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING, Status.LOST])
def test_nothing_is_recovered_as_something_that_is_no_outcome(status: Status) -> None:
    error = refusal(ended(GONE).tell(recovery(status)), InvalidInput)

    assert ("status", "cancelled, failed, succeeded, timed_out") == (error.field, error.allowed)


def test_what_is_not_lost_is_not_recovered() -> None:
    assert "recover" == refusal(running().tell(recovery()), Refused).attempted
    assert "recover" == refusal(ended().tell(recovery()), Refused).attempted
