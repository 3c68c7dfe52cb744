"""The mirror of a task: which tasks have one, under which id, and what it tells."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.facts.flows import FlowCancelled, FlowCancelRequested, FlowTaskLinked
from tallystick.ledger.facts.tasks import TaskCreated, TaskLinked, TaskStarted, TaskSucceeded
from tallystick.ledger.flows.mirror import has_mirror, is_detached, mirror_of, mirror_status, mirror_stream, mirrored
from tallystick.ledger.ids import id_bytes, id_text, new_id
from tallystick.ledger.lifecycle import BLOCKED, DeliveryStatus, FlowMode, FlowStatus, Runtime, Scope, Status
from tallystick.ledger.refusal import NOTHING
from tests.ledger.flows.tale import FLOW_ID, MIRROR, Tale
from tests.story import OTHER_ID, TASK_ID, Story, created
from tests.strategies import creations, outcomes, stories, told_creations


@given(st.binary(min_size=16, max_size=16))
def test_the_mirror_of_a_mirror_is_the_task_and_no_id_mirrors_itself(stream: bytes) -> None:
    other = mirror_stream(stream)

    assert (stream, id_text(other)) == (mirror_stream(other), mirror_of(id_text(stream)))
    assert id_text(stream) == mirror_of(mirror_of(id_text(stream)))
    assert stream != other == id_bytes(id_text(other))


def test_the_mirror_of_a_task_is_a_custom_uuid_and_so_never_the_id_of_a_task_or_of_a_managed_flow() -> None:
    mirror = uuid.UUID(mirror_of(id_text(new_id())))

    assert (8, uuid.RFC_4122) == (mirror.version, mirror.variant)
    assert "0198c2f0-7b7e-8cc3-8a53-1f0a9d8e4b21" == mirror_of("0198c2f0-7b7e-7cc3-8a53-1f0a9d8e4b21")


@pytest.mark.parametrize("status", Status)
def test_a_mirror_has_the_status_of_its_task_and_a_time_out_is_a_failure(status: Status) -> None:
    others = {Status.TIMED_OUT: FlowStatus.FAILED}

    assert others.get(status, FlowStatus(status.value) if status not in others else None) is mirror_status(status, None)
    expected = FlowStatus.BLOCKED if status is Status.SUCCEEDED else mirror_status(status, None)
    assert expected is mirror_status(status, BLOCKED)


@pytest.mark.parametrize("runtime", Runtime)
@pytest.mark.parametrize("scope", Scope)
def test_a_detached_task_of_a_session_of_which_somebody_hears_has_a_mirror(runtime: Runtime, scope: Scope) -> None:
    for delivery in DeliveryStatus:
        expected = (
            runtime in (Runtime.ACP, Runtime.SUBAGENT)
            and scope is Scope.SESSION
            and delivery is not DeliveryStatus.NOT_APPLICABLE
        )
        assert expected is is_detached(runtime, scope, delivery)


@given(st.one_of(creations(), told_creations()))
def test_a_new_task_is_in_its_flow_else_in_its_own_mirror_else_in_none(creation: TaskCreated) -> None:
    story = Story()
    story.tell(creation)
    record, data = story.record, story.events[0].data
    assert isinstance(data, TaskCreated)
    own = mirror_of(record.task_id) if is_detached(data.runtime, data.scope, data.delivery) else None

    assert (data.flow or own) == record.parent_flow_id
    assert has_mirror(record) is (own is not None and data.flow is None)


def told(**more: object) -> Story:
    return Story(created(notify="done_only", **more))


def test_a_mirror_tells_what_its_task_tells() -> None:
    story = told(label="inbox")
    queued = mirrored(story.record, story.record, None)
    story.tell(TaskStarted())
    story.tell(TaskSucceeded(summary="3 mails"))
    done = mirrored(story.record, story.record, None)

    assert (mirror_of(TASK_ID), FlowMode.MIRRORED, "agent:main:main", "inbox", FlowStatus.QUEUED) == (
        queued.flow_id,
        queued.sync_mode,
        queued.owner_key,
        queued.goal,
        queued.status,
    )
    assert (FlowStatus.SUCCEEDED, "3 mails", story.record.ended_at) == (done.status, done.summary, done.ended_at)
    assert "Count the tallies" == mirrored(told().record, told().record, None).goal


def test_a_mirror_of_blocked_work_is_blocked_by_it_and_has_not_ended() -> None:
    story = told()
    story.tell(TaskSucceeded(summary="Needs a key", outcome=BLOCKED))

    flow = mirrored(story.record, story.record, None)

    assert (FlowStatus.BLOCKED, TASK_ID, "Needs a key", None, None) == (
        flow.status,
        flow.blocked_task_id,
        flow.blocked_summary,
        flow.summary,
        flow.ended_at,
    )
    assert flow.is_active


def test_a_blocked_mirror_that_was_cancelled_has_ended() -> None:
    story, own = told(), Tale(beginning=MIRROR)
    story.tell(TaskSucceeded(summary="Needs a key", outcome=BLOCKED))
    own.tell(FlowCancelRequested(reason="enough"))
    wanted = mirrored(story.record, story.record, own.record)
    own.tell(FlowCancelled())

    flow = mirrored(story.record, story.record, own.record)

    assert (FlowStatus.BLOCKED, "enough") == (wanted.status, wanted.cancel_reason)
    assert (FlowStatus.CANCELLED, own.record.ended_at, False) == (flow.status, flow.ended_at, flow.is_active)


@given(stories(pruned=False), stories(outcomes, pruned=False))
def test_a_mirror_follows_the_newest_of_its_tasks_and_its_revision_only_grows(first: Story, newest: Story) -> None:
    own = Tale(beginning=MIRROR)
    own.happen(FlowTaskLinked(task=OTHER_ID))

    alone = mirrored(first.record, first.record, None)
    flow = mirrored(first.record, newest.record, own.record)

    assert mirror_status(newest.record.status, newest.record.terminal_outcome) is flow.status
    assert (alone.flow_id, alone.goal, alone.created_at) == (flow.flow_id, flow.goal, flow.created_at)
    assert flow.revision == flow.position == max(newest.record.position, own.record.position)
    assert OTHER_ID == flow.followed_task_id


# A task that is linked.


def test_a_task_that_is_linked_says_so_and_has_no_mirror_any_more() -> None:
    story = told()
    before = has_mirror(story.record)

    story.tell(TaskLinked(flow=FLOW_ID))

    assert (True, False, FLOW_ID, 2) == (
        before,
        has_mirror(story.record),
        story.record.parent_flow_id,
        story.record.version,
    )
    assert NOTHING == story.ask(TaskLinked(flow=FLOW_ID))


def test_what_has_ended_can_still_be_linked_and_stays_as_it_ended() -> None:
    story = told()
    story.tell(TaskSucceeded(summary="done"))
    ended = story.record

    story.tell(TaskLinked(flow=FLOW_ID))

    assert (FLOW_ID, ended.status, ended.ended_at, ended.last_event_at) == (
        story.record.parent_flow_id,
        story.record.status,
        story.record.ended_at,
        story.record.last_event_at,
    )


@pytest.mark.parametrize("again", ["same", "own mirror"])
def test_a_creation_that_comes_again_joins_a_flow_once_and_its_own_mirror_never(again: str) -> None:
    story = told(run_id="run-1")
    flow = FLOW_ID if again == "same" else mirror_of(TASK_ID)

    first = story.tell(created(notify="done_only", run_id="run-1", flow=flow))
    second = story.tell(created(notify="done_only", run_id="run-1", flow=flow))

    assert (1 if again == "same" else 0, NOTHING) == (len(first), second)  # type: ignore[arg-type]
    assert flow == story.record.parent_flow_id
