"""Retention at the actors: what removes a task or a flow, and what is answered once it is gone."""

import pytest

from tallystick.ledger.errors import FlowRefused, Pruned, Refused
from tallystick.ledger.facts.deliveries import DeliveryDismissed
from tallystick.ledger.facts.flows import (
    FlowCancelled,
    FlowCancelRequested,
    FlowFinished,
    FlowNoted,
    FlowPruned,
    FlowResumed,
    FlowSettled,
)
from tallystick.ledger.facts.tasks import TaskCleanupStamped, TaskNoted, TaskPruned, TaskStarted, TaskSucceeded
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.ids import id_text
from tallystick.ledger.lifecycle import BLOCKED, FlowStatus
from tallystick.ledger.record import TaskRecord
from tests.actors.flow_parts import (
    FLOW,
    FLOW_ID,
    MIRROR,
    SECOND,
    TASK,
    FlowDesk,
    flow_folded,
)
from tests.actors.parts import STREAMS, facts, folded
from tests.ledger.flows.tale import begun
from tests.story import created

KEPT = {"deleted_by": None, "deleted_at": None, "deleted_reason": None}
"""What is told of a history that is there."""
NOTE = FlowNoted(codes=("stale_waiting",))
SETTLED = FlowSettled(status=FlowStatus.LOST, reason="its controller does not come back")


def code(answer: object) -> str:
    """Return why a flow refused, in one word."""
    assert isinstance(answer, tuple), answer
    kind, data = answer
    return str(data["code"]) if kind is FlowRefused else kind.__name__


def in_vain(desk: FlowDesk, flow: str) -> object:
    """Return what those hear who create a task in a flow that takes none."""
    return desk.tell(desk.directory.newborn(STREAMS[5]), created(notify="done_only", flow=flow))


# Flows.


def test_a_flow_that_was_pruned_says_what_it_was_also_to_those_who_join(desk: FlowDesk) -> None:
    desk.work()
    ended = desk.ask(FLOW, FlowFinished())
    desk.clock.advance(7)
    pruned = desk.ask(FLOW, FlowPruned(reason="retention"))
    head = desk.log.head()
    told = {
        "token": FLOW_ID,
        "status": "succeeded",
        "ended_at": ended.ended_at,
        "pruned_at": ended.ended_at + 7,
        **KEPT,
    }

    answers = [
        *(desk.ask(FLOW, fact) for fact in (FlowResumed(), NOTE, SETTLED, FlowPruned(), FlowCancelRequested())),
        desk.link(),
        in_vain(desk, flow=FLOW_ID),
    ]

    assert [(Pruned, told)] * 7 == answers
    assert (
        FlowPruned(reason="retention", status=FlowStatus.SUCCEEDED, ended_at=ended.ended_at)
        == facts(desk.log, FLOW)[-1]
    )
    assert (flow_folded(desk.log, FLOW), head) == (pruned, desk.log.head())
    assert 0 == len(desk.flows)


def test_a_key_whose_flow_was_pruned_is_not_given_to_another(desk: FlowDesk) -> None:
    [stream] = {desk.ask(desk.flows.newborn(SECOND), begun(idempotency_key="k")).stream}
    desk.ask(stream, FlowFinished())
    desk.ask(stream, FlowPruned())

    assert "Pruned" == code(desk.ask(desk.flows.newborn(TASK), begun(idempotency_key="k")))


def test_an_operator_ends_a_flow_whatever_its_controller_says_and_its_tasks_go_on(desk: FlowDesk) -> None:
    desk.work(flow=FLOW_ID)

    settled = desk.ask(FLOW, SETTLED)

    assert (FlowStatus.LOST, SETTLED.reason) == (settled.status, settled.error)
    assert "terminal" == code(desk.ask(FLOW, FlowFinished())) == code(desk.ask(FLOW, SETTLED))
    task = folded(desk.log, TASK)
    assert task is not None
    assert task.is_active


def test_a_note_of_another_revision_is_not_taken(desk: FlowDesk) -> None:
    desk.ask(FLOW, FlowResumed())

    assert "WrongVersion" == code(desk.ask(FLOW, NOTE, expected_version=1))
    assert NOTE.codes == desk.ask(FLOW, NOTE, expected_version=2).noted
    assert () == desk.ask(FLOW, FlowResumed()).noted


# Mirrors.


def joined(desk: FlowDesk) -> None:
    """A mirror with events of its own, which follows the second of two tasks."""
    desk.work(notify="done_only")
    desk.work(SECOND, notify="done_only", flow=id_text(MIRROR))


def end_and_prune(desk: FlowDesk, task: bytes, end: TaskSucceeded) -> TaskRecord:
    """End a task, have nobody told of it any more, and prune it; returns how it had ended."""
    ended = desk.tell(task, end)
    desk.tell(task, DeliveryDismissed())
    pruned = desk.tell(task, TaskPruned())
    assert isinstance(ended, TaskRecord)
    assert isinstance(pruned, TaskRecord)
    return ended


def test_a_mirror_without_events_is_noted_and_pruned_by_its_task_alone(desk: FlowDesk) -> None:
    desk.work(notify="done_only")
    desk.tell(TASK, TaskSucceeded())
    head = desk.log.head()

    assert ["terminal", "not_managed"] == [code(desk.ask(MIRROR, fact)) for fact in (SETTLED, FlowPruned())]
    assert "not_managed" == code(desk.ask(MIRROR, NOTE))
    assert head == desk.log.head()


def test_a_mirror_with_events_is_noted_until_anything_happens_to_it_or_to_what_it_follows(desk: FlowDesk) -> None:
    joined(desk)

    noted = desk.ask(MIRROR, NOTE)
    again = desk.ask(MIRROR, NOTE)
    desk.tell(SECOND, TaskStarted())
    anew = desk.ask(MIRROR, NOTE)
    moved = desk.ask(MIRROR, FlowCancelRequested())

    assert (NOTE.codes, noted, ()) == (noted.noted, again, moved.noted)
    assert (NOTE.codes, 2) == (anew.noted, facts(desk.log, MIRROR).count(NOTE))


def test_a_mirror_is_pruned_when_what_it_follows_has_ended_and_says_how(desk: FlowDesk) -> None:
    joined(desk)
    early = code(desk.ask(MIRROR, FlowPruned()))
    ended = desk.tell(SECOND, TaskSucceeded())
    assert isinstance(ended, TaskRecord)
    stale = code(desk.ask(MIRROR, FlowPruned(), expected_version=1))

    pruned = desk.ask(MIRROR, FlowPruned())

    assert ("active", "WrongVersion") == (early, stale)
    assert isinstance(pruned, FlowRecord)
    assert (FlowStatus.SUCCEEDED, ended.ended_at) == (pruned.status, pruned.ended_at)
    assert "Pruned" == code(desk.ask(MIRROR, FlowCancelRequested())) == code(in_vain(desk, flow=id_text(MIRROR)))
    assert pruned == flow_folded(desk.log, MIRROR)


@pytest.mark.parametrize(("outcome", "was"), [(None, FlowStatus.SUCCEEDED), (BLOCKED, FlowStatus.BLOCKED)])
def test_a_mirror_whose_task_was_pruned_first_is_pruned_after_it(
    desk: FlowDesk, outcome: str | None, was: FlowStatus
) -> None:
    """Nobody sees it any more, and nobody can do anything about what blocked it."""
    joined(desk)
    for task in (SECOND, TASK):
        ended = end_and_prune(desk, task, TaskSucceeded(outcome=outcome))
    gone = code(desk.ask(MIRROR, FlowCancelRequested()))

    pruned = desk.ask(MIRROR, FlowPruned())

    assert "NotFound" == gone
    assert isinstance(pruned, FlowRecord)
    assert (was, ended.ended_at, False) == (pruned.status, pruned.ended_at, pruned.is_active)
    assert "Pruned" == code(desk.ask(MIRROR, FlowCancelRequested()))


def test_a_mirror_that_is_being_cancelled_is_kept_until_that_has_ended(desk: FlowDesk) -> None:
    joined(desk)
    desk.ask(MIRROR, FlowCancelRequested())
    for task in (SECOND, TASK):
        end_and_prune(desk, task, TaskSucceeded())

    early = code(desk.ask(MIRROR, FlowPruned()))
    desk.ask(MIRROR, FlowCancelled())

    assert "active" == early
    assert FlowStatus.CANCELLED is desk.ask(MIRROR, FlowPruned()).status


# Tasks.


def test_notes_and_stamps_of_tasks_are_decided_like_all_else(desk: FlowDesk) -> None:
    note, stamp = TaskNoted(codes=("lost",)), TaskCleanupStamped(cleanup_after=7)
    desk.work()
    early = desk.tell(TASK, stamp)
    noted = desk.tell(TASK, note)
    ended = desk.tell(TASK, TaskSucceeded(), expected_version=1)
    stamped = desk.tell(TASK, stamp)

    assert Refused is early[0]
    assert (("lost",), (), 7) == (noted.noted, ended.noted, stamped.cleanup_after)
    assert folded(desk.log, TASK) == stamped == desk.tell(TASK, stamp)
