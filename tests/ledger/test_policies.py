"""Policies: who is still to be told, whatever else is known of a task."""

from collections.abc import Callable

import pytest

from tallystick.ledger.facts.deliveries import DeliveryDelivered, DeliveryQueued
from tallystick.ledger.facts.fact import Origin
from tallystick.ledger.facts.tasks import TaskFailed, TaskNotifyChanged, TaskStarted, TaskSucceeded
from tallystick.ledger.lifecycle import BLOCKED, DeliveryKind, DeliveryStatus, NotifyPolicy
from tests.ledger.stories import ended, running
from tests.story import Story, created, differences


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

    changed = {"notify_policy": NotifyPolicy.SILENT, "work_version": None}
    assert changed == differences(story, silent)
    story.happen([DeliveryDelivered(delivery=name)])
    assert changed == differences(story, silent)
    assert DeliveryStatus.DELIVERED == story.record.delivery_status


def test_an_end_that_the_policy_keeps_to_itself_leaves_nobody_to_be_told() -> None:
    policy = "failures_only"
    story = Story(created(notify=policy), TaskStarted())

    assert differences(story, TaskSucceeded()).items() >= {"delivery_status": DeliveryStatus.NOT_APPLICABLE}.items()
    assert "delivery_status" not in differences(story, TaskSucceeded(outcome=BLOCKED))
    assert "delivery_status" not in differences(story, TaskFailed(error="boom"))
