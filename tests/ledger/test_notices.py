"""Notices: which messages follow what happens to a task, for every policy, and on which way each goes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.events import AnyFact
from tallystick.ledger.facts.deliveries import DeliveryDelivered, DeliveryQueued, DeliveryWithheld
from tallystick.ledger.facts.tasks import (
    TaskAmended,
    TaskCancelRequested,
    TaskCreated,
    TaskFailed,
    TaskHeld,
    TaskNotifyChanged,
    TaskProgressed,
    TaskPruned,
    TaskRecovered,
    TaskStarted,
)
from tallystick.ledger.lifecycle import (
    BLOCKED,
    MEDIA_KINDS,
    TERMINAL,
    DeliveryKind,
    DeliveryStatus,
    NotifyPolicy,
    Runtime,
    Status,
    lets_end_through,
)
from tallystick.ledger.limits import OUTBOX_OPEN_MAX
from tallystick.ledger.notices import TOLD
from tallystick.ledger.outbox import MONITOR, id_of, is_main
from tests import strategies as some
from tests.announced import CHAT, WATCHED, Announced, known
from tests.ledger.ends import DONE, ENDS, GROUP, SESSION, announced, main_messages
from tests.story import TASK_ID

TELLING_ENDS = {
    NotifyPolicy.SILENT: set[str](),
    NotifyPolicy.DONE_ONLY: {"succeeded", "blocked", "failed", "timed_out", "cancelled", "lost"},
    NotifyPolicy.FAILURES_ONLY: {"blocked", "failed", "timed_out", "lost"},
    NotifyPolicy.STATE_CHANGES: {"succeeded", "blocked", "failed", "timed_out", "cancelled", "lost"},
}
"""Section 5 of the specification, as a table."""


# What holds of every story.


@given(some.announced())
def test_messages_follow_only_what_somebody_may_be_told_of_and_in_the_same_moment(story: Announced) -> None:
    cause = None
    for event in story.events:
        if isinstance(event.data, DeliveryQueued):
            assert cause is not None
            assert cause.data.__class__ in TOLD
            assert (cause.recorded_at, "outbox") == (event.recorded_at, event.actor)
        elif not isinstance(event.data, DeliveryWithheld):  # that follows like a message
            cause = event


@given(some.announced())
def test_a_message_has_a_route_that_is_complete_or_waits_in_the_session_that_asked(story: Announced) -> None:
    complete = {monitor.route for monitor in story.routing.monitors}
    for message in story.messages:
        assert (message.route is None) != (message.session is None)
        if message.route is None:
            assert story.record.requester_session_key == message.session
        elif message.route not in complete:
            assert message.route.to is not None
            assert message.route.channel in story.routing.channels
        assert message.until is None or message.route is None


@given(some.announced())
def test_every_end_that_a_policy_lets_through_is_told_once_to_the_one_who_asked(story: Announced) -> None:
    """By policy, however the end came about; media are told of whatever the policy is."""
    records = known(story)
    for event, record in zip(story.events, records, strict=True):
        ends = event.position == record.ended_at_position
        if not ends:
            continue
        followers = []
        for later in story.events[event.version :]:
            if not isinstance(later.data, DeliveryQueued | DeliveryWithheld):
                break
            followers.append(later.data)
        is_media = record.runtime is Runtime.CLI and record.task_kind in MEDIA_KINDS
        told = record.shown_status in TELLING_ENDS[record.notify_policy] or is_media
        mains = [each for each in followers if is_main(each.delivery)]  # withheld ones, too
        assert (told and record.scope_kind == "session") == bool(mains)
        assert len(mains) <= 1
        named = [monitor.name for monitor in story.routing.monitors if monitor.concerns(record)]
        assert named == [each.delivery.partition(MONITOR)[2] for each in followers if MONITOR in each.delivery]


@given(some.announced())
def test_what_monitors_are_told_does_not_depend_on_the_policy(story: Announced) -> None:
    """The same story, told of a task of which nobody who asked is told."""
    creation = story.events[0].data
    assert isinstance(creation, TaskCreated)
    of_tasks = [event for event in story.events if event.type.startswith("task-") and event.version > 1]
    silent, open_ = (
        Announced(some.replaced(creation, notify=policy), routing=WATCHED)
        for policy in (NotifyPolicy.SILENT, NotifyPolicy.STATE_CHANGES)
    )
    for event in of_tasks:
        for told in (silent, open_):
            if not isinstance(event.data, TaskNotifyChanged | TaskRecovered | TaskPruned):
                told.happen((event.data,))

    heard = [
        [(message.text, message.kind, message.route) for message in told.messages if MONITOR in message.delivery]
        for told in (silent, open_)
    ]
    assert heard[0] == heard[1]


@given(some.announced(), st.sampled_from([GROUP, "agent:main:slack:channel:C1"]))
def test_sessions_that_others_read_are_never_told_directly(story: Announced, session: str) -> None:
    creation = story.events[0].data
    assert isinstance(creation, TaskCreated)
    shared = Announced(some.replaced(creation, requester=session), routing=story.routing, stored=story.stored)
    for data in story.facts[1:]:
        if not isinstance(data, DeliveryQueued):
            shared.tell(data)

    assert {None} >= {message.route for message in shared.messages if MONITOR not in message.delivery}


# The policies.


@pytest.mark.parametrize("policy", NotifyPolicy)
@pytest.mark.parametrize(("end", "status", "outcome"), ENDS)
def test_a_policy_lets_these_ends_through(
    policy: NotifyPolicy, end: AnyFact, status: Status, outcome: str | None
) -> None:
    told = (outcome or status.value) in TELLING_ENDS[policy]
    story = announced(end, notify=policy)

    assert told == lets_end_through(policy, status, outcome)
    ends = [message for message in story.messages if message.kind is DeliveryKind.TERMINAL]
    name = f"terminal:{status.value}:{outcome or 'default'}"
    assert ([name] if told else []) == [message.delivery for message in ends]
    assert (DeliveryStatus.PENDING if told else DeliveryStatus.NOT_APPLICABLE) == story.became()


@pytest.mark.parametrize("policy", NotifyPolicy)
@pytest.mark.parametrize("status", sorted(TERMINAL))
@pytest.mark.parametrize("outcome", [None, BLOCKED])
def test_blocked_is_an_outcome_of_success_alone(policy: NotifyPolicy, status: Status, outcome: str | None) -> None:
    shown = BLOCKED if outcome == BLOCKED and status is Status.SUCCEEDED else status.value

    assert (shown in TELLING_ENDS[policy]) == lets_end_through(policy, status, outcome)


@pytest.mark.parametrize("policy", NotifyPolicy)
def test_steps_are_told_of_under_one_policy_alone(policy: NotifyPolicy) -> None:
    story = announced(TaskStarted(), TaskProgressed(message="Half of it"), TaskProgressed(step=1), notify=policy)

    expected = [
        ("event:2:started", DeliveryKind.STARTED, "Background task started: Count the tallies.", CHAT),
        ("event:4:update", DeliveryKind.UPDATE, "Background task update: Count the tallies. Half of it", CHAT),
    ]
    assert (expected if policy is NotifyPolicy.STATE_CHANGES else []) == [
        (message.delivery, message.kind, message.text, message.route) for message in story.messages
    ]
    assert ["task-event:" + TASK_ID + ":2:started"] == [id_of(TASK_ID, expected[0][0])]
    assert DeliveryStatus.PENDING == story.became() or policy is NotifyPolicy.SILENT


def test_a_step_of_a_session_without_a_way_waits_there() -> None:
    story = announced(TaskStarted(), origin=None, notify="state_changes")

    assert [(None, SESSION, DeliveryStatus.SESSION_QUEUED)] == [
        (waiting.route, waiting.session, waiting.status) for waiting in story.outbox
    ]


def test_an_implied_start_is_told_before_the_end() -> None:
    story = announced(DONE, notify="state_changes")

    assert ["event:2:started", "terminal:succeeded:default"] == story.names


def test_progress_makes_no_more_messages_than_a_task_may_have_but_its_end_always_does() -> None:
    story = announced(TaskStarted(), notify="state_changes")
    for number in range(OUTBOX_OPEN_MAX + 3):
        story.tell(TaskProgressed(message=str(number)))
    assert OUTBOX_OPEN_MAX == len(story.outbox)

    story.tell(DeliveryDelivered(delivery=story.names[0]))
    story.tell(TaskProgressed(message="again"))
    assert OUTBOX_OPEN_MAX == len(story.outbox)
    assert "Background task update: Count the tallies. again" == story.messages[-1].text

    story.tell(DONE)
    assert "terminal:succeeded:default" == story.names[-1]
    assert OUTBOX_OPEN_MAX + 1 == len(story.outbox)


@pytest.mark.parametrize("fact", [TaskCancelRequested(), TaskHeld(), TaskProgressed(step=1, steps=2)])
def test_nobody_is_told_of_anything_else(fact: AnyFact) -> None:
    story = announced(TaskStarted(), notify="state_changes", routing=WATCHED)
    before = story.messages
    story.tell(fact)

    assert before == story.messages
    assert {TaskCreated, TaskAmended, TaskCancelRequested, TaskHeld}.isdisjoint(TOLD)


# A policy that changes.


@pytest.mark.parametrize("before", NotifyPolicy)
@pytest.mark.parametrize("after", NotifyPolicy)
@pytest.mark.parametrize(("end", "status", "outcome"), ENDS)
def test_a_policy_that_changes_after_the_end_tells_what_nobody_was_told_and_nothing_twice(
    before: NotifyPolicy, after: NotifyPolicy, end: AnyFact, status: Status, outcome: str | None
) -> None:
    shown = outcome or status.value
    story = announced(end, notify=before)
    story.tell(TaskNotifyChanged(policy=after))

    told = shown in TELLING_ENDS[before] | TELLING_ENDS[after]
    name = f"terminal:{status.value}:{outcome or 'default'}"
    assert ([name] if told else []) == [message.delivery for message in main_messages(story.messages)]
    assert ([name] if told else []) == [name for name in story.names if is_main(name)]


@pytest.mark.parametrize("policy", sorted(set(NotifyPolicy) - {NotifyPolicy.SILENT}))
def test_what_was_delivered_is_not_told_again_by_a_policy(policy: NotifyPolicy) -> None:
    story = announced(TaskFailed(error="boom"))
    story.tell(DeliveryDelivered(delivery="terminal:failed:default"))
    for each in (NotifyPolicy.SILENT, policy):
        story.tell(TaskNotifyChanged(policy=each))

    assert DeliveryStatus.DELIVERED == story.became()
    assert 1 == len(story.messages)


def test_a_policy_that_changes_before_the_end_tells_nothing_yet() -> None:
    story = announced(TaskStarted(), TaskNotifyChanged(policy=NotifyPolicy.STATE_CHANGES))

    assert [] == story.messages
