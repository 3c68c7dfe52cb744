"""What an isolated cron run has to tell: whether it waits, for whom, and what is told in the end."""

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.errors import Refused
from tallystick.ledger.events import TaskFact
from tallystick.ledger.facts.deliveries import (
    DeliveryAttempted,
    DeliveryDelivered,
    DeliveryDismissed,
    DeliveryFailed,
    DeliveryQueued,
    DeliveryReleased,
    DeliveryRetried,
    DeliveryWithheld,
)
from tallystick.ledger.facts.tasks import (
    TaskFailed,
    TaskNotifyChanged,
    TaskProgressed,
    TaskPruned,
    TaskStarted,
    TaskSucceeded,
)
from tallystick.ledger.ids import id_text
from tallystick.ledger.lifecycle import DeliveryKind, DeliveryStatus, NotifyPolicy
from tallystick.ledger.limits import CRON_OUTPUTS_MAX, CRON_STALE_MS
from tallystick.ledger.message import end_message
from tallystick.ledger.outbox import Waiting
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.routing import Routing
from tallystick.ledger.told import deliveries_of
from tallystick.ledger.withholding import STALE, Proposal, is_isolated, proposed
from tests.announced import CHAT, SERVED, WATCHED, Announced, asked
from tests.story import BEGIN_MS, Story, created, refusal

OWN = "agent:main:cron:nightly"
NAME = "terminal:succeeded:default"
ON_IT = TaskSucceeded(summary="on it", artifacts=("file:///a",))


def run(*told: TaskFact, routing: Routing = SERVED, **more: Any) -> Announced:
    """An isolated run of a cron job that somebody asked for in a chat, after some facts."""
    asked_for = asked(**{"runtime": "cron", "child_session": OWN, **more})
    return Announced(asked_for, TaskStarted(), *told, routing=routing)


def below(number: int, *told: TaskFact, position: int = 100, **more: Any) -> TaskRecord:
    """A task that works below the run, with a place of its own in the log."""
    stream = bytes(15) + bytes([number])
    return Story(created(owner=OWN, **more), TaskStarted(), *told, stream=stream, position=position).record


def proposal(story: Announced, *tasks: TaskRecord, after_ms: int = 0) -> Proposal | None:
    [waiting] = [each for each in story.outbox if each.is_withheld]
    return proposed(story.record, waiting, tasks, now=story.now_ms + after_ms, as_of=99)


def release(story: Announced, *tasks: TaskRecord) -> DeliveryReleased:
    found = proposal(story, *tasks)
    assert found is not None
    assert isinstance(found.fact, DeliveryReleased)
    return found.fact


def test_the_end_of_a_run_is_withheld_as_the_run_itself_would_tell_it() -> None:
    story = run(ON_IT)

    text = "Background task done: Count the tallies. on it"
    assert story.facts[-1] == DeliveryWithheld(
        delivery=NAME,
        kind=DeliveryKind.TERMINAL,
        text=text,
        artifacts=("file:///a",),
        until=story.now_ms + CRON_STALE_MS,
    )
    waiting = Waiting(NAME, 4, DeliveryStatus.WITHHELD, story.now_ms, due_at=story.now_ms + CRON_STALE_MS)
    assert (waiting,) == story.outbox
    assert DeliveryStatus.PENDING is story.became()
    assert not waiting.is_sent
    assert not waiting.is_stuck


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, True),
        ({"runtime": "subagent"}, False),
        ({"child_session": None}, False),
        ({"child_session": "agent:main:main"}, False),
        ({"requester": OWN}, False),
        ({"owner": None, "origin": None, "notify": None}, False),
    ],
)
def test_a_run_is_isolated_when_a_cron_job_works_in_a_session_of_its_own_for_somebody(
    more: dict[str, Any],
    expected: bool,  # noqa: FBT001 - what is expected
) -> None:
    assert expected is is_isolated(run(**more).record)


def test_only_a_success_is_interim_a_failure_is_told_at_once() -> None:
    assert isinstance(run(TaskFailed(error="boom")).facts[-1], DeliveryQueued)
    assert isinstance(run(TaskSucceeded(outcome="blocked")).facts[-1], DeliveryWithheld)


def test_monitors_are_told_at_once_whoever_is_at_work() -> None:
    story = run(ON_IT, routing=WATCHED)

    assert f"{NAME}@ops" == story.messages[-1].delivery


def test_a_policy_that_lets_it_through_later_withholds_it_then() -> None:
    story = run(ON_IT, notify=NotifyPolicy.SILENT)
    story.tell(TaskNotifyChanged(policy=NotifyPolicy.DONE_ONLY))

    assert [NAME] == [each.delivery for each in story.outbox if each.is_withheld]


def test_progress_is_withheld_a_start_is_not() -> None:
    story = run(TaskProgressed(message="looking around"), notify=NotifyPolicy.STATE_CHANGES)

    assert [(False, "started"), (True, "update")] == [
        (each.is_withheld, each.delivery.rpartition(":")[2]) for each in story.outbox
    ]


def test_what_is_released_goes_on_the_way_that_there_is_now_until_it_is_stale() -> None:
    story = run(ON_IT)
    until = story.now_ms + CRON_STALE_MS
    story.tell(DeliveryReleased(delivery=NAME, as_of=4))

    text = "Background task done: Count the tallies. on it"
    message = DeliveryQueued(
        delivery=NAME, kind=DeliveryKind.TERMINAL, text=text, route=CHAT, artifacts=("file:///a",), until=until
    )
    assert message == story.facts[-1]
    assert until == story.waiting(NAME).until
    assert DeliveryStatus.PENDING is story.became()


def test_the_output_of_others_stands_where_the_summary_would_and_no_failure_can_look_like_it() -> None:
    story = run(ON_IT, routing=Routing())
    story.tell(DeliveryReleased(delivery=NAME, as_of=4, output="3 mails, none urgent"))

    [message] = story.messages
    assert ("Background task done: Count the tallies. 3 mails, none urgent", "agent:main:main", None) == (
        message.text,
        message.session,
        message.until,
    )
    assert "on it" == story.record.terminal_summary
    assert message.text != end_message(story.record)


def test_a_second_release_and_one_of_what_was_dismissed_are_nothing_new() -> None:
    story = run(ON_IT)
    story.tell(DeliveryReleased(delivery=NAME, as_of=4))
    assert () == story.tell(DeliveryReleased(delivery=NAME, as_of=4, output="another"))
    other = run(ON_IT)
    other.tell(DeliveryDismissed(reason="I know"))
    assert () == other.tell(DeliveryReleased(delivery=NAME, as_of=4))

    assert DeliveryStatus.DISMISSED is other.became()
    assert [] == other.messages


def test_nobody_sends_takes_or_retries_what_is_withheld_and_it_keeps_the_task() -> None:
    story = run(ON_IT)

    for fact in (
        DeliveryAttempted(delivery=NAME, attempt=1, error="x", due_at=9),
        DeliveryFailed(delivery=NAME, attempt=1, error="x"),
        DeliveryRetried(),
        TaskPruned(),
    ):
        refusal(story.ask(fact), Refused)
    assert () == story.ask(DeliveryDelivered(delivery=NAME))
    refusal(story.ask(DeliveryWithheld(delivery="x", kind=DeliveryKind.TERMINAL, text="x", until=1)), Refused)


def test_who_is_told_of_the_messages_sees_one_that_is_withheld_and_later_what_is_sent_instead() -> None:
    story = run(ON_IT)
    [withheld] = deliveries_of(story.events)
    story.tell(DeliveryReleased(delivery=NAME, as_of=4, output="42"))
    [sent] = deliveries_of(story.events)

    assert (DeliveryStatus.WITHHELD, True, story.events[3].recorded_at + CRON_STALE_MS) == (
        withheld.status,
        withheld.is_open,
        withheld.due_at,
    )
    assert (DeliveryStatus.PENDING, withheld.id) == (sent.status, sent.id)


def test_an_operator_who_sends_it_again_gives_it_all_the_time_that_a_new_one_has() -> None:
    story = run(ON_IT)
    story.tell(DeliveryReleased(delivery=NAME, as_of=4))
    story.tell(DeliveryFailed(delivery=NAME, attempt=1, error="no such chat"))
    story.tell(DeliveryRetried())

    assert story.waiting(NAME).until is None


# Whether it waits, and what is told.


def test_as_long_as_one_is_at_work_below_it_waits_and_after_three_hours_it_is_stale() -> None:
    story = run(ON_IT)
    queued, running = below(1), below(2, TaskSucceeded(summary="done"))

    assert proposal(story, queued, running) is None
    assert proposal(story, queued, after_ms=CRON_STALE_MS - 1) is None
    assert Proposal(DeliveryDismissed(delivery=NAME, reason=STALE)) == proposal(story, queued, after_ms=CRON_STALE_MS)
    assert Proposal(DeliveryDismissed(delivery=NAME, reason=STALE)) == proposal(story, after_ms=CRON_STALE_MS)


@given(st.permutations(range(6)))
def test_the_last_outputs_are_told_whatever_order_they_are_found_in(order: list[int]) -> None:
    ended = [below(n, TaskSucceeded(summary=f"part {n}"), position=100 + 10 * n) for n in range(1, 7)]
    found = proposal(run(ON_IT), *[ended[n] for n in order])

    assert found is not None
    assert tuple(f"part {n}" for n in range(7 - CRON_OUTPUTS_MAX, 7)) == found.outputs
    assert isinstance(found.fact, DeliveryReleased)
    assert tuple(record.task_id for record in ended[-CRON_OUTPUTS_MAX:]) == found.fact.sources


def test_what_had_ended_before_the_run_did_is_its_own_affair() -> None:
    before = below(1, TaskSucceeded(summary="read by the run"), position=0)

    assert DeliveryReleased(delivery=NAME, as_of=99) == release(run(ON_IT), before)


def test_the_reason_counts_what_ended_without_an_output() -> None:
    story = run(ON_IT)
    tasks = [
        below(1, TaskFailed(error="boom", summary="half of it")),
        below(2, TaskSucceeded(summary=" ")),
        below(3, TaskSucceeded(summary="I may not", outcome="blocked")),
        below(4, TaskFailed(error="boom")),
    ]

    for order in permutations(tasks, 4):
        reason = release(story, *order).reason
        assert "what worked below it ended without a final output: 1 blocked, 2 failed, 1 succeeded" == reason
    with_output = below(5, TaskSucceeded(summary="42"))
    assert release(story, *tasks, with_output).reason is None


@pytest.mark.parametrize("by", ["parent", "session"])
def test_what_a_task_said_is_interim_when_something_that_it_started_ended_after_it(by: str) -> None:
    story = run(ON_IT)
    parent = below(1, TaskSucceeded(summary="spawned another one"), position=100, child_session="agent:child")
    how: dict[str, Any] = {"parent": parent.task_id} if by == "parent" else {"requester": "agent:child"}
    child = below(2, TaskSucceeded(summary="42"), position=200, **how)
    failed = below(2, TaskFailed(error="boom"), position=200, **how)

    assert (child.task_id,) == release(story, parent, child).sources
    assert (parent.task_id,) == release(story, parent, failed).sources


def test_progress_is_released_when_nobody_is_at_work_and_skipped_as_interim_while_somebody_is() -> None:
    story = run(TaskProgressed(message="looking around"), notify=NotifyPolicy.STATE_CHANGES)
    found, skipped = proposal(story, below(1, TaskSucceeded())), proposal(story, below(1), below(2))

    assert found is not None
    assert isinstance(found.fact, DeliveryReleased)
    assert skipped is not None
    assert "interim: 2 tasks are below it at work" == skipped.fact.reason
    story.tell(found.fact)
    assert "Background task update: Count the tallies. looking around" == story.messages[-1].text


def test_progress_is_told_in_its_own_words_whatever_output_it_is_released_with() -> None:
    story = run(TaskProgressed(message="looking around"), notify=NotifyPolicy.STATE_CHANGES)
    [waiting] = [each for each in story.outbox if each.is_withheld]
    story.tell(DeliveryReleased(delivery=waiting.delivery, as_of=4, output="3 mails"))

    assert "Background task update: Count the tallies. looking around" == story.messages[-1].text


def test_ids_in_these_tests_are_ids() -> None:
    assert id_text(bytes(15) + b"\x01") == below(1).task_id
    assert BEGIN_MS < run(ON_IT).now_ms
