"""Policies: who is still to be told, whatever else is known of a task."""

from collections.abc import Callable

import pytest

from tallystick.ledger.events import (
    DeliveryDelivered,
    DeliveryQueued,
    Origin,
    TaskFailed,
    TaskNotifyChanged,
    TaskStarted,
    TaskSucceeded,
)
from tallystick.ledger.lifecycle import BLOCKED, DeliveryKind, DeliveryStatus, NotifyPolicy
from tests.story import BEGIN_MS, OTHER_ID, Story, created, differences

CREATED_MS, STARTED_MS, THEN_MS = BEGIN_MS + 1_000, BEGIN_MS + 2_000, BEGIN_MS + 3_000
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
    flow="flow-1",
    agent="main",
    requester_agent="other",
    origin=Origin(channel="telegram", to=-100, account="bot", thread=77),
    notify="state_changes",
    timeout_ms=60_000,
    backing={"pid": 7},
    metadata={"repo": "a/b"},
    idempotency_key="key-1",
)


def running(**more: object) -> Story:
    story = Story(created(**more), TaskStarted())
    story.now_ms = THEN_MS
    return story


def ended() -> Story:
    story = Story(created(), TaskSucceeded())
    story.now_ms = THEN_MS
    return story


@pytest.mark.parametrize("so_far", [ended, running])
def test_a_policy_says_whether_somebody_is_still_to_be_told_and_changes_nothing_else(
    so_far: Callable[[], Story],
) -> None:
    story = so_far()
    done = TaskNotifyChanged(policy=NotifyPolicy.DONE_ONLY)
    silent = TaskNotifyChanged(policy=NotifyPolicy.SILENT)

    assert {"notify_policy": NotifyPolicy.DONE_ONLY, "delivery_status": DeliveryStatus.PENDING} == differences(
        story, done
    )
    story.happen([done])
    assert {"notify_policy": NotifyPolicy.SILENT, "delivery_status": DeliveryStatus.NOT_APPLICABLE} == differences(
        story, silent
    )


def test_a_policy_for_failures_leaves_open_whether_work_will_fail_and_knows_whether_it_did() -> None:
    failures = TaskNotifyChanged(policy=NotifyPolicy.FAILURES_ONLY)
    failed = Story(created(), TaskFailed(error="boom"))
    policy, pending = {"notify_policy": NotifyPolicy.FAILURES_ONLY}, {"delivery_status": DeliveryStatus.PENDING}

    assert {**policy, **pending} == differences(running(), failures)
    assert {**policy, **pending} == differences(failed, failures)
    assert policy == differences(ended(), failures)


@pytest.mark.parametrize("route", [None, Origin(channel="telegram", to=-100)])
def test_a_policy_takes_nothing_back_that_was_told(route: Origin | None) -> None:
    story = Story(created(notify="done_only"), TaskSucceeded())
    name = "terminal:succeeded:default"
    session = None if route else "agent:main:main"
    story.happen([DeliveryQueued(delivery=name, kind=DeliveryKind.TERMINAL, text="done", route=route, session=session)])
    silent = TaskNotifyChanged(policy=NotifyPolicy.SILENT)

    assert {"notify_policy": NotifyPolicy.SILENT} == differences(story, silent)
    story.happen([DeliveryDelivered(delivery=name)])
    assert {"notify_policy": NotifyPolicy.SILENT} == differences(story, silent)
    assert DeliveryStatus.DELIVERED == story.record.delivery_status


def test_an_end_that_the_policy_keeps_to_itself_leaves_nobody_to_be_told() -> None:
    policy = "failures_only"
    story = Story(created(notify=policy), TaskStarted())

    assert differences(story, TaskSucceeded()).items() >= {"delivery_status": DeliveryStatus.NOT_APPLICABLE}.items()
    assert "delivery_status" not in differences(story, TaskSucceeded(outcome=BLOCKED))
    assert "delivery_status" not in differences(story, TaskFailed(error="boom"))
