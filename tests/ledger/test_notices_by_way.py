"""Notices, by the way that each goes: to the origin, to the session, for review, to monitors, and a second way."""

from typing import Any

import pytest

from tallystick.ledger.events import AnyFact
from tallystick.ledger.facts.deliveries import (
    DeliveryDelivered,
    DeliveryDismissed,
    DeliveryFailed,
    DeliveryQueued,
    DeliveryRetried,
)
from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.facts.tasks import (
    TaskCancelled,
    TaskFailed,
    TaskNotifyChanged,
    TaskProgressed,
    TaskRecovered,
    TaskStarted,
    TaskSucceeded,
)
from tallystick.ledger.lifecycle import (
    BLOCKED,
    MEDIA_KINDS,
    DeliveryKind,
    DeliveryStatus,
    NotifyPolicy,
    Runtime,
    Status,
)
from tallystick.ledger.limits import MEDIA_CONFIRM_MS
from tallystick.ledger.outbox import FALLBACK, id_of, is_main
from tallystick.ledger.routing import Monitor, Routing
from tests.announced import CHAT, MONITORS, OPS, SERVED, WATCHED, Announced
from tests.ledger.ends import DONE, ENDS, GROUP, LOST, SESSION, announced, main_messages
from tests.story import TASK_ID, created

# Which way.


def test_an_end_goes_to_where_the_request_came_from_with_what_was_made() -> None:
    story = announced(TaskStarted(), DONE)

    expected = DeliveryQueued(
        delivery="terminal:succeeded:default",
        kind=DeliveryKind.TERMINAL,
        text="Background task done: Count the tallies. 42 tallies",
        route=CHAT,
        artifacts=("file:///out",),
    )
    assert [expected] == story.messages
    [route] = {message.route for message in story.messages}
    assert route is not None
    assert (int, int) == (type(route.to), type(route.thread))


@pytest.mark.parametrize(
    ("creation", "routing"),
    [
        ({"origin": None}, SERVED),
        ({"origin": Origin("telegram")}, SERVED),
        ({"origin": Origin("discord", 5)}, SERVED),
        ({}, Routing()),
        ({"owner": GROUP}, SERVED),
        ({"requester": GROUP}, SERVED),
    ],
)
def test_without_a_direct_way_an_end_waits_in_the_session_that_asked(
    creation: dict[str, Any], routing: Routing
) -> None:
    story = announced(DONE, routing=routing, **creation)

    [message] = story.messages
    assert (None, story.record.requester_session_key, None) == (message.route, message.session, message.until)
    assert ("file:///out",) == message.artifacts
    assert DeliveryStatus.SESSION_QUEUED == story.became()


def test_blanks_of_an_origin_are_filled_when_somebody_is_told() -> None:
    story = announced(DONE, origin=Origin("telegram"), stored={SESSION: Origin("telegram", 5, "home", 8)})

    assert [Origin("telegram", 5, "home", 8)] == [message.route for message in story.messages]
    assert Origin("telegram") == story.record.origin


# Media.


@pytest.mark.parametrize("kind", sorted(MEDIA_KINDS))
@pytest.mark.parametrize("policy", NotifyPolicy)
@pytest.mark.parametrize(("end", "status", "outcome"), ENDS)
def test_media_wake_the_session_that_asked_whatever_the_policy(
    kind: str, policy: NotifyPolicy, end: AnyFact, status: Status, outcome: str | None
) -> None:
    story = announced(end, runtime="cli", kind=kind, notify=policy)

    [message] = main_messages(story.messages)
    assert f"wake:{status.value}:{outcome or 'default'}" == message.delivery
    assert (DeliveryKind.MEDIA, None, SESSION) == (message.kind, message.route, message.session)
    assert story.now_ms + MEDIA_CONFIRM_MS == message.until
    assert story.record.artifacts == message.artifacts
    assert DeliveryStatus.SESSION_QUEUED == story.became()


@pytest.mark.parametrize("runtime", sorted(set(Runtime) - {Runtime.CLI}))
def test_media_are_made_by_commands_alone(runtime: Runtime) -> None:
    story = announced(DONE, runtime=runtime, kind="image_generation", owner=SESSION)

    assert ["terminal:succeeded:default"] == story.names


def not_confirmed(**more: Any) -> Announced:
    story = announced(DONE, runtime="cli", kind="image_generation", **more)
    story.tell(DeliveryFailed(delivery="wake:succeeded:default", attempt=0, error="not confirmed"))
    return story


def test_media_that_a_session_does_not_confirm_go_to_the_channel_once() -> None:
    story = not_confirmed()

    message = story.messages[-1]
    assert ["terminal:succeeded:default"] == story.names
    assert (CHAT, DeliveryKind.MEDIA, ("file:///out",)) == (message.route, message.kind, message.artifacts)
    assert "Background task done: Count the tallies. 42 tallies\nfile:///out" == message.text
    assert DeliveryStatus.PENDING == story.became()

    story.tell(DeliveryFailed(delivery="terminal:succeeded:default", attempt=1, error="no"))
    assert ["terminal:succeeded:default", "terminal:succeeded:default#session"] == story.names
    assert (SESSION, None) == (story.messages[-1].session, story.messages[-1].until)


def test_media_that_have_no_channel_stay_in_the_session_until_it_takes_them() -> None:
    story = not_confirmed(origin=None)

    [waiting] = story.outbox
    assert ("wake:succeeded:default", SESSION, None) == (waiting.delivery, waiting.session, waiting.due_at)
    assert DeliveryStatus.SESSION_QUEUED == story.became()


def test_media_that_were_confirmed_are_told_to_nobody_else() -> None:
    story = announced(DONE, runtime="cli", kind="image_generation")
    story.tell(DeliveryDelivered(delivery="wake:succeeded:default"))
    story.tell(DeliveryFailed(delivery="wake:succeeded:default", attempt=0, error="not confirmed"))

    assert (1, ()) == (len(story.messages), story.outbox)
    assert DeliveryStatus.DELIVERED == story.became()


# Review.

IN_A_THREAD = Origin("telegram", -100123, thread=77)


@pytest.mark.parametrize(
    ("creation", "end", "is_reviewed"),
    [
        ({"origin": Origin("telegram", 5)}, DONE, True),
        ({"origin": None}, DONE, True),
        ({"origin": IN_A_THREAD}, DONE, False),
        ({"origin": CHAT}, DONE, False),
        ({"origin": Origin("discord", 5, thread=7)}, DONE, True),
        ({"origin": IN_A_THREAD, "owner": GROUP}, DONE, True),
        ({"origin": Origin("telegram", 5)}, TaskSucceeded(outcome=BLOCKED), False),
        ({"origin": Origin("telegram", 5)}, TaskFailed(error="boom"), False),
        ({"origin": Origin("telegram", 5)}, TaskCancelled(), False),
        ({"origin": Origin("telegram", 5), "child_session": None}, DONE, False),
        ({"origin": Origin("telegram", 5), "runtime": "subagent"}, DONE, False),
    ],
)
def test_the_result_of_a_child_session_is_reviewed_unless_a_thread_keeps_it_direct(
    creation: dict[str, Any],
    end: AnyFact,
    is_reviewed: bool,  # noqa: FBT001
) -> None:
    story = announced(end, **{"runtime": "acp", "child_session": "agent:codex:acp:1", **creation})

    [message] = main_messages(story.messages)
    assert is_reviewed == (message.kind is DeliveryKind.REVIEW)
    assert is_reviewed == message.text.endswith("Next: parent will review/verify before calling it done.")
    assert f"terminal:{story.record.status.value}:{story.record.terminal_outcome or 'default'}" == message.delivery
    if is_reviewed:
        assert (None, story.record.requester_session_key) == (message.route, message.session)
    else:
        assert story.record.origin == message.route


# Monitors.


def test_a_cron_run_that_fails_reaches_the_monitor_though_nobody_asked() -> None:
    routing = Routing((Monitor("ops", OPS, runtime=Runtime.CRON, status="failed"),))
    story = Announced(
        created(runtime="cron", owner=None, label="Nightly"), TaskFailed(error="No such file"), routing=routing
    )

    expected = DeliveryQueued(
        delivery="terminal:failed:default@ops",
        kind=DeliveryKind.TERMINAL,
        text="Background task failed: Nightly. No such file",
        route=OPS,
    )
    assert NotifyPolicy.SILENT is story.record.notify_policy
    assert [expected] == story.messages
    assert DeliveryStatus.NOT_APPLICABLE == story.became()
    assert [] == Announced(created(runtime="cron", owner=None), DONE, routing=routing).messages


def test_a_monitor_needs_neither_an_origin_nor_a_served_channel() -> None:
    story = announced(DONE, origin=None, routing=Routing((Monitor("ops", Origin("nowhere", 5)),)))

    assert [None, Origin("nowhere", 5)] == [message.route for message in story.messages]


def test_a_monitor_of_running_tasks_is_told_of_a_start_and_others_are_not() -> None:
    story = announced(TaskStarted(), TaskProgressed(message="x"), routing=WATCHED, notify="silent")

    assert [("event:2:started@night", OPS)] == [(message.delivery, message.route) for message in story.messages]


@pytest.mark.parametrize(("end", "thread"), [(TaskFailed(error="boom"), 7), (TaskStarted(), 8)])
def test_a_route_is_told_once_however_many_rules_lead_there_and_rules_of_one_name_are_told_apart(
    end: AnyFact, thread: int
) -> None:
    rules = (
        Monitor("slack:#ops", OPS, runtime=Runtime.SUBAGENT, status="failed"),
        Monitor("slack:#ops", OPS, status="failed"),
        Monitor("slack:#ops", Origin("slack", "#ops", thread=7), status="failed"),
        Monitor("slack:#ops", OPS, status="running"),
        Monitor("slack:#ops", Origin("slack", "#ops", thread=8), status="running"),
    )
    story = announced(end, routing=Routing(rules), notify="silent")

    assert [OPS, Origin("slack", "#ops", thread=thread)] == [message.route for message in story.messages]
    assert 2 == len({id_of(TASK_ID, name) for name in story.names})
    assert not [name for name in story.names if is_main(name)]


def test_what_a_monitor_is_told_is_not_what_became_of_telling() -> None:
    story = announced(LOST, routing=WATCHED, notify="silent")
    assert ["terminal:lost:default@ops", "terminal:lost:default@lost"] == story.names
    story.tell(DeliveryFailed(delivery="terminal:lost:default@ops", attempt=1, error="x"))
    story.tell(DeliveryDelivered(delivery="terminal:lost:default@lost"))

    assert DeliveryStatus.NOT_APPLICABLE == story.became()
    assert ["terminal:lost:default@ops"] == story.names, "and nobody's session hears of it"
    assert MONITORS == WATCHED.monitors


# When a message fails for good.


def test_what_could_not_be_sent_waits_in_the_session_with_the_same_words() -> None:
    story = announced(DONE)
    story.tell(DeliveryFailed(delivery="terminal:succeeded:default", attempt=3, error="chat not found"))

    sent, queued = story.messages
    assert f"{sent.delivery}{FALLBACK}" == queued.delivery
    assert (sent.text, sent.kind, sent.artifacts) == (queued.text, queued.kind, queued.artifacts)
    assert (None, SESSION, None) == (queued.route, queued.session, queued.until)
    assert [sent.delivery, queued.delivery] == story.names, "and it is kept for an operator"
    assert DeliveryStatus.FAILED == story.became()

    story.tell(DeliveryDelivered(delivery=queued.delivery))
    assert DeliveryStatus.DELIVERED == story.became()


def test_a_step_that_could_not_be_sent_is_not_told_elsewhere() -> None:
    story = announced(TaskStarted(), notify="state_changes")
    story.tell(DeliveryFailed(delivery="event:2:started", attempt=1, error="x"))

    assert 1 == len(story.messages)


def test_a_session_has_a_message_once_however_often_an_operator_retries() -> None:
    story = announced(DONE)
    for attempt in range(1, 5):
        story.tell(DeliveryFailed(delivery="terminal:succeeded:default", attempt=attempt, error="x"))
        assert ["terminal:succeeded:default", "terminal:succeeded:default#session"] == story.names
        assert DeliveryStatus.FAILED == story.became()
        story.tell(DeliveryRetried())
        assert DeliveryStatus.PENDING == story.became()


@pytest.mark.parametrize("way", ["terminal:succeeded:default", "terminal:succeeded:default#session"])
@pytest.mark.parametrize("more", [[], [DeliveryRetried()]])
def test_what_arrived_on_one_way_is_not_told_on_the_other(way: str, more: list[AnyFact]) -> None:
    story = announced(DONE)
    for said in (DeliveryFailed(delivery="terminal:succeeded:default", attempt=1, error="x"), *more):
        story.tell(said)
    [other] = [name for name in story.names if name != way]

    answer = story.tell(DeliveryDelivered(delivery=way))

    dismissed = DeliveryDismissed(delivery=other, reason="it arrived on the other way")
    assert (dismissed, DeliveryDelivered(delivery=way)) == answer
    assert (DeliveryStatus.DELIVERED, []) == (story.became(), story.names)


def test_what_a_monitor_was_told_is_no_other_way_of_what_the_one_who_asked_is() -> None:
    story = announced(LOST, routing=WATCHED)
    story.tell(DeliveryDelivered(delivery="terminal:lost:default@ops"))
    story.tell(DeliveryFailed(delivery="terminal:lost:default", attempt=1, error="x"))
    story.tell(DeliveryDelivered(delivery="terminal:lost:default@lost"))

    assert ["terminal:lost:default", "terminal:lost:default#session"] == story.names


# Ends that are corrected.


def test_a_recovery_is_told_after_the_loss_that_it_corrects() -> None:
    story = announced(TaskStarted(), LOST)
    story.tell(DONE)

    assert ["terminal:lost:default", "terminal:succeeded:default"] == story.names
    assert [
        "Background task lost: Count the tallies. Its pid is gone",
        "Background task done: Count the tallies. 42 tallies",
    ] == [message.text for message in story.messages]
    assert isinstance(story.facts[-2], TaskRecovered)


def test_what_became_of_telling_a_loss_says_nothing_of_telling_its_correction() -> None:
    story = announced(TaskStarted(), LOST)
    story.tell(DONE)
    story.tell(DeliveryFailed(delivery="terminal:lost:default", attempt=1, error="x"))
    assert DeliveryStatus.PENDING == story.became()
    story.tell(DeliveryDelivered(delivery="terminal:lost:default#session"))
    assert DeliveryStatus.PENDING == story.became()
    story.tell(DeliveryDelivered(delivery="terminal:succeeded:default"))
    story.tell(DeliveryRetried(delivery="terminal:lost:default"))

    assert DeliveryStatus.DELIVERED == story.became()


def test_a_policy_that_changes_tells_the_correction_though_the_loss_is_still_on_its_way() -> None:
    story = announced(TaskStarted(), LOST, notify="failures_only")
    story.tell(DONE)
    assert DeliveryStatus.NOT_APPLICABLE == story.became()

    story.tell(TaskNotifyChanged(policy=NotifyPolicy.DONE_ONLY))

    assert ["terminal:lost:default", "terminal:succeeded:default"] == story.names
    assert DeliveryStatus.PENDING == story.became()
