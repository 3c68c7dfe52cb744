"""Why a task or a flow is what it is: every change of its status has a reason, and none says what no event said."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given

from tallystick import Ledger, NotFound, Refused
from tallystick.ledger.events import FACT_TYPES, Event
from tallystick.ledger.facts.deliveries import OF_DELIVERIES
from tallystick.ledger.facts.resources import TaskCleanupBegun, TaskResourceClosed, TaskResourceOpened
from tallystick.ledger.facts.tasks import (
    TaskBackingMissed,
    TaskBackingRestored,
    TaskCancelled,
    TaskCancelRequested,
    TaskFailed,
    TaskLost,
    TaskProgressed,
    TaskSettled,
    TaskStarted,
    TaskSucceeded,
    TaskTimedOut,
)
from tallystick.ledger.flows.mirror import is_mirror, mirror_stream
from tallystick.ledger.flows.record import FlowRecord
from tallystick.ledger.judge import inferred
from tallystick.ledger.lifecycle import BLOCKED, Status
from tallystick.ledger.reasons.history import reasons_of_flow, reasons_of_task, shown, silence
from tallystick.ledger.reasons.reason import SENTENCES, Reason, Rule
from tallystick.ledger.record import TaskRecord
from tallystick.ledger.steps import steps_of_flow, steps_of_task
from tallystick.ledger.told import deliveries_of
from tallystick.ledger.verdict import Verdict
from tallystick.projections.flow_history import flow_of, merged
from tallystick.testing import HandClock
from tests import strategies as some
from tests.face.parts import ORDINARY, OWNER
from tests.ledger.ends import ENDS
from tests.projections.flow_histories import flow_histories, own_records
from tests.projections.histories import records_of
from tests.story import BEGIN_MS, Story, created

NO_REASON = {TaskProgressed, TaskResourceOpened, TaskResourceClosed, TaskCleanupBegun, *OF_DELIVERIES}
"""What happens to a task and does not make it what it is."""


def reasons(story: Story) -> list[Reason]:
    return list(reasons_of_task(steps_of_task(story.events)))


def flow_or_none(stream: bytes, events: list[Event]) -> FlowRecord | None:
    """What is known of a flow now, if there is one."""
    try:
        return flow_of(stream, own_records(events).get(stream), records_of(events).get)
    except NotFound:
        return None


def check(found: Sequence[Reason], events: Sequence[Event], statuses: Sequence[str | None]) -> None:
    """Hold reasons to the events and to what the status was after each of them."""
    by_position = {event.position: event for event in events}
    moved = [
        (event.position, before, after)
        for event, before, after in zip(events, [None, *statuses], statuses, strict=False)
        if before != after
    ]
    assert moved == [(each.position, each.before, each.after) for each in found if each.before != each.after]
    for each in found:
        event = by_position[each.position]
        said = msgspec.to_builtins(event.data)
        said.pop("type")
        assert (event.type, event.actor, event.occurred_at, event.recorded_at, said) == (
            each.type,
            each.actor,
            each.occurred_at,
            each.recorded_at,
            each.evidence,
        )
        assert all(position in by_position and position < each.position for position in each.because)


@given(some.stories())
def test_every_change_of_a_status_has_its_reason_and_nothing_is_invented(story: Story) -> None:
    found = reasons(story)

    check(found, story.events, [shown(step.after) for step in steps_of_task(story.events)])
    last = [each for each in found if each.after is not None][-1]
    assert story.record.shown_status == last.after
    assert [event.position for event in story.events if type(event.data) not in NO_REASON] == [
        each.position for each in found
    ]


@given(flow_histories())
def test_every_change_of_a_flow_has_its_reason_and_nothing_is_invented(events: list[Event]) -> None:
    for stream in {event.stream for event in events if event.is_of_flow}:
        told = merged(stream, lambda of: [event for event in events if event.stream == of])
        steps = list(steps_of_flow(stream, told))
        found = list(reasons_of_flow(steps))

        check(found, told, [shown(step.after) for step in steps])
        assert steps[-1].after == flow_or_none(stream, events)
        own = {event.position for event in told if event.is_of_flow}
        assert own <= {each.position for each in found}
        assert all((each.token is None) == (each.position in own) for each in found)


@given(some.stories())
def test_a_flow_that_mirrors_one_task_is_explained_by_it(story: Story) -> None:
    flow = mirror_stream(story.stream)
    steps = list(steps_of_flow(flow, story.events))
    found = list(reasons_of_flow(steps))

    assert is_mirror(flow)
    check(found, story.events, [shown(step.after) for step in steps])
    assert {Rule.MIRRORS, Rule.JOINED} >= {each.rule for each in found}


@pytest.mark.parametrize(("end", "status", "outcome"), ENDS)
@pytest.mark.parametrize("begin", [(), (TaskStarted(),)])
def test_every_way_to_end_is_explained(begin: tuple[Any, ...], end: Any, status: Status, outcome: str | None) -> None:
    story = Story(created(), *begin, end)

    last = [each for each in reasons(story) if each.after is not None][-1]

    assert (BLOCKED if outcome == BLOCKED else status.value) == last.after
    assert story.record.ended_at_position == last.position


def test_every_fact_of_a_task_is_a_reason_or_known_to_be_none() -> None:
    from tallystick.ledger.events import OF_FLOWS
    from tallystick.ledger.reasons import flows, tasks

    explained = {kind for kind in FACT_TYPES if kind in tasks.SAYS or kind in flows.SAYS}
    assert set(FACT_TYPES) - NO_REASON == explained
    assert set(flows.SAYS) == OF_FLOWS
    assert set(Rule) == set(SENTENCES)


# One rule after the other.


def rules(story: Story) -> list[tuple[str, tuple[int, ...]]]:
    return [(each.rule.value, each.because) for each in reasons(story)]


def test_a_success_of_queued_work_implies_its_start() -> None:
    assert [("created", ()), ("implied_start", ()), ("table", (2,))] == rules(Story(created(), TaskSucceeded()))


def test_a_cancel_has_two_steps_and_the_second_stands_on_the_first() -> None:
    asked = (created(), TaskStarted(), TaskCancelRequested(reason="enough"))

    confirmed = Story(*asked, TaskCancelled(stopped="pid 7"))
    unconfirmed = Story(*asked, TaskCancelled(confirmed=False, stopped="nobody said that it stopped"))

    assert [("cancel_asked", ()), ("cancel_confirmed", (3,))] == rules(confirmed)[2:]
    assert [("cancel_asked", ()), ("cancel_unconfirmed", (3,))] == rules(unconfirmed)[2:]
    assert "nobody confirmed that it stopped: nobody said that it stopped" == reasons(unconfirmed)[-1].said


def test_a_loss_says_since_when_it_was_missed_and_until_when_the_grace_ran() -> None:
    story = Story(created(), TaskStarted(), TaskBackingMissed(evidence={"detail": "no such session"}))
    missed = story.record.backing_missed_at
    assert missed is not None
    fact = inferred(
        story.record, Verdict.missing("no such session"), missed + 900, grace_ms=500, watching_since=missed + 100
    )
    assert isinstance(fact, TaskLost)
    story.tell(fact)

    *_, miss, loss = reasons(story)
    assert (Rule.MISSED, f"missed at {missed} (ms): detail=no such session") == (miss.rule, miss.said)
    assert (Rule.GRACE, (3,)) == (loss.rule, loss.because)
    assert loss.said == (
        f"missed at {missed} (ms), watched since {missed + 100}, its grace of 500 ms ran until {missed + 600}: "
        "no such session"
    )


def test_what_was_found_again_stands_on_the_miss() -> None:
    story = Story(
        created(), TaskStarted(), TaskBackingMissed(evidence={}), TaskBackingRestored(evidence={"signal": "progress"})
    )

    assert [("missed", ()), ("restored", (3,))] == rules(story)[2:]


def test_what_is_proved_dead_needs_no_grace() -> None:
    story = Story(created(), TaskStarted())
    fact = inferred(story.record, Verdict.dead({"pid": 7, "detail": "pid 7 is gone"}), BEGIN_MS, grace_ms=500)
    assert fact is not None
    story.tell(fact)

    assert ("dead", (2,)) == rules(story)[-1]
    assert "proved dead: pid 7 is gone" == reasons(story)[-1].said


def test_a_recovery_names_the_loss_that_it_corrects() -> None:
    story = Story(created(), TaskStarted(), TaskLost(rule="r", evidence={}), TaskFailed(error="boom"))

    last = reasons(story)[-1]

    assert (Rule.RECOVERED, "lost", "failed", (3,)) == (last.rule, last.before, last.after, last.because)


def test_a_deadline_is_the_rule_only_when_it_had_passed() -> None:
    late, early = Story(created(timeout_ms=1), TaskStarted()), Story(created(timeout_ms=10**6), TaskStarted())
    for story in (late, early):
        story.tell(TaskTimedOut(error="stopped"))

    assert ["deadline", "table"] == [rules(story)[-1][0] for story in (late, early)]
    assert f"its deadline was {late.record.deadline_at} (ms): stopped" == reasons(late)[-1].said


def test_a_late_signal_was_ignored_because_of_the_end() -> None:
    story = Story(created(), TaskFailed(error="boom"))
    story.tell(TaskSucceeded(summary="no, it went well"))

    last = reasons(story)[-1]

    assert (Rule.LATE_SIGNAL, True, (2,), None) == (last.rule, last.is_ignored, last.because, last.after)
    assert "agent reported succeed when it had ended as failed: kept as evidence, nothing changed" == last.said


def test_an_operator_is_named_with_the_reason() -> None:
    story = Story(created(), TaskStarted())
    story.tell(TaskSettled(status=Status.LOST, reason="nobody knows"), actor="ops")

    assert (Rule.SETTLED, "ops ended it as lost: nobody knows") == (reasons(story)[-1].rule, reasons(story)[-1].said)


@given(some.announced())
def test_that_nobody_was_told_has_its_reason_exactly_when_no_message_tells_of_the_end(story: Any) -> None:
    record: TaskRecord = story.record
    told = deliveries_of(story.events)
    about_the_end = [each for each in told if each.name.split(":")[1:2] == [record.status.value]]

    assert (not record.is_active and not about_the_end) == (silence(record, told) is not None)


# On every kind of ledger.


def test_a_ledger_says_why(any_ledger: Ledger) -> None:
    task = any_ledger.create(**{**ORDINARY, "notify": "done_only"})
    task.start()
    task.fail("boom")
    with pytest.raises(Refused):
        task.succeed()

    why = any_ledger.why(task.id)

    assert (task.id, "failed", task.id) == (why.token, why.status, why.record.task_id)  # type: ignore[union-attr]
    assert ["created", "table", "table", "late_signal"] == [each.rule for each in why.reasons]
    assert ([OWNER], None) == ([message.session for message in why.told], why.silence)
    assert why == any_ledger.why(OWNER)
    assert "running" == any_ledger.why(task.id, position=2).status
    with pytest.raises(NotFound, match="not been created then"):
        any_ledger.why(task.id, position=0)
    with pytest.raises(NotFound):
        any_ledger.why("nobody")


def test_a_ledger_says_what_follows_if_nothing_more_is_heard(any_ledger: Ledger, clock: HandClock) -> None:
    task = any_ledger.create(**ORDINARY, timeout_ms=60_000)
    assert any_ledger.why(task.id).next is None
    begin = clock()
    task.start()
    assert f"timed_out, from {begin + 60_000} (ms) on" == any_ledger.why(task.id).next
    task.cancel("enough", wait_ms=0)
    assert f"cancelled without a confirmation, from {begin + 30_000} (ms) on" == any_ledger.why(task.id).next
    task.cancelled("enough")
    why = any_ledger.why(task.id)
    assert (None, "its policy silent does not let cancelled through") == (why.next, why.silence)


def test_a_flow_says_why_too(any_ledger: Ledger) -> None:
    flow = any_ledger.flows.create(owner=OWNER, goal="Release 1.2", controller="bot")
    flow.claim("build")
    flow.set_waiting({"kind": "approval"}, blocked="nobody approves")
    task = any_ledger.create(**{**ORDINARY, "notify": "done_only"})
    task.succeed(outcome="blocked")
    assert task.record.parent_flow_id is not None

    why, mirrored = any_ledger.why(flow.id), any_ledger.why(task.record.parent_flow_id)

    assert ("blocked", ["created", "controller", "controller"]) == (why.status, [each.rule for each in why.reasons])
    assert "it is blocked: nobody approves" == why.reasons[-1].said
    assert ("blocked", [task.id] * 3) == (mirrored.status, [each.token for each in mirrored.reasons])


def test_a_flow_that_was_joined_is_explained_by_the_task_that_it_follows(any_ledger: Ledger) -> None:
    first = any_ledger.create(**{**ORDINARY, "notify": "done_only"})
    flow = first.record.parent_flow_id
    assert flow is not None
    second = any_ledger.create(**{**ORDINARY, "notify": "done_only"}, flow=flow)
    second.start()

    why = any_ledger.why(flow)

    assert "running" == why.status == why.reasons[-1].after
    assert ("queued", first.id) == (why.reasons[0].after, why.reasons[0].token)
    assert (second.id, Rule.MIRRORS) == (why.reasons[-1].token, why.reasons[-1].rule)
    assert why.reasons == any_ledger.why(flow, position=why.reasons[-1].position).reasons
