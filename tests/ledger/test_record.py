"""The record as people and programs see it."""

import msgspec

from tallystick.ledger.facts.tasks import TaskFailed, TaskStarted, TaskSucceeded
from tallystick.ledger.lifecycle import BLOCKED
from tallystick.ledger.record import as_json
from tests.story import BEGIN_MS, TASK_ID, Story, created

CREATED_MS = BEGIN_MS + 1_000


def test_a_success_without_its_result_is_shown_as_blocked_and_nothing_else_is() -> None:
    shown = [
        Story(created(), fact).record.shown_status
        for fact in (TaskSucceeded(outcome=BLOCKED), TaskSucceeded(), TaskFailed(error="boom"), TaskStarted())
    ]

    assert ["blocked", "succeeded", "failed", "running"] == shown


def test_a_record_as_json_has_the_names_of_the_interface_and_nothing_that_is_absent() -> None:
    story = Story(created(metadata={"repo": "a/b"}, notify="done_only"))

    assert {
        "taskId": TASK_ID,
        "runtime": "subagent",
        "task": "Count the tallies",
        "status": "queued",
        "scopeKind": "session",
        "deliveryStatus": "pending",
        "notifyPolicy": "done_only",
        "createdAt": CREATED_MS,
        "lastEventAt": CREATED_MS,
        "version": 1,
        "position": 1,
        "ownerKey": "agent:main:main",
        "requesterSessionKey": "agent:main:main",
        "parentFlowId": "0198c2f0-7b7e-8cc3-8a53-1f0a9d8e4b21",  # the flow that mirrors it
        "rootTaskId": TASK_ID,
        "metadata": {"repo": "a/b"},
    } == msgspec.json.decode(as_json(story.record))
